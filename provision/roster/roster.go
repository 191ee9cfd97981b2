// Package roster keeps who belongs to a circle, as a chain of signed changes
// that every box verifies on its own. It is pure: no clock, no randomness, no I/O.
//
// A change carries a body and the signatures that it needs: found by the box;
// admit by the inviter's box and the joiner's; rename and retire by the box (a
// house: by a box of it); gone and stolen by other keepers; a takeover by the box
// that goes on and its keeper. A signature covers
// the body, not the position in the chain, so that signatures can be gathered
// while the chain grows. What keeps an old body from being used again is Rev:
// every body names the change that gave its subject the standing it means to
// end, and applying a body gives its subject a newer one.
//
// A valid chain proves that the right people signed, not that the circle
// agreed: of two valid extensions of one chain, the circle shard's raft log
// says which one happened.
package roster

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// Limits. Whatever is over them is refused before it is looked at.
const (
	MaxBoxes      = 64       // active boxes of a circle
	MaxChanges    = 10_000   // changes of a chain
	MaxChangeSize = 4 << 10  // bytes of an encoded change
	MaxName       = 64       // bytes of a name
	MaxSignatures = 8        // signatures of a change
	MaxSuffix     = 1_000    // changes that Extend takes at once
	reserved      = MaxBoxes // last changes of a chain: only active boxes' departures may use them
	maxTime       = 1 << 48  // milliseconds: the year 10889
)

// What Apply, Check and Decode refuse. Errors wrap exactly one of these.
var (
	ErrMalformed   = errors.New("malformed change")
	ErrSignature   = errors.New("signature missing, wrong, or of someone who has no say")
	ErrCircle      = errors.New("change of another circle")
	ErrFounded     = errors.New("circle is already founded")
	ErrUnknown     = errors.New("no such box or house")
	ErrNotActive   = errors.New("box is not an active member")
	ErrMember      = errors.New("box is already a member")
	ErrStolen      = errors.New("box is marked as stolen")
	ErrOutdated    = errors.New("change was signed for an earlier standing")
	ErrName        = errors.New("name must be 1 to 64 bytes of printable, composed Unicode without spaces at its ends")
	ErrNameTaken   = errors.New("name is taken")
	ErrKeeper      = errors.New("keeper and keeper's key do not belong together")
	ErrReplacement = errors.New("replacement is not another active box")
	ErrLast        = errors.New("circle's last box cannot leave it")
	ErrFull        = errors.New("circle is full")
	ErrFork        = errors.New("chains have parted")
)

// Kind says what a change does. Its numbers are stored and never change.
type Kind uint8

// The kinds of changes.
const (
	Found  Kind = 1 // a box begins a circle
	Admit  Kind = 2 // a box joins, or comes back
	Rename Kind = 3 // a box or a house is called differently
	Retire Kind = 4 // a box leaves by its own will
	Gone   Kind = 5 // keepers say that a box is lost
	Stolen Kind = 6 // keepers say that a box is in wrong hands: it is never let in again

	Takeover Kind = 7 // a box goes on without those that are lost, although they were the majority
)

// String returns the word for k, which is part of what is signed.
func (k Kind) String() string {
	switch k {
	case Found:
		return "found"
	case Admit:
		return "admit"
	case Rename:
		return "rename"
	case Retire:
		return "retire"
	case Gone:
		return "gone"
	case Stolen:
		return "stolen"
	case Takeover:
		return "takeover"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// purpose keeps a signature for one kind from being used for another.
func (k Kind) purpose() string { return "redhen roster " + k.String() }

// Change is one link of the chain.
type Change struct {
	Kind Kind        `cbor:"1,keyasint"`
	Body []byte      `cbor:"2,keyasint"` // wire encoding of the kind's body; what the signatures cover
	Sigs []Signature `cbor:"3,keyasint"` // ascending by key, each key once
}

// Signature is one signature over a change's body.
type Signature struct {
	Key ed25519.PublicKey `cbor:"1,keyasint"` // of a box or of a keeper
	Sig []byte            `cbor:"2,keyasint"`
}

// Status is a box's standing in the circle. Its numbers never change.
type Status uint8

// The standings. Only an active box is a member; a retired or gone one may be
// admitted again, a stolen one never.
const (
	StatusActive  Status = 1
	StatusRetired Status = 2
	StatusGone    Status = 3
	StatusStolen  Status = 4
)

// String returns the word for s.
func (s Status) String() string {
	switch s {
	case StatusActive:
		return "active"
	case StatusRetired:
		return "retired"
	case StatusGone:
		return "gone"
	case StatusStolen:
		return "stolen"
	}
	return "unknown"
}
