package p2ptest

import (
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/p2p"
)

// Rule: a box that once got out by TCP alone does not stay so: as soon as UDP passes it
// learns its address, and relayed links become direct.
func TestALinkOverTCPLearnsOfUDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		hotel := n.Router(PortRestricted)
		hotel.BlockUDP(true)
		relay, a, b := box(t, n.Spot(), 1), box(t, hotel.Spot(), 2), box(t, n.Router(PortRestricted).Spot(), 3)
		Circle(t, relay, a, b)
		waitBoth(t, a, b, p2p.Relayed, 2*linkedIn)
		time.Sleep(3 * time.Minute)
		if a.State(b) != p2p.Relayed || a.State(relay) != p2p.Direct {
			t.Fatalf("links %+v", a.Links())
		}
		hotel.BlockUDP(false)
		t.Logf("direct after %v", waitBoth(t, a, b, p2p.Direct, 6*time.Minute))
		talk(t, a, b)
	})
}
