package p2p

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"redhen/provision/ident"
)

func testPeer(t *testing.T) (ident.BoxID, peer.ID) {
	t.Helper()
	box := newKey(t).BoxID()
	p, err := peer.Decode(string(box))
	if err != nil {
		t.Fatal(err)
	}
	return box, p
}

// The whole table of who may do what.
func TestWhoMayDoWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self, selfPeer := testPeer(t)
		member, memberPeer := testPeer(t)
		partner, partnerPeer := testPeer(t)
		stranger, strangerPeer := testPeer(t)
		open := false // the member's door
		g := newGuests(self)
		g.doors = func(b ident.BoxID, _ time.Time) bool { return open && b == member }
		check := func(when, what string, got, want bool) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s: got %v, want %v", when, what, got, want)
			}
		}
		check("alone", "somebody comes", g.InterceptAccept(nil), false)
		g.set([]ident.BoxID{self, member})
		g.addPartner(partner)

		always := func(when string) {
			t.Helper()
			check(when, "member comes", g.InterceptSecured(network.DirInbound, memberPeer, nil), true)
			check(when, "member is dialled", g.InterceptPeerDial(memberPeer), true)
			check(when, "member opens members' protocol", g.mayOpen(member, Members), true)
			check(when, "member reserves", g.AllowReserve(memberPeer, nil), true)
			check(when, "partner comes", g.InterceptSecured(network.DirInbound, partnerPeer, nil), true)
			check(when, "partner opens anyone's protocol", g.mayOpen(partner, Anyone), true)
			check(when, "partner opens members' protocol", g.mayOpen(partner, Members), false)
			check(when, "partner reserves", g.AllowReserve(partnerPeer, nil), false)
			check(when, "stranger opens members' protocol", g.mayOpen(stranger, Members), false)
			check(when, "stranger reserves", g.AllowReserve(strangerPeer, nil), false)
			check(when, "member to stranger through us", g.AllowConnect(memberPeer, nil, strangerPeer), false)
			check(when, "stranger to stranger through us", g.AllowConnect(strangerPeer, nil, partnerPeer), false)
			check(when, "we are no member of our own", g.member(self), false)
			check(when, "stranger to us through us", g.AllowConnect(strangerPeer, nil, selfPeer), false)
		}
		always("shut")
		check("shut", "stranger comes", g.InterceptSecured(network.DirInbound, strangerPeer, nil), false)
		check("shut", "stranger is dialled", g.InterceptPeerDial(strangerPeer), false)
		check("shut", "stranger opens anyone's protocol", g.mayOpen(stranger, Anyone), false)
		check("shut", "stranger to member through us", g.AllowConnect(strangerPeer, nil, memberPeer), false)

		open = true
		always("member's door open")
		check("member's door open", "stranger comes", g.InterceptSecured(network.DirInbound, strangerPeer, nil), true)
		check("member's door open", "stranger opens anyone's protocol here", g.mayOpen(stranger, Anyone), false)
		check("member's door open", "stranger to member through us", g.AllowConnect(strangerPeer, nil, memberPeer), true)

		open = false
		g.setDoor(time.Now().Add(time.Minute))
		always("own door open")
		check("own door open", "stranger comes", g.InterceptSecured(network.DirInbound, strangerPeer, nil), true)
		check("own door open", "stranger opens anyone's protocol", g.mayOpen(stranger, Anyone), true)
		check("own door open", "stranger to member through us", g.AllowConnect(strangerPeer, nil, memberPeer), false)
		time.Sleep(time.Minute)
		check("a minute later", "stranger comes", g.InterceptSecured(network.DirInbound, strangerPeer, nil), false)

		g.dropPartner(partner)
		gone, fresh := g.set([]ident.BoxID{partner})
		if len(gone) != 1 || gone[0] != member || len(fresh) != 1 || fresh[0] != partner {
			t.Errorf("gone %v, fresh %v", gone, fresh)
		}
		check("removed", "member comes", g.InterceptSecured(network.DirInbound, memberPeer, nil), false)
		check("removed", "member reserves", g.AllowReserve(memberPeer, nil), false)
	})
}
