package p2p

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
	"redhen/provision/p2p/netaddr"
)

// Target is a box that we are not in a circle with (yet), and the ways to it.
type Target struct {
	Box   ident.BoxID
	Addrs []netip.AddrPort
	Relay ident.BoxID    // "" = none
	At    netip.AddrPort // where Relay is
}

// ticketPatience is how long the known ways to a box have, before strangers are asked
// for newer ones. Without them it is tried again.
const ticketPatience = 8 * time.Second

// Connect dials a box that is no member, to pair with it. Until Leave, it and its
// relay may connect to us, and open streams of protocols for Anyone.
func (h *Host) Connect(ctx context.Context, to Target) error {
	p, err := peer.Decode(string(to.Box))
	if err != nil {
		return fmt.Errorf("connect to %q: %w", to.Box, ident.ErrBadBoxID)
	}
	h.guests.addPartner(to.Box)
	var addrs []ma.Multiaddr
	for _, a := range to.Addrs {
		addrs = append(addrs, netaddr.Both(a)...)
	}
	if to.Relay != "" && to.At.IsValid() {
		h.guests.addPartner(to.Relay)
		circuit, err := ma.NewMultiaddr("/p2p/" + string(to.Relay) + "/p2p-circuit")
		if err != nil {
			return fmt.Errorf("connect through %q: %w", to.Relay, ident.ErrBadBoxID)
		}
		for _, a := range netaddr.Both(to.At) {
			addrs = append(addrs, a.Encapsulate(circuit))
		}
	}
	addrs = append(addrs, h.farAddrs(to.Box)...)
	if len(addrs) == 0 {
		h.seek(to.Box)
		return fmt.Errorf("connect to %s: %w", to.Box.Short(), ErrNoLink)
	}
	dialing, cancel := context.WithTimeout(ctx, ticketPatience)
	defer cancel()
	if err := h.dial(dialing, p, addrs); err != nil {
		h.seek(to.Box) // strangers may know newer addresses than the ticket
		return fmt.Errorf("connect to %s: %w", to.Box.Short(), err)
	}
	// Who refuses us hangs up at once, and has told us nothing of itself.
	if said, _ := h.h.Peerstore().GetProtocols(p); len(said) == 0 || h.h.Network().Connectedness(p) == network.NotConnected {
		h.h.Network().ClosePeer(p) // the next try must not take what is about to end for a connection
		return fmt.Errorf("connect to %s: refused there: %w", to.Box.Short(), ErrNoLink)
	}
	return nil
}

// Visit connects to a box that left the circle (SetDeparted), where it was heard of
// last, as it may have gone on without this one. It does nothing when there is a
// connection already; ErrNotMember for any other box that is no member.
func (h *Host) Visit(ctx context.Context, box ident.BoxID) error {
	p, err := peer.Decode(string(box))
	if err != nil {
		return fmt.Errorf("visit %q: %w", box, ident.ErrBadBoxID)
	}
	if h.h.Network().Connectedness(p) == network.Connected {
		return nil
	}
	if !h.guests.hasLeft(box) {
		return fmt.Errorf("visit %s: %w", box.Short(), ErrNotMember)
	}
	var addrs []ma.Multiaddr
	for _, a := range h.AddrsOf(box) {
		addrs = append(addrs, netaddr.Both(a)...)
	}
	addrs = append(addrs, h.farAddrs(box)...)
	if len(addrs) == 0 {
		return fmt.Errorf("visit %s: %w", box.Short(), ErrNoLink)
	}
	dialing, cancel := context.WithTimeout(ctx, ticketPatience)
	defer cancel()
	if err := h.dial(dialing, p, addrs); err != nil {
		return fmt.Errorf("visit %s: %w", box.Short(), err)
	}
	return nil
}

// Leave ends what Connect began, except with boxes that have become members.
func (h *Host) Leave(to Target) {
	h.unseek(to.Box)
	for _, b := range []ident.BoxID{to.Box, to.Relay} {
		h.guests.dropPartner(b)
	}
	h.sweep()
}

// OpenDoor lets strangers connect until the time, for protocols that are for
// Anyone, here and through members that relay to us. A later call replaces it.
func (h *Host) OpenDoor(until time.Time) {
	h.guests.setDoor(until)
	poke(h.rung.news)
	poke(h.republish)
}

// CloseDoor shuts strangers out again.
func (h *Host) CloseDoor() {
	h.guests.setDoor(time.Time{})
	h.sweep()
	poke(h.republish)
}
