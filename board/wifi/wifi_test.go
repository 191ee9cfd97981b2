package wifi

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// air is a radio with networks around it.
type air struct {
	mu      sync.Mutex // guards what follows
	seen    []Seen
	keys    map[string]string // the right key of a network, in hex; "" = open
	hidden  []string          // in reach, and not seen
	joined  string
	tries   []string
	country []string
	cannot  bool
	broken  error // of Scan and Link
	flaky   bool  // a link stands for a moment with any key
	says    bool  // it says when a key is wrong
	refused bool
}

func (a *air) Scan(context.Context) ([]Seen, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.seen), a.broken
}

func (a *air) Join(n Network, lock Lock) error {
	key, err := n.Key()
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	ssid := n.SSID
	a.refused = false
	a.tries = append(a.tries, ssid)
	if a.cannot && key != nil {
		return ErrCannot
	}
	near := slices.Contains(a.hidden, ssid) || slices.ContainsFunc(a.seen, func(s Seen) bool { return s.SSID == ssid })
	right, known := a.keys[ssid]
	switch {
	case near && known && right == hex.EncodeToString(key):
		a.joined = ssid
	case a.says:
		a.refused = true
	case a.flaky:
		a.joined = ssid
		time.AfterFunc(time.Second, func() { a.set(func() { a.joined = "" }) })
	}
	return nil
}

func (a *air) Leave() error {
	a.set(func() { a.joined = "" })
	return nil
}

func (a *air) Link() (Link, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Link{SSID: a.joined, Signal: -5000, Refused: a.refused}, a.broken
}

func (a *air) SetCountry(code string) error {
	a.set(func() { a.country = append(a.country, code) })
	return nil
}

func (a *air) set(fn func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn()
}

func (a *air) tried() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.tries)
}

// key is that of a passphrase, in hex.
func key(t *testing.T, n Network) string {
	t.Helper()
	k, err := n.Key()
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(k)
}

// keep runs a test with a Keeper that knows the networks.
func keep(t *testing.T, networks []Network, a *air, fn func(t *testing.T, k *Keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := New(Config{Radio: a, Networks: func() []Network { return networks }, Country: func() string { return "DE" }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		fn(t, k)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// after lets time pass, and checks the state.
func after(t *testing.T, k *Keeper, d time.Duration, joined string, trouble Trouble) {
	t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if s := k.State(); s.Link.SSID != joined || s.Trouble != trouble {
		t.Errorf("after %v: %+v, want %q, trouble %q", d, s, joined, trouble)
	}
}

func homeAndCafe() []Network {
	return []Network{{SSID: "Home", Passphrase: "correct horse", Country: "GB"}, {SSID: "Café"}}
}

// The vectors of IEEE 802.11i, H.4.3, and a key that is ready.
func TestKeys(t *testing.T) {
	ready := strings.Repeat("0a", 32)
	for want, n := range map[string]Network{
		"f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e": {SSID: "IEEE", Passphrase: "password"},
		"0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af": {SSID: "ThisIsASSID", Passphrase: "ThisIsAPassword"},
		ready: {SSID: "IEEE", PMK: ready},
		"":    {SSID: "open"},
	} {
		if got := key(t, n); got != want {
			t.Errorf("%s: got %s, want %s", n.SSID, got, want)
		}
	}
	for _, bad := range []string{"0a", strings.Repeat("xy", 32)} {
		if k, err := (Network{SSID: "x", PMK: bad}).Key(); err == nil || k != nil {
			t.Errorf("%q taken", bad)
		}
	}
}

func TestTheBestKnownNetworkIsJoined(t *testing.T) {
	home := homeAndCafe()[0]
	a := &air{seen: []Seen{{"Café", Unlocked, -4000}, {"Home", WPA2, -7000}, {"Other", Unlocked, -3000}}, keys: map[string]string{"Home": key(t, home), "Café": ""}}
	keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) {
		after(t, k, 10*time.Second, "Home", None)
		time.Sleep(time.Hour)
		if a.tried() != 1 || fmt.Sprint(a.country) != "[DE]" {
			t.Errorf("tried %q, country %q", a.tries, a.country)
		}
	})
}

// A network that goes away is looked for, another is taken meanwhile, and the link is
// left alone while it stands.
func TestAwayAndBack(t *testing.T) {
	home := homeAndCafe()[0]
	a := &air{seen: []Seen{{"Home", WPA2, -7000}}, keys: map[string]string{"Home": key(t, home), "Café": ""}}
	keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) {
		after(t, k, 10*time.Second, "Home", None)
		a.set(func() { a.seen, a.joined = nil, "" })
		after(t, k, time.Minute, "", Absent)
		a.set(func() { a.seen = []Seen{{"Café", Unlocked, -4000}} })
		after(t, k, time.Minute, "Café", None)
		a.set(func() { a.seen = append(a.seen, Seen{"Home", WPA2, -6000}) })
		after(t, k, time.Hour, "Café", None)
		a.set(func() { a.joined = "" })
		after(t, k, time.Minute, "Home", None)
	})
}

