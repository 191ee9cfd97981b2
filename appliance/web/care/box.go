package care

import (
	"context"
	"errors"
	"mime/multipart"
	"net/http"
	"slices"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/status"
	"redhen/appliance/update"
	"redhen/appliance/web/page"
	"redhen/raftnode/directory"
	"redhen/raftnode/scrub"
)

// boxBody is the page by which a keeper looks after a box.
type boxBody struct {
	page.ThisBox
	Which     string // which form has something wrong: "update" or "retire"
	Scrub     scrubNow
	Release   string // that runs; empty: this box does not update itself
	Pinned    bool   // it takes nothing from friends
	Postponed string // until when it takes nothing from friends; empty: it does
	Strangers status.Strangers
	Disk      diskNow
	Retiring  bool // it is leaving
	Near      []status.BoxFacts
}

// scrubNow is the part of the page that tells of reading everything again.
type scrubNow struct {
	page.Doing[scrub.Status]
	Last    string // what came of the last round; empty: there was none
	Percent int
	Words   string // why it ended
}

func (p *Pages) boxPage(q *page.Request) error { return p.showBox(q, q.NewForm(), "") }

func (p *Pages) showBox(q *page.Request, f *page.Form, which string) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	r, err := p.Status.Report(q.R.Context())
	if err != nil {
		return err
	}
	body := boxBody{ThisBox: q.ThisBox(), Which: which, Strangers: r.Strangers}
	body.Scrub, _ = p.scrubNow(q)
	if c := lastCheck(r, q); c != nil && body.Scrub.Last == "" {
		body.Scrub.Last = c.Words
	}
	if p.Updates != nil {
		body.Release = p.Updates.Running().Release
		if until := p.Updates.Postponed(); until.After(q.Now()) {
			body.Postponed = q.Words.Date(until.In(q.Now().Location()))
		}
		wishes, err := p.Wishes.BoxWishes()
		if err != nil {
			return err
		}
		body.Pinned = wishes.Pinned
	}
	if body.Near, err = p.Near.Neighbours(q.R.Context()); err != nil {
		return err
	}
	now, _ := p.retire.Look()
	body.Retiring = now.Running
	body.Disk, _ = p.diskNow(q)
	return q.Show("care", page.Page{Title: q.Say("care.title"), Tab: "me", Form: f, Body: body, Live: body.Scrub.Running || body.Disk.Running})
}

// scrubNow tells how far the reading is.
func (p *Pages) scrubNow(q *page.Request) (now scrubNow, change <-chan struct{}) {
	now.Doing, change = p.scrub.Look()
	now.Percent = int(100 * min(now.State.Round.Bytes, now.State.Total) / max(now.State.Total, 1))
	switch {
	case now.Running || !now.Begun:
	case now.Err != nil:
		now.Words = q.Why(now.Err)
	default:
		now.Last = status.CheckOf(q.Words, now.State, q.Now()).Sentence(q.Words)
	}
	return now, change
}

// beginScrub has the box read everything again that it keeps.
func (p *Pages) beginScrub(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	p.scrub.Begin(q, scrub.Status{}, func(ctx context.Context, tell func(func(*scrub.Status))) error {
		last, err := p.Scrubber.Scrub(ctx, func(now scrub.Status) { tell(func(s *scrub.Status) { *s = now }) })
		if err == nil {
			tell(func(s *scrub.Status) { *s = scrub.Status{Last: last} })
		}
		return err
	})
	q.Redirect("/box/care#check")
	return nil
}

func (p *Pages) liveScrub(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		now, change := p.scrubNow(q)
		html, err := q.Part("care", "scrub", now)
		return html, change, err
	})
}

// strangers switches the help of strangers.
func (p *Pages) strangers(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	on, said := f.Get("may") == "yes", "strangers.off"
	if on {
		said = "strangers.on"
	}
	if err := p.Strangers.SetStrangers(on); err != nil {
		return err
	}
	q.Tell("/box/care", page.Note{Text: q.Say(said)})
	return nil
}

// elsewhere notes that a box which is near stands in another house all the same.
func (p *Pages) elsewhere(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	near, err := p.Near.Neighbours(q.R.Context())
	if err != nil {
		return err
	}
	for _, b := range near {
		if string(b.ID) != f.Get("which") {
			continue
		}
		err := p.Wishes.Wish(q.R.Context(), q.Who.Account, func(s *directory.BoxSettings) { s.Elsewhere = append(slices.Clone(s.Elsewhere), b.ID) })
		if err != nil {
			return err
		}
		q.Tell("/box/care", page.Note{Text: q.Say("same.done", "box", b.Name)})
		return nil
	}
	q.Redirect("/box/care")
	return nil
}

