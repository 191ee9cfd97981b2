package p2p

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/rendezvous"
)

// The last rung: while no member can be reached from outside, or an invite is out,
// strangers of the public DHT tell where boxes are, and up to two of them pass the
// first words. No link ever stands on a stranger: a connection through one counts as
// none, but for pairing, and for punching a way that needs nobody.
const (
	rungGrace    = 20 * time.Second // for a member that could be reached from outside last time
	rungLook     = time.Second      // while strangers are needed
	rungIdle     = 10 * time.Second // while they are not
	rungAgain    = time.Minute      // after strangers did not answer
	findSoon     = time.Second / 4  // for a box that has told nothing: it may be about to, as after a power cut in both houses
	findAgain    = time.Minute      // for the same box
	announceHour = time.Hour        // strangers forget
	lentRelays   = 2
	lentTime     = time.Minute // at least, and twice that at most
	maxFar       = 8
)

// rung is the state of the last rung. Guarded by Host.mu.
type rung struct {
	on   bool
	met  *rendezvous.Strangers           // nil = not in use
	lent map[peer.ID]lent                // strangers that relay to us
	far  map[ident.BoxID]far             // where strangers say that boxes are
	seen map[network.Conn]netip.AddrPort // our address, as lent relays see it
	need map[ident.BoxID]bool            // boxes to find that are no members: whom we pair with

	announced   []ma.Multiaddr // what strangers know of us
	announcedAt time.Time

	news chan struct{} // capacity 1
}

type lent struct {
	addrs []ma.Multiaddr
	until time.Time
}

type far struct {
	addrs []ma.Multiaddr
	next  time.Time // to ask again
	vain  int       // times in a row that nobody knew
}

func newRung(on bool) rung {
	return rung{
		on: on, lent: map[peer.ID]lent{}, far: map[ident.BoxID]far{}, seen: map[network.Conn]netip.AddrPort{},
		need: map[ident.BoxID]bool{}, news: make(chan struct{}, 1),
	}
}

// SetStrangers switches the help of strangers on or off.
func (h *Host) SetStrangers(on bool) {
	h.mu.Lock()
	h.rung.on = on
	h.mu.Unlock()
	poke(h.rung.news)
}

// Strangers says whether the help of strangers is allowed, and whether it is in use.
func (h *Host) Strangers() (on, used bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rung.on, h.rung.met != nil
}

// climb uses the last rung while it is needed, until ctx ends.
func (h *Host) climb(ctx context.Context) {
	h.watchSeen(ctx)
	defer h.stepDown()
	begun := time.Now()
	for ctx.Err() == nil {
		changed, wait := h.Changed(), rungLook
		if on, _ := h.Strangers(); !on {
			changed, wait = nil, announceHour
		}
		if h.needsStrangers(begun) {
			changed = nil // looked at often anyway
			if err := h.askStrangers(ctx); err != nil && ctx.Err() == nil {
				h.log.Info("strangers do not help", "err", err)
				wait = rungAgain
			} else {
				wait = min(wait, h.nextFind())
			}
		} else {
			wait = max(wait, rungIdle)
			h.stepDown()
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-changed:
		case <-h.rung.news:
		}
		t.Stop()
	}
}

// needsStrangers reports whether there is no other way.
func (h *Host) needsStrangers(begun time.Time) bool {
	h.mu.Lock()
	on, pairing, members := h.rung.on, len(h.rung.need) > 0, len(h.links)
	h.mu.Unlock()
	switch {
	case !on:
		return false
	case pairing || h.guests.doorOpen():
		return true
	case members == 0 || h.Outside():
		return false
	}
	return !h.book.AnyOpen() || time.Since(begun) > rungGrace
}

// askStrangers meets strangers, is reached through some, tells where we are, and asks
// where those are that we do not reach.
func (h *Host) askStrangers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rendezvous.Patience)
	defer cancel()
	h.mu.Lock()
	met := h.rung.met
	h.mu.Unlock()
	if met == nil {
		var err error
		met, err = rendezvous.Meet(ctx, rendezvous.Config{Host: h.scout, Bootstrap: h.cfg.Bootstrap, Logger: h.log})
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.rung.met = met
		h.mu.Unlock()
		h.log.Info("strangers help", "why", "no house can be called from outside, or an invite is out")
		h.change()
	}
	h.borrow(ctx, met)
	var wg sync.WaitGroup
	wg.Go(func() { h.findFar(ctx, met) })
	err := h.announce(ctx, met)
	wg.Wait()
	return err
}

// stepDown ends all that the last rung began.
func (h *Host) stepDown() {
	h.mu.Lock()
	met := h.rung.met
	h.rung.met = nil
	clear(h.rung.lent)
	clear(h.rung.far)
	h.rung.announced, h.rung.announcedAt = nil, time.Time{}
	h.mu.Unlock()
	if met == nil {
		return
	}
	met.Close()
	h.guests.setLent(nil)
	h.sweep()
	h.log.Info("strangers are not needed any more")
	h.change()
}

