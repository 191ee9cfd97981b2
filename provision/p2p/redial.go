package p2p

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/p2p/netaddr"
)

const (
	dialTimeout   = 10 * time.Second
	minRedial     = time.Second            // between two tries on the same ways
	newWayGrace   = 250 * time.Millisecond // for the old ways when there is a new one
	maxRedial     = 15 * time.Second       // between two tries at a box that is off
	brief         = 3 * time.Second        // a connection that lasts less is a failure
	maxUpgrade    = 5 * time.Minute        // between two tries to leave a relay
	reserveAgain  = 20 * time.Minute       // reservations last an hour
	maxDialRelays = 4                      // relays tried at once
)

// redial tries all ways at once when it is time to, and returns when to look
// again. It waits longer after each failure, but not when there is a new way.
func (h *Host) redial(ctx context.Context, l *link) time.Duration {
	if l.news.Swap(false) {
		l.fails, l.next = 0, l.tried.Add(newWayGrace)
	}
	if wait := time.Until(l.next); wait > 0 {
		return wait
	}
	l.tried = time.Now()
	l.next = l.tried.Add(maxRedial)
	err := h.tryWays(ctx, l)
	if errors.Is(err, errNoWay) {
		return maxRedial
	}
	if state, _ := h.stateOf(l.peer); state != None {
		l.next = time.Now().Add(minRedial)
		return 0
	}
	if l.fails == 0 {
		h.log.Debug("not reached", "box", l.box.Short(), "err", err)
	}
	return l.failed()
}

// failed has the next dial wait, longer after each failure, and returns how long.
func (l *link) failed() time.Duration {
	wait := min(minRedial<<min(l.fails, 4), maxRedial)
	wait += rand.N(wait / 4) // both sides must not dial in step for ever
	l.fails++
	l.next = time.Now().Add(wait)
	return wait
}

// steady forgets the failures once a connection has lasted.
func (l *link) steady() {
	if time.Since(l.up) >= brief {
		l.fails = 0
	}
}

var errNoWay = errors.New("no address is known")

// tryWays dials on all ways at once; where a stranger passes words already, it punches.
func (h *Host) tryWays(ctx context.Context, l *link) error {
	if c := h.throughStranger(l.peer); c != nil {
		h.leaveStranger(ctx, l, c)
		return nil
	}
	addrs := h.dialAddrs(l.box)
	if len(addrs) == 0 {
		return errNoWay
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	h.setAbort(l, cancel)
	defer h.setAbort(l, nil)
	return h.dial(dialing, l.peer, addrs)
}

// setAbort says how the dial under way is ended when the other side comes first.
func (h *Host) setAbort(l *link, abort context.CancelFunc) {
	h.mu.Lock()
	l.abort = abort
	h.mu.Unlock()
}

// connected has a link looked at that has just got a connection.
func (h *Host) connected(box ident.BoxID) {
	h.mu.Lock()
	l := h.links[box]
	if l != nil && l.abort != nil {
		l.abort()
	}
	h.mu.Unlock()
	h.nudge(box)
}

// dialAddrs returns every way to a box: where it says it is, where we heard it
// is, and the members that may relay.
func (h *Host) dialAddrs(box ident.BoxID) []ma.Multiaddr {
	var out []ma.Multiaddr
	own := h.Addrs()
	for _, a := range h.AddrsOf(box) {
		if !slices.Contains(own, a) { // somebody else had that address before
			out = append(out, netaddr.Both(a)...)
		}
	}
	out = append(out, h.farAddrs(box)...)
	out = append(out, h.rentedAddrs(box)...)
	for _, r := range h.dialRelays(box) {
		out = append(out, ma.StringCast("/p2p/"+string(r)+"/p2p-circuit"))
	}
	return out
}

// dialRelays returns members with a direct link: those that box names first, and of
// these the ones that are reached from outside, since box keeps its link with them most surely.
func (h *Host) dialRelays(box ident.BoxID) []ident.BoxID {
	named := h.book.Relays(box)
	var out []ident.BoxID
	for _, l := range h.Links() {
		if l.State == Direct && l.Box != box {
			out = append(out, l.Box)
		}
	}
	slices.SortStableFunc(out, func(a, b ident.BoxID) int {
		return cmp.Or(order(slices.Contains(named, a), slices.Contains(named, b)), order(h.isOpen(a), h.isOpen(b)))
	})
	return out[:min(len(out), maxDialRelays)]
}

// isOpen reports whether a member says that it is reached from outside.
func (h *Host) isOpen(box ident.BoxID) bool { return h.book.Reach(box).Wall == addrbook.WallNone }

// dial connects, and leaves no guess about the peer's addresses behind.
func (h *Host) dial(ctx context.Context, p peer.ID, addrs []ma.Multiaddr) error {
	if n, ok := h.h.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		n.Backoff().Clear(p) // up to 5 minutes per address; we have our own
	}
	h.h.Peerstore().ClearAddrs(p)
	err := h.h.Connect(ctx, peer.AddrInfo{ID: p, Addrs: addrs})
	if state, _ := h.stateOf(p); state != Direct {
		h.h.Peerstore().ClearAddrs(p)
	}
	return err
}

