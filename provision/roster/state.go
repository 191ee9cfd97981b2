package roster

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"redhen/provision/ident"
)

// State is what a chain of changes adds up to. It never changes, so it may be
// shared. A nil *State is the empty chain.
type State struct {
	circle ident.CircleID
	name   string
	era    uint64     // takeovers so far
	heads  [][32]byte // heads[n] is the head after n changes; heads[0] is zero
	boxes  map[ident.BoxID]Box
	houses map[ident.HouseID]House // Boxes unset
}

// Box is one box that is or was a member.
type Box struct {
	ID          ident.BoxID
	Name        string
	House       ident.HouseID
	Keeper      ident.AccountID
	KeeperKey   ed25519.PublicKey
	Inviter     ident.BoxID // empty: the founder
	Since       int64       // when it was admitted last, Unix milliseconds by the joiner's clock
	Status      Status
	Until       int64       // when it left, 0 while active
	Replacement ident.BoxID // the box that took its place, empty: none
	Rev         uint64      // number of the change that gave it this Status; changes count from 1
	NameRev     uint64      // number of the change that gave it this Name
}

// House is a house that has or had boxes of the circle.
type House struct {
	ID      ident.HouseID
	Name    string
	NameRev uint64        // number of the change that gave it this Name
	Boxes   []ident.BoxID // active ones, ascending
}

// Replay verifies a whole chain. An empty one gives a nil State.
func Replay(changes []Change) (*State, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	return (*State)(nil).applyAll(changes)
}

// Apply verifies c and returns the state after it. On an error s is all there is.
func (s *State) Apply(c Change) (*State, error) { return s.applyAll([]Change{c}) }

func (s *State) applyAll(changes []Change) (*State, error) {
	next := s.clone()
	for _, c := range changes {
		if err := next.apply(c); err != nil {
			return nil, fmt.Errorf("roster change %d (%s): %w", next.Len()+1, c.Kind, err)
		}
	}
	return next, nil
}

// apply may leave s half changed only when it panics: it verifies first.
func (s *State) apply(c Change) error {
	b, err := c.checked()
	if err != nil {
		return err
	}
	r, err := b.rule(s)
	if err != nil {
		return err
	}
	if err := s.hasRoom(r.departure); err != nil {
		return err
	}
	if err := r.keptBy(c); err != nil {
		return err
	}
	encoded := Encode(c)
	if s.circle == "" {
		sum := sha256.Sum256(encoded)
		s.circle = ident.CircleID(hex.EncodeToString(sum[:16]))
	}
	head := s.Head()
	s.heads = append(s.heads, sha256.Sum256(append(head[:], encoded...)))
	b.apply(s, uint64(s.Len()))
	return nil
}

// hasRoom keeps the end of a chain for departures, so that nobody can fill it
// with renames and admissions and become irremovable.
func (s *State) hasRoom(departure bool) error {
	limit := MaxChanges
	if !departure {
		limit -= reserved
	}
	if s.Len() >= limit {
		return fmt.Errorf("%w: %d changes", ErrFull, s.Len())
	}
	return nil
}

func (s *State) clone() *State {
	if s == nil {
		return &State{heads: make([][32]byte, 1), boxes: map[ident.BoxID]Box{}, houses: map[ident.HouseID]House{}}
	}
	c := *s
	c.heads = slices.Clip(s.heads) // an append copies: states may share their past
	c.boxes, c.houses = maps.Clone(s.boxes), maps.Clone(s.houses)
	return &c
}

// Circle returns the circle's name among computers, empty for an empty chain.
func (s *State) Circle() ident.CircleID {
	if s == nil {
		return ""
	}
	return s.circle
}

// Name returns the circle's name among people.
func (s *State) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

// Len returns the number of changes.
func (s *State) Len() int {
	if s == nil {
		return 0
	}
	return len(s.heads) - 1
}

// Head returns the hash of the whole chain: head_n = SHA-256(head_{n-1} ‖ change_n), head_0 = zero.
func (s *State) Head() [32]byte {
	h, _ := s.HeadAt(s.Len())
	return h
}

// HeadAt returns the head after the first n changes, false when the chain is shorter.
func (s *State) HeadAt(n int) ([32]byte, bool) {
	if n < 0 || n > s.Len() {
		return [32]byte{}, false
	}
	if s == nil {
		return [32]byte{}, true
	}
	return s.heads[n], true
}

// Box returns what is known of a box, member or not.
func (s *State) Box(id ident.BoxID) (Box, bool) {
	if s == nil {
		return Box{}, false
	}
	b, ok := s.boxes[id]
	b.KeeperKey = slices.Clone(b.KeeperKey)
	return b, ok
}

// Active reports whether the box is a member. It is the circle's only allow-list.
func (s *State) Active(id ident.BoxID) bool { return s != nil && s.boxes[id].Status == StatusActive }

// active yields the members in no order.
func (s *State) active() iter.Seq[Box] {
	return func(yield func(Box) bool) {
		if s == nil {
			return
		}
		for _, b := range s.boxes {
			if b.Status == StatusActive && !yield(b) {
				return
			}
		}
	}
}

// Boxes returns all boxes that are or were members, ascending by ID.
func (s *State) Boxes() []Box {
	if s == nil {
		return nil
	}
	return sorted(maps.Values(s.boxes))
}

// Members returns the active boxes, ascending by ID.
func (s *State) Members() []Box { return sorted(s.active()) }

func sorted(boxes iter.Seq[Box]) []Box {
	all := slices.SortedFunc(boxes, func(a, b Box) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for i := range all {
		all[i].KeeperKey = slices.Clone(all[i].KeeperKey)
	}
	return all
}

// House returns what is known of a house, also when it has no active box left.
func (s *State) House(id ident.HouseID) (House, bool) {
	if s == nil {
		return House{}, false
	}
	h, ok := s.houses[id]
	for b := range s.active() {
		if b.House == id {
			h.Boxes = append(h.Boxes, b.ID)
		}
	}
	slices.Sort(h.Boxes)
	return h, ok
}

// Houses returns the houses that have active boxes, ascending by ID.
func (s *State) Houses() []House {
	boxes := map[ident.HouseID][]ident.BoxID{}
	for _, b := range s.Members() {
		boxes[b.House] = append(boxes[b.House], b.ID)
	}
	var houses []House
	for _, id := range slices.Sorted(maps.Keys(boxes)) {
		h := s.houses[id]
		h.Boxes = boxes[id]
		houses = append(houses, h)
	}
	return houses
}

// KeeperKey returns the key of an account that keeps an active box.
func (s *State) KeeperKey(a ident.AccountID) (ed25519.PublicKey, bool) {
	key, ok := s.keepers()[a]
	return slices.Clone(key), ok
}

// keepers returns the keepers of active boxes with their keys, which are distinct.
func (s *State) keepers() map[ident.AccountID]ed25519.PublicKey {
	keys := map[ident.AccountID]ed25519.PublicKey{}
	for b := range s.active() {
		keys[b.Keeper] = b.KeeperKey
	}
	return keys
}
