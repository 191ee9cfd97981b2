package p2p

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	relayproto "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"

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
	namesProtocol = "/redhen/names/1"
	maxChain      = wire.MaxFrame
	maxNames      = rental.MaxNames * 256 // bytes
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

type namesAnswer struct {
	OK bool `cbor:"1,keyasint"`
}

// readNames serves a box that says by which names visitors may ask for it.
func (h *Host) readNames(_ context.Context, from ident.BoxID, s Stream) {
	s.SetDeadline(time.Now().Add(chainPatience))
	var names []string
	err := wire.Read(s, maxNames, &names)
	if err == nil {
		err = h.guests.rent.Name(from, names, time.Now())
	}
	if err != nil {
		h.log.Info("names refused", "box", from.Short(), "err", err)
	}
	wire.Write(s, namesAnswer{OK: err == nil})
}

// Serving returns, for a relay, the boxes that serve visitors who ask for a name and are
// connected, those of the house that it names and the others of the circle; known: a box
// said that it serves the name.
func (h *Host) Serving(name string) (house, others []ident.BoxID, known bool) {
	house, others = h.guests.rent.Serving(name, time.Now())
	known = len(house)+len(others) > 0
	return h.onlyHere(house), h.onlyHere(others), known
}

// Visited returns, for a relay, the boxes that serve visitors of any name and are
// connected, those of one circle together.
func (h *Host) Visited() (circles [][]ident.BoxID) {
	for _, boxes := range h.guests.rent.Named(time.Now()) {
		if boxes = h.onlyHere(boxes); len(boxes) > 0 {
			circles = append(circles, boxes)
		}
	}
	return circles
}

// onlyHere leaves of boxes those that are connected to this relay.
func (h *Host) onlyHere(boxes []ident.BoxID) []ident.BoxID {
	return slices.DeleteFunc(boxes, func(b ident.BoxID) bool {
		return h.h.Network().Connectedness(mustPeer(b)) != network.Connected
	})
}

// errSpent says that a circle has used up its day at a relay.
var errSpent = errors.New("the circle has used up its day")

// metered is a stream from a relay to a box. What it brings for visitors counts as what
// boxes send each other does, and ends with the circle's day.
type metered struct {
	Stream
	rent *rental.Rental
	box  ident.BoxID
}

func (m metered) Read(b []byte) (int, error) {
	n, err := m.Stream.Read(b)
	return n, cmp.Or(err, m.count(n))
}

func (m metered) Write(b []byte) (int, error) {
	n, err := m.Stream.Write(b)
	return n, cmp.Or(err, m.count(n))
}

func (m metered) count(n int) error {
	now := time.Now()
	m.rent.Passed(m.box, int64(n), now)
	if m.rent.Spent(m.box, now) {
		return errSpent
	}
	return nil
}

// turnOut ends the connections of those who have not shown a chain, and what passes for
// a circle that has used up its day, until ctx ends.
func (h *Host) turnOut(ctx context.Context) {
	for pause(ctx, unknownStays/3) {
		for _, c := range h.h.Network().Conns() {
			box := boxID(c.RemotePeer())
			switch {
			case h.guests.rent.Spent(box, time.Now()):
				endCircuits(c)
			case !h.guests.rent.Tenant(box) && time.Since(c.Stat().Opened) > unknownStays:
				h.turnAway(box, "a relay")
				c.Close()
			}
		}
	}
}

func endCircuits(c network.Conn) {
	for _, s := range c.GetStreams() {
		if isCircuit(s.Protocol()) {
			s.Reset()
		}
	}
}

func isCircuit(p protocol.ID) bool {
	return p == relayproto.ProtoIDv2Hop || p == relayproto.ProtoIDv2Stop
}

// passed counts what a relay passes on: each byte is sent on once, to one box. It wants
// to know nothing else.
type passed struct{ rent *rental.Rental }

var _ metrics.Reporter = passed{}

// LogSentMessageStream counts.
func (p passed) LogSentMessageStream(bytes int64, proto protocol.ID, to peer.ID) {
	if isCircuit(proto) {
		p.rent.Passed(boxID(to), bytes, time.Now())
	}
}

// LogSentMessage does nothing.
func (passed) LogSentMessage(int64) {}

// LogRecvMessage does nothing.
func (passed) LogRecvMessage(int64) {}

// LogRecvMessageStream does nothing.
func (passed) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

// GetBandwidthForPeer returns nothing.
func (passed) GetBandwidthForPeer(peer.ID) (s metrics.Stats) { return s }

// GetBandwidthForProtocol returns nothing.
func (passed) GetBandwidthForProtocol(protocol.ID) (s metrics.Stats) { return s }

// GetBandwidthTotals returns nothing.
func (passed) GetBandwidthTotals() (s metrics.Stats) { return s }

// GetBandwidthByPeer returns nothing.
func (passed) GetBandwidthByPeer() map[peer.ID]metrics.Stats { return nil }

// GetBandwidthByProtocol returns nothing.
func (passed) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }

// Reset does nothing.
func (passed) Reset() {}

// TrimIdle does nothing.
func (passed) TrimIdle(time.Time) {}
