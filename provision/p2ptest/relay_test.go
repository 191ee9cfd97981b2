package p2ptest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/roster"
)

// chainOf makes the chain of a circle of boxes with these seeds, the first of which founds it.
func chainOf(t testing.TB, seeds ...byte) (ident.CircleID, func() [][]byte) {
	t.Helper()
	key := func(n byte) ident.Key {
		k, err := ident.KeyFromSeed(bytes.Repeat([]byte{n}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	var raw [][]byte
	var s *roster.State
	for i, n := range seeds {
		house, account := ident.HouseID(fmt.Sprintf("%016x", n)), ident.AccountID(fmt.Sprintf("%016x", n))
		name := fmt.Sprint("box ", n)
		var c roster.Change
		if i == 0 {
			c = roster.NewFound(roster.FoundBody{
				CircleName: "Hens", Box: key(n).BoxID(), BoxName: name, House: house, HouseName: name,
				Keeper: account, KeeperKey: key(n + 100).Public(), Time: 1000, Nonce: [16]byte{n},
			}, key(n))
		} else {
			c = roster.NewAdmit(roster.AdmitBody{
				Circle: s.Circle(), Inviter: key(seeds[0]).BoxID(), Box: key(n).BoxID(), BoxName: name, House: house, HouseName: name,
				Keeper: account, KeeperKey: key(n + 100).Public(), Time: 1000,
			}, key(seeds[0]), key(n))
		}
		next, err := s.Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		s = next
		raw = append(raw, roster.Encode(c))
	}
	return s.Circle(), func() [][]byte { return raw }
}

// Rule: a rented relay carries the circles that its operator allowed, nobody else; one
// box that knows it is enough for all of the circle; what moves is linked again.
func TestARentedRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		circle, chain := chainOf(t, 2, 3)
		other, otherChain := chainOf(t, 4, 5)
		cfg := boxConfig(t, 1)
		cfg.RelayFor = []ident.CircleID{circle}
		spot := n.Spot()
		relay := Start(t, spot, cfg)
		rented := addrbook.Rented{Box: relay.Self(), At: spot.Addr()}
		if got, err := addrbook.ParseRented(rented.String()); err != nil || got != rented {
			t.Fatalf("got %v, %v", got, err)
		}
		ra, rb := n.Router(Symmetric), n.Router(Symmetric)
		a, b := box(t, ra.Spot(), 2), box(t, rb.Spot(), 3)
		x, y := box(t, n.Router(Symmetric).Spot(), 4), box(t, n.Router(Symmetric).Spot(), 5)
		for _, pair := range [][2]*Box{{a, b}, {x, y}} {
			members := []p2p.Member{{Box: pair[0].Self()}, {Box: pair[1].Self()}}
			pair[0].SetMembers(members)
			pair[1].SetMembers(members)
		}
		a.UseRelays([]addrbook.Rented{rented}, chain)
		b.UseRelays([]addrbook.Rented{rented}, chain)
		x.UseRelays([]addrbook.Rented{rented}, otherChain)
		y.UseRelays([]addrbook.Rented{rented}, otherChain)
		a.Wait(t, "reservations", time.Minute, func() bool { return len(a.HeldRelays()) == 1 && len(b.HeldRelays()) == 1 })
		exchangeRecords(t, a, b)
		waitBoth(t, a, b, p2p.Relayed, 30*time.Second)
		if v := via(a, b); v != relay.Self() {
			t.Errorf("through %q", v)
		}
		talk(t, a, b)
		time.Sleep(2 * time.Minute)
		if x.State(y) != p2p.None || len(x.HeldRelays()) != 0 {
			t.Errorf("circle %s is served and not allowed", other)
		}
		tenants := relay.Tenants()
		if len(tenants) != 1 || tenants[0].Circle != circle || tenants[0].Boxes != 2 || tenants[0].Here != 2 {
			t.Errorf("tenants %+v", tenants)
		}
		moved := time.Now()
		ra.Move()
		healed := a.Wait(t, "a link again", 2*healedIn, func() bool {
			return link(a, b).Since.After(moved) && link(b, a).Since.After(moved)
		})
		t.Logf("healed in %v", healed)
		talk(t, b, a)
	})
}

// Rule: a circle that has used up its day at a relay gets nothing more through it.
func TestARentedRelayHasADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		circle, chain := chainOf(t, 2, 3)
		cfg := boxConfig(t, 1)
		cfg.RelayFor, cfg.RelayDaily, cfg.Beat = []ident.CircleID{circle}, 2_000_000, dayBeat
		spot := n.Spot()
		relay := Start(t, spot, cfg)
		home := func(seed byte) *Box {
			cfg := boxConfig(t, seed)
			cfg.Beat = dayBeat
			h, err := p2p.New(n.Router(Symmetric).Spot().Config(cfg))
			if err != nil {
				t.Fatal(err)
			}
			h.Handle(echoProtocol, p2p.Members, echo)
			return Run(t, h)
		}
		a, b := home(2), home(3)
		for _, x := range []*Box{a, b} {
			x.SetMembers([]p2p.Member{{Box: a.Self()}, {Box: b.Self()}})
			x.UseRelays([]addrbook.Rented{{Box: relay.Self(), At: spot.Addr()}}, chain)
		}
		a.Wait(t, "reservations", time.Minute, func() bool { return len(a.HeldRelays()) == 1 && len(b.HeldRelays()) == 1 })
		exchangeRecords(t, a, b)
		waitBoth(t, a, b, p2p.Relayed, 30*time.Second)
		talk(t, a, b)
		if used := relay.Tenants()[0].Today; used < 600_000 || used > 700_000 {
			t.Errorf("counted %d bytes for an echo of 300,000", used)
		}
		for range 3 {
			talk(t, a, b)
		}
		waitBoth(t, a, b, p2p.None, time.Minute)
		time.Sleep(5 * time.Minute)
		if a.State(b) != p2p.None || relay.Tenants()[0].Refused == 0 {
			t.Error("linked beyond the day, or nothing was refused")
		}
		if _, err := relay.Open(t.Context(), a.Self(), echoProtocol); err == nil || errors.Is(err, p2p.ErrNoLink) || errors.Is(err, p2p.ErrNotMember) {
			t.Errorf("a visitor beyond the day: %v", err)
		}
	})
}

// exchangeRecords gives two boxes that cannot meet each other's addresses, as a welcome does.
func exchangeRecords(t testing.TB, a, b *Box) {
	t.Helper()
	for _, pair := range [][2]*Box{{a, b}, {b, a}} {
		if err := pair[0].LearnRecord(pair[1].Record()); err != nil {
			t.Fatal(err)
		}
	}
}
