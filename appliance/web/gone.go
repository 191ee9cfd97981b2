package web

import (
	"redhen/appliance/web/page"
	"redhen/provision/roster"
)

// goneBody asks whether a box is gone for good.
type goneBody struct {
	Box, House string
	Others     []string // boxes that may take its place
}

// lost finds the box that the address names; false when it is no member, or this one.
func (q *request) lost() (body goneBody, ok bool) {
	r := q.cfg.Circle.Roster()
	var lost roster.Box
	for _, b := range r.Members() {
		if b.Name == q.R.FormValue("box") && b.ID != q.cfg.Box {
			lost = b
		}
	}
	if lost.ID == "" {
		return body, false
	}
	house, _ := r.House(lost.House)
	body = goneBody{Box: lost.Name, House: house.Name}
	for _, b := range r.Members() {
		if b.ID != lost.ID {
			body.Others = append(body.Others, b.Name)
		}
	}
	return body, true
}

func (q *request) gonePage() error { return q.showGone(q.NewForm()) }

func (q *request) showGone(f *page.Form) error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	body, ok := q.lost()
	if !ok {
		q.Redirect("/circle")
		return nil
	}
	return q.Show("gone", page.Page{Title: q.Say("gone.title"), Tab: "circle", Form: f, Body: body})
}

func (q *request) gone() (err error) {
	f, err := q.Form()
	if err != nil {
		return err
	}
	body, ok := q.lost()
	if !q.IsKeeper() || !ok || !f.Needs("password") {
		return q.showGone(f)
	}
	more := 0
	if replacement := f.Get("replacement"); replacement != "" {
		more, err = q.cfg.Circle.Replace(q.R.Context(), body.Box, replacement, q.Who.Name, f.Get("password"))
	} else {
		more, err = q.cfg.Circle.Gone(q.R.Context(), body.Box, q.Who.Name, f.Get("password"))
	}
	if err != nil {
		return q.Blamed(f, err, q.showGone, "password")
	}
	n := page.Note{Text: q.Say("gone.done", "box", body.Box)}
	if more > 0 {
		n.Text = q.Say("gone.more", "n", more)
	}
	q.Tell("/", n)
	return nil
}
