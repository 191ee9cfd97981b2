package web

import (
	"context"
	"errors"
	"maps"
	"mime/multipart"
	"net/http"
	"sync"

	"redhen/appliance/circle"
	"redhen/provision/pair"
	"redhen/provision/qr"
	"redhen/provision/ticket"
)

// joining is the one try of this box to join a circle.
type joining struct {
	start chan attempt

	mu     sync.Mutex // guards what follows
	busy   bool
	form   *form // as it was filled in
	now    pair.Progress
	err    error
	stop   func()        // ends the try that is under way
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
func (j *joining) state() (joiningBody, *form, <-chan struct{}, error) {
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
	s.join.update(func() { s.join.stop = stop })
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

func (q *request) joinPage() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	_, filled, _, err := q.join.state()
	f := newForm(q.r)
	if filled != nil && err != nil {
		f = &form{words: q.pages.words, values: filled.values, Errors: map[string]string{}}
		switch {
		case errors.Is(err, context.Canceled): // the person did that
		case !f.blame(err, "ticket", "house", "box", "login", "password"):
			f.Error = q.say("error.join")
		}
	}
	return q.showJoin(f)
}

func (q *request) showJoin(f *form) error {
	return q.show("join", page{Title: q.say("join.title"), Form: f, Body: q.claimBody()})
}

// joinPhoto reads the ticket from a photo of its code.
func (q *request) joinPhoto() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	f := &form{words: q.pages.words, values: map[string]string{}, Errors: map[string]string{}}
	part, err := q.filePart()
	if err != nil {
		f.wrong("photo", "need.photo")
		return q.showJoin(f)
	}
	select {
	case q.photo <- struct{}{}: // one at a time: a photo takes much memory
		defer func() { <-q.photo }()
	case <-q.r.Context().Done():
		return q.r.Context().Err()
	}
	text, err := qr.Decode(part)
	if err == nil {
		_, err = ticket.Parse(text)
	}
	if err != nil {
		if !f.blame(err, "photo") {
			f.wrong("photo", "error.no-code")
		} else if f.Error != "" || f.Errors["photo"] == "" {
			f.Error = ""
			f.wrong("photo", "error.no-ticket")
		}
		return q.showJoin(f)
	}
	f.values["ticket"] = text
	return q.showJoin(f)
}

// filePart returns the first file of an upload.
func (q *request) filePart() (*multipart.Part, error) {
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, qr.MaxBytes+maxForm)
	mr, err := q.r.MultipartReader()
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
	f, err := q.form()
	if err != nil {
		return err
	}
	place, person, ok := q.placeAndPerson(f)
	place.SameHouse = f.get("same") != ""
	if !f.needs("ticket") || !ok {
		return q.showJoin(f)
	}
	if _, err := ticket.Parse(f.get("ticket")); err != nil {
		return q.blamed(f, err, q.showJoin, "ticket")
	}
	if err := q.cfg.Claim.Check(q.from(), f.get("code")); err != nil {
		return q.blamed(f, err, q.showJoin, "code")
	}
	return q.beginJoin(f, attempt{f.get("ticket"), place, person})
}

func (q *request) beginJoin(f *form, a attempt) error {
	kept := &form{values: maps.Clone(f.values)}
	delete(kept.values, "password")
	if q.join.begin(kept) {
		select {
		case q.join.start <- a:
		case <-q.r.Context().Done():
			q.join.update(func() { q.join.busy = false })
			return q.r.Context().Err()
		}
	}
	q.redirect("/joining")
	return nil
}

// begin notes a new try, false while one is under way.
func (j *joining) begin(filled *form) (begun bool) {
	j.update(func() {
		if begun = !j.busy; begun {
			j.busy, j.form, j.err, j.now = true, filled, nil, pair.Progress{}
		}
	})
	return begun
}

// stopJoin ends the try, so that another form can be filled in.
func (q *request) stopJoin() error {
	q.join.mu.Lock()
	stop := q.join.stop
	q.join.mu.Unlock()
	if stop != nil {
		stop()
	}
	q.redirect("/p")
	return nil
}

func (q *request) joiningPage() error {
	b, _ := q.joinState()
	switch {
	case b.Failed && !b.Done, !b.Begun && !b.Done:
		q.redirect("/p")
		return nil
	}
	return q.show("joining", page{Title: q.say("joining.title"), Body: b, Refresh: 3})
}

func (q *request) joinState() (joiningBody, <-chan struct{}) {
	b, _, change, _ := q.join.state()
	b.Done, b.Home = q.cfg.Circle.Claimed() && !b.Failed, q.here()+"/login"
	return b, change
}

func (q *request) liveJoining() error {
	return q.keepUpToDate(func() (string, <-chan struct{}, error) {
		b, change := q.joinState()
		html, err := q.part("joining", "live", b)
		return html, change, err
	})
}
