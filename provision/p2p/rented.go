package p2p

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"
	msmux "github.com/multiformats/go-multistream"

	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/p2p/rental"
	"redhen/provision/wire"
)

const (
	maxAllRents = 4 // relays that a box knows of
	rentedLook  = 5 * time.Second
	rentedIdle  = 5 * time.Minute  // while no relay is known
	rentedAgain = 30 * time.Second // after a relay did not take us
)

// rents is what a box knows of rented relays. Guarded by Host.mu.
type rents struct {
	own   []addrbook.Rented
	chain func() [][]byte // of the circle, as roster encodes changes; nil = none is shown
	names func() []string // by which visitors may ask for us; nil = none
	held  map[addrbook.Rented]time.Time
	next  map[addrbook.Rented]time.Time
	told  map[addrbook.Rented]string // the names that a relay has answered to, with newlines between
	news  chan struct{}              // capacity 1: there may be another relay, or one is lost
}

// UseRelays has the box be reached through rented relays, which know it by the chain of
// its circle. The other members learn of them from this box's record, and use them too.
func (h *Host) UseRelays(own []addrbook.Rented, chain func() [][]byte) {
	h.mu.Lock()
	h.rents.own, h.rents.chain = slices.Clone(own), chain
	h.mu.Unlock()
	poke(h.rents.news)
}

// BringVisitors has the rented relays that take visitors bring us those who ask for one
// of the names, which may change. names is called while Run runs.
func (h *Host) BringVisitors(names func() []string) {
	h.mu.Lock()
	h.rents.names = names
	h.mu.Unlock()
	poke(h.rents.news)
}

// HeldRelays returns the rented relays through which this box can be reached now.
func (h *Host) HeldRelays() []addrbook.Rented {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []addrbook.Rented
	for r, until := range h.rents.held {
		if time.Now().Before(until) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b addrbook.Rented) int { return strings.Compare(a.String(), b.String()) })
	return out[:min(len(out), addrbook.MaxRented)]
}

// knownRelays returns our own relays and those of members.
func (h *Host) knownRelays() []addrbook.Rented {
	h.mu.Lock()
	out := slices.Clone(h.rents.own)
	h.mu.Unlock()
	for _, r := range h.book.AllRented() {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out[:min(len(out), maxAllRents)]
}

// keepRented keeps reservations at rented relays until ctx ends.
func (h *Host) keepRented(ctx context.Context) {
	for ctx.Err() == nil {
		known := h.knownRelays()
		h.guests.setRented(known)
		for _, r := range known {
			h.tendRented(ctx, r)
		}
		wait := rentedLook
		if len(known) == 0 {
			wait = rentedIdle
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-h.rents.news:
		}
		t.Stop()
	}
}

// tendRented reserves at a relay when it is time to.
func (h *Host) tendRented(ctx context.Context, r addrbook.Rented) {
	if h.h.Network().Connectedness(mustPeer(r.Box)) != network.Connected {
		h.dropRented(r)
	}
	h.mu.Lock()
	chain, next := h.rents.chain, h.rents.next[r]
	h.mu.Unlock()
	if chain != nil && time.Now().After(next) {
		h.rent(ctx, r, chain())
	}
	h.tellNames(ctx, r)
}

// dropRented forgets a reservation whose connection is lost.
func (h *Host) dropRented(r addrbook.Rented) {
	h.mu.Lock()
	_, held := h.rents.held[r]
	delete(h.rents.held, r)
	delete(h.rents.told, r)
	if held {
		delete(h.rents.next, r)
	}
	h.mu.Unlock()
	if held {
		poke(h.republish)
	}
}

// rent shows the chain and reserves.
func (h *Host) rent(ctx context.Context, r addrbook.Rented, chain [][]byte) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	until, err := h.tryRent(ctx, r, chain)
	h.mu.Lock()
	if err != nil {
		h.rents.next[r] = time.Now().Add(rentedAgain)
		delete(h.rents.held, r)
	} else {
		delete(h.rents.told, r) // it forgets names that are not told again
		h.rents.next[r], h.rents.held[r] = time.Now().Add(reserveAgain), until
	}
	h.mu.Unlock()
	if err != nil {
		h.log.Info("relay does not take us", "relay", r.Box.Short(), "err", err)
		return
	}
	h.log.Debug("relay takes us", "relay", r.Box.Short())
	poke(h.republish)
}

func (h *Host) tryRent(ctx context.Context, r addrbook.Rented, chain [][]byte) (until time.Time, err error) {
	info := peer.AddrInfo{ID: mustPeer(r.Box), Addrs: netaddr.Both(r.At)}
	if err := h.h.Connect(ctx, info); err != nil {
		return until, err
	}
	s, err := h.h.NewStream(ctx, info.ID, chainProtocol)
	if err != nil {
		return until, err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(chainPatience))
	if err := wire.Write(s, chain); err != nil {
		return until, err
	}
	var a chainAnswer
	if err := wire.Read(s, 64, &a); err != nil {
		return until, err
	}
	if !a.Known {
		return until, rental.ErrNotAllowed
	}
	res, err := client.Reserve(ctx, h.h, info)
	if err != nil {
		return until, err
	}
	return res.Expiration, nil
}

// tellNames says by which names visitors may ask for us, to a relay that takes us and has
// not answered to them. A try that fails is made again. A relay that takes no such names,
// or is of an older version, does no harm: it is left alone until it takes us anew.
func (h *Host) tellNames(ctx context.Context, r addrbook.Rented) {
	h.mu.Lock()
	names, held := h.rents.names, h.rents.held[r]
	h.mu.Unlock()
	if names == nil || held.IsZero() {
		return
	}
	list := names()
	all := strings.Join(list, "\n")
	h.mu.Lock()
	told := h.rents.told[r] == all
	h.mu.Unlock()
	if told {
		return
	}
	err := h.tryTellNames(ctx, r, list)
	if err != nil {
		h.log.Info("relay brings no visitors", "relay", r.Box.Short(), "err", err)
	}
	if err == nil || errors.Is(err, rental.ErrBadNames) || errors.Is(err, msmux.ErrNotSupported[protocol.ID]{}) {
		h.mu.Lock()
		h.rents.told[r] = all
		h.mu.Unlock()
	}
}

func (h *Host) tryTellNames(ctx context.Context, r addrbook.Rented, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	s, err := h.h.NewStream(network.WithNoDial(ctx, namesProtocol), mustPeer(r.Box), namesProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(chainPatience))
	if err := wire.Write(s, append([]string{}, names...)); err != nil { // nil is no list
		return err
	}
	var a namesAnswer
	if err := wire.Read(s, 16, &a); err != nil {
		return err
	}
	if !a.OK {
		return rental.ErrBadNames
	}
	return nil
}

// rentedAddrs returns the ways to a box through the rented relays that it names.
func (h *Host) rentedAddrs(box ident.BoxID) (out []ma.Multiaddr) {
	for _, r := range h.book.Rented(box) {
		if !h.guests.isRented(r.Box) {
			continue
		}
		circuit := ma.StringCast("/p2p/" + string(r.Box) + "/p2p-circuit")
		for _, a := range netaddr.Both(r.At) {
			out = append(out, a.Encapsulate(circuit))
		}
	}
	return out
}
