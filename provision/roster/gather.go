package roster

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"

	"redhen/provision/ident"
)

// NeedsSignatures returns how many keepers must say that a box is gone or stolen.
func (s *State) NeedsSignatures(b GoneBody) int {
	if s == nil {
		return 1
	}
	return s.removers(s.boxes[b.Box]).n
}

// MayRemove reports whether the keeper of this key has a say in whether the box is gone or stolen.
func (s *State) MayRemove(key ed25519.PublicKey, box ident.BoxID) bool {
	b, ok := s.Box(box)
	return ok && s.removers(b).has(key)
}

// Gather unites the signatures of copies of one change, as far as they count
// now, and returns how many are still missing: Apply takes the result when none
// is. The error says why no signature would help, or that none counts.
func (s *State) Gather(c Change, copies ...Change) (Change, int, error) {
	b, err := c.checked()
	if err != nil {
		return Change{}, 0, err
	}
	r, err := b.rule(s.clone())
	if err != nil {
		return Change{}, 0, err
	}
	whole := Change{Kind: c.Kind, Body: c.Body}
	for _, o := range append([]Change{c}, copies...) {
		if o.Kind != c.Kind || !bytes.Equal(o.Body, c.Body) {
			return Change{}, 0, fmt.Errorf("%w: signatures of different changes", ErrMalformed)
		}
		for _, sig := range o.Sigs {
			if r.has(sig.Key) && o.verifies(sig) && len(whole.Sigs) < MaxSignatures {
				whole.Sigs = addSorted(whole.Sigs, sig)
			}
		}
	}
	if len(whole.Sigs) == 0 {
		return Change{}, 0, fmt.Errorf("%w: none counts", ErrSignature)
	}
	return whole, max(0, r.n-len(whole.Sigs)), nil
}

func addSorted(sigs []Signature, s Signature) []Signature {
	i, found := slices.BinarySearchFunc(sigs, s, bySigner)
	if found {
		return sigs
	}
	return slices.Insert(sigs, i, s)
}
