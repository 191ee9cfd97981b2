package lost

import (
	"redhen/appliance/circle"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
)

// goneBody asks whether a box is gone for good.
type goneBody struct {
	status.Brief
	Which  string   // the box, as it is asked for: a new one may have the name of one that left
	Needs  int      // keepers of other boxes who must say so
	Others []string // boxes that may take its place
	Thief  string   // what is so if it was stolen
	Former bool     // it has left: all that can be said is that it was stolen
}

// lost finds the box that the address names; false when it never was a member, or is this one.
func (p *Pages) lost(q *page.Request) (body goneBody, r status.Report, ok bool, err error) {
	box := q.R.FormValue("box")
	found, err := p.Losses.Lost(box, false)
	if err != nil {
		found, err = p.Losses.Lost(box, true)
	}
	if err != nil || found.Box.ID == q.Box {
		return body, r, false, nil // there is no such box: the list of boxes says it better
	}
	if r, err = p.Status.Report(q.R.Context()); err != nil {
		return body, r, false, err
	}
	body.Needs, body.Which = found.Needs, string(found.Box.ID)
	if body.Brief, ok = r.Brief(q.Words, found.Box.ID); !ok {
		body.Brief, body.Former = status.Former(q.Words, found.Box.Name, found.House), true
	}
	body.Thief = body.Brief.Stolen(q.Words).Lost
	for _, b := range q.Circle.Roster().Members() {
		if b.ID != found.Box.ID {
			body.Others = append(body.Others, b.Name)
		}
	}
	return body, r, true, nil
}

func (p *Pages) gonePage(q *page.Request) error { return p.showGone(q, q.NewForm()) }

func (p *Pages) showGone(q *page.Request, f *page.Form) error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	body, r, ok, err := p.lost(q)
	switch {
	case err != nil:
		return err
	case !ok:
		q.Redirect("/circle")
		return nil
	case apart(r) && !body.InReach && q.R.Method == "GET":
		q.Redirect("/circle/takeover") // too few are left to take the word of a keeper
		return nil
	}
	return q.Show("gone", page.Page{Title: q.Say("gone.title"), Tab: "circle", Form: f, Body: body})
}

// gone takes a keeper's word that a box is lost for good.
func (p *Pages) gone(q *page.Request) error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	body, _, ok, err := p.lost(q)
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.showGone(q, f) }
	if !q.IsKeeper() || !ok || !f.Needs("confirm", "password") {
		return again(f)
	}
	if !sameName(f.Get("confirm"), body.House) {
		return q.Blamed(f, circle.ErrConfirm, again, "confirm")
	}
	stolen := body.Former || f.Get("fate") == "stolen" // else it burnt or broke
	more, err := p.say(q, f, body.Which, stolen)
	if err != nil {
		return q.Blamed(f, err, again, "password")
	}
	n := page.Note{Text: q.Say("gone.done", "box", body.Box)}
	switch {
	case more > 0:
		n.Text = q.Say("gone.more", "n", more)
	case stolen:
		n.Text = q.Say("gone.done.stolen", "box", body.Box)
	}
	q.Tell("/", n)
	return nil
}

// say has the circle hear what became of the box.
func (p *Pages) say(q *page.Request, f *page.Form, box string, stolen bool) (more int, err error) {
	ctx, by, password, replacement := q.R.Context(), q.Who.Name, f.Get("password"), f.Get("replacement")
	switch {
	case stolen:
		return p.Losses.Stolen(ctx, box, replacement, by, password)
	case replacement != "":
		return p.Losses.Replace(ctx, box, replacement, by, password)
	}
	return p.Losses.Gone(ctx, box, by, password)
}
