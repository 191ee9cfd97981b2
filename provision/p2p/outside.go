package p2p

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/p2p/portmap"
)

// Outlook is what a box knows of its own way out and in.
type Outlook struct {
	Wall    addrbook.Wall
	Open    []netip.AddrPort // where a member reached it from outside
	Checked time.Time        // by a member; zero = never
	Router  portmap.Says
	Strict  bool // the router gives every destination another port: fewer punches succeed
	// Slow is how far our clock is behind what others signed. A box whose clock stands
	// before the others' keys were certified cannot link at all.
	Slow time.Duration
}

const (
	lookOutside      = 30 * time.Minute // when nothing changed
	lookOutsideAgain = 20 * time.Second // at the soonest
)

// verdict is what a call back told.
type verdict struct {
	asked []netip.AddrPort
	open  []netip.AddrPort
	at    time.Time
}

// watchOutside keeps finding out whether we can be reached from outside.
func (h *Host) watchOutside(ctx context.Context) {
	for ctx.Err() == nil {
		t := time.NewTimer(h.findOutside(ctx))
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-h.outside:
			pause(ctx, time.Second) // changes come in groups
		}
		t.Stop()
	}
}

// findOutside asks members that are not in this house, one after the other, until one
// has called. It returns when to look again.
func (h *Host) findOutside(ctx context.Context) time.Duration {
	own := slices.DeleteFunc(h.Addrs(), func(a netip.AddrPort) bool { return !netaddr.IsPublic(a.Addr()) })
	own = own[:min(len(own), maxCallAddrs)]
	slices.SortFunc(own, netip.AddrPort.Compare)
	h.mu.Lock()
	last := h.verdict
	h.mu.Unlock()
	same := slices.Equal(last.asked, own)
	if since := time.Since(last.at); same && since < lookOutside {
		return lookOutside - since
	}
	if !same && len(last.asked) > 0 {
		h.judge(verdict{}) // what was found is not true of the new addresses
	}
	if len(own) == 0 {
		return lookOutside
	}
	if wait := lookOutsideAgain - time.Since(last.at); wait > 0 {
		return wait
	}
	for _, m := range h.outsiders(own) {
		told, ok, err := h.askCall(ctx, m, own)
		if err != nil || !ok {
			h.log.Debug("not called back", "box", m.Short(), "err", err)
			continue
		}
		v := verdict{asked: own, at: time.Now()}
		for i, a := range own {
			if (told.TCP|told.QUIC)&(1<<i) != 0 {
				v.open = append(v.open, a)
			}
		}
		h.judge(v)
		return lookOutside
	}
	return lookOutsideAgain
}

// judge takes in a verdict and tells others.
func (h *Host) judge(v verdict) {
	h.mu.Lock()
	was := h.verdict
	h.verdict = v
	h.mu.Unlock()
	if !slices.Equal(was.open, v.open) || was.at.IsZero() != v.at.IsZero() {
		h.log.Info("reached from outside", "at", v.open)
		h.change()
	}
	poke(h.republish)
}

// outsiders returns the members that can judge: linked directly, over the internet,
// and not from behind our own router.
func (h *Host) outsiders(own []netip.AddrPort) (list []ident.BoxID) {
	for _, l := range h.Links() {
		if l.State != Direct {
			continue
		}
		_, conns := h.stateOf(mustPeer(l.Box))
		for _, c := range conns {
			ip := netaddr.AddrPort(c.RemoteMultiaddr()).Addr()
			near := slices.ContainsFunc(own, func(a netip.AddrPort) bool { return a.Addr() == ip })
			if isDirect(c) && netaddr.IsPublic(ip) && !near {
				list = append(list, l.Box)
				break
			}
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// Outlook returns what we know of our own way out and in.
func (h *Host) Outlook() Outlook {
	addrs := h.Addrs()
	blocked := h.udpBlocked()
	slow := max(0, time.Until(h.book.Newest()))
	h.mu.Lock()
	defer h.mu.Unlock()
	o := Outlook{Open: slices.Clone(h.verdict.open), Checked: h.verdict.at, Router: h.router, Strict: h.strict(), Slow: slow}
	o.Wall = h.wall(addrs, blocked)
	return o
}

// wall names what keeps us from being reached. Callers hold h.mu.
func (h *Host) wall(addrs []netip.AddrPort, blocked bool) addrbook.Wall {
	behind := !slices.ContainsFunc(addrs, func(a netip.AddrPort) bool {
		return netaddr.IsPublic(a.Addr()) && int(a.Port()) == h.Port() && h.seen[a] == 0
	})
	switch {
	case len(h.verdict.open) > 0:
		return addrbook.WallNone
	case blocked:
		return addrbook.WallUDP
	case h.router == portmap.Private:
		return addrbook.WallCarrier
	case h.verdict.at.IsZero():
		return addrbook.WallUnknown
	case h.router == portmap.Passes:
		return addrbook.WallFiltered
	case h.router == portmap.Refuses:
		return addrbook.WallRefused
	case behind:
		return addrbook.WallSilent
	}
	return addrbook.WallFiltered
}

// strict reports whether others see us at different ports of one address. Callers hold h.mu.
func (h *Host) strict() bool {
	ports := map[netip.Addr]uint16{}
	for a := range h.seen {
		if p, ok := ports[a.Addr()]; ok && p != a.Port() && a.Addr().Is4() {
			return true
		}
		ports[a.Addr()] = a.Port()
	}
	return false
}

// udpBlocked reports whether all that we reach over the internet is reached by TCP:
// QUIC has a head start, and wins wherever it passes.
func (h *Host) udpBlocked() bool {
	tcp, quic := 0, 0
	for _, c := range h.h.Network().Conns() {
		if !isDirect(c) || !netaddr.IsPublic(netaddr.AddrPort(c.RemoteMultiaddr()).Addr()) {
			continue
		}
		if netaddr.IsTCP(c.RemoteMultiaddr()) {
			tcp++
		} else {
			quic++
		}
	}
	return tcp > 0 && quic == 0
}

// ReachOf returns what a box last said of itself; of this box, what holds now.
func (h *Host) ReachOf(box ident.BoxID) addrbook.Reach {
	if box == h.self {
		o := h.Outlook()
		return addrbook.Reach{Wall: o.Wall, Open: o.Open, Rented: h.HeldRelays()}
	}
	return h.book.Reach(box)
}

// Outside reports whether this box or a member with a link can be reached from outside.
// A circle on one machine needs nobody to be, and a rented relay is as good.
func (h *Host) Outside() bool {
	if h.cfg.Loopback || len(h.HeldRelays()) > 0 || h.Outlook().Wall == addrbook.WallNone {
		return true
	}
	for _, l := range h.Links() {
		if l.State != None && h.book.Reach(l.Box).Wall == addrbook.WallNone {
			return true
		}
	}
	return false
}
