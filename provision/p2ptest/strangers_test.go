package p2ptest

import (
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/p2p"
)

// Rule: where no member can be called, strangers tell where boxes are and pass the
// first words; what NATs allow becomes direct, and nothing else becomes a link.
func TestMatrixWithoutAPublicMember(t *testing.T) {
	each(t, func(t *testing.T, x, y NAT) {
		n := New(Config{Latency: 20 * time.Millisecond})
		n.Strangers(t, 5)
		a, b := box(t, n.Router(x).Spot(), 1), box(t, n.Router(y).Spot(), 2)
		members := []p2p.Member{{Box: a.Self()}, {Box: b.Self()}}
		a.SetMembers(members) // and neither knows any address of the other
		b.SetMembers(members)
		if !punchable(x, y) {
			time.Sleep(3 * time.Minute) // a stranger that relays is changed after two at the latest
			if a.State(b) != p2p.None || b.State(a) != p2p.None {
				t.Errorf("linked: %v, %v", a.State(b), b.State(a))
			}
			return
		}
		took := waitBoth(t, a, b, p2p.Direct, linkedIn)
		talk(t, a, b)
		t.Logf("direct after %v", took)
	})
}

// Rule: strangers help only while they are needed, and only if they may.
func TestStrangersHelpOnlyWhileNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		n.Strangers(t, 5)
		_, a, b, _, _ := homes(t, n, PortRestricted, PortRestricted)
		waitBoth(t, a, b, p2p.Direct, 30*time.Second)
		time.Sleep(10 * time.Minute)
		if _, used := a.Strangers(); used {
			t.Error("strangers help though a member can be called")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		n.Strangers(t, 5)
		a, b := box(t, n.Router(FullCone).Spot(), 1), box(t, n.Router(FullCone).Spot(), 2)
		a.SetStrangers(false)
		b.SetStrangers(false)
		members := []p2p.Member{{Box: a.Self()}, {Box: b.Self()}}
		a.SetMembers(members)
		b.SetMembers(members)
		time.Sleep(5 * time.Minute)
		on, used := a.Strangers()
		if on || used || a.State(b) != p2p.None {
			t.Fatalf("on %v, used %v, %v", on, used, a.State(b))
		}
		a.SetStrangers(true)
		b.SetStrangers(true)
		waitBoth(t, a, b, p2p.Direct, 30*time.Second)
	})
}

// Rule: a ticket of 30 days ago leads to the inviter's box at its new address, though
// nobody can be called and no address on the ticket is right.
func TestAnOldTicketFindsTheInviter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		n.Strangers(t, 5)
		home := n.Router(PortRestricted)
		inviter := box(t, home.Spot(), 1)
		const talkers = "/test/anyone/1"
		inviter.Handle(talkers, p2p.Anyone, echo)
		inviter.OpenDoor(time.Now().Add(31 * 24 * time.Hour))
		old := p2p.Target{Box: inviter.Self(), Addrs: []netip.AddrPort{netip.AddrPortFrom(home.Wan(), 31000)}}
		time.Sleep(10 * time.Minute)
		home.Move()
		time.Sleep(75 * time.Minute) // told to strangers anew
		joiner := box(t, n.Router(PortRestricted).Spot(), 2)
		begun := time.Now()
		for joiner.Connect(t.Context(), old) != nil {
			if time.Since(begun) > 2*time.Minute {
				t.Fatal("the inviter was not found")
			}
			time.Sleep(time.Second)
		}
		s, err := joiner.Open(t.Context(), inviter.Self(), talkers)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		s.SetDeadline(time.Now().Add(5 * time.Second))
		s.Write([]byte("cluck"))
		s.CloseWrite()
		if got, err := io.ReadAll(s); err != nil || string(got) != "cluck" {
			t.Fatalf("got %q, %v", got, err)
		}
		t.Logf("found after %v", time.Since(begun))
		members := []p2p.Member{{Box: inviter.Self()}, {Box: joiner.Self()}}
		inviter.SetMembers(members)
		joiner.SetMembers(members)
		inviter.CloseDoor()
		waitBoth(t, inviter, joiner, p2p.Direct, 30*time.Second)
		talk(t, joiner, inviter)
	})
}
