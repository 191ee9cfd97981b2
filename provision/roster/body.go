package roster

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// FoundBody begins a circle with one box in one house. Signed by the box.
type FoundBody struct {
	CircleName string            `cbor:"1,keyasint"`
	Box        ident.BoxID       `cbor:"2,keyasint"`
	BoxName    string            `cbor:"3,keyasint"`
	House      ident.HouseID     `cbor:"4,keyasint"`
	HouseName  string            `cbor:"5,keyasint"`
	Keeper     ident.AccountID   `cbor:"6,keyasint"`
	KeeperKey  ed25519.PublicKey `cbor:"7,keyasint"` // not the box's key
	Time       int64             `cbor:"8,keyasint"` // milliseconds since the Unix epoch, as the signer's clock had it
	Nonce      [16]byte          `cbor:"9,keyasint"` // tells two circles of one box apart; see NewNonce
}

// AdmitBody lets a box into the circle. Signed by the inviter's box, which is
// active, and by the joiner's.
type AdmitBody struct {
	Circle    ident.CircleID    `cbor:"1,keyasint"`
	Inviter   ident.BoxID       `cbor:"2,keyasint"`
	Box       ident.BoxID       `cbor:"3,keyasint"`
	Rev       uint64            `cbor:"4,keyasint,omitempty"` // Box.Rev when it comes back, 0 for a box that never was a member
	BoxName   string            `cbor:"5,keyasint"`
	House     ident.HouseID     `cbor:"6,keyasint"`           // a new house, or one of the circle's
	HouseName string            `cbor:"7,keyasint,omitempty"` // may be empty for a house of the circle, else it is that house's name
	Keeper    ident.AccountID   `cbor:"8,keyasint"`
	KeeperKey ed25519.PublicKey `cbor:"9,keyasint"` // the one of the keeper's other boxes, if any
	Time      int64             `cbor:"10,keyasint"`
}

// RenameBody gives a box or a house another name: exactly one of Box and House
// is set. Signed by the box, or by an active box of the house.
type RenameBody struct {
	Circle ident.CircleID `cbor:"1,keyasint"`
	Box    ident.BoxID    `cbor:"2,keyasint,omitempty"`
	House  ident.HouseID  `cbor:"3,keyasint,omitempty"`
	Rev    uint64         `cbor:"4,keyasint"` // Box.NameRev or House.NameRev
	Name   string         `cbor:"5,keyasint"`
	Time   int64          `cbor:"6,keyasint"`
}

// RetireBody takes a box out of the circle by its own will. Signed by the box.
type RetireBody struct {
	Circle      ident.CircleID `cbor:"1,keyasint"`
	Box         ident.BoxID    `cbor:"2,keyasint"`
	Rev         uint64         `cbor:"3,keyasint"`           // Box.Rev
	Replacement ident.BoxID    `cbor:"4,keyasint,omitempty"` // another active box, or none
	Time        int64          `cbor:"5,keyasint"`
}

// GoneBody takes a box out of the circle by the word of others, as lost (Gone)
// or as in wrong hands (Stolen). Signed by keepers: see State.NeedsSignatures.
type GoneBody struct {
	Circle      ident.CircleID `cbor:"1,keyasint"`
	Box         ident.BoxID    `cbor:"2,keyasint"`
	Rev         uint64         `cbor:"3,keyasint"`           // Box.Rev
	Replacement ident.BoxID    `cbor:"4,keyasint,omitempty"` // another active box, or none
	Time        int64          `cbor:"5,keyasint"`
}

// NewNonce draws the nonce of a FoundBody.
func NewNonce() (n [16]byte) {
	rand.Read(n[:]) // never fails (crypto/rand, Go 1.24)
	return n
}

// NewFound makes and signs a founding change.
func NewFound(b FoundBody, box ident.Key) Change { return newChange(Found, b, box) }

// NewAdmit makes an admission and signs it with the keys at hand; AddSignature adds the others.
func NewAdmit(b AdmitBody, keys ...ident.Key) Change { return newChange(Admit, b, keys...) }

// NewRename makes a rename and signs it.
func NewRename(b RenameBody, keys ...ident.Key) Change { return newChange(Rename, b, keys...) }

// NewRetire makes a retirement and signs it.
func NewRetire(b RetireBody, keys ...ident.Key) Change { return newChange(Retire, b, keys...) }

