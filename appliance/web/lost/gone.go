package lost

import (
	"redhen/appliance/circle"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
)

// goneBody asks whether a box is gone for good.
type goneBody struct {
	status.Brief
	Needs  int      // keepers of other boxes who must say so
	Others []string // boxes that may take its place
}

// lost finds the box that the address names; false when it is no member, or this one.
func (p *Pages) lost(q *page.Request) (body goneBody, r status.Report, ok bool, err error) {
	found, err := p.Losses.Lost(q.R.FormValue("box"))
	if err != nil || found.Box.ID == q.Box {
		return body, r, false, nil // there is no such box: the list of boxes says it better
	}
	if r, err = p.Status.Report(q.R.Context()); err != nil {
		return body, r, false, err
	}
	body.Needs = found.Needs
	if body.Brief, ok = r.Brief(q.Words, found.Box.ID); !ok {
		return body, r, false, nil
	}
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
	more := 0
	if replacement := f.Get("replacement"); replacement != "" {
		more, err = p.Losses.Replace(q.R.Context(), body.Box, replacement, q.Who.Name, f.Get("password"))
	} else {
		more, err = p.Losses.Gone(q.R.Context(), body.Box, q.Who.Name, f.Get("password"))
	}
	if err != nil {
		return q.Blamed(f, err, again, "password")
	}
	n := page.Note{Text: q.Say("gone.done", "box", body.Box)}
	if more > 0 {
		n.Text = q.Say("gone.more", "n", more)
	}
	q.Tell("/", n)
	return nil
}
