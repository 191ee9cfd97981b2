package care

import (
	"context"
	"time"

	"redhen/appliance/drill"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
)

// drilling is a fire drill that is under way, or has ended.
type drilling struct {
	House  string
	Stage  string
	Proofs []drill.Proof
	Report *drill.Report
}

// Steps is how far it is: 0 asking, 1 silent, 2 back.
func (d drilling) Steps() int {
	switch {
	case d.Report != nil || d.Stage == drill.StageBack:
		return 2
	case d.Stage == drill.StageSilent || d.Stage == drill.StageProof:
		return 1
	}
	return 0
}

// drillBody is the page of the fire drills.
type drillBody struct {
	Houses   []string // that may play dead: all but this one
	Last     *lastDrill
	Mine     bool // the person keeps the box that answers
	Consents bool
	Box      string
	Now      drillNow
}

// drillNow is the part that is kept up to date.
type drillNow struct {
	page.Doing[drilling]
	Words string // what came of it
	Good  bool
}

type lastDrill struct {
	When, Words string
	Good        bool
	Proofs      []drill.Proof
}

func (p *Pages) drillPage(q *page.Request) error { return p.showDrill(q, q.NewForm()) }

func (p *Pages) showDrill(q *page.Request, f *page.Form) error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	body := drillBody{Mine: q.KeepsThis(), Consents: p.Consents(), Box: q.ThisBox().Box}
	body.Now, _ = p.drillNow(q)
	r := q.Circle.Roster()
	own, _ := r.Box(q.Box)
	for _, h := range r.Houses() {
		if h.ID != own.House && len(h.Boxes) > 0 {
			body.Houses = append(body.Houses, h.Name)
		}
	}
	if last, ok := p.Drills.Last(); ok && !body.Now.Begun {
		body.Last = &lastDrill{q.When(time.UnixMilli(last.Ended)), last.Sentence(q.Words), last.Good(), last.Proofs}
	}
	return q.Show("drill", page.Page{Title: q.Say("drill.title"), Tab: "circle", Form: f, Body: body, Live: body.Now.Running})
}

// drillNow tells how far the drill is, and what came of it.
func (p *Pages) drillNow(q *page.Request) (now drillNow, change <-chan struct{}) {
	now.Doing, change = p.drill.Look()
	switch {
	case now.Running || !now.Begun:
	case now.Err != nil:
		now.Words = q.Why(now.Err)
	default:
		now.Words, now.Good = now.State.Report.Sentence(q.Words), now.State.Report.Good()
	}
	return now, change
}

// beginDrill has a house play dead.
func (p *Pages) beginDrill(q *page.Request) error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	if !q.IsKeeper() || !f.Needs("house", "password") {
		return p.showDrill(q, f)
	}
	house, who, password := f.Get("house"), q.Who.Name, f.Get("password")
	p.drill.Begin(q, drilling{House: house}, func(ctx context.Context, tell func(func(*drilling))) error {
		report, err := p.Drills.Run(ctx, house, who, password, func(s drill.Step) {
			tell(func(d *drilling) {
				d.Stage = s.Stage
				if s.Proof != nil {
					d.Proofs = append(d.Proofs[:len(d.Proofs):len(d.Proofs)], *s.Proof)
				}
			})
		})
		if err == nil {
			tell(func(d *drilling) { d.Report = &report })
		}
		return err
	})
	q.Redirect("/circle/drill")
	return nil
}

func (p *Pages) liveDrill(q *page.Request) error {
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		now, change := p.drillNow(q)
		html, err := q.Part("drill", "now", now)
		return html, change, err
	})
}

// consent has this box take part in drills, or not.
func (p *Pages) consent(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	consents, said := f.Get("part") == "yes", "drill.consent.no"
	if consents {
		said = "drill.consent.yes"
	}
	if err := p.Drills.SetConsent(q.R.Context(), consents); err != nil {
		return err
	}
	q.Tell("/circle/drill", page.Note{Text: q.Say(said, "box", q.ThisBox().Box)})
	return nil
}

// lastCheck is what came of the last round of reading everything again.
func lastCheck(r status.Report, q *page.Request) (c *status.Check) {
	for _, h := range r.Houses {
		for _, b := range h.Boxes {
			if b.ID == q.Box {
				c = b.Check
			}
		}
	}
	return c
}
