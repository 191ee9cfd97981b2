package web

import (
	"context"
	"errors"
	"maps"
	"mime/multipart"
	"net/http"
	"sync"

	"redhen/appliance/circle"
	"redhen/appliance/web/page"
	"redhen/provision/pair"
	"redhen/provision/qr"
	"redhen/provision/ticket"
)

// joining is the one try of this box to join a circle.
type joining struct {
	start chan attempt

	mu     sync.Mutex // guards what follows
	busy   bool
	form   map[string]string // as it was filled in
	now    pair.Progress
	err    error
	stop   func()        // ends the try that is under way; nil until it has begun
	halt   bool          // it is to end as soon as it begins
	change chan struct{} // closed and renewed at every change
}

type attempt struct {
	ticket string
	place  circle.Place
	person circle.Person
}

func newJoining() *joining { return &joining{start: make(chan attempt), change: make(chan struct{})} }

// update changes the state and wakes the pages that show it.
func (j *joining) update(fn func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fn()
	close(j.change)
	j.change = make(chan struct{})
}

// state returns how it stands, the form, a channel that is closed at the next change,
// and why the last try ended.
func (j *joining) state() (joiningBody, map[string]string, <-chan struct{}, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := joiningBody{Begun: j.form != nil, Failed: j.err != nil, Stage: j.now.Stage, Circle: j.now.CircleName, Inviter: j.now.Inviter, Words: j.now.Words,
		Trying: j.now.Err != nil, Known: j.now.Guide.Known != nil}
	for i, h := range j.now.Guide.Houses {
		if i > 0 {
			b.Houses += ", "
		}
		b.Houses += h.Name
	}
	return b, j.form, j.change, j.err
}

// runJoin joins until it is let in, refused, or ctx ends.
func (s *Server) runJoin(ctx context.Context, a attempt) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.join.update(func() {
		if s.join.stop = stop; s.join.halt {
			stop()
		}
	})
	err := s.cfg.Circle.Join(ctx, a.ticket, a.place, a.person, func(p pair.Progress) {
		s.join.update(func() { s.join.now = p })
	})
	s.join.update(func() { s.join.busy, s.join.err = false, err })
	if err != nil {
		s.cfg.Logger.Info("joining ended", "err", err)
	}
}

// joiningBody is what the page shows while the box joins.
type joiningBody struct {
	Begun, Failed, Trying, Done bool
	Known                       bool   // the person has an account of that circle
	Houses                      string // of the circle
	Stage                       pair.Stage
	Circle, Inviter             string
	Words                       []pair.Word
	Home                        string
}

// Steps is how far it is: 0 looking, 1 waiting for a yes, 2 let in, 3 ready.
func (b joiningBody) Steps() int {
	if b.Done {
		return 3
	}
	return int(b.Stage)
}

// takenBody is what a box that is in a circle answers to an invite: it may be meant for
// another one in this house.
type takenBody struct {
	page.ThisBox
	Home  string
	Fresh []string // addresses of pages
}

// joinElsewhere offers the boxes here that belong to nobody yet. The invite stands in the
// fragment of the address, which nobody but the browser sees: the script hands it on.
func (q *request) joinElsewhere() error {
	return q.Show("taken", page.Page{Title: q.Say("taken.title"), Live: true, Body: takenBody{q.ThisBox(), q.Here() + "/login", q.freshBoxes()}})
}

// freshBoxes are the pages of boxes here that belong to nobody yet.
func (q *request) freshBoxes() (list []string) {
	for _, a := range q.cfg.Fresh(q.R.Context()) {
		if a.IsPrivate() || a.IsLinkLocalUnicast() {
			list = append(list, "http://"+a.String())
		}
	}
	return list
}

func (q *request) joinPage() error {
	if q.cfg.Circle.Claimed() {
		return q.joinElsewhere()
	}
	_, filled, _, err := q.join.state()
	f := q.namedForm()
	if filled != nil && err != nil {
		f = q.FormOf(filled)
		switch {
		case errors.Is(err, context.Canceled): // the person did that
		case !f.Blame(err, "ticket", "house", "box", "login", "password"):
			f.Error = q.Say("error.join")
		}
	}
	return q.showJoin(f)
}

