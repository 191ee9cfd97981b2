package p2ptest

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

const (
	linkedIn = 2 * time.Second // a link there must be after the start
	healedIn = 5 * time.Second // after an address changed
)

func nats() []NAT { return []NAT{FullCone, Restricted, PortRestricted, Symmetric} }

// punchable says whether two NATs let a direct connection through at all (RFC 5128).
func punchable(x, y NAT) bool {
	return !(x == Symmetric && y >= PortRestricted || y == Symmetric && x >= PortRestricted)
}

// want is the best state that two NATs allow while a member can be reached from outside.
func want(x, y NAT) p2p.State {
	if punchable(x, y) {
		return p2p.Direct
	}
	return p2p.Relayed
}

// each runs a test for every ordered pair of NATs, each in a bubble of its own.
func each(t *testing.T, f func(t *testing.T, x, y NAT)) {
	for _, x := range nats() {
		for _, y := range nats() {
			t.Run(x.String()+" to "+y.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, x, y) })
			})
		}
	}
}

// Rule: with a public member every two homes are linked within 2 s, directly where
// their NATs allow it; after the address of either changed, again within 5 s.
func TestMatrixWithAPublicMember(t *testing.T) {
	each(t, func(t *testing.T, x, y NAT) {
		n := New(Config{Latency: 20 * time.Millisecond})
		_, a, b, ra, rb := homes(t, n, x, y)
		linked := a.Wait(t, "a link", linkedIn, func() bool { return a.State(b) != p2p.None && b.State(a) != p2p.None })
		best := waitBoth(t, a, b, want(x, y), linkedIn)
		var healed []time.Duration
		for _, r := range []*Router{ra, rb} {
			time.Sleep(30 * time.Second)
			moved := time.Now()
			r.Move()
			a.Wait(t, "both to link anew", healedIn, func() bool {
				return link(a, b).Since.After(moved) && link(b, a).Since.After(moved) && a.State(b) == want(x, y) && b.State(a) == want(x, y)
			})
			healed = append(healed, time.Since(moved))
			talk(t, a, b)
		}
		t.Logf("linked after %v, %v %v later; healed in %v", linked, want(x, y), best, healed)
	})
}

func waitBoth(t testing.TB, a, b *Box, want p2p.State, max time.Duration) time.Duration {
	t.Helper()
	return a.Wait(t, want.String(), max, func() bool { return a.State(b) == want && b.State(a) == want })
}

// Rule: where UDP does not pass, TCP to a member does, and everybody else is reached through it.
func TestMatrixUDPBlocked(t *testing.T) {
	for _, x := range nats() {
		t.Run(x.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(Config{Latency: 20 * time.Millisecond})
				hotel := n.Router(x)
				hotel.BlockUDP(true)
				relay, a, b := box(t, n.Spot(), 1), box(t, hotel.Spot(), 2), box(t, n.Router(FullCone).Spot(), 3)
				Circle(t, relay, a, b)
				waitBoth(t, a, relay, p2p.Direct, linkedIn)
				waitBoth(t, a, b, p2p.Relayed, 2*linkedIn)
				talk(t, a, b)
			})
		})
	}
}

// Rule: two NATs one behind the other pass like the stricter of both; two homes
// behind one provider's NAT are direct only if that does hairpin.
func TestMatrixDoubleNAT(t *testing.T) {
	for _, c := range []struct {
		outer, inner, other NAT
		want                p2p.State
	}{
		{FullCone, PortRestricted, PortRestricted, p2p.Direct},
		{PortRestricted, PortRestricted, PortRestricted, p2p.Direct},
		{Symmetric, PortRestricted, FullCone, p2p.Direct},
		{Symmetric, PortRestricted, PortRestricted, p2p.Relayed},
		{PortRestricted, Symmetric, Symmetric, p2p.Relayed},
	} {
		t.Run(fmt.Sprint(c.inner, " behind ", c.outer, " to ", c.other), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(Config{Latency: 20 * time.Millisecond})
				carrier := n.Router(c.outer)
				relay, a, b := box(t, n.Spot(), 1), box(t, carrier.Router(c.inner).Spot(), 2), box(t, n.Router(c.other).Spot(), 3)
				Circle(t, relay, a, b)
				waitBoth(t, a, b, c.want, 2*linkedIn)
				talk(t, a, b)
			})
		})
	}
}

func TestMatrixHairpin(t *testing.T) {
	for hairpin, want := range map[bool]p2p.State{true: p2p.Direct, false: p2p.Relayed} {
		t.Run(fmt.Sprint(hairpin), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(Config{Latency: 20 * time.Millisecond})
				carrier := n.Router(PortRestricted)
				carrier.Hairpin(hairpin)
				relay, a, b := box(t, n.Spot(), 1), box(t, carrier.Router(FullCone).Spot(), 2), box(t, carrier.Router(FullCone).Spot(), 3)
				Circle(t, relay, a, b)
				waitBoth(t, a, b, want, 2*linkedIn)
				talk(t, a, b)
			})
		})
	}
}

