package roster

import (
	"crypto/ed25519"
	"fmt"

	"redhen/provision/ident"
)

// TakeoverBody begins a new era of a circle that can decide nothing any more,
// because too many of its boxes are lost. Signed by the box that begins the era and
// by its keeper: there is nobody else whose word could be waited for.
//
// It names the chain that it goes on from, so it holds at one place only. Whether so
// many boxes were lost, the chain cannot tell: a box that is in touch with most of
// the others does not listen to it.
type TakeoverBody struct {
	Circle ident.CircleID `cbor:"1,keyasint"`
	Box    ident.BoxID    `cbor:"2,keyasint"` // begins the era
	Era    uint64         `cbor:"3,keyasint"` // State.Era()+1
	Head   [32]byte       `cbor:"4,keyasint"` // State.Head()
	Lost   []Lost         `cbor:"5,keyasint"` // the boxes that are lost, ascending
	Time   int64          `cbor:"6,keyasint"`
}

// Lost is a box that a takeover leaves behind as gone.
type Lost struct {
	Box ident.BoxID `cbor:"1,keyasint"`
	Rev uint64      `cbor:"2,keyasint"` // Box.Rev
}

var _ body = TakeoverBody{}

// NewTakeover makes a takeover and signs it.
func NewTakeover(b TakeoverBody, keys ...ident.Key) Change { return newChange(Takeover, b, keys...) }

// TakeoverBody returns the body of a Takeover change.
func (c Change) TakeoverBody() (TakeoverBody, error) { return bodyOf[TakeoverBody](c, Takeover) }

// Era counts the takeovers of the chain.
func (s *State) Era() uint64 {
	if s == nil {
		return 0
	}
	return s.era
}

func (b TakeoverBody) check() error {
	if len(b.Lost) == 0 || len(b.Lost) > MaxBoxes {
		return fmt.Errorf("%w: %d lost boxes", ErrMalformed, len(b.Lost))
	}
	for i, l := range b.Lost {
		if err := checkBox(l.Box); err != nil {
			return err
		}
		if i > 0 && b.Lost[i-1].Box >= l.Box {
			return fmt.Errorf("%w: lost boxes are not in order", ErrMalformed)
		}
	}
	return firstOf(checkCircle(b.Circle), checkBox(b.Box), checkTime(b.Time))
}

func (b TakeoverBody) rule(s *State) (rule, error) {
	box := s.boxes[b.Box]
	switch {
	case b.Circle != s.circle:
		return rule{}, ErrCircle
	case b.Head != s.Head(), b.Era != s.era+1:
		return rule{}, ErrOutdated
	case box.Status != StatusActive:
		return rule{}, ErrNotActive
	}
	for _, l := range b.Lost {
		if l.Box == b.Box {
			return rule{}, fmt.Errorf("%w: a box gives itself up", ErrMalformed)
		}
		if err := s.mayLeave(l.Box, l.Rev, ""); err != nil {
			return rule{}, err
		}
	}
	return rule{keys: []ed25519.PublicKey{b.Box.PublicKey(), box.KeeperKey}, n: 2, departure: true}, nil
}

func (b TakeoverBody) apply(s *State, n uint64) {
	s.era = b.Era
	for _, l := range b.Lost {
		s.leave(l.Box, StatusGone, "", b.Time, n)
	}
}
