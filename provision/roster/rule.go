package roster

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"

	"redhen/provision/ident"
)

// rule says whose signatures a change needs: n of these keys, and none of anybody else.
type rule struct {
	keys      []ed25519.PublicKey
	n         int
	departure bool // it takes an active box out
}

// allOf is the rule that each of the boxes signs.
func allOf(boxes ...ident.BoxID) rule {
	r := rule{n: len(boxes)}
	for _, b := range boxes {
		r.keys = append(r.keys, b.PublicKey())
	}
	return r
}

func (r rule) has(key ed25519.PublicKey) bool {
	return slices.ContainsFunc(r.keys, func(k ed25519.PublicKey) bool { return bytes.Equal(k, key) })
}

// keptBy verifies all signatures. Check has seen to it that no key signs twice.
func (r rule) keptBy(c Change) error {
	for _, s := range c.Sigs {
		if !r.has(s.Key) {
			return fmt.Errorf("%w: signer has no say in this", ErrSignature)
		}
		if !c.verifies(s) {
			return fmt.Errorf("%w: signature does not verify", ErrSignature)
		}
	}
	if len(c.Sigs) < r.n {
		return fmt.Errorf("%w: %d of %d", ErrSignature, len(c.Sigs), r.n)
	}
	return nil
}

func (b FoundBody) rule(s *State) (rule, error) {
	if s.Len() > 0 {
		return rule{}, ErrFounded
	}
	return allOf(b.Box), nil
}

func (b FoundBody) apply(s *State, n uint64) {
	s.name = b.CircleName
	s.houses[b.House] = House{ID: b.House, Name: b.HouseName, NameRev: n}
	s.boxes[b.Box] = Box{
		ID: b.Box, Name: b.BoxName, House: b.House, Keeper: b.Keeper, KeeperKey: b.KeeperKey,
		Since: b.Time, Status: StatusActive, Rev: n, NameRev: n,
	}
}

func (b AdmitBody) rule(s *State) (rule, error) {
	if b.Circle != s.circle {
		return rule{}, ErrCircle
	}
	if !s.Active(b.Inviter) {
		return rule{}, fmt.Errorf("inviter: %w", ErrNotActive)
	}
	switch known := s.boxes[b.Box]; { // the zero Box when never seen
	case known.Status == StatusActive:
		return rule{}, ErrMember
	case known.Status == StatusStolen:
		return rule{}, ErrStolen
	case known.Rev != b.Rev:
		return rule{}, ErrOutdated
	}
	if s.members() >= MaxBoxes {
		return rule{}, fmt.Errorf("%w: %d boxes", ErrFull, MaxBoxes)
	}
	if err := firstOf(s.boxNameFree(b.BoxName, b.Box), s.mayMoveIn(b.House, b.HouseName), s.mayKeep(b.Box, b.Keeper, b.KeeperKey)); err != nil {
		return rule{}, err
	}
	if b.Gift && s.boxes[b.Inviter].Keeper != b.Keeper {
		return rule{}, fmt.Errorf("gift: %w", ErrKeeper)
	}
	return allOf(b.Inviter, b.Box), nil
}

func (b AdmitBody) apply(s *State, n uint64) {
	if h := s.houses[b.House]; b.HouseName != "" && b.HouseName != h.Name {
		s.houses[b.House] = House{ID: b.House, Name: b.HouseName, NameRev: n}
	}
	s.boxes[b.Box] = Box{
		ID: b.Box, Name: b.BoxName, House: b.House, Keeper: b.Keeper, KeeperKey: b.KeeperKey,
		Gift: b.Gift, Inviter: b.Inviter, Since: b.Time, Status: StatusActive, Rev: n, NameRev: n,
	}
}

// mayMoveIn says whether a box may be admitted to a house under a name. A house
// that has active boxes keeps its name; one that has none may get another.
func (s *State) mayMoveIn(id ident.HouseID, name string) error {
	h, known := s.House(id)
	if name == "" {
		name = h.Name
	}
	switch {
	case !known && name == "":
		return fmt.Errorf("%w: a new house has none", ErrName)
	case len(h.Boxes) > 0 && name != h.Name:
		return fmt.Errorf("%w: the house is called otherwise", ErrName)
	}
	return s.houseNameFree(name, id)
}

// mayKeep keeps accounts and keepers' keys paired one to one, so that distinct
// keys are distinct keepers, and keepers' keys apart from boxes' keys.
func (s *State) mayKeep(box ident.BoxID, keeper ident.AccountID, key ed25519.PublicKey) error {
	if _, clash := s.boxes[ident.BoxIDOf(key)]; clash {
		return ErrKeeper
	}
	joiner := box.PublicKey()
	for _, o := range s.boxes {
		if bytes.Equal(o.KeeperKey, joiner) ||
			o.Status == StatusActive && (o.Keeper == keeper) != bytes.Equal(o.KeeperKey, key) {
			return ErrKeeper
		}
	}
	return nil
}

func (b KeepBody) rule(s *State) (rule, error) {
	if b.Circle != s.circle {
		return rule{}, ErrCircle
	}
	box, ok := s.boxes[b.Box]
	switch {
	case !ok:
		return rule{}, ErrUnknown
	case box.Status != StatusActive:
		return rule{}, ErrNotActive
	case !box.Gift:
		return rule{}, fmt.Errorf("no gift (any more): %w", ErrKeeper)
	}
	r := allOf(b.Box)
	r.keys, r.n = append(r.keys, b.KeeperKey), 2
	return r, firstOf(sameRev(box, b.Rev), s.mayKeep(b.Box, b.Keeper, b.KeeperKey))
}

