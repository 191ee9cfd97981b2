package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"redhen/board/wifi"
	"redhen/provision/seed"
)

// attic is a radio of the test.
type attic struct {
	state wifi.State
	known []string
	setup bool
}

func (a *attic) State() (wifi.State, bool)  { return a.state, true }
func (a *attic) Known() []string            { return a.known }
func (a *attic) OnSetup(*http.Request) bool { return a.setup }
func (a *attic) Forget(ssid string) {
	a.known = slices.DeleteFunc(a.known, func(s string) bool { return s == ssid })
}
func (a *attic) Join(ssid, key string, hidden bool) seed.Part {
	if key == "short" {
		return seed.PartPassword
	}
	name := ssid + "/" + key
	if hidden {
		name += "/hidden"
	}
	a.known = append(a.known, name)
	return ""
}

func withRadio(t *testing.T) (*world, *attic) {
	t.Helper()
	w, a := newWorld(t), &attic{known: []string{"Old"}, state: wifi.State{
		Trouble: wifi.Refused, Network: "Home", Seen: []wifi.Seen{{SSID: "Home", Lock: wifi.WPA3}, {SSID: "<b>Café</b>"}, {SSID: "Office", Lock: wifi.Company}},
	}}
	w.server.cfg.Wifi = a
	return w, a
}

// anyone may claim.
type anyone struct{}

func (anyone) NeedsCode(netip.Addr) bool      { return false }
func (anyone) Check(netip.Addr, string) error { return nil }

func TestTheWifiOfAFreshBox(t *testing.T) {
	w, a := withRadio(t)
	w.server.cfg.Claim = anyone{}
	b := w.browser()
	for _, path := range []string{"/", "/claim"} {
		body, _ := b.get(path)
		has(t, body, `href="/wifi"`)
	}
	body, _ := b.get("/wifi")
	has(t, body, "“Home” does not let the box in", "&lt;b&gt;Café&lt;/b&gt; (without a password)", "Forget “Old”", `href="/"`)
	if strings.Contains(body, "Office") || strings.Contains(body, `name="code"`) {
		t.Error("a network that wants a user name is offered, or a code asked for")
	}
	body, _ = b.post("/wifi", "ssid", "Home", "wifi-password", "short")
	has(t, body, "8 to 63 characters.")
	body, _ = b.post("/wifi", "wifi-password", "correct horse")
	has(t, body, "Please choose a Wi-Fi")
	body, _ = b.post("/wifi", "ssid", "Home", "wifi-password", " correct horse")
	has(t, body, "joins “Home”", "half a minute")
	a.setup = true
	body, _ = b.post("/wifi", "ssid", "Home", "other", "Cellar", "wifi-password", "battery staple", "hidden", "yes")
	has(t, body, "leaves this network and joins “Cellar”")
	b.post("/wifi", "forget", "Old")
	if want := []string{"Home/ correct horse", "Cellar/battery staple/hidden"}; !slices.Equal(a.known, want) {
		t.Errorf("got %q, want %q", a.known, want)
	}
}

// A fresh box that asks for its code asks for it here, too, but not on its own network.
func TestTheWifiIsNotChangedWithoutTheCode(t *testing.T) {
	w, a := withRadio(t)
	w.server.cfg.Claim = NewRule("hen-and-egg", 0, nil)
	b := w.browser()
	body, _ := b.get("/wifi")
	has(t, body, `name="code"`)
	b.post("/wifi", "ssid", "Home", "wifi-password", "correct horse")
	b.post("/wifi", "forget", "Old")
	if !slices.Equal(a.known, []string{"Old"}) {
		t.Errorf("changed without the code: %q", a.known)
	}
	b.post("/wifi", "ssid", "Home", "wifi-password", "correct horse", "code", "hen-and-egg")
	a.setup = true
	b.post("/wifi", "ssid", "Home", "wifi-password", "battery staple")
	if want := []string{"Old", "Home/correct horse", "Home/battery staple"}; !slices.Equal(a.known, want) {
		t.Errorf("got %q, want %q", a.known, want)
	}
}

// At a box that belongs to somebody, its keeper changes the Wi-Fi, or who is at it.
func TestTheWifiOfSomebodysBox(t *testing.T) {
	w, a := withRadio(t)
	w.found()
	w.admit(2, "Oak Street", "oak", "ben", "Ben")
	stranger := w.browser()
	if _, code := stranger.post("/wifi", "ssid", "Home", "wifi-password", "correct horse"); code != http.StatusSeeOther && code != http.StatusOK {
		t.Errorf("a stranger gets %d", code)
	}
	body, _ := w.loggedIn("ben").get("/wifi")
	if strings.Contains(body, "wifi-password") {
		t.Error("somebody else's box shows its Wi-Fi")
	}
	w.loggedIn("ben").post("/wifi", "forget", "Old")
	if !slices.Equal(a.known, []string{"Old"}) {
		t.Errorf("a stranger or another keeper changed it: %q", a.known)
	}
	keeper := w.loggedIn("ada")
	body, _ = keeper.get("/box")
	has(t, body, `href="/wifi"`)
	keeper.post("/wifi", "forget", "Old")
	a.setup = true
	stranger.post("/wifi", "ssid", "Home", "wifi-password", "correct horse")
	if want := []string{"Home/correct horse"}; !slices.Equal(a.known, want) {
		t.Errorf("got %q, want %q", a.known, want)
	}
	w.server.cfg.Wifi = nil
	if _, code := keeper.get("/wifi"); code != http.StatusNotFound {
		t.Errorf("without a radio: %d", code)
	}
}
