package web

import (
	"html/template"
	"slices"
	"strings"

	"redhen/appliance/home"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
	"redhen/provision/p2p/localname"
	"redhen/provision/pair"
)

// front is what a person sees first: of a fresh box, of redhen.local, of their circle.
func (q *request) front() error {
	switch {
	case !q.cfg.Circle.Claimed():
		return q.hello()
	case q.Who.Account == "" && q.cfg.Circle.Unreceived():
		q.Redirect("/receive")
		return nil
	case page.HostOf(q.R.Host) == page.CommonName:
		return q.Show("landing", page.Page{Title: q.Say("landing.title"), Body: landing{q.ThisBox(), q.Here(), q.nearby()}})
	case q.Who.Account == "":
		q.Redirect("/login")
		return nil
	}
	return q.homePage()
}

// landing is what redhen.local shows: this box, and the others of the house.
type landing struct {
	page.ThisBox
	Home string
	Near []nearBox
}

type nearBox struct{ Name, URL string }

// nearby lists the other boxes on this network by their own names.
func (q *request) nearby() (list []nearBox) {
	r := q.cfg.Circle.Roster()
	for _, id := range q.cfg.Near() {
		b, ok := r.Box(id)
		if label := localname.Label(b.Name); ok && label != "" {
			list = append(list, nearBox{b.Name, "http://" + label + ".local/"})
		}
	}
	return list
}

// homeBody is the page that answers "is everything safe?".
type homeBody struct {
	status.Report
	Drawing template.HTML
	Waiting []pair.Pending
	Days    []diaryDay
	Checked string
	Reason  string // the sentence without its yes or no
	Rows    []homeRow
	Broken  bool // some house is not reached directly
	Returns []home.Return
	Keeper  bool
	// Known is false when the circle could not be asked.
	Known bool
}

// diaryDay are the lines of one day.
type diaryDay struct {
	Day   string
	Lines []status.Line
}

const diaryLines = 30

// rank puts one's own files first and the circle's records last.
func (q *request) rank(s status.Space) int {
	switch s.Name {
	case q.Who.Name:
		return 0
	case "":
		return 2
	}
	return 1
}

// homeRow is one box in the table below the drawing.
type homeRow struct{ House, Box, Reached, Why, Do, Seen, Room string }

func (q *request) home() (h homeBody) {
	r, err := q.cfg.Status.Report(q.R.Context())
	if err != nil {
		q.cfg.Logger.Warn("report", "err", err)
		return h
	}
	h = homeBody{Report: r, Known: true, Checked: r.Time.Format("15:04"), Drawing: drawHouses(r, q.Words)}
	if _, after, ok := strings.Cut(r.Sentence, ". "); ok {
		h.Reason = after
	}
	h.Spaces = slices.Clone(h.Spaces) // the report is everybody's
	slices.SortStableFunc(h.Spaces, func(a, b status.Space) int { return q.rank(a) - q.rank(b) })
	h.tabulate(q)
	if h.Keeper = q.IsKeeper(); h.Keeper {
		h.Waiting, h.Returns = q.cfg.Desk.Pending(), q.cfg.Returns.Returns()
	}
	lines, err := q.cfg.Status.Diary(q.Words, diaryLines)
	if err != nil {
		q.cfg.Logger.Warn("diary", "err", err)
	}
	for _, l := range lines {
		if n := len(h.Days); n == 0 || h.Days[n-1].Day != l.Day {
			h.Days = append(h.Days, diaryDay{Day: l.Day})
		}
		last := &h.Days[len(h.Days)-1]
		last.Lines = append(last.Lines, l)
	}
	return h
}

// tabulate says in rows what the drawing shows.
func (h *homeBody) tabulate(q *request) {
	for _, house := range h.Houses {
		h.Broken = h.Broken || house.Reached.How == status.Through || house.Reached.How == status.Away
		for i, b := range house.Boxes {
			row := homeRow{House: house.Name, Reached: b.Reached.Words, Room: "–", Seen: "–"}
			if i == 0 && (house.Way.Do != "" || house.Reached.How == status.Through) {
				row.Why, row.Do = house.Way.Why, house.Way.Do
			}
			if len(house.Boxes) > 1 || b.Name != house.Name {
				row.Box = b.Name
			}
			if b.Known {
				row.Room = q.Words.Bytes(b.Used)
			}
			switch {
			case b.Known:
				row.Seen = q.Say("home.now")
			case !b.LastSeen.IsZero():
				row.Seen = q.When(b.LastSeen)
			}
			h.Rows = append(h.Rows, row)
		}
	}
}

func (q *request) homePage() error {
	return q.Show("home", page.Page{Title: q.Say("home.title"), Tab: "home", Body: q.home(), Live: true})
}

func (q *request) liveHome() error {
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		html, err := q.Part("home", "live", q.home())
		return html, nil, err
	})
}

// spaceNamed finds a space in a report.
func spaceNamed(r status.Report, name string) (status.Space, bool) {
	i := slices.IndexFunc(r.Spaces, func(s status.Space) bool { return s.Name == name })
	if i < 0 {
		return status.Space{}, false
	}
	return r.Spaces[i], true
}