func (b KeepBody) apply(s *State, n uint64) {
	box := s.boxes[b.Box]
	box.Keeper, box.KeeperKey, box.Gift, box.Rev = b.Keeper, b.KeeperKey, false, n
	s.boxes[b.Box] = box
}

func (s *State) boxNameFree(name string, except ident.BoxID) error {
	for b := range s.active() {
		if b.ID != except && strings.EqualFold(b.Name, name) {
			return ErrNameTaken
		}
	}
	return nil
}

func (s *State) houseNameFree(name string, except ident.HouseID) error {
	for b := range s.active() {
		if b.House != except && strings.EqualFold(s.houses[b.House].Name, name) {
			return ErrNameTaken
		}
	}
	return nil
}

// members counts the active boxes.
func (s *State) members() (n int) {
	for range s.active() {
		n++
	}
	return n
}

func (b RenameBody) rule(s *State) (rule, error) {
	if b.Circle != s.circle {
		return rule{}, ErrCircle
	}
	if b.House != "" {
		return b.houseRule(s)
	}
	box, ok := s.boxes[b.Box]
	switch {
	case !ok:
		return rule{}, ErrUnknown
	case box.Status != StatusActive:
		return rule{}, ErrNotActive
	case box.NameRev != b.Rev:
		return rule{}, ErrOutdated
	}
	return allOf(b.Box), s.boxNameFree(b.Name, b.Box)
}

func (b RenameBody) houseRule(s *State) (rule, error) {
	h, ok := s.House(b.House)
	switch {
	case !ok:
		return rule{}, ErrUnknown
	case len(h.Boxes) == 0:
		return rule{}, ErrNotActive
	case h.NameRev != b.Rev:
		return rule{}, ErrOutdated
	}
	r := allOf(h.Boxes...)
	r.n = 1
	return r, s.houseNameFree(b.Name, b.House)
}

func (b RenameBody) apply(s *State, n uint64) {
	if b.House != "" {
		s.houses[b.House] = House{ID: b.House, Name: b.Name, NameRev: n}
		return
	}
	box := s.boxes[b.Box]
	box.Name, box.NameRev = b.Name, n
	s.boxes[b.Box] = box
}

func (b RetireBody) rule(s *State) (rule, error) {
	if b.Circle != s.circle {
		return rule{}, ErrCircle
	}
	if err := s.mayLeave(b.Box, b.Rev, b.Replacement); err != nil {
		return rule{}, err
	}
	r := allOf(b.Box)
	r.departure = true
	return r, nil
}

func (b RetireBody) apply(s *State, n uint64) {
	s.leave(b.Box, StatusRetired, b.Replacement, b.Time, n)
}

func (b removal) rule(s *State) (rule, error) {
	if b.Circle != s.circle {
		return rule{}, ErrCircle
	}
	box := s.boxes[b.Box]
	err := error(nil)
	switch {
	case box.Status == StatusStolen:
		err = ErrStolen
	case box.Status != StatusActive && box.Status != 0 && b.status == StatusStolen:
		// A box that left before may turn out to be in wrong hands.
		err = firstOf(sameRev(box, b.Rev), s.mayReplace(b.Box, b.Replacement))
	default:
		err = s.mayLeave(b.Box, b.Rev, b.Replacement)
	}
	if err != nil {
		return rule{}, err
	}
	r := s.removers(box)
	r.departure = box.Status == StatusActive
	return r, nil
}

func (b removal) apply(s *State, n uint64) { s.leave(b.Box, b.status, b.Replacement, b.Time, n) }

// removers is the rule for gone and stolen (DESIGN §2): the other keepers, one
// of them, or two when the circle has three keepers or more. Where one keeper
// keeps all boxes, that keeper.
func (s *State) removers(box Box) rule {
	keepers := s.keepers()
	r := rule{n: 1}
	if len(keepers) >= 3 {
		r.n = 2
	}
	for account, key := range keepers {
		if account != box.Keeper {
			r.keys = append(r.keys, key)
		}
	}
	if len(r.keys) == 0 {
		r.keys = append(r.keys, box.KeeperKey)
	}
	return r
}

func (s *State) mayLeave(id ident.BoxID, rev uint64, replacement ident.BoxID) error {
	box, ok := s.boxes[id]
	switch {
	case !ok:
		return ErrUnknown
	case box.Status != StatusActive:
		return ErrNotActive
	case s.members() == 1:
		return ErrLast
	}
	return firstOf(sameRev(box, rev), s.mayReplace(id, replacement))
}

func sameRev(box Box, rev uint64) error {
	if box.Rev != rev {
		return ErrOutdated
	}
	return nil
}

func (s *State) mayReplace(old, replacement ident.BoxID) error {
	if replacement != "" && (replacement == old || !s.Active(replacement)) {
		return ErrReplacement
	}
	return nil
}

func (s *State) leave(id ident.BoxID, status Status, replacement ident.BoxID, time int64, n uint64) {
	box := s.boxes[id]
	box.Status, box.Replacement, box.Until, box.Rev = status, replacement, time, n
	s.boxes[id] = box
}
