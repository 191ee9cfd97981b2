// Package wifi is the page on which people say what Wi-Fi a box joins, on the network
// that the box opens itself and on any other.
package wifi

import (
	"embed"
	"net/http"
	"net/netip"

	"redhen/appliance/web/page"
	"redhen/board/wifi"
	"redhen/provision/seed"
)

//go:embed templates
var Templates embed.FS

// Air is the radio of the box, and what it is to join.
type Air interface {
	// State is how it stands; false: the box has no radio.
	State() (wifi.State, bool)
	// Known are the names of the networks that it joins, the best first.
	Known() []string
	// Join makes a network the best one. It returns what of it is wrong, empty for nothing.
	Join(ssid, password string, hidden bool) (wrong seed.Part)
	// Forget forgets a network.
	Forget(ssid string)
	// OnSetup reports whether a request came by the box's own network, whose password
	// only those know who are at the box.
	OnSetup(*http.Request) bool
}

// Claim guards a fresh box, as in web.
type Claim interface {
	NeedsCode(from netip.Addr) bool
	Check(from netip.Addr, code string) error
}

// Pages is the page. All fields are needed.
type Pages struct {
	Air   Air
	Claim Claim
}

// body is what the page shows.
type body struct {
	State     wifi.State
	Trouble   string
	None      bool // there is no radio
	Known     []string
	Near      []near
	NeedsCode bool
	Fresh     bool
}

// near is a network in reach.
type near struct {
	SSID           string
	Locked, Joined bool
}

// Show shows the page.
func (p *Pages) Show(q *page.Request) error { return p.show(q, q.NewForm()) }

func (p *Pages) show(q *page.Request, f *page.Form) error {
	if !p.may(q) {
		return p.notYou(q)
	}
	s, ok := p.Air.State()
	b := body{State: s, Trouble: trouble(q, s), None: !ok, Known: p.Air.Known(), NeedsCode: p.needsCode(q), Fresh: !q.Circle.Claimed()}
	for _, seen := range s.Seen {
		if seen.Lock != wifi.Company {
			b.Near = append(b.Near, near{seen.SSID, seen.Lock != wifi.Unlocked, seen.SSID == s.Link.SSID})
		}
	}
	return q.Show("wifi", page.Page{Title: q.Say("wifi.title"), Tab: "me", Form: f, Body: b})
}

// may reports whether somebody may see and change the networks: who keeps the box, who is
// at it, and whoever may claim it.
func (p *Pages) may(q *page.Request) bool {
	return p.Air.OnSetup(q.R) || !q.Circle.Claimed() || q.Who.Account != "" && q.KeepsThis()
}

func (p *Pages) needsCode(q *page.Request) bool {
	return !p.Air.OnSetup(q.R) && !q.Circle.Claimed() && p.Claim.NeedsCode(q.From())
}

func (p *Pages) notYou(q *page.Request) error {
	if q.Who.Account == "" {
		q.LogIn()
		return nil
	}
	return q.NotYourBox()
}

// Change joins or forgets a network.
func (p *Pages) Change(q *page.Request) error {
	if !p.may(q) {
		return p.notYou(q)
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	show := func(f *page.Form) error { return p.show(q, f) }
	if p.needsCode(q) {
		if err := p.Claim.Check(q.From(), f.Get("code")); err != nil {
			return q.Blamed(f, err, show, "code")
		}
	}
	if name := f.Get("forget"); name != "" {
		p.Air.Forget(name)
		q.Tell("/wifi", page.Note{Text: q.Say("wifi.forgotten", "name", name)})
		return nil
	}
	name := f.Values["ssid"]
	if f.Get("other") != "" {
		name = f.Get("other")
	}
	if name == "" {
		f.Wrong("other", "need.other")
		return show(f)
	}
	if wrong := p.Air.Join(name, f.Get("wifi-password"), f.Get("hidden") != ""); wrong != "" {
		f.Error = q.Say("wifi.wrong." + string(wrong))
		return show(f)
	}
	key := "wifi.joins"
	if p.Air.OnSetup(q.R) {
		key = "wifi.joins.setup" // this page is gone in a moment
	}
	return q.Show("message", page.Page{Title: q.Say("wifi.title"), Tab: "me", Body: page.Message{
		Title: q.Say("wifi.title"), Text: q.Say(key, "name", name), Link: "/wifi", LinkText: q.Say("wifi.look")}})
}

// trouble says why the box is not on the Wi-Fi that it should be on, empty when it is.
func trouble(q *page.Request, s wifi.State) string {
	if s.Trouble == wifi.None {
		return ""
	}
	return q.Say("wifi.trouble."+string(s.Trouble), "name", s.Network)
}