// NewGone says that a box is lost, and signs it.
func NewGone(b GoneBody, keys ...ident.Key) Change { return newChange(Gone, b, keys...) }

// NewStolen says that a box is in wrong hands, and signs it.
func NewStolen(b GoneBody, keys ...ident.Key) Change { return newChange(Stolen, b, keys...) }

func newChange(kind Kind, body any, keys ...ident.Key) Change {
	c := Change{Kind: kind, Body: wire.MustMarshal(body)}
	for _, k := range keys {
		c = AddSignature(c, k)
	}
	return c
}

// AddSignature returns c with key's signature in its place; c itself is not touched.
// It signs whatever the body says: the caller has read it.
func AddSignature(c Change, key ident.Key) Change {
	s := Signature{Key: key.Public(), Sig: key.Sign(c.Kind.purpose(), c.Body)}
	i, found := slices.BinarySearchFunc(c.Sigs, s, bySigner)
	c.Sigs = slices.Clone(c.Sigs)
	if found {
		c.Sigs[i] = s
	} else {
		c.Sigs = slices.Insert(c.Sigs, i, s)
	}
	return c
}

func bySigner(a, b Signature) int { return bytes.Compare(a.Key, b.Key) }

// SignedBy reports whether c bears a valid signature of key.
func (c Change) SignedBy(key ed25519.PublicKey) bool {
	return slices.ContainsFunc(c.Sigs, func(s Signature) bool {
		return bytes.Equal(s.Key, key) && c.verifies(s)
	})
}

func (c Change) verifies(s Signature) bool {
	return ident.Verify(s.Key, c.Kind.purpose(), c.Body, s.Sig)
}

// FoundBody returns the body of a Found change.
func (c Change) FoundBody() (FoundBody, error) { return bodyOf[FoundBody](c, Found) }

// AdmitBody returns the body of an Admit change.
func (c Change) AdmitBody() (AdmitBody, error) { return bodyOf[AdmitBody](c, Admit) }

// RenameBody returns the body of a Rename change.
func (c Change) RenameBody() (RenameBody, error) { return bodyOf[RenameBody](c, Rename) }

// RetireBody returns the body of a Retire change.
func (c Change) RetireBody() (RetireBody, error) { return bodyOf[RetireBody](c, Retire) }

// GoneBody returns the body of a Gone or a Stolen change.
func (c Change) GoneBody() (GoneBody, error) { return bodyOf[GoneBody](c, Gone, Stolen) }

// bodyOf decodes a body and refuses any encoding but the one that we would write.
func bodyOf[T any](c Change, kinds ...Kind) (T, error) {
	var b, zero T
	if !slices.Contains(kinds, c.Kind) {
		return zero, fmt.Errorf("%w: %s is not %s", ErrMalformed, c.Kind, kinds[0])
	}
	if len(c.Body) > MaxChangeSize {
		return zero, fmt.Errorf("%w: body of %d bytes", ErrMalformed, len(c.Body))
	}
	if err := wire.Unmarshal(c.Body, &b); err != nil {
		return zero, fmt.Errorf("%w: body: %v", ErrMalformed, err)
	}
	if !bytes.Equal(wire.MustMarshal(b), c.Body) {
		return zero, fmt.Errorf("%w: body is not in its one encoding", ErrMalformed)
	}
	return b, nil
}

// body is what every kind of change knows about itself.
type body interface {
	check() error                  // looks at the form alone
	rule(s *State) (rule, error)   // who must sign in s, or why it cannot apply there
	apply(s *State, number uint64) // changes s; only after the rule was kept
}

var (
	_ body = FoundBody{}
	_ body = AdmitBody{}
	_ body = RenameBody{}
	_ body = RetireBody{}
	_ body = removal{}
)

// removal is a GoneBody with the status that its change's kind gives.
type removal struct {
	GoneBody
	status Status
}

func (c Change) decode() (body, error) {
	switch c.Kind {
	case Found:
		return c.FoundBody()
	case Admit:
		return c.AdmitBody()
	case Rename:
		return c.RenameBody()
	case Retire:
		return c.RetireBody()
	case Gone:
		b, err := c.GoneBody()
		return removal{b, StatusGone}, err
	case Stolen:
		b, err := c.GoneBody()
		return removal{b, StatusStolen}, err
	case Takeover:
		return c.TakeoverBody()
	}
	return nil, fmt.Errorf("%w: %s", ErrMalformed, c.Kind)
}