// borrow keeps reservations at strangers, one after the other over fresh connections:
// a stranger tells from where it sees us only once in each, and we may have moved.
func (h *Host) borrow(ctx context.Context, met *rendezvous.Strangers) {
	h.giveBack()
	h.mu.Lock()
	missing := lentRelays - len(h.rung.lent)
	h.mu.Unlock()
	if missing <= 0 {
		return
	}
	for _, r := range met.Relays(ctx, 4*lentRelays) {
		h.mu.Lock()
		_, have := h.rung.lent[r.ID]
		full := len(h.rung.lent) >= lentRelays
		h.mu.Unlock()
		if full {
			break
		}
		if !have && !h.guests.known(boxID(r.ID)) {
			h.reserveAtStranger(ctx, r)
		}
	}
	h.lend()
}

// giveBack forgets the strangers that are gone, and the one whose time is over.
func (h *Host) giveBack() {
	var over peer.ID
	h.mu.Lock()
	for p, l := range h.rung.lent {
		switch {
		case h.h.Network().Connectedness(p) != network.Connected:
			delete(h.rung.lent, p)
		case time.Now().After(l.until) && len(h.rung.lent) == lentRelays:
			over = p
		}
	}
	delete(h.rung.lent, over)
	h.mu.Unlock()
	if over != "" {
		h.h.Network().ClosePeer(over)
	}
}

func (h *Host) reserveAtStranger(ctx context.Context, r peer.AddrInfo) {
	h.guests.addLent(boxID(r.ID))
	asking, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := client.Reserve(asking, h.h, r); err != nil {
		h.log.Debug("a stranger does not relay", "peer", r.ID.String(), "err", err)
		return
	}
	addrs := slices.DeleteFunc(slices.Clone(r.Addrs), func(a ma.Multiaddr) bool { return !netaddr.IsPublic(netaddr.AddrPort(a).Addr()) })
	h.mu.Lock()
	h.rung.lent[r.ID] = lent{addrs, time.Now().Add(lentTime + rand.N(lentTime))}
	h.mu.Unlock()
}

// lend lets those strangers come and be dialled that relay for us or for who is far.
func (h *Host) lend() {
	set := map[ident.BoxID]bool{}
	h.mu.Lock()
	for p := range h.rung.lent {
		set[boxID(p)] = true
	}
	for _, f := range h.rung.far {
		for _, a := range f.addrs {
			if r, ok := relayOf(a); ok {
				set[r] = true
			}
		}
	}
	h.mu.Unlock()
	h.guests.setLent(set)
	h.sweep()
}

// relayOf returns the relay that an address leads through.
func relayOf(a ma.Multiaddr) (ident.BoxID, bool) {
	if _, err := a.ValueForProtocol(ma.P_CIRCUIT); err != nil {
		return "", false
	}
	r, err := a.ValueForProtocol(ma.P_P2P)
	if err != nil {
		return "", false
	}
	_, err = peer.Decode(r) // no ParseBoxID: strangers may have other kinds of keys
	return ident.BoxID(r), err == nil
}

// announce tells strangers where we are, when that is news to them.
func (h *Host) announce(ctx context.Context, met *rendezvous.Strangers) error {
	var addrs []ma.Multiaddr
	h.mu.Lock()
	for p, l := range h.rung.lent {
		circuit := ma.StringCast("/p2p/" + p.String() + "/p2p-circuit")
		for _, a := range l.addrs[:min(len(l.addrs), 2)] {
			addrs = append(addrs, a.Encapsulate(circuit))
		}
	}
	h.mu.Unlock()
	for _, a := range h.Addrs() {
		if netaddr.IsPublic(a.Addr()) {
			addrs = append(addrs, netaddr.QUIC(a))
		}
	}
	slices.SortFunc(addrs, func(a, b ma.Multiaddr) int { return a.Compare(b) })
	h.mu.Lock()
	known := time.Since(h.rung.announcedAt) < announceHour && slices.EqualFunc(h.rung.announced, addrs, ma.Multiaddr.Equal)
	h.mu.Unlock()
	if known || len(addrs) == 0 {
		return nil
	}
	if err := met.Announce(ctx, h.self, addrs); err != nil {
		return err
	}
	h.mu.Lock()
	h.rung.announced, h.rung.announcedAt = addrs, time.Now()
	h.mu.Unlock()
	return nil
}

