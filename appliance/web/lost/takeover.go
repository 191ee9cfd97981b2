package lost

import (
	"context"
	"fmt"
	"strings"
	"time"

	"redhen/appliance/status"
	"redhen/appliance/web/page"
)

// takeOverFor is how long a page waits for a takeover, which reads the whole log.
const takeOverFor = 30 * time.Second

// takeoverBody asks which houses are lost for good.
type takeoverBody struct {
	page.ThisBox
	Dark []darkHouse
}

// darkHouse is a house that is not in reach, with the field for its name.
type darkHouse struct {
	status.Brief
	Field string // the name of the field
	Value string // what was typed
	Error string
}

// sameName compares a typed name with the one that was meant: people do not see spaces.
func sameName(typed, name string) bool {
	fold := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
	return fold(typed) == fold(name)
}

func (p *Pages) takeoverPage(q *page.Request) error { return p.showTakeover(q, q.NewForm()) }

// dark are the houses that are not in reach, with what was typed for each.
func (p *Pages) dark(q *page.Request, f *page.Form) (list []darkHouse, err error) {
	r, err := p.Status.Report(q.R.Context())
	if err != nil {
		return nil, err
	}
	for i, b := range r.Dark(q.Words) {
		h := darkHouse{Brief: b, Field: fmt.Sprint("house", i+1)}
		h.Value, h.Error = f.Get(h.Field), f.Errors[h.Field]
		list = append(list, h)
	}
	return list, nil
}

func (p *Pages) showTakeover(q *page.Request, f *page.Form) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	dark, err := p.dark(q, f)
	if err != nil {
		return err
	}
	if len(dark) == 0 {
		q.Tell("/circle", page.Note{Text: q.Say("takeover.none")})
		return nil
	}
	return q.Show("takeover", page.Page{Title: q.Say("takeover.title"), Tab: "circle", Form: f, Body: takeoverBody{q.ThisBox(), dark}})
}

// takeover goes on without the houses whose names were typed.
func (p *Pages) takeover(q *page.Request) error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.showTakeover(q, f) }
	if !q.KeepsThis() {
		return again(f)
	}
	dark, err := p.dark(q, f)
	if err != nil {
		return err
	}
	var houses []string
	for _, h := range dark {
		switch {
		case h.Value == "":
		case sameName(h.Value, h.House):
			houses = append(houses, h.House)
		default:
			f.Wrong(h.Field, "takeover.wrong", "house", h.House)
		}
	}
	if len(f.Errors) > 0 || !f.Needs("password") {
		return again(f)
	}
	if len(houses) == 0 {
		f.Error = q.Say("takeover.which")
		return again(f)
	}
	ctx, end := context.WithTimeout(q.R.Context(), takeOverFor)
	defer end()
	if err := p.Losses.TakeOver(ctx, houses, q.Who.Name, f.Get("password")); err != nil {
		return q.Blamed(f, err, again, "password")
	}
	q.Tell("/", page.Note{Text: q.Say("takeover.done", "houses", strings.Join(houses, ", ")), Lines: []string{q.Say("takeover.next")}})
	return nil
}
