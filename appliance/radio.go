package appliance

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"redhen/appliance/status"
	webwifi "redhen/appliance/web/wifi"
	"redhen/appliance/words"
	"redhen/board/panel"
	"redhen/board/wifi"
	"redhen/board/wifi/setup"
	"redhen/provision/qr"
	"redhen/provision/seed"
)

// radioAgain is how often a box looks for its radio: a driver may come late.
const radioAgain = 10 * time.Second

// Wifi is what a machine has for Wi-Fi. Open is needed.
type Wifi struct {
	// Open opens the radio, fs.ErrNotExist while there is none.
	Open func() (r wifi.Radio, iface string, err error)
	// Address gets and keeps an address on an interface; nil: somebody else does.
	Address func(iface string) func(context.Context) error
	// Sticks shows each USB stick that is plugged in as a folder, until ctx ends; nil: nobody does.
	Sticks func(ctx context.Context, take func(dir string)) error
	// Setup makes the network that the box opens itself; nil: it opens none.
	Setup func(c setup.Config) wifi.Hotspot
}

// air is the radio of a box, for its pages and its report.
type air struct {
	*Appliance
	keeper atomic.Pointer[wifi.Keeper] // nil without a radio
	begun  time.Time
}

var _ webwifi.Air = (*air)(nil)

// keepWifi keeps the radio on a network that the box knows, until ctx ends.
func (a *Appliance) keepWifi(ctx context.Context) error {
	if a.air == nil {
		return nil
	}
	for told := false; ; told = true {
		radio, iface, err := a.cfg.Wifi.Open()
		if err == nil {
			k := wifi.New(a.air.config(radio, iface))
			a.air.keeper.Store(k)
			return k.Run(ctx)
		}
		if !told && !errors.Is(err, fs.ErrNotExist) {
			a.log.Warn("no radio", "err", err)
		}
		t := time.NewTimer(radioAgain)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

func (a *air) config(radio wifi.Radio, iface string) wifi.Config {
	cfg := wifi.Config{
		Radio: radio, Networks: func() []wifi.Network { return networks(a.start.Seed()) }, Changed: a.start.Changed,
		Country: a.country, Cabled: func() bool { return wifi.Cabled(a.cfg.Machine) }, Logger: a.log,
	}
	if a.cfg.Wifi.Address != nil {
		cfg.Address = a.cfg.Wifi.Address(iface)
	}
	if a.cfg.Wifi.Setup != nil {
		a.start.SetupPassword() // the name is made of it
		cfg.Setup = a.cfg.Wifi.Setup(setup.Config{
			Iface: iface, SSID: a.start.Seed().SetupName(), Password: a.password, Country: a.country, Logger: a.log,
		})
	}
	return cfg
}

func (a *air) country() string { return a.start.Seed().Country }

// password is that of the box's own network. Of a fresh box whose password nobody can
// know, having neither a screen nor a card, it is open as long as that may be claimed
// without a code.
func (a *air) password() string {
	if !a.circle.Claimed() && a.cfg.Panel.Screen == nil && !a.start.HasCode() && time.Since(a.begun) < freeClaim {
		return ""
	}
	return a.start.SetupPassword()
}

// readSticks takes over the networks on each USB stick that is plugged in.
func (a *Appliance) readSticks(ctx context.Context) error {
	if a.cfg.Wifi == nil || a.cfg.Wifi.Sticks == nil {
		return nil
	}
	return a.cfg.Wifi.Sticks(ctx, func(dir string) { a.start.TakeStick(seed.Dir(dir)) })
}

// onScreen shows how to get onto the network that the box has opened, in place of where
// its pages are: they are there alone.
func (a *air) onScreen(w *words.Words, s *panel.Screen) {
	state, _ := a.State()
	if state.Setup == "" {
		return
	}
	password := a.password()
	s.State = offNetwork(w, state, password)
	join := "WIFI:T:WPA;S:" + state.Setup + ";P:" + password + ";;" // as phones read it; no sign needs quoting
	if password == "" {
		join = "WIFI:T:nopass;S:" + state.Setup + ";;"
	}
	s.Address.Value, s.QR = setup.Page, nil
	if code, err := qr.Draw(join); err == nil {
		s.QR = code
	}
}

// offNetwork says what to do with a box that is on no network, and why it is on none.
func offNetwork(w *words.Words, s wifi.State, password string) string {
	text := w.Say("screen.setup", "name", s.Setup, "password", password)
	if password == "" {
		text = w.Say("screen.setup.open", "name", s.Setup)
	}
	if s.Trouble == wifi.None {
		return text
	}
	return w.Say("wifi.trouble."+string(s.Trouble), "name", s.Network) + " " + text
}

// networks are those of the settings, as the radio's keeper has them.
func networks(s seed.Seed) (list []wifi.Network) {
	for _, w := range s.Wifi {
		list = append(list, wifi.Network{SSID: w.SSID, Passphrase: string(w.Passphrase), PMK: string(w.PMK), Hidden: w.Hidden, Country: w.Country})
	}
	return list
}

// wifiNow is how it stands with the radio, for the report. With a cable it is not needed.
func (a *Appliance) wifiNow() status.Wifi {
	if a.air == nil || wifi.Cabled(a.cfg.Machine) {
		return status.Wifi{}
	}
	s, _ := a.air.State()
	return status.Wifi{Network: s.Link.SSID, Signal: s.Link.Signal, Trouble: string(s.Trouble), Tried: s.Network}
}

// State implements webwifi.Air.
func (a *air) State() (wifi.State, bool) {
	k := a.keeper.Load()
	if k == nil {
		return wifi.State{}, false
	}
	return k.State(), true
}

// Known implements webwifi.Air.
func (a *air) Known() (names []string) {
	for _, w := range a.start.Seed().Wifi {
		names = append(names, w.SSID)
	}
	return names
}

// Join implements webwifi.Air.
func (a *air) Join(ssid, password string, hidden bool) (wrong seed.Part) {
	w, wrong := seed.NewWifi(ssid, password, "")
	if wrong != "" {
		return wrong
	}
	w.Hidden = hidden
	a.start.AddWifi(w)
	return ""
}

// Forget implements webwifi.Air.
func (a *air) Forget(ssid string) { a.start.ForgetWifi(ssid) }

// OnSetup implements webwifi.Air.
func (a *air) OnSetup(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap() == netip.MustParseAddr(setup.Address)
}

// atDoor stands before the doors on the box's own network. Phones look for a page there
// that they know (captive.apple.com, connectivitycheck.gstatic.com, msftconnecttest.com,
// detectportal.firefox.com, …); whatever they ask for by another name leads to the box's
// page, which they then open by themselves. At a box that belongs to somebody, the Wi-Fi
// can be changed there, and nothing else is reached.
func (a *air) atDoor(doors http.Handler, claimed func() bool) http.Handler {
	if a == nil {
		return doors
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.OnSetup(r) {
			doors.ServeHTTP(w, r)
			return
		}
		wifiOnly := r.URL.Path == "/wifi" || strings.HasPrefix(r.URL.Path, "/static/")
		switch {
		case r.Host == setup.Address && (wifiOnly || !claimed()):
			doors.ServeHTTP(w, r)
		case claimed():
			lead(w, r, setup.Page+"wifi")
		default:
			lead(w, r, setup.Page)
		}
	})
}

// lead leads to another page, this once.
func lead(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusFound)
}

// claimed reports whether the box belongs to somebody.
func (a *Appliance) claimed() bool { return a.circle.Claimed() }