// sought returns the boxes that we do not reach, and those that we are to pair with.
func (h *Host) sought() (boxes []ident.BoxID) {
	for _, l := range h.Links() {
		if l.State == None {
			boxes = append(boxes, l.Box)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.AppendSeq(boxes, maps.Keys(h.rung.need))
}

// findFar asks where those are that we do not reach.
func (h *Host) findFar(ctx context.Context, met *rendezvous.Strangers) {
	seek := h.sought()
	h.mu.Lock()
	seek = slices.DeleteFunc(seek, func(b ident.BoxID) bool { return time.Now().Before(h.rung.far[b].next) })
	h.mu.Unlock()
	for _, b := range seek {
		found := met.Find(ctx, b)
		found = slices.DeleteFunc(found, func(a ma.Multiaddr) bool { return !h.mayTry(a) })
		found = found[:min(len(found), maxFar)]
		h.mu.Lock()
		f := far{addrs: found, next: time.Now().Add(findAgain)}
		if len(found) == 0 {
			f.vain = h.rung.far[b].vain + 1
			f.next = time.Now().Add(min(findSoon<<min(f.vain-1, 8), findAgain))
		}
		h.rung.far[b] = f
		h.mu.Unlock()
		h.lend()
		if len(found) > 0 {
			h.log.Debug("strangers know where a box is", "box", b.Short(), "addrs", len(found))
			h.newWay(b)
			h.change()
		}
	}
}

// nextFind returns how long until somebody is asked for again who was not known.
func (h *Host) nextFind() time.Duration {
	wait, seek := findAgain, h.sought()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range seek {
		if f := h.rung.far[b]; f.vain > 0 {
			wait = min(wait, time.Until(f.next))
		}
	}
	return max(wait, findSoon/2)
}

// mayTry reports whether an address that a stranger told leads to the internet at all.
func (h *Host) mayTry(a ma.Multiaddr) bool {
	if r, ok := relayOf(a); ok {
		first, _ := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_P2P })
		return r != h.self && netaddr.IsPublic(netaddr.AddrPort(first).Addr())
	}
	return netaddr.IsPublic(netaddr.AddrPort(a).Addr())
}

// farAddrs returns where strangers say that a box is.
func (h *Host) farAddrs(box ident.BoxID) []ma.Multiaddr {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.rung.far[box].addrs)
}

// seek has strangers asked for a box that is no member, until unseek.
func (h *Host) seek(box ident.BoxID) {
	h.mu.Lock()
	h.rung.need[box] = true
	h.mu.Unlock()
	poke(h.rung.news)
}

func (h *Host) unseek(box ident.BoxID) {
	h.mu.Lock()
	delete(h.rung.need, box)
	h.mu.Unlock()
	poke(h.rung.news)
}

// strangerLife is how long two boxes try to punch over a stranger before they call anew.
const strangerLife = 30 * time.Second

// throughStranger returns a connection that a stranger passes on, nil when there is none.
func (h *Host) throughStranger(p peer.ID) network.Conn {
	for _, c := range h.h.Network().ConnsToPeer(p) {
		if c.Stat().Limited && !c.IsClosed() {
			return c
		}
	}
	return nil
}

// leaveStranger tries to punch. While the connection stands, libp2p dials no other.
func (h *Host) leaveStranger(ctx context.Context, l *link, c network.Conn) {
	switch {
	case time.Since(c.Stat().Opened) > strangerLife:
		c.Close()
	case inbound(c) && h.puncher() != nil:
		h.punchTo(l)
	default:
		h.dialStraight(ctx, l)
	}
}

// watchSeen learns our own public address from lent relays, as beats do from members:
// without it nobody can punch.
func (h *Host) watchSeen(ctx context.Context) {
	sub, err := h.h.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		h.log.Warn("no events of identification", "err", err)
		return
	}
	go func() { // ends with ctx
		defer sub.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-sub.Out():
				if !ok {
					return
				}
				if id, ok := e.(event.EvtPeerIdentificationCompleted); ok {
					h.lentSaw(id)
				}
			}
		}
	}()
}

func (h *Host) lentSaw(id event.EvtPeerIdentificationCompleted) {
	if id.ObservedAddr == nil || !isDirect(id.Conn) || netaddr.IsTCP(id.Conn.RemoteMultiaddr()) || !h.guests.isLent(boxID(id.Peer)) {
		return
	}
	a := netaddr.AddrPort(id.ObservedAddr)
	if !netaddr.IsPublic(a.Addr()) {
		return
	}
	h.mu.Lock()
	if _, have := h.rung.seen[id.Conn]; !have && !id.Conn.IsClosed() {
		h.rung.seen[id.Conn] = a
		h.seen[a]++
	}
	h.mu.Unlock()
	poke(h.republish)
	poke(h.rung.news)
}

// lentGone forgets what a lent relay saw over a connection that has ended.
func (h *Host) lentGone(c network.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, have := h.rung.seen[c]
	if !have {
		return
	}
	delete(h.rung.seen, c)
	if h.seen[a]--; h.seen[a] <= 0 {
		delete(h.seen, a)
	}
	poke(h.rung.news)
}
