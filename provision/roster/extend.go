package roster

import (
	"fmt"
	"sort"
)

// Relation says how my chain stands to another.
type Relation uint8

// The relations.
const (
	Same   Relation = iota + 1 // equal
	Newer                      // mine extends theirs
	Older                      // theirs extends mine
	Longer                     // theirs is longer; whether it extends mine, Extend tells
	Forked                     // neither extends the other
)

// String returns a word for r.
func (r Relation) String() string {
	switch r {
	case Same:
		return "same"
	case Newer:
		return "newer"
	case Older:
		return "older"
	case Longer:
		return "longer"
	case Forked:
		return "forked"
	}
	return "unknown"
}

// Compare tells how mine stands to theirs: Same, Newer, Older or Forked.
func Compare(mine, theirs *State) Relation {
	if mine.Len() < theirs.Len() {
		if h, _ := theirs.HeadAt(mine.Len()); h == mine.Head() {
			return Older
		}
		return Forked
	}
	return mine.CompareHead(theirs.Len(), theirs.Head())
}

// CompareHead tells how s stands to a chain of which only length and head are
// known: Same, Newer, Forked, or Longer when that chain is the longer one.
func (s *State) CompareHead(length int, head [32]byte) Relation {
	h, ok := s.HeadAt(length)
	switch {
	case !ok && length > s.Len():
		return Longer
	case !ok || h != head:
		return Forked
	case length == s.Len():
		return Same
	}
	return Newer
}

// Extend verifies that suffix, of at most MaxSuffix changes, leads from s to
// head, and returns the state there. Changes do not name their predecessor, so
// it is the head that tells a suffix of another chain (ErrFork).
func (s *State) Extend(suffix []Change, head [32]byte) (*State, error) {
	if len(suffix) > MaxSuffix {
		return nil, fmt.Errorf("%w: %d changes at once", ErrMalformed, len(suffix))
	}
	if len(suffix) == 0 {
		if s.Head() != head {
			return nil, ErrFork
		}
		return s, nil
	}
	next, err := s.applyAll(suffix)
	if err != nil {
		return nil, err
	}
	if next.Head() != head {
		return nil, ErrFork
	}
	return next, nil
}

// Common returns how many changes two chains share: where they parted, if neither
// extends the other.
func Common(a, b *State) int {
	// The heads are equal up to there, and nowhere behind it.
	return sort.Search(min(a.Len(), b.Len()), func(n int) bool {
		x, _ := a.HeadAt(n + 1)
		y, _ := b.HeadAt(n + 1)
		return x != y
	})
}
