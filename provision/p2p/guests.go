package p2p

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/p2p/rental"
)

// guests decides who may connect: the one place that the connection gater, the
// stream handlers and the relay read.
//   - Members come and go as they like.
//   - Departed boxes left the circle and may come home: they may connect, and use
//     protocols for Departed.
//   - Partners are boxes that we dial to pair with, and their relay.
//   - Strangers may connect only while the door is open here, or at a member that
//     they may want to reach through us.
type guests struct {
	self       ident.BoxID
	rent       *rental.Rental                               // nil: this is no relay that is rented
	doors      func(member ident.BoxID, now time.Time) bool // is that member's door open?
	turnedAway func(ident.BoxID)                            // hears of those who came and were refused
	serving    atomic.Bool                                  // the handlers are in place

	mu       sync.Mutex
	members  map[ident.BoxID]bool
	departed map[ident.BoxID]bool
	partners map[ident.BoxID]bool
	rented   map[ident.BoxID]bool // relays that belong to no circle
	lent     map[ident.BoxID]bool // strangers that relay for a moment: they may connect, no more
	door     time.Time            // open until
	dead     time.Time            // plays dead until
}

var (
	_ connmgr.ConnectionGater = (*guests)(nil)
	_ relay.ACLFilter         = (*guests)(nil)
)

func newGuests(self ident.BoxID) *guests {
	return &guests{
		self: self, members: map[ident.BoxID]bool{}, partners: map[ident.BoxID]bool{}, lent: map[ident.BoxID]bool{},
		doors:      func(ident.BoxID, time.Time) bool { return false },
		turnedAway: func(ident.BoxID) {},
	}
}

func (g *guests) member(b ident.BoxID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.members[b]
}

// known reports whether b is a member or a partner: whom we may dial.
func (g *guests) known(b ident.BoxID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.members[b] || g.partners[b]
}

func (g *guests) doorOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.door)
}

// anyDoor reports whether a stranger may be on the way to us or through us.
func (g *guests) anyDoor() bool {
	g.mu.Lock()
	now := time.Now()
	open := now.Before(g.door)
	members := make([]ident.BoxID, 0, len(g.members))
	for m := range g.members {
		members = append(members, m)
	}
	g.mu.Unlock()
	for _, m := range members {
		open = open || g.doors(m, now)
	}
	return open
}

// mayOpen reports whether b may open a stream of a protocol.
func (g *guests) mayOpen(b ident.BoxID, who Access) bool {
	if g.playsDead() {
		return false
	}
	switch who {
	case Anyone:
		return g.known(b) || g.doorOpen()
	case tenants:
		return g.rent.Tenant(b)
	case all:
		return g.rent != nil
	case Departed:
		return g.member(b) || g.hasLeft(b)
	case Doors:
		return g.member(b) || g.isRented(b)
	}
	return g.member(b)
}

func (g *guests) hasLeft(b ident.BoxID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.departed[b]
}

// mayStay reports whether a connection with b may exist.
func (g *guests) mayStay(b ident.BoxID) bool {
	return !g.playsDead() && (g.known(b) || g.hasLeft(b) || g.isLent(b) || g.isRented(b) || g.rent != nil || g.anyDoor())
}

// InterceptPeerDial lets the host dial members, partners and those that left, and punch towards a
// stranger who came through the open door.
func (g *guests) InterceptPeerDial(p peer.ID) bool {
	return !g.playsDead() && (g.known(boxID(p)) || g.hasLeft(boxID(p)) || g.isLent(boxID(p)) || g.isRented(boxID(p)) || g.doorOpen())
}

// InterceptAddrDial judges as InterceptPeerDial does.
func (g *guests) InterceptAddrDial(p peer.ID, _ ma.Multiaddr) bool { return g.InterceptPeerDial(p) }

// InterceptAccept refuses before the handshake when nobody at all is expected, and as
// long as there is nothing to meet: who came then would find no protocol.
func (g *guests) InterceptAccept(network.ConnMultiaddrs) bool {
	if !g.serving.Load() {
		return false
	}
	g.mu.Lock()
	somebody := len(g.members)+len(g.departed)+len(g.partners) > 0
	g.mu.Unlock()
	return !g.playsDead() && (somebody || g.rent != nil || g.anyDoor())
}

// InterceptSecured refuses strangers once the handshake has told their name.
func (g *guests) InterceptSecured(way network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	stays := g.mayStay(boxID(p))
	if !stays && !g.playsDead() && way == network.DirInbound {
		g.turnedAway(boxID(p))
	}
	return stays
}

// InterceptUpgraded allows: the name was judged by InterceptSecured.
func (g *guests) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// AllowReserve lets members be reached through us.
func (g *guests) AllowReserve(p peer.ID, _ ma.Multiaddr) bool {
	return !g.playsDead() && (g.member(boxID(p)) || g.rent.Tenant(boxID(p)))
}

// AllowConnect lets members reach members through us, and strangers those members whose door is open.
func (g *guests) AllowConnect(src peer.ID, _ ma.Multiaddr, dest peer.ID) bool {
	s, d := boxID(src), boxID(dest)
	return !g.playsDead() && (g.member(d) && (g.member(s) || g.doors(d, time.Now())) || g.rent.MayPass(s, d, time.Now()))
}

// set replaces the members and returns those that are gone and those that are new.
func (g *guests) set(members []ident.BoxID) (gone, fresh []ident.BoxID) {
	next := make(map[ident.BoxID]bool, len(members))
	for _, m := range members {
		if m != g.self {
			next[m] = true
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for m := range g.members {
		if !next[m] {
			gone = append(gone, m)
			delete(g.partners, m)
		}
	}
	for m := range next {
		if !g.members[m] {
			fresh = append(fresh, m)
		}
	}
	g.members = next
	return gone, fresh
}

func (g *guests) isRented(b ident.BoxID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rented[b]
}

// setRented replaces the relays that belong to no circle.
func (g *guests) setRented(relays []addrbook.Rented) {
	set := make(map[ident.BoxID]bool, len(relays))
	for _, r := range relays {
		set[r.Box] = true
	}
	g.mu.Lock()
	g.rented = set
	g.mu.Unlock()
}

func (g *guests) isLent(b ident.BoxID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lent[b]
}

func (g *guests) addLent(b ident.BoxID) {
	g.mu.Lock()
	g.lent[b] = true
	g.mu.Unlock()
}

// setLent replaces the strangers that relay.
func (g *guests) setLent(set map[ident.BoxID]bool) {
	if set == nil {
		set = map[ident.BoxID]bool{}
	}
	g.mu.Lock()
	g.lent = set
	g.mu.Unlock()
}

func (g *guests) setDeparted(boxes []ident.BoxID) {
	departed := make(map[ident.BoxID]bool, len(boxes))
	for _, b := range boxes {
		departed[b] = true
	}
	g.mu.Lock()
	g.departed = departed
	g.mu.Unlock()
}

func (g *guests) addPartner(b ident.BoxID) {
	g.mu.Lock()
	g.partners[b] = true
	g.mu.Unlock()
}

func (g *guests) dropPartner(b ident.BoxID) {
	g.mu.Lock()
	delete(g.partners, b)
	g.mu.Unlock()
}

func (g *guests) setDoor(until time.Time) {
	g.mu.Lock()
	g.door = until
	g.mu.Unlock()
}

func (g *guests) doorUntil() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.door
}
