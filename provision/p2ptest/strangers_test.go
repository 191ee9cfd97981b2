package p2ptest

import (
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
			time.Sleep(10 * time.Minute)
			if a.State(b) != p2p.None || b.State(a) != p2p.None {
				t.Errorf("linked: %v, %v", a.State(b), b.State(a))
			}
			return
		}
		took := waitBoth(t, a, b, p2p.Direct, 30*time.Second)
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
