// Package gift is the pages by which a keeper makes a box for a friend, who only plugs
// it in: settings for its card, and a gift card to print.
package gift

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/appliance/giftcard"
	"redhen/appliance/web/page"
	"redhen/images/flash"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/seed"
	"redhen/raftnode/directory"
)

// Templates are the pages.
//
//go:embed templates
var Templates embed.FS

// Giver makes gifts; *circle.Circle does it.
type Giver interface {
	Gift(circle.Gift) (circle.Present, error)
	Accounts() ([]directory.Account, error)
}

var _ Giver = (*circle.Circle)(nil)

// Desk has the tickets that this box made; *pair.Desk is one.
type Desk interface {
	Tickets() []pair.Issued
}

// Pages are the pages.
type Pages struct {
	Giver  Giver
	Desk   Desk
	Bakery Bakery // nil: this box writes no cards

	bake page.Errand[baking]
}

// Routes lists what people who are logged in may open, and send.
func (p *Pages) Routes() map[string]page.Handler {
	return map[string]page.Handler{
		"GET /invite/gift":                  p.giftPage,
		"POST /invite/gift":                 p.make,
		"GET /invite/gift/{id}":             p.presentPage,
		"GET /invite/gift/{id}/redhen.toml": p.settings,
		"GET /invite/gift/{id}/card":        p.card,
		"POST /invite/gift/{id}/imager":     p.imager,
		"POST /invite/gift/{id}/bake":       p.beginBake,
		"GET /live/bake":                    p.liveBake,
	}
}

// keptFor is how long the settings can be fetched again: they hold a secret.
const keptFor = time.Hour

// giftBody is the page on which a gift is made.
type giftBody struct {
	Open []openGift // gifts on their way
}

type openGift struct{ ID, House, Until string }

func (p *Pages) giftPage(q *page.Request) error { return p.showGift(q, q.NewForm()) }

func (p *Pages) showGift(q *page.Request, f *page.Form) error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	var body giftBody
	for _, t := range p.Desk.Tickets() {
		if t.Gift != "" && t.State == pair.Open && t.Expires.After(q.Now()) {
			body.Open = append(body.Open, openGift{t.ID, t.Gift, q.When(t.Expires)})
		}
	}
	return q.Show("gift", page.Page{Title: q.Say("gift.title"), Tab: "circle", Form: f, Body: body})
}

// present is a gift as it is handed on.
type present struct {
	House, For, Code, Until, Ticket string
	Waived                          bool
	Settings, Card                  []byte
	Seed                            seed.Seed
}

// make makes a gift, and leads to the page from which it is fetched.
func (p *Pages) make(q *page.Request) error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return p.showGift(q, f) }
	if !q.IsKeeper() || !f.Needs("invitee", "house") {
		return again(f)
	}
	order := circle.Gift{
		Place:  circle.Place{House: f.Get("house"), Box: orElse(f.Get("box"), f.Get("house"))},
		Keeper: keeperName(f.Get("invitee")), Waived: f.Get("waived") != "",
	}
	if f.Get("wifi") != "" {
		n, wrong := seed.NewWifi(f.Get("wifi"), f.Get("wifi-password"), strings.ToUpper(f.Get("country")))
		if wrong != "" {
			f.Errors["wifi"] = q.Say("gift.wifi.wrong", "why", q.Say("wifi.wrong."+string(wrong)))
			return again(f)
		}
		order.Wifi = []seed.Wifi{n}
	}
	made, err := p.Giver.Gift(order)
	switch {
	case errors.Is(err, roster.ErrName), errors.Is(err, roster.ErrNameTaken):
		_, f.Errors["house"], _ = page.Blame(q.Words, err)
		return again(f)
	case errors.Is(err, account.ErrName), errors.Is(err, account.ErrReserved):
		_, f.Errors["invitee"], _ = page.Blame(q.Words, err)
		return again(f)
	case err != nil:
		return q.Blamed(f, err, again)
	}
	kept, err := p.present(q, order, made)
	if err != nil {
		return err
	}
	kept.For = f.Get("invitee")
	q.Redirect("/invite/gift/" + q.Shelf.Put(q.Who.Account, kept, keptFor))
	return nil
}

// keeperName is a login name for a friend: what was written if it is one, else made of it.
func keeperName(written string) string {
	if login := account.CleanName(written); account.CheckName(login) == nil {
		return login
	}
	return account.SuggestName(written)
}

