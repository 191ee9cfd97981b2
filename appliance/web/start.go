package web

import (
	"cmp"

	"redhen/appliance/account"
	"redhen/appliance/firstboot"
	"redhen/appliance/web/page"
)

// start is what the card asks for, zero without one.
func (q *request) start() firstboot.State {
	if q.cfg.Start == nil {
		return firstboot.State{}
	}
	return q.cfg.Start.State()
}

// namedForm is an empty form with the names that the card gives.
func (q *request) namedForm() *page.Form {
	f := q.NewForm()
	names := q.start().Names
	f.Values["circle"], f.Values["house"], f.Values["login"] = names.Circle, names.House, names.Keeper
	if names.Box != names.House {
		f.Values["box"] = names.Box
	}
	return f
}

// helloBody is what the first page shows.
type helloBody struct {
	firstboot.State
	Said  string   // what the box does now
	Wrong []string // with the card
	Wifi  bool     // the box has a radio whose network may be chosen
}

func (q *request) helloBody() helloBody {
	st := q.start()
	return helloBody{st, cmp.Or(st.Text.In(q.Words), st.Sentence), st.Told(q.Words), q.cfg.Wifi != nil}
}

// hello is the first page of a fresh box: what its card has it do, and what a person can.
func (q *request) hello() error {
	return q.Show("hello", page.Page{Title: q.Say("hello.title"), Body: q.helloBody(), Live: q.start().Doing != firstboot.Nothing})
}

// liveStart keeps the first page up to date until the box is in a circle.
func (q *request) liveStart() error {
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		var change <-chan struct{}
		if q.cfg.Start != nil {
			change = q.cfg.Start.Changed()
		}
		html, err := q.Part("hello", "live", q.helloBody())
		return html, change, err
	})
}

func (q *request) receivePage() error {
	if !q.cfg.Circle.Claimed() {
		q.Redirect("/")
		return nil
	}
	if !q.cfg.Circle.Unreceived() {
		return q.alreadyClaimed()
	}
	return q.showReceive(q.namedForm())
}

func (q *request) showReceive(f *page.Form) error {
	return q.Show("receive", page.Page{Title: q.Say("receive.title"), Form: f, Body: q.ThisBox()})
}

// receive makes whoever knows the code of the gift card the keeper of the box.
func (q *request) receive() error {
	if !q.cfg.Circle.Unreceived() {
		return q.alreadyClaimed()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	person, ok := q.person(f)
	if !ok {
		return q.showReceive(f)
	}
	if err := q.prove(f); err != nil {
		return q.Blamed(f, err, q.showReceive, "code")
	}
	if err := q.cfg.Circle.Receive(q.R.Context(), person); err != nil {
		return q.Blamed(f, err, q.showReceive, "login", "password")
	}
	if q.cfg.Start != nil {
		q.cfg.Start.Received()
	}
	return q.arrive(person)
}

// prove checks the code of the box; somebody without one never passes.
func (q *request) prove(f *page.Form) error {
	if q.cfg.Proof == nil {
		return page.ErrClosed
	}
	return q.cfg.Proof.Check(q.From(), f.Get("code"))
}

func (q *request) presencePage() error {
	if q.start().Doing != firstboot.AskReset {
		return q.nothingHere()
	}
	return q.showPresence(q.NewForm())
}

func (q *request) showPresence(f *page.Form) error {
	login, err := q.cfg.Start.Keeper()
	if err != nil {
		return err
	}
	return q.Show("presence", page.Page{Title: q.Say("presence.title"), Form: f, Body: login})
}

// presence sets the password of this box's keeper, when the card asked for that and
// somebody knows the code that the box shows.
func (q *request) presence() error {
	if q.start().Doing != firstboot.AskReset {
		return q.nothingHere()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	if !f.Needs("code", "new-password") {
		return q.showPresence(f)
	}
	login, err := q.cfg.Start.Keeper()
	if err != nil {
		return err
	}
	if err := account.CheckNewPassword(login, f.Get("new-password")); err != nil {
		if f.Blame(err, "password") && f.Errors["password"] != "" {
			f.Errors["new-password"] = f.Errors["password"]
		}
		return q.showPresence(f)
	}
	if err := q.prove(f); err != nil {
		return q.Blamed(f, err, q.showPresence, "code")
	}
	if err := q.cfg.Start.Reset(q.R.Context(), f.Get("new-password")); err != nil {
		return q.Blamed(f, err, q.showPresence)
	}
	q.Redirect("/login")
	return nil
}
