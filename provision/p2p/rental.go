package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// A rented relay is a host with an address of its own that belongs to no circle. It
// passes on what the boxes of those circles send each other that its operator allowed,
// and sees only what they encrypted. A box proves that it belongs to a circle by
// showing the circle's chain of signed changes, which proves itself.
const (
	chainProtocol  = "/redhen/chain/1"
	maxChain       = wire.MaxFrame
	chainPatience  = 20 * time.Second
	unknownStays   = 15 * time.Second // who has not shown a chain by then has no business here
	circuitsAMin   = 600              // connections that a circle may begin in a minute
	maxChainsAtOne = 2
)

type chainAnswer struct {
	Known bool `cbor:"1,keyasint"` // the box belongs to a circle that is allowed
}

// rental is what a relay knows of circles.
type rental struct {
	allowed map[ident.CircleID]bool

	mu      sync.Mutex // guards all below
	circles map[ident.CircleID]*tenancy
	reading int
}

type tenancy struct {
	roster  *roster.State
	minute  time.Time
	begun   int // connections since then
	refused int // in all, for being too many
}

func newRental(circles []ident.CircleID) *rental {
	r := &rental{allowed: map[ident.CircleID]bool{}, circles: map[ident.CircleID]*tenancy{}}
	for _, c := range circles {
		r.allowed[c] = true
	}
	return r
}

// tenant reports whether the box belongs to a circle here. A nil rental has none.
func (r *rental) tenant(b ident.BoxID) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.circles {
		if t.roster.Active(b) {
			return true
		}
	}
	return false
}

// mayPass reports whether one box may now reach another through us.
func (r *rental) mayPass(from, to ident.BoxID, now time.Time) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.circles {
		if !t.roster.Active(from) || !t.roster.Active(to) {
			continue
		}
		if now.Sub(t.minute) >= time.Minute {
			t.minute, t.begun = now, 0
		}
		if t.begun >= circuitsAMin {
			t.refused++
			return false
		}
		t.begun++
		return true
	}
	return false
}

var errNotAllowed = errors.New("circle is not allowed here")

// learn takes a chain if it is the longest of an allowed circle.
func (r *rental) learn(raw [][]byte) error {
	var changes []roster.Change
	for i, b := range raw {
		c, err := roster.Decode(b)
		if err != nil {
			return fmt.Errorf("chain: %w", err)
		}
		changes = append(changes, c)
		if i == 0 { // before the rest costs anything
			s, err := roster.Replay(changes)
			if err != nil {
				return fmt.Errorf("chain: %w", err)
			}
			if !r.allowed[s.Circle()] {
				return errNotAllowed
			}
		}
	}
	s, err := roster.Replay(changes)
	if err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	if s == nil {
		return errNotAllowed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.circles[s.Circle()]
	switch {
	case t == nil:
		r.circles[s.Circle()] = &tenancy{roster: s}
	case s.Len() > t.roster.Len():
		t.roster = s // a circle whose chain has parted is served by the longer side
	}
	return nil
}

// enter bounds the chains that are read at once.
func (r *rental) enter(by int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if by > 0 && r.reading >= maxChainsAtOne {
		return false
	}
	r.reading += by
	return true
}

// Tenant is a circle that a relay serves.
type Tenant struct {
	Circle  ident.CircleID
	Boxes   int // of the circle
	Here    int // connected now
	Refused int // connections that were too many
}

// Tenants returns the circles that a relay serves, none for a box.
func (h *Host) Tenants() (list []Tenant) {
	r := h.guests.rent
	if r == nil {
		return nil
	}
	here := map[ident.BoxID]bool{}
	for _, c := range h.h.Network().Conns() {
		here[boxID(c.RemotePeer())] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, t := range r.circles {
		one := Tenant{Circle: id, Refused: t.refused}
		for _, b := range t.roster.Members() {
			one.Boxes++
			if here[b.ID] {
				one.Here++
			}
		}
		list = append(list, one)
	}
	return list
}

// readChain serves a box that shows the chain of its circle.
func (h *Host) readChain(_ context.Context, from ident.BoxID, s Stream) {
	r := h.guests.rent
	if r == nil || !r.enter(1) {
		s.Reset()
		return
	}
	defer r.enter(-1)
	s.SetDeadline(time.Now().Add(chainPatience))
	var chain [][]byte
	err := wire.Read(s, maxChain, &chain)
	if err == nil && len(chain) > roster.MaxChanges {
		err = errNotAllowed
	}
	if err == nil {
		err = r.learn(chain)
	}
	if err != nil {
		h.log.Info("chain refused", "box", from.Short(), "err", err)
	}
	wire.Write(s, chainAnswer{Known: err == nil && r.tenant(from)})
}

// turnOut ends the connections of those who have not shown a chain, until ctx ends.
func (h *Host) turnOut(ctx context.Context) {
	for pause(ctx, unknownStays/3) {
		for _, c := range h.h.Network().Conns() {
			if !h.guests.rent.tenant(boxID(c.RemotePeer())) && time.Since(c.Stat().Opened) > unknownStays {
				h.turnAway(boxID(c.RemotePeer()), "a relay")
				c.Close()
			}
		}
	}
}