// A wrong password keeps the box from nothing else, and is not tried again and again.
func TestAWrongPassword(t *testing.T) {
	for _, flaky := range []bool{false, true} {
		a := &air{seen: []Seen{{"Home", WPA2, -7000}}, keys: map[string]string{"Home": "another", "Café": ""}, flaky: flaky}
		keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) {
			after(t, k, time.Minute, "", Refused)
			if got := k.State().Network; got != "Home" {
				t.Errorf("the network in trouble is %q", got)
			}
			time.Sleep(time.Hour)
			if n := a.tried(); n < 10 || n > 20 {
				t.Errorf("tried %d times in an hour", n)
			}
			a.set(func() { a.seen = append(a.seen, Seen{"Café", Unlocked, -4000}) })
			after(t, k, time.Minute, "Café", None)
		})
	}
}

// What somebody sets up under the name of a known network gets no box without the key.
func TestAnEvilTwinWithoutAKeyIsNotJoined(t *testing.T) {
	a := &air{seen: []Seen{{"Home", Unlocked, -3000}}, keys: map[string]string{"Home": ""}}
	keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) {
		after(t, k, 10*time.Minute, "", Refused)
		if a.tried() != 0 {
			t.Errorf("tried %q", a.tries)
		}
	})
}

func TestLocksThatAreBeyondUs(t *testing.T) {
	for lock, want := range map[Lock]Trouble{WPA3: TooNew, Company: ForPeople} {
		a := &air{seen: []Seen{{"Home", lock, -7000}}, cannot: true}
		keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) {
			after(t, k, time.Minute, "", want)
			if (a.tried() != 0) != (lock == WPA3) {
				t.Errorf("lock %d: tried %q", lock, a.tries)
			}
		})
	}
	home := homeAndCafe()[0]
	a := &air{seen: []Seen{{"Home", WPA3, -5000}, {"Home", WPA2, -7000}}, keys: map[string]string{"Home": key(t, home)}, cannot: true}
	keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) {
		after(t, k, time.Minute, "", Unable)
		a.set(func() { a.cannot = false }) // the same network, by another radio
		after(t, k, time.Minute, "Home", None)
	})
	a = &air{seen: []Seen{{"Café", WPA2, -5000}}} // it has a password now
	keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) { after(t, k, time.Minute, "", Refused) })
}

func TestHiddenNetworksAreTriedLast(t *testing.T) {
	list := []Network{{SSID: "Secret", Passphrase: "correct horse", Hidden: true}, {SSID: "Café"}}
	a := &air{seen: []Seen{{"Café", Unlocked, -4000}}, keys: map[string]string{"Café": "closed"}, hidden: []string{"Secret"}}
	a.keys["Secret"] = key(t, list[0])
	keep(t, list, a, func(t *testing.T, k *Keeper) {
		after(t, k, time.Minute, "Secret", None)
		if fmt.Sprint(a.tries) != "[Café Secret]" {
			t.Errorf("tried %q", a.tries)
		}
		a.set(func() { a.hidden, a.joined = nil, "" })
		after(t, k, 5*time.Minute, "", Absent)
	})
}

func TestWithoutNetworksOrARadioThatAnswers(t *testing.T) {
	a := &air{seen: []Seen{{"Other", Unlocked, -3000}}}
	keep(t, nil, a, func(t *testing.T, k *Keeper) {
		after(t, k, time.Hour, "", None)
		if a.tried() != 0 || k.State().Trouble != None {
			t.Errorf("tried %q, country %q", a.tries, a.country)
		}
	})
	a = &air{broken: errors.New("no such interface")}
	keep(t, homeAndCafe(), a, func(t *testing.T, k *Keeper) {
		after(t, k, time.Minute, "", None)
		a.set(func() {
			a.broken, a.seen, a.keys = nil, []Seen{{"Café", Unlocked, -4000}}, map[string]string{"Café": ""}
		})
		after(t, k, time.Minute, "Café", None)
	})
}
