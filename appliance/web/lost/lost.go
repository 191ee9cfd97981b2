// Package lost is the pages about boxes and houses that are lost for good, and about
// those that come back: gone, replaced, given up when too few are left, home again.
package lost

import (
	"context"
	"embed"
	"errors"

	"redhen/appliance/circle"
	"redhen/appliance/home"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
	"redhen/provision/ident"
)

// Templates are the pages.
//
//go:embed templates
var Templates embed.FS

// Losses take boxes out of the circle that are gone for good, by a keeper's word and
// password; *circle.Circle does it.
type Losses interface {
	// Lost finds a box, and how many keepers must say that it is gone.
	Lost(box string, stolen bool) (circle.Lost, error)
	// Gone, Replace and Stolen return how many more keepers must say so.
	Gone(ctx context.Context, box, keeper, password string) (more int, err error)
	Replace(ctx context.Context, old, replacement, keeper, password string) (more int, err error)
	// Stolen is either, for a box in wrong hands; replacement may be empty.
	Stolen(ctx context.Context, box, replacement, keeper, password string) (more int, err error)
	// TakeOver has the circle go on from this box without houses.
	TakeOver(ctx context.Context, houses []string, keeper, password string) error
	// KeeperKey opens a keeper's key, with which they sign.
	KeeperKey(ctx context.Context, keeper, password string) (ident.Key, error)
}

// Returns are the boxes that were given up and ask to come home, and a side that went on
// without this one; *home.Home has them.
type Returns interface {
	Returns() []home.Return
	LetIn(ctx context.Context, box ident.BoxID) error
	Refuse(box ident.BoxID) error
	// Parted tells whether two sides each went on alone, nil when they did not; Keep has a
	// keeper pick the one that goes on for both, by a house of it.
	Parted() *home.Parted
	Keep(house string, key ident.Key) error
}

// Reports say what is known of a box; *status.Watch does.
type Reports interface {
	Report(ctx context.Context) (status.Report, error)
}

var (
	_ Losses  = (*circle.Circle)(nil)
	_ Returns = (*home.Home)(nil)
)

// Pages are the pages.
type Pages struct {
	Losses  Losses
	Returns Returns
	Status  Reports
}

// Routes lists what people who are logged in may open, and send.
func (p *Pages) Routes() map[string]page.Handler {
	return map[string]page.Handler{
		"GET /circle/gone":      p.gonePage,
		"POST /circle/gone":     page.Deciding(p.gone),
		"GET /circle/takeover":  p.takeoverPage,
		"POST /circle/takeover": p.takeover,
		"GET /circle/home":      p.homePage,
		"POST /circle/home":     page.Deciding(p.answer),
		"GET /circle/sides":     p.sidesPage,
		"POST /circle/sides":    p.pick,
	}
}

// apart reports whether too few houses are in reach for the circle to decide anything.
func apart(r status.Report) bool {
	for _, s := range r.Spaces {
		if s.Name == "" {
			return s.Apart
		}
	}
	return false
}

// homePage lists the boxes that ask to come home.
func (p *Pages) homePage(q *page.Request) error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	return q.Show("returns", page.Page{Title: q.Say("returns.title"), Tab: "circle", Body: p.Returns.Returns(), Live: true})
}

// answer lets a box come home, or does not.
func (p *Pages) answer(q *page.Request) error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	box, name := ident.BoxID(f.Get("which")), ""
	for _, r := range p.Returns.Returns() {
		if r.Box == box {
			name = r.Name
		}
	}
	said := "returns.no"
	if f.Get("say") == "yes" {
		said, err = "returns.yes", p.Returns.LetIn(q.R.Context(), box)
	} else {
		err = p.Returns.Refuse(box)
	}
	if no, ok := errors.AsType[*home.RefusedError](err); ok {
		err = &circle.RefusedError{Code: no.Code}
	}
	switch {
	case errors.Is(err, home.ErrNotWaiting):
		q.Tell("/circle", page.Note{Text: q.Say("answer.gone"), Bad: true})
		return nil
	case err != nil:
		return err
	}
	q.Tell("/circle", page.Note{Text: q.Say(said, "box", name)})
	return nil
}
