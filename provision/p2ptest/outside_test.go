package p2ptest

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/p2p/addrbook"
	"redhen/provision/p2p/portmap"
)

// Rule: a box knows whether it is reached from outside, and what keeps it from being so;
// the others know it too, from its signed record.
func TestABoxKnowsWhatStandsBeforeIt(t *testing.T) {
	home := func(nat NAT, m Mapping, udp bool) func(*Net) *Spot {
		return func(n *Net) *Spot {
			r := n.Router(nat)
			r.Mapping(m)
			r.BlockUDP(!udp)
			return r.Spot()
		}
	}
	for _, c := range []struct {
		name   string
		spot   func(*Net) *Spot
		want   addrbook.Wall
		router portmap.Says
		strict bool
	}{
		{"a rented server", (*Net).Spot, addrbook.WallNone, portmap.Silent, false},
		{"a plain home", home(PortRestricted, NoMapping, true), addrbook.WallSilent, portmap.Silent, false},
		{"a strict router", home(Symmetric, NoMapping, true), addrbook.WallSilent, portmap.Silent, true},
		{"a router that refuses", home(PortRestricted, RefuseMapping, true), addrbook.WallRefused, portmap.Refuses, false},
		{"a router that passes the port", home(Symmetric, AllowMapping, true), addrbook.WallNone, portmap.Passes, false},
		{"a router that lies", home(PortRestricted, FeignMapping, true), addrbook.WallFiltered, portmap.Passes, false},
		{"no UDP", home(PortRestricted, NoMapping, false), addrbook.WallUDP, portmap.Silent, false},
		{"behind a provider's NAT", func(n *Net) *Spot {
			r := n.Router(PortRestricted).Router(PortRestricted)
			r.Mapping(AllowMapping)
			return r.Spot()
		}, addrbook.WallCarrier, portmap.Private, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(Config{Latency: 20 * time.Millisecond})
				a, x, y := box(t, c.spot(n), 1), box(t, n.Spot(), 2), box(t, n.Spot(), 3)
				Circle(t, a, x, y)
				a.Wait(t, "an outlook", 2*time.Minute, func() bool { return a.Outlook().Wall == c.want })
				time.Sleep(time.Minute) // and it stays
				o := a.Outlook()
				if o.Wall != c.want || o.Router != c.router || o.Strict != c.strict {
					t.Errorf("outlook %+v, want wall %d, router %v, strict %v", o, c.want, c.router, c.strict)
				}
				if (len(o.Open) > 0) != (c.want == addrbook.WallNone) {
					t.Errorf("open at %v, wall %d", o.Open, o.Wall)
				}
				x.Wait(t, "the record", time.Minute, func() bool {
					r := x.ReachOf(a.Self())
					return r.Wall == c.want && slices.Equal(r.Open, o.Open)
				})
			})
		})
	}
}

// Rule: the answer follows the address: after a move the old one does not count.
func TestTheOutlookFollowsTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		r := n.Router(PortRestricted)
		r.Mapping(AllowMapping)
		a, x := box(t, r.Spot(), 1), box(t, n.Spot(), 2)
		Circle(t, a, x)
		openAt := func(ip netip.Addr) func() bool {
			return func() bool {
				o := a.Outlook()
				return o.Wall == addrbook.WallNone && slices.Equal(o.Open, []netip.AddrPort{netip.AddrPortFrom(ip, Port)})
			}
		}
		a.Wait(t, "reached", 2*time.Minute, openAt(r.Wan()))
		time.Sleep(5 * time.Minute)
		a.Wait(t, "reached at the new address", 3*time.Minute, openAt(r.Move()))
		time.Sleep(5 * time.Minute)
		r.Mapping(RefuseMapping)
		r.Unforward()
		a.Wait(t, "the wall", time.Hour, func() bool { return a.Outlook().Wall == addrbook.WallRefused })
	})
}

// Rule: a member that can be reached from outside is preferred as a relay, and makes
// the circle one that can be found again.
func TestTheCircleKnowsThatSomebodyIsOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		relay, a, b, _, _ := homes(t, n, PortRestricted, Symmetric)
		a.Wait(t, "somebody outside", 2*time.Minute, a.Outside)
		relay.Stop()
		a.Wait(t, "nobody outside", time.Minute, func() bool { return !a.Outside() && !b.Outside() })
	})
}
