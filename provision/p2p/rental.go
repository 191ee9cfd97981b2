package p2p

import (
	"context"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p/rental"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// A rented relay is a host with an address of its own that belongs to no circle. It
// passes on what the boxes of those circles send each other that its operator allowed,
// and sees only what they encrypted. A box proves that it belongs to a circle by
// showing the circle's chain of signed changes, which proves itself.
const (
	chainProtocol = "/redhen/chain/1"
	maxChain      = wire.MaxFrame
	chainPatience = 20 * time.Second
	unknownStays  = 15 * time.Second // who has not shown a chain by then has no business here
)

type chainAnswer struct {
	Known bool `cbor:"1,keyasint"` // the box belongs to a circle that is allowed
}

// Tenants returns the circles that a relay serves, none for a box.
func (h *Host) Tenants() []rental.Circle {
	if h.guests.rent == nil {
		return nil
	}
	here := map[ident.BoxID]bool{}
	for _, c := range h.h.Network().Conns() {
		here[boxID(c.RemotePeer())] = true
	}
	return h.guests.rent.Circles(func(b ident.BoxID) bool { return here[b] })
}

// readChain serves a box that shows the chain of its circle.
func (h *Host) readChain(_ context.Context, from ident.BoxID, s Stream) {
	r := h.guests.rent
	if r == nil || !r.Enter(1) {
		s.Reset()
		return
	}
	defer r.Enter(-1)
	s.SetDeadline(time.Now().Add(chainPatience))
	var chain [][]byte
	err := wire.Read(s, maxChain, &chain)
	if err == nil && len(chain) > roster.MaxChanges {
		err = rental.ErrNotAllowed
	}
	if err == nil {
		err = r.Learn(chain)
	}
	if err != nil {
		h.log.Info("chain refused", "box", from.Short(), "err", err)
	}
	wire.Write(s, chainAnswer{Known: err == nil && r.Tenant(from)})
}

// turnOut ends the connections of those who have not shown a chain, until ctx ends.
func (h *Host) turnOut(ctx context.Context) {
	for pause(ctx, unknownStays/3) {
		for _, c := range h.h.Network().Conns() {
			if !h.guests.rent.Tenant(boxID(c.RemotePeer())) && time.Since(c.Stat().Opened) > unknownStays {
				h.turnAway(boxID(c.RemotePeer()), "a relay")
				c.Close()
			}
		}
	}
}
