package web

import (
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
		if b.Name == q.r.FormValue("box") && b.ID != q.cfg.Box {
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

func (q *request) gonePage() error { return q.showGone(newForm(q.r)) }

func (q *request) showGone(f *form) error {
	if !q.isKeeper() {
		return q.keepersOnly()
	}
	body, ok := q.lost()
	if !ok {
		q.redirect("/circle")
		return nil
	}
	return q.show("gone", page{Title: q.say("gone.title"), Tab: "circle", Form: f, Body: body})
}

func (q *request) gone() (err error) {
	f, err := q.form()
	if err != nil {
		return err
	}
	body, ok := q.lost()
	if !q.isKeeper() || !ok || !f.needs("password") {
		return q.showGone(f)
	}
	more := 0
	if replacement := f.get("replacement"); replacement != "" {
		more, err = q.cfg.Circle.Replace(q.r.Context(), body.Box, replacement, q.who.Name, f.get("password"))
	} else {
		more, err = q.cfg.Circle.Gone(q.r.Context(), body.Box, q.who.Name, f.get("password"))
	}
	if err != nil {
		return q.blamed(f, err, q.showGone, "password")
	}
	n := note{Text: q.say("gone.done", "box", body.Box)}
	if more > 0 {
		n.Text = q.say("gone.more", "n", more)
	}
	q.tell("/", n)
	return nil
}
