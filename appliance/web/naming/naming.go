// Package naming is the page about the public name of the circle, by which it is opened
// from everywhere: to choose one, to see how it does, to forget it.
package naming

import (
	"context"
	"embed"
	"errors"
	"slices"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/domain"
	"redhen/appliance/web/page"
	"redhen/provision/ident"
)

// Templates are the pages.
//
//go:embed templates
var Templates embed.FS

// Keepers know the password of a keeper; *circle.Circle does.
type Keepers interface {
	KeeperKey(ctx context.Context, keeper, password string) (ident.Key, error)
}

// Pages are the pages.
type Pages struct {
	Naming  api.Naming
	Keepers Keepers
}

// Routes lists what people who are logged in may open, and send.
func (p *Pages) Routes() map[string]page.Handler {
	return map[string]page.Handler{
		"GET /circle/name":           p.namePage,
		"POST /circle/name":          p.set,
		"POST /circle/name/forget":   p.forget,
		"POST /circle/name/visitors": p.visitors,
	}
}

// askFor is how long a page waits for the provider of a name.
const askFor = 30 * time.Second

// body is the page about the name.
type body struct {
	page.ThisBox
	api.Name
	Houses []string // names of the houses, below that of the circle
	Until  string   // the certificate at this box; empty: it has none
	Yours  bool     // the person keeps this box
	Way    string   // the form that is shown: a provider of package domain, or "forget"; empty: none
}

func (p *Pages) namePage(q *page.Request) error {
	way := q.R.URL.Query().Get("way")
	if !slices.Contains([]string{domain.DeSEC, domain.RFC2136, domain.ByHand, "forget"}, way) {
		way = ""
	}
	return p.show(q, q.NewForm(), way)
}

func (p *Pages) show(q *page.Request, f *page.Form, way string) error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	n, err := p.Naming.Name()
	if err != nil {
		return err
	}
	b := body{ThisBox: q.ThisBox(), Name: n, Yours: q.KeepsThis(), Way: way}
	if len(n.Names) > 1 {
		b.Houses = n.Names[1:]
	}
	if !n.Ends.IsZero() {
		b.Until = q.Words.LongDate(n.Ends.In(q.Now().Location()))
	}
	if n.Domain != "" && f.Values["domain"] == "" {
		f.Values["domain"] = n.Domain
	}
	if n.Domain == "" && way == "forget" {
		b.Way = ""
	}
	return q.Show("name", page.Page{Title: q.Say("name.title"), Tab: "circle", Form: f, Body: b})
}

// settings are those of a form; every way has fields of its own.
func settings(f *page.Form) domain.Settings {
	s := domain.Settings{Domain: f.Get("domain"), Provider: f.Get("way"), Email: f.Get("email")}
	switch s.Provider {
	case domain.DeSEC:
		s.Token = f.Get("token")
	case domain.RFC2136:
		s.Server, s.KeyName, s.KeyAlg, s.Key, s.Zone = f.Get("server"), f.Get("key-name"), f.Get("key-alg"), f.Get("key"), f.Get("zone")
	}
	return s
}

// needed are the fields that a way cannot do without.
func needed(way string) []string {
	switch way {
	case domain.DeSEC:
		return []string{"domain", "token", "password"}
	case domain.RFC2136:
		return []string{"domain", "server", "key-name", "key", "password"}
	}
	return []string{"domain", "password"}
}

// set takes a name. The keeper's password is asked, since whoever has the name can show
// people pages that look like ours.
func (p *Pages) set(q *page.Request) error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.show(q, f, f.Get("way")) }
	if !q.IsKeeper() || !f.Needs(needed(f.Get("way"))...) {
		return again(f)
	}
	if err := p.keeper(q, f); err != nil {
		return q.Blamed(f, err, again, "password")
	}
	ctx, end := context.WithTimeout(q.R.Context(), askFor)
	defer end()
	s := settings(f)
	err = p.Naming.SetName(ctx, s)
	if wrong, ok := errors.AsType[*domain.SettingError](err); ok {
		f.Error = wrong.Say(q.Words)
		return again(f)
	}
	if err != nil {
		return q.Blamed(f, err, again)
	}
	q.Tell("/circle/name", page.Note{Text: q.Say("name.set", "name", s.Domain), Lines: []string{q.Say("name.set.soon")}})
	return nil
}

func (p *Pages) keeper(q *page.Request, f *page.Form) error {
	_, err := p.Keepers.KeeperKey(q.R.Context(), q.Who.Name, f.Get("password"))
	return err
}

// forget ends the name.
func (p *Pages) forget(q *page.Request) error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.show(q, f, "forget") }
	if !q.IsKeeper() || !f.Needs("password") {
		return again(f)
	}
	err = p.keeper(q, f)
	if err == nil {
		err = p.Naming.RemoveName(q.R.Context())
	}
	if err != nil {
		return q.Blamed(f, err, again, "password")
	}
	q.Tell("/circle/name", page.Note{Text: q.Say("name.forgotten"), Lines: []string{q.Say("name.forgotten.there")}})
	return nil
}

// visitors has this box serve visitors of the name, or only pass them on.
func (p *Pages) visitors(q *page.Request) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	on := f.Get("serve") == "yes"
	if err := p.Naming.ServeVisitors(on); err != nil {
		return err
	}
	said := map[bool]string{true: "name.serves.on", false: "name.serves.off"}[on]
	q.Tell("/circle/name", page.Note{Text: q.Say(said, "box", q.ThisBox().Box)})
	return nil
}