// present makes the settings and the card of a gift.
func (p *Pages) present(q *page.Request, order circle.Gift, made circle.Present) (present, error) {
	card := giftcard.Card{
		House: order.Place.House, Circle: q.ThisBox().Circle, Giver: p.giver(q), Code: made.Code, Expires: made.Expires, Waived: order.Waived,
		Setup: made.Seed.SetupName(), SetupPassword: string(made.Seed.Setup),
	}
	if len(order.Wifi) > 0 {
		card.Wifi = order.Wifi[0].SSID
	}
	paper, err := giftcard.HTML(card, q.Words)
	return present{
		House: order.Place.House, Code: made.Code, Until: q.Words.Date(made.Expires), Ticket: made.Ticket, Waived: order.Waived,
		Settings: seed.Render(made.Seed), Card: paper, Seed: made.Seed,
	}, err
}

// giver is what friends call the person who makes the gift.
func (p *Pages) giver(q *page.Request) string {
	accounts, err := p.Giver.Accounts()
	if err != nil {
		return q.Who.Name
	}
	return orElse(page.People(accounts)[q.Who.Account], q.Who.Name)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// kept finds the gift that the address names; false for one that is not there any more.
func kept(q *page.Request) (present, bool) {
	g, ok := page.Take[present](q.Shelf, q.Who.Account, q.R.PathValue("id"))
	if !ok {
		q.Redirect("/invite/gift")
	}
	return g, ok
}

// presentBody is the page from which a gift is fetched.
type presentBody struct {
	present
	ID    string
	Error string // of the file for Imager
	Cards []flash.Target
	Bake  bakeNow
	Wrong string // of the card that was chosen
}

func (p *Pages) presentPage(q *page.Request) error { return p.showPresent(q, "") }

func (p *Pages) showPresent(q *page.Request, wrong string) error {
	g, ok := kept(q)
	if !ok {
		return nil
	}
	return q.Show("present", p.presentOf(q, presentBody{present: g, ID: q.R.PathValue("id"), Error: wrong}))
}

// presentOf adds what this box can do for it.
func (p *Pages) presentOf(q *page.Request, b presentBody) page.Page {
	if p.Bakery != nil && q.KeepsThis() {
		for _, c := range p.Bakery.Cards() {
			if c.Sure {
				b.Cards = append(b.Cards, c)
			}
		}
		b.Bake, _ = p.bakeNow(q)
	}
	return page.Page{Title: q.Say("present.title", "house", b.House), Tab: "circle", Body: b, Live: b.Bake.Running}
}

// settings is the file for the card of the box.
func (p *Pages) settings(q *page.Request) error {
	g, ok := kept(q)
	if !ok {
		return nil
	}
	download(q, "redhen.toml", g.Settings)
	return nil
}

// card is the page to print. It brings its own look, and nothing else.
func (p *Pages) card(q *page.Request) error {
	g, ok := kept(q)
	if !ok {
		return nil
	}
	q.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	q.W.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox allow-modals")
	q.W.Write(g.Card) // the browser may have left
	return nil
}

// maxManifest bounds the file of a release for Raspberry Pi Imager, in bytes.
const maxManifest = 64 << 10

// imager writes the house into the file of a release by which Raspberry Pi Imager finds
// the image.
func (p *Pages) imager(q *page.Request) error {
	g, ok := kept(q)
	if !ok {
		return nil
	}
	q.R.Body = http.MaxBytesReader(q.W, q.R.Body, maxManifest+page.MaxForm)
	file, _, err := q.R.FormFile("manifest")
	if err != nil {
		return p.showPresent(q, q.Say("need.files"))
	}
	defer file.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(file); err != nil {
		return p.showPresent(q, q.Say("present.imager.wrong"))
	}
	img, err := seed.ReadManifest(b.Bytes())
	if err != nil {
		return p.showPresent(q, q.Say("present.imager.wrong"))
	}
	img.House = g.House
	out, err := seed.Manifest(img)
	if err != nil {
		return err
	}
	download(q, "redhen"+seed.ManifestExt, out)
	return nil
}

// download answers with a file to be kept.
func download(q *page.Request, name string, content []byte) {
	h := q.W.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	q.W.Write(content) // the browser may have left
}