// leaveRelay tries from time to time to get a direct connection beside a relayed one.
// Only the side that was called may ask for a punch (DCUtR); the other dials. Where both
// have called, both ask: libp2p takes the busier connection, and one of them was called on it.
func (h *Host) leaveRelay(ctx context.Context, l *link, conns []network.Conn) time.Duration {
	if l.news.Swap(false) {
		l.upgrades, l.upgrade = 0, time.Time{}
	}
	if wait := time.Until(l.upgrade); wait > 0 {
		return wait
	}
	if slices.ContainsFunc(conns, inbound) {
		h.punchTo(l)
	}
	if state, _ := h.stateOf(l.peer); state == Relayed {
		h.dialStraight(ctx, l)
	}
	wait := min(settle<<min(l.upgrades, 8), maxUpgrade)
	l.upgrades++
	l.upgrade = time.Now().Add(wait)
	return wait
}

// oneRelayed leaves one of the connections that two boxes have made through relays at
// once, when they have settled: the one that the box with the smaller name dialled.
func (h *Host) oneRelayed(l *link, conns []network.Conn) {
	young := func(c network.Conn) bool { return time.Since(c.Stat().Opened) < settle }
	if h.self > l.box || slices.ContainsFunc(conns, young) {
		return
	}
	keep := max(0, slices.IndexFunc(conns, func(c network.Conn) bool { return !inbound(c) }))
	for i, c := range conns {
		if i != keep {
			c.Close()
		}
	}
}

func inbound(c network.Conn) bool { return c.Stat().Direction == network.DirInbound }

// dialStraight dials the addresses of a box beside a relayed connection.
func (h *Host) dialStraight(ctx context.Context, l *link) {
	straight := slices.DeleteFunc(h.dialAddrs(l.box), func(a ma.Multiaddr) bool { return !netaddr.AddrPort(a).IsValid() })
	if len(straight) == 0 {
		return
	}
	dialing, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "leave the relay"), directDialTimeout)
	defer cancel()
	h.dial(dialing, l.peer, straight)
}

// punchTo asks the box that called us through a relay to punch.
func (h *Host) punchTo(l *link) {
	p := h.puncher()
	if p == nil || !slices.Contains(h.h.Mux().Protocols(), holepunch.Protocol) {
		return // it does not serve yet
	}
	if err := p.DirectConnect(l.peer); err != nil {
		h.log.Debug("no direct way", "box", l.box.Short(), "err", err)
	}
}