// updatePatience is how long an update may take to arrive and be written.
const updatePatience = 30 * time.Minute

// install takes an update: the box restarts when it is in its place.
func (p *Pages) install(q *page.Request) error {
	if !q.KeepsThis() || p.Updates == nil {
		return q.NotYourBox()
	}
	again := func(text string) error {
		f := q.NewForm()
		f.Errors["update"] = text
		return p.showBox(q, f, "update")
	}
	part, err := filePart(q)
	if err != nil {
		return again(q.Say("need.files"))
	}
	ctx, end := context.WithTimeout(q.R.Context(), updatePatience)
	defer end()
	fresh, err := p.Updates.Install(ctx, part)
	if err != nil {
		q.Logger.Warn("update refused", "err", err)
		return again(update.Explain(q.Words, err))
	}
	return q.Show("message", page.Page{Title: q.Say("update.title"), Tab: "me", Body: page.Message{
		Title: q.Say("update.done", "release", fresh.Release), Text: q.Say("update.restarts"), Link: "/", LinkText: q.Say("nothing.link")}})
}

// postponed is for how long a page puts updates off.
const postponed = 7 * 24 * time.Hour

// when has the box take what friends have, put it off, or stay as it is.
func (p *Pages) when(q *page.Request) error {
	if !q.KeepsThis() || p.Updates == nil {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	said := f.Get("when")
	until, pinned := time.Time{}, false
	switch said {
	case "later":
		until = q.Now().Add(postponed)
	case "never":
		pinned = true
	default:
		said = "now"
	}
	err = p.Wishes.Wish(q.R.Context(), q.Who.Account, func(s *directory.BoxSettings) { s.Pinned = pinned })
	if err == nil {
		err = p.Updates.Postpone(until)
	}
	if err != nil {
		return err
	}
	q.Tell("/box/care", page.Note{Text: q.Say("update.said."+said, "box", q.ThisBox().Box)})
	return nil
}

// filePart returns the first file of an upload.
func filePart(q *page.Request) (*multipart.Part, error) {
	q.R.Body = http.MaxBytesReader(q.W, q.R.Body, update.MaxUpload+page.MaxForm)
	mr, err := q.R.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := mr.NextPart()
		if err != nil {
			return nil, err
		}
		if part.FormName() == "update" && part.FileName() != "" {
			return part, nil
		}
	}
}

// leaving is how far a box is that leaves.
type leaving struct {
	circle.Leaving
	Told bool // it has said so once
}

// retireBody is the page of a box that leaves, or has left.
type retireBody struct {
	page.Doing[leaving]
	Box   string
	Words string // why it stays
}

func (p *Pages) retireNow(q *page.Request) (b retireBody, change <-chan struct{}) {
	b.Doing, change = p.retire.Look()
	if b.Box = q.ThisBox().Box; b.Err != nil {
		b.Words = q.Why(b.Err)
		if errors.Is(b.Err, context.Canceled) {
			b.Words = q.Say("retire.stopped")
		}
	}
	return b, change
}

// retirePage is open to all once the box has left: it knows nobody any more.
func (p *Pages) retirePage(q *page.Request) error {
	b, _ := p.retireNow(q)
	left := b.Begun && !b.Running && b.Err == nil
	switch {
	case !left && q.Who.Account == "":
		q.LogIn()
		return nil
	case !left && !q.KeepsThis():
		return q.NotYourBox()
	case !b.Begun:
		q.Redirect("/box/care")
		return nil
	}
	return q.Show("retire", page.Page{Title: q.Say("retire.title"), Tab: "me", Body: b, Live: b.Running})
}

func (p *Pages) liveRetire(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		b, change := p.retireNow(q)
		html, err := q.Part("retire", "now", b)
		return html, change, err
	})
}

// beginRetire has the box leave, once its name was typed and the password is the keeper's.
func (p *Pages) beginRetire(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.showBox(q, f, "retire") }
	if !f.Needs("box-name") {
		return again(f)
	}
	if f.Get("box-name") != q.ThisBox().Box {
		f.Wrong("box-name", "retire.name", "box", q.ThisBox().Box)
		return again(f)
	}
	p.retire.Begin(q, leaving{}, func(ctx context.Context, tell func(func(*leaving))) error {
		return p.Leaving.Retire(ctx, func(now circle.Leaving) { tell(func(l *leaving) { *l = leaving{now, true} }) })
	})
	q.Redirect("/box/retire")
	return nil
}

// stay has the box stay after all.
func (p *Pages) stay(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	p.retire.Stop()
	if err := p.Leaving.StayAfterAll(q.R.Context()); err != nil {
		return err
	}
	q.Tell("/box/care", page.Note{Text: q.Say("retire.stays", "box", q.ThisBox().Box)})
	return nil
}