func (q *request) showJoin(f *page.Form) error {
	return q.Show("join", page.Page{Title: q.Say("join.title"), Form: f, Body: q.claimBody()})
}

// joinPhoto reads the ticket from a photo of its code.
func (q *request) joinPhoto() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	f := q.FormOf(nil)
	part, err := q.filePart()
	if err != nil {
		f.Wrong("photo", "need.photo")
		return q.showJoin(f)
	}
	select {
	case q.photo <- struct{}{}: // one at a time: a photo takes much memory
		defer func() { <-q.photo }()
	case <-q.R.Context().Done():
		return q.R.Context().Err()
	}
	text, err := qr.Decode(part)
	if err == nil {
		_, err = ticket.Parse(text)
	}
	if err != nil {
		if !f.Blame(err, "photo") {
			f.Wrong("photo", "error.no-code")
		} else if f.Error != "" || f.Errors["photo"] == "" {
			f.Error = ""
			f.Wrong("photo", "error.no-ticket")
		}
		return q.showJoin(f)
	}
	f.Values["ticket"] = text
	return q.showJoin(f)
}

// filePart returns the first file of an upload.
func (q *request) filePart() (*multipart.Part, error) {
	q.R.Body = http.MaxBytesReader(q.W, q.R.Body, qr.MaxBytes+page.MaxForm)
	mr, err := q.R.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := mr.NextPart()
		if err != nil {
			return nil, err
		}
		if part.FileName() != "" {
			return part, nil
		}
	}
}

func (q *request) startJoin() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	place, person, ok := q.placeAndPerson(f)
	place.SameHouse = f.Get("same") != ""
	if !f.Needs("ticket") || !ok {
		return q.showJoin(f)
	}
	if _, err := ticket.Parse(f.Get("ticket")); err != nil {
		return q.Blamed(f, err, q.showJoin, "ticket")
	}
	if err := q.cfg.Claim.Check(q.From(), f.Get("code")); err != nil {
		return q.Blamed(f, err, q.showJoin, "code")
	}
	return q.beginJoin(f, attempt{f.Get("ticket"), place, person})
}

func (q *request) beginJoin(f *page.Form, a attempt) error {
	kept := maps.Clone(f.Values)
	delete(kept, "password")
	if q.join.begin(kept) {
		select {
		case q.join.start <- a:
		case <-q.R.Context().Done():
			q.join.update(func() { q.join.busy = false })
			return q.R.Context().Err()
		}
	}
	q.Redirect("/joining")
	return nil
}

// begin notes a new try, false while one is under way.
func (j *joining) begin(filled map[string]string) (begun bool) {
	j.update(func() {
		if begun = !j.busy; begun {
			j.busy, j.form, j.err, j.now = true, filled, nil, pair.Progress{}
			j.stop, j.halt = nil, false
		}
	})
	return begun
}

// stopJoin ends the try, so that another form can be filled in.
func (q *request) stopJoin() error {
	q.join.mu.Lock()
	stop := q.join.stop
	q.join.halt = true
	q.join.mu.Unlock()
	if stop != nil {
		stop()
	}
	q.Redirect("/p")
	return nil
}

func (q *request) joiningPage() error {
	b, _ := q.joinState()
	switch {
	case b.Failed && !b.Done, !b.Begun && !b.Done:
		q.Redirect("/p")
		return nil
	}
	return q.Show("joining", page.Page{Title: q.Say("joining.title"), Body: b, Live: true})
}

func (q *request) joinState() (joiningBody, <-chan struct{}) {
	b, _, change, _ := q.join.state()
	b.Done, b.Home = q.cfg.Circle.Claimed() && !b.Failed, q.Here()+"/login"
	return b, change
}

func (q *request) liveJoining() error {
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		b, change := q.joinState()
		html, err := q.Part("joining", "live", b)
		return html, change, err
	})
}
