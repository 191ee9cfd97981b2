package p2p

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"redhen/provision/ident"
	"redhen/provision/p2p/netaddr"
)

// isDirect reports whether the connection does not pass a relay.
func isDirect(c network.Conn) bool {
	_, err := c.RemoteMultiaddr().ValueForProtocol(ma.P_CIRCUIT)
	return err != nil
}

// relayDelay is the start that direct dials get before those through relays: a link is
// there at once, and becomes direct beside it. A relay that is itself to be dialled is
// dialled by QUIC first: over TCP it cannot tell us our address, and nobody could punch.
//
// A relay that is to be dialled first gets less of a wait, since that dial takes time itself.
const (
	relayDelay    = 250 * time.Millisecond
	farRelayDelay = 100 * time.Millisecond
)

// rank orders dials. On the local network TCP goes first, since it costs a quarter
// of QUIC's CPU there; elsewhere QUIC does, since it passes NATs. Relays come last.
func rank(addrs []ma.Multiaddr) []network.AddrDelay {
	var near, far []ma.Multiaddr
	for _, a := range addrs {
		if manet.IsPrivateAddr(a) || manet.IsIPLoopback(a) {
			near = append(near, a)
		} else {
			far = append(far, a)
		}
	}
	out := swarm.DefaultDialRanker(far)
	for i, a := range out {
		if _, err := a.Addr.ValueForProtocol(ma.P_CIRCUIT); err == nil {
			start := relayDelay
			if _, err := manet.ToIP(a.Addr); err == nil {
				start = farRelayDelay
			}
			if netaddr.IsTCP(a.Addr) {
				start += swarm.PublicTCPDelay
			}
			out[i].Delay = min(a.Delay, start)
		}
	}
	for _, a := range near {
		var d time.Duration
		if _, err := a.ValueForProtocol(ma.P_TCP); err != nil {
			d = swarm.PublicTCPDelay
		}
		out = append(out, network.AddrDelay{Addr: a, Delay: d})
	}
	return out
}

// Addrs returns the addresses at which this box may be reached, best known first:
// those where a member reached us from outside, other public ones, then those of the
// local network. TCP and QUIC share each port.
func (h *Host) Addrs() []netip.AddrPort {
	var out []netip.AddrPort
	all, ok := h.h.(interface{ AllAddrs() []ma.Multiaddr })
	if ok {
		for _, m := range all.AllAddrs() {
			out = append(out, netaddr.AddrPort(m))
		}
	}
	out = append(out, h.seenAddrs()...)
	h.mu.Lock()
	out = append(out, h.mapped...)
	open := h.verdict.open
	h.mu.Unlock()
	out = slices.DeleteFunc(out, func(a netip.AddrPort) bool {
		ip := a.Addr()
		return !ip.IsValid() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() ||
			netaddr.IsShared(ip) || ip.IsLoopback() && !h.cfg.Loopback
	})
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int {
		return cmp.Or(order(slices.Contains(open, a), slices.Contains(open, b)),
			cmp.Compare(addrRank(a.Addr()), addrRank(b.Addr())), a.Compare(b))
	})
	return slices.Compact(out)
}

func addrRank(a netip.Addr) int {
	switch {
	case netaddr.IsPublic(a):
		return 0
	case a.IsLoopback():
		return 2
	}
	return 1
}

// seenAddrs returns our public QUIC addresses as others see them, at most three,
// the most often seen first. (Behind a symmetric NAT every box sees another one.)
func (h *Host) seenAddrs() []netip.AddrPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := slices.SortedFunc(maps.Keys(h.seen), func(a, b netip.AddrPort) int {
		return cmp.Or(cmp.Compare(h.seen[b], h.seen[a]), a.Compare(b))
	})
	return out[:min(len(out), 3)]
}

// publicAddrs is where others should punch towards.
func (h *Host) publicAddrs() []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range h.Addrs() {
		if netaddr.IsPublic(a.Addr()) {
			out = append(out, netaddr.QUIC(a))
		}
	}
	return out
}

// Relays returns the boxes through which this box can be reached now.
func (h *Host) Relays() []ident.BoxID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.relays))
}

// AddrsOf returns the addresses at which a box was last heard of.
func (h *Host) AddrsOf(box ident.BoxID) []netip.AddrPort {
	if box == h.self {
		return h.Addrs()
	}
	h.mu.Lock()
	hints := slices.Clone(h.hints[box])
	h.mu.Unlock()
	out := append(h.book.Addrs(box), hints...)
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}

// Learn tells where a box may be, without proof: from a ticket, a welcome or mDNS.
// The last eight such hints are kept for each box, in memory.
func (h *Host) Learn(box ident.BoxID, addrs ...netip.AddrPort) {
	h.mu.Lock()
	hints := h.hints[box]
	fresh := false
	for _, a := range addrs {
		if a.IsValid() && a.Port() != 0 && !slices.Contains(hints, a) {
			hints, fresh = append(hints, a), true
		}
	}
	h.hints[box] = hints[max(0, len(hints)-8):]
	h.mu.Unlock()
	if fresh {
		h.newWay(box)
	}
}

// keepRecord signs a new record whenever our addresses change, and saves the book.
func (h *Host) keepRecord(ctx context.Context) {
	const look = 15 * time.Second // for changes of the machine's own addresses; the rest pokes
	var saved time.Time
	for {
		h.beginPunching()
		if h.book.Publish(h.Addrs(), h.Relays(), h.guests.doorUntil(), h.ReachOf(h.self)) {
			h.nudgeAll()
			h.change()
			poke(h.outside)
		}
		ended := ctx.Err() != nil // asked once: what comes before the end is saved
		if h.book.Due(saved) == 0 || ended {
			saved = time.Now()
			if err := h.book.Save(); err != nil {
				h.log.Warn("address book not saved", "err", err)
			}
		}
		if ended {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(look, h.book.Due(saved))):
		case <-h.republish:
		}
	}
}
