package lost

import (
	"strings"

	"redhen/appliance/web/page"
)

// sidesBody asks which of two sides that each went on alone goes on for both.
type sidesBody struct {
	page.ThisBox
	Since  string
	Picked string // a house of the side that was picked; empty: nobody picked yet
	Sides  []side
}

// side is the houses that went on together. Which is how the form names it: one of them.
type side struct {
	Which, Houses string
	Here, Chosen  bool
}

func (p *Pages) sidesPage(q *page.Request) error { return p.showSides(q, q.NewForm()) }

// showSides is for everybody: a keeper of the other side may well look at this box, and
// only the password tells who has a say.
func (p *Pages) showSides(q *page.Request, f *page.Form) error {
	parted := p.Returns.Parted()
	if parted == nil {
		q.Tell("/circle", page.Note{Text: q.Say("sides.none")})
		return nil
	}
	body := sidesBody{ThisBox: q.ThisBox(), Since: q.When(parted.Since.In(q.Now().Location())), Picked: parted.Picked}
	for i, houses := range [][]string{parted.Here, parted.There} {
		if len(houses) > 0 {
			body.Sides = append(body.Sides, side{houses[0], strings.Join(houses, ", "), i == 0, houses[0] == f.Get("house")})
		}
	}
	return q.Show("sides", page.Page{Title: q.Say("sides.title"), Tab: "circle", Form: f, Body: body})
}

// pick takes a keeper's word for one side, with their password.
func (p *Pages) pick(q *page.Request) error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.showSides(q, f) }
	if f.Get("house") == "" {
		f.Wrong("house", "sides.which")
	}
	if !f.Needs("password") || len(f.Errors) > 0 {
		return again(f)
	}
	key, err := p.Losses.KeeperKey(q.R.Context(), q.Who.Name, f.Get("password"))
	if err == nil {
		err = p.Returns.Keep(f.Get("house"), key)
	}
	if err != nil {
		return q.Blamed(f, err, again, "password")
	}
	q.Tell("/", page.Note{Text: q.Say("sides.done", "house", f.Get("house")), Lines: []string{q.Say("sides.next")}})
	return nil
}