// leaveTCP puts a direct connection over TCP aside for one over QUIC, if UDP passes by
// now, while nobody tells us our address: over TCP nobody can, and nothing is punched.
func (h *Host) leaveTCP(ctx context.Context, l *link, conns []network.Conn) {
	c := conns[0]
	at := netaddr.AddrPort(c.RemoteMultiaddr())
	if inbound(c) || !netaddr.IsTCP(c.RemoteMultiaddr()) || !netaddr.IsPublic(at.Addr()) || len(h.publicAddrs()) > 0 ||
		time.Since(c.Stat().Opened) < settle || time.Now().Before(l.quic) {
		return
	}
	l.quic = time.Now().Add(min(lookAgain<<min(l.quics, 8), maxUpgrade))
	l.quics++
	if !h.passesUDP(ctx, l.peer, at) {
		return
	}
	h.log.Info("UDP passes, connecting anew", "box", l.box.Short())
	for _, c := range conns {
		c.Close()
	}
}

// passesUDP reports whether a box answers QUIC at an address, beside the connections that
// there are.
func (h *Host) passesUDP(ctx context.Context, p peer.ID, at netip.AddrPort) bool {
	n, ok := h.h.Network().(interface {
		TransportForDialing(ma.Multiaddr) transport.Transport
	})
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, directDialTimeout)
	defer cancel()
	c, err := n.TransportForDialing(netaddr.QUIC(at)).Dial(ctx, netaddr.QUIC(at), p)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// prune closes what a settled direct link does not need: relayed connections, and
// all but one direct one. Only the box with the smaller name chooses among direct
// ones, lest both hang up. Streams on a closed one end; their owners open them
// again on the one that stays.
func (h *Host) prune(l *link, conns []network.Conn) {
	direct := slices.DeleteFunc(slices.Clone(conns), func(c network.Conn) bool { return !isDirect(c) })
	for _, c := range direct {
		if time.Since(c.Stat().Opened) < settle {
			return
		}
	}
	for _, c := range conns[len(direct):] {
		c.Close()
	}
	if h.self > l.box {
		return
	}
	best := slices.MaxFunc(direct, func(a, b network.Conn) int { return len(a.GetStreams()) - len(b.GetStreams()) })
	for _, c := range direct {
		if c != best && (!busy(c) || time.Since(c.Stat().Opened) > busyStays) {
			c.Close()
		}
	}
}

// busyStays is how long a surplus direct connection may stay for what passes on it.
const busyStays = time.Minute

// busy reports whether a connection carries more than beats and what libp2p says itself.
func busy(c network.Conn) bool {
	return slices.ContainsFunc(c.GetStreams(), func(s network.Stream) bool {
		p := string(s.Protocol())
		return p != beatProtocol && strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "/ipfs/") && !strings.HasPrefix(p, "/libp2p/")
	})
}

// reserveAt keeps a reservation at a directly connected member, so that others
// reach us through it.
func (h *Host) reserveAt(ctx context.Context, l *link) {
	if time.Now().Before(l.reserve) || !h.roomAt(l.box) {
		return
	}
	asking, cancel := context.WithTimeout(network.WithNoDial(ctx, "reserve"), dialTimeout)
	defer cancel()
	res, err := client.Reserve(asking, h.h, peer.AddrInfo{ID: l.peer})
	if err != nil {
		// It may not know us as a member yet.
		l.reserve = time.Now().Add(settle)
		h.mu.Lock()
		delete(h.relays, l.box)
		h.mu.Unlock()
		return
	}
	l.reserve = time.Now().Add(reserveAgain)
	h.mu.Lock()
	h.relays[l.box] = res.Expiration
	h.mu.Unlock()
	poke(h.republish)
}

// roomAt reports whether there may be one more reservation, at a box: one that is
// reached from outside takes the place of one that is not.
func (h *Host) roomAt(box ident.BoxID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, have := h.relays[box]; have || len(h.relays) < addrbook.MaxRelays {
		return true
	}
	if !h.isOpen(box) {
		return false
	}
	for r := range h.relays {
		if !h.isOpen(r) {
			delete(h.relays, r) // it ends there by itself within the hour
			return true
		}
	}
	return false
}