// Rule: a forwarded port is as good as a public address, also over TCP.
func TestAForwardedPortIsAPublicAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		home, hotel := n.Router(Symmetric), n.Router(Symmetric)
		hotel.BlockUDP(true)
		spot := home.Spot()
		at := home.Forward(spot)
		a, b := box(t, spot, 1), box(t, hotel.Spot(), 2)
		b.Learn(a.Self(), at)
		members := []p2p.Member{{Box: a.Self()}, {Box: b.Self()}}
		a.SetMembers(members)
		b.SetMembers(members)
		waitBoth(t, a, b, p2p.Direct, linkedIn)
		talk(t, b, a)
	})
}

// Rule: 5 % loss costs time, no links.
func TestMatrixWithLoss(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			n := New(Config{Latency: 20 * time.Millisecond, Loss: 0.05, Seed: seed})
			relay, a, b, _, _ := homes(t, n, PortRestricted, PortRestricted)
			waitBoth(t, a, b, p2p.Direct, 2*time.Minute) // a punch that failed is tried again after 5 s, then 10 s, and so on
			time.Sleep(20 * time.Second)
			since := map[*Box]time.Time{b: link(a, b).Since, relay: link(a, relay).Since}
			time.Sleep(30 * time.Minute)
			for to, was := range since {
				if l := link(a, to); l.State != p2p.Direct || !l.Since.Equal(was) {
					t.Errorf("seed %d: a link did not outlive half an hour of 5 %% loss: %+v", seed, l)
				}
			}
		})
	}
}

// Rule: a line that comes and goes is used while it is there, and nothing flaps
// once it stays.
func TestAFlappingLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		_, a, b, ra, _ := homes(t, n, PortRestricted, PortRestricted)
		waitBoth(t, a, b, p2p.Direct, linkedIn)
		for range 20 {
			ra.Cut(true)
			time.Sleep(7 * time.Second)
			ra.Cut(false)
			time.Sleep(11 * time.Second)
		}
		waitBoth(t, a, b, p2p.Direct, healedIn)
		time.Sleep(20 * time.Second)
		since := link(a, b).Since
		time.Sleep(20 * time.Minute)
		if l := link(a, b); !l.Since.Equal(since) {
			t.Errorf("the link was replaced on a quiet line: %v, then %v", since, l.Since)
		}
	})
}

const mailProtocol = "/test/mail/1"

// mailbox takes numbered messages, in order, and says so.
type mailbox struct{ last int }

func (m *mailbox) take(_ context.Context, _ ident.BoxID, s p2p.Stream) {
	var n int
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if wire.Read(s, 64, &n) != nil {
		s.Reset()
		return
	}
	if n == m.last+1 {
		m.last = n
	}
	wire.Write(s, m.last)
}

// send sends message n until it is taken.
func send(ctx context.Context, from, to *Box, n int) error {
	for ctx.Err() == nil {
		changed := from.Changed()
		if s, err := from.Open(ctx, to.Self(), mailProtocol); err == nil {
			var got int
			s.SetDeadline(time.Now().Add(4 * time.Second))
			err = wire.Write(s, n)
			if err == nil {
				err = wire.Read(s, 64, &got)
			}
			s.Reset()
			if err == nil && got >= n {
				return nil
			}
		}
		again := time.NewTimer(time.Second)
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
	}
	return ctx.Err()
}

// dayBeat is slow, or a day of beats would take minutes.
const dayBeat = 30 * time.Second

// Rule: of 24 hours in which every home gets a new address at its own time of night,
// no message is lost, and none is late by more than the healing takes.
func TestADayOfNightlyReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond, Loss: 0.002})
		var box mailbox
		ra, rb := n.Router(PortRestricted), n.Router(Symmetric)
		start := func(at *Spot, seed byte) *Box {
			cfg := boxConfig(t, seed)
			cfg.Beat = dayBeat
			return Start(t, at, cfg)
		}
		relay, a, b := start(n.Spot(), 1), start(ra.Spot(), 2), start(rb.Spot(), 3)
		b.Handle(mailProtocol, p2p.Members, box.take)
		Circle(t, relay, a, b)
		a.Wait(t, "a link", 10*time.Second, func() bool { return a.State(b) != p2p.None })
		begun, slowest, sent := time.Now(), time.Duration(0), 0
		moves := map[int]*Router{2 * 60: ra, 3*60 + 30: rb, 4 * 60: ra, 4*60 + 1: rb}
		for minute := range 24 * 60 {
			time.Sleep(time.Until(begun.Add(time.Duration(minute) * time.Minute)))
			if r := moves[minute]; r != nil {
				r.Move()
			}
			at := time.Now()
			sent++
			if err := send(t.Context(), a, b, sent); err != nil {
				t.Fatal(err)
			}
			slowest = max(slowest, time.Since(at))
		}
		t.Logf("%d messages, the slowest after %v", sent, slowest)
		if box.last != sent || slowest > 5*dayBeat {
			t.Errorf("%d of %d messages arrived, the slowest after %v", box.last, sent, slowest)
		}
	})
}
