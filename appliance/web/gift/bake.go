package gift

import (
	"context"
	"errors"

	"redhen/appliance/web/page"
	"redhen/images/card"
	"redhen/images/flash"
	"redhen/provision/seed"
)

// Bakery writes cards in a reader of this box, from the system that it runs;
// flash.Bakery does.
type Bakery interface {
	Cards() []flash.Target
	Look(path string, anyDisk bool) (flash.Target, error)
	Bake(ctx context.Context, onto flash.Target, s seed.Seed) error
}

var _ Bakery = flash.Bakery{}

// baking is one card that is written.
type baking struct{ ID, House, Card string }

// bakeNow is the part of the page that tells of it.
type bakeNow struct {
	page.Doing[baking]
	Words string // why it ended; empty when it is well
}

func (p *Pages) bakeNow(q *page.Request) (now bakeNow, change <-chan struct{}) {
	now.Doing, change = p.bake.Look()
	if now.Err != nil {
		now.Words = q.Say("bake." + bakeCode(now.Err))
	}
	return now, change
}

// bakeCode names what went wrong with a card.
func bakeCode(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.Is(err, card.ErrDiffers):
		return "differs"
	case errors.Is(err, card.ErrTooSmall):
		return "small"
	}
	return "failed"
}

// beginBake writes the card. Only what looks like a card is taken, and only once it was
// said that what is on it may go.
func (p *Pages) beginBake(q *page.Request) error {
	if !q.KeepsThis() || p.Bakery == nil {
		return q.NotYourBox()
	}
	g, ok := kept(q)
	if !ok {
		return nil
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(key string) error {
		return q.Show("present", p.presentOf(q, presentBody{present: g, ID: q.R.PathValue("id"), Wrong: q.Say(key)}))
	}
	if f.Get("gone") == "" {
		return again("bake.say-so")
	}
	onto, err := p.Bakery.Look(f.Get("onto"), false)
	if err != nil {
		q.Logger.Info("card refused", "onto", f.Get("onto"), "err", err)
		return again("bake.no-card")
	}
	begun := p.bake.Begin(q, baking{q.R.PathValue("id"), g.House, onto.Words}, func(ctx context.Context, _ func(func(*baking))) error {
		err := p.Bakery.Bake(ctx, onto, g.Seed)
		if err != nil {
			q.Logger.Warn("bake card", "onto", onto.Path, "err", err)
		}
		return err
	})
	if !begun {
		return again("bake.busy")
	}
	q.Redirect("/invite/gift/" + q.R.PathValue("id"))
	return nil
}

func (p *Pages) liveBake(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		now, change := p.bakeNow(q)
		html, err := q.Part("present", "bake", now)
		return html, change, err
	})
}
