package wifi

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// spot is a network of the box's own, in tests.
type spot struct {
	mu     sync.Mutex // guards what follows
	open   bool
	times  int
	guests int
	broken error
}

func (s *spot) Name() string { return "redhen-1234" }

func (s *spot) Run(ctx context.Context) error {
	s.set(func() { s.open = s.broken == nil; s.times++ })
	if s.broken != nil {
		return s.broken
	}
	<-ctx.Done()
	s.set(func() { s.open = false })
	return nil
}

func (s *spot) Guests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guests
}

func (s *spot) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func (s *spot) is() (open bool, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, s.times
}

// house is a box with a spot, networks that change, and a cable.
type house struct {
	*air
	spot     spot
	networks []Network
	changed  chan struct{}
	cable    bool
	held     string // the network in which an address is kept
	leases   int
}

func live(t *testing.T, h *house, fn func(t *testing.T, k *Keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h.changed = make(chan struct{})
		read := func(get func()) { h.air.set(get) }
		k := New(Config{
			Radio: h.air, Setup: &h.spot,
			Networks: func() (n []Network) { read(func() { n = h.networks }); return n },
			Changed:  func() (c <-chan struct{}) { read(func() { c = h.changed }); return c },
			Cabled:   func() (c bool) { read(func() { c = h.cable }); return c },
			Address: func(ctx context.Context) error {
				read(func() { h.held = h.joined; h.leases++ })
				<-ctx.Done()
				read(func() { h.held = "" })
				return nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		fn(t, k)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if open, _ := h.spot.is(); open || h.held != "" {
			t.Errorf("after the end: open %t, address in %q", open, h.held)
		}
	})
}

// know is what somebody does on the box's page.
func (h *house) know(networks ...Network) {
	h.air.set(func() {
		h.networks = networks
		close(h.changed)
		h.changed = make(chan struct{})
	})
}

func (h *house) expect(t *testing.T, k *Keeper, d time.Duration, open bool, joined string) {
	t.Helper()
	time.Sleep(d)
	synctest.Wait()
	s := k.State()
	if got, _ := h.spot.is(); got != open || s.Link.SSID != joined || (s.Setup != "") != open || h.held != joined {
		t.Errorf("after %v: open %t, %+v, address in %q; want open %t, joined %q", d, got, s, h.held, open, joined)
	}
}

// A fresh box opens its network at once, leaves it for the one that somebody names, and
// says there what is wrong when that does not let it in.
func TestAFreshBoxOpensItsOwnNetwork(t *testing.T) {
	home := Network{SSID: "Home", Passphrase: "correct horse"}
	h := &house{air: &air{says: true, seen: []Seen{{"Home", WPA2, -6000}, {"Home", WPA2, -5000}, {"Near", Unlocked, -3000}}, keys: map[string]string{"Home": key(t, home)}}}
	live(t, h, func(t *testing.T, k *Keeper) {
		h.expect(t, k, 5*time.Second, true, "")
		if got := fmt.Sprint(k.State().Seen); got != "[{Near 0 -3000} {Home 1 -5000}]" {
			t.Errorf("in reach: %s", got)
		}
		h.know(Network{SSID: "Home", Passphrase: "wrong horse"})
		time.Sleep(setupGrace - time.Second)
		if open, times := h.spot.is(); !open || times != 1 {
			t.Error("the page that was sent gets no answer")
		}
		h.expect(t, k, 10*time.Second, true, "")
		if k.State().Trouble != Refused {
			t.Errorf("%+v", k.State())
		}
		h.know(home)
		h.expect(t, k, 10*time.Second, false, "Home")
		if _, times := h.spot.is(); times != 2 {
			t.Errorf("opened %d times", times)
		}
	})
}

// A box whose network is away waits before it opens its own, and looks for the known one
// while nobody is on that.
func TestItsOwnNetworkAndTheKnownOne(t *testing.T) {
	h := &house{air: &air{seen: []Seen{{"Café", Unlocked, -4000}}, keys: map[string]string{"Café": ""}}, networks: []Network{{SSID: "Café"}}}
	live(t, h, func(t *testing.T, k *Keeper) {
		h.expect(t, k, 10*time.Second, false, "Café")
		h.air.set(func() { h.seen, h.joined = nil, "" })
		h.expect(t, k, 30*time.Second, false, "")
		h.expect(t, k, time.Minute, true, "")
		h.spot.set(func() { h.spot.guests = 1 })
		h.air.set(func() { h.seen = []Seen{{"Café", Unlocked, -4000}} })
		h.expect(t, k, time.Hour, true, "") // somebody is typing
		h.spot.set(func() { h.spot.guests = 0 })
		h.expect(t, k, setupLook+time.Minute, false, "Café")
		if h.leases != 2 {
			t.Errorf("asked %d times for an address", h.leases)
		}
	})
}

// With a cable there is no need for a network of its own.
func TestACableClosesItsOwnNetwork(t *testing.T) {
	h := &house{air: &air{}, cable: true}
	live(t, h, func(t *testing.T, k *Keeper) {
		h.expect(t, k, time.Hour, false, "")
		h.air.set(func() { h.cable = false })
		h.expect(t, k, time.Minute, true, "")
		h.air.set(func() { h.cable = true })
		h.expect(t, k, time.Minute, false, "")
	})
	h = &house{air: &air{}, spot: spot{broken: fmt.Errorf("no hostapd")}}
	live(t, h, func(t *testing.T, k *Keeper) {
		h.expect(t, k, time.Hour, false, "")
		if _, times := h.spot.is(); times < 100 || times > 500 {
			t.Errorf("opened %d times in an hour", times)
		}
	})
}

// Of a network for which the card has only WPA2's key, the newest lock is not tried.
func TestWPA3WantsThePassword(t *testing.T) {
	ready := "0000000000000000000000000000000000000000000000000000000000000000"
	a := &air{seen: []Seen{{"Home", WPA3, -5000}}, keys: map[string]string{"Home": ready}}
	keep(t, []Network{{SSID: "Home", PMK: ready}}, a, func(t *testing.T, k *Keeper) {
		after(t, k, time.Minute, "", NoPassword)
		if a.tried() != 0 || k.State().Trouble == None {
			t.Errorf("tried %q", a.tries)
		}
	})
}
