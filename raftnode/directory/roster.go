package directory

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/placement"
)

// memo keeps a few verified rosters. Applied state, open batch and older views
// are mostly the same chain or one change apart.
type memo struct {
	mu     sync.Mutex
	states []*roster.State // guarded by mu; the last used first
}

const memoSize = 4

// state returns the roster of v, whose chain has length changes: the longest
// remembered one that v's chain extends, and the rest verified now.
func (m *memo) state(v View, length uint64) (*roster.State, error) {
	if length == 0 {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.base(v, length)
	for n := uint64(s.Len()); n < length; n = uint64(s.Len()) {
		suffix := v.Changes(n, int(min(length-n, roster.MaxSuffix)))
		var last rosterRow
		if len(suffix) == 0 || !v.get(rosterKey(n+uint64(len(suffix))-1), &last) {
			return nil, fmt.Errorf("roster of %d changes ends at %d", length, n)
		}
		next, err := s.Extend(suffix, last.Head)
		if err != nil {
			return nil, err
		}
		s = next
	}
	m.states = slices.DeleteFunc(m.states, func(o *roster.State) bool { return o == s })
	m.states = slices.Insert(m.states, 0, s)
	m.states = m.states[:min(memoSize, len(m.states))]
	return s, nil
}

func (m *memo) base(v View, length uint64) (best *roster.State) {
	for _, s := range m.states {
		n := uint64(s.Len())
		if n > length || int(n) <= best.Len() {
			continue
		}
		var row rosterRow
		if v.get(rosterKey(n-1), &row) && row.Head == s.Head() {
			best = s
		}
	}
	return best
}

// extend puts a change at the end of the chain, if the roster's rules allow it.
func (t *txn) extend(c roster.Change) Code {
	next, err := t.roster.Apply(c)
	switch {
	case err == nil:
	case errors.Is(err, roster.ErrNameTaken):
		return NameTaken
	case errors.Is(err, roster.ErrFull):
		return Full
	case errors.Is(err, roster.ErrOutdated):
		return Changed
	default:
		return Refused
	}
	t.put(rosterKey(t.meta.Roster), rosterRow{Change: c, Head: next.Head()})
	t.meta.Roster++
	t.noteRoster(c.Kind, t.roster, next)
	t.roster = next
	return Done
}

// noteRoster writes into the diary what a change changed.
func (t *txn) noteRoster(k roster.Kind, old, next *roster.State) {
	if k == roster.Found {
		t.note(Entry{What: "circle-founded", About: map[string]string{"name": next.Name()}})
		return
	}
	for _, b := range next.Boxes() {
		if was, _ := old.Box(b.ID); was.Status != b.Status || was.Name != b.Name {
			t.note(boxEntry(k, old, next, b))
		}
	}
	for _, h := range next.Houses() {
		if was, ok := old.House(h.ID); ok && was.Name != h.Name {
			about := map[string]string{"house": h.Name, "was": was.Name}
			t.note(Entry{What: "house-renamed", About: about})
		}
	}
}

func boxEntry(k roster.Kind, old, next *roster.State, b roster.Box) Entry {
	house, _ := next.House(b.House)
	about := map[string]string{"box": b.Name, "house": house.Name}
	if was, ok := old.Box(b.ID); ok && was.Name != b.Name {
		about["was"] = was.Name
	}
	if r, ok := next.Box(b.Replacement); ok {
		about["replacement"] = r.Name
	}
	return Entry{What: map[roster.Kind]string{
		roster.Admit: "box-admitted", roster.Rename: "box-renamed", roster.Retire: "box-retired",
		roster.Gone: "box-gone", roster.Stolen: "box-stolen", roster.Takeover: "box-taken-over",
	}[k], About: about}
}

func (f *Found) apply(t *txn) Code {
	if t.roster != nil {
		return Exists
	}
	body, err := f.Change.FoundBody()
	if err != nil || body.Box != t.cmd.By {
		return Refused
	}
	if f.Account.ID != body.Keeper || !bytes.Equal(f.Account.KeeperKey, body.KeeperKey) {
		return Refused
	}
	if code := t.extend(f.Change); code != Done {
		return code
	}
	first := []placement.Replica{{ID: 1, Box: body.Box, Role: placement.Voter}}
	t.putPlacement(ident.CircleShard, Placement{Replicas: first, Next: 2})
	t.replica = 1
	var space *NewSpace
	if f.Space != nil {
		space = &NewSpace{Space: *f.Space, Replicas: first}
	}
	return t.newAccount(f.Account, space)
}

func (a *Admit) apply(t *txn) Code {
	body, err := a.Change.AdmitBody()
	if err != nil || body.Inviter != t.cmd.By {
		return Refused
	}
	if code := t.admitKeeper(a, body); code != Done {
		return code
	}
	if code := t.extend(a.Change); code != Done {
		return code
	}
	if a.Account != nil {
		inviter, _ := t.roster.Box(body.Inviter)
		account := *a.Account
		account.InvitedBy = inviter.Keeper
		if code := t.newAccount(account, a.Space); code != Done {
			return code
		}
	}
	return t.admitReplica(body.Box)
}

// admitKeeper sees to it that the keeper's account, the new one or the one known,
// is the one the joiner signed for.
func (t *txn) admitKeeper(a *Admit, body roster.AdmitBody) Code {
	keeper := a.Account
	if keeper == nil {
		known, ok := t.standing(body.Keeper)
		if !ok {
			return Missing
		}
		keeper = &known
	}
	if keeper.ID != body.Keeper || !bytes.Equal(keeper.KeeperKey, body.KeeperKey) {
		return Refused
	}
	return Done
}

// admitReplica gives a box its replica of the circle shard: a learner with an
// unused ID, also when the box comes back and an old replica is still written down.
func (t *txn) admitReplica(box ident.BoxID) Code {
	p, ok := t.Placement(ident.CircleShard)
	if !ok {
		return Missing
	}
	p.Replicas = slices.DeleteFunc(p.Replicas, func(r placement.Replica) bool { return r.Box == box })
	p.Replicas = append(p.Replicas, placement.Replica{ID: p.Next, Box: box, Role: placement.Learner})
	t.replica = p.Next
	p.Next++
	if placement.Check(p.Replicas, p.Next) != nil {
		return Full
	}
	t.putPlacement(ident.CircleShard, p)
	return Done
}

func (r *RosterChange) apply(t *txn) Code {
	if k := r.Change.Kind; k == roster.Found || k == roster.Admit || k == roster.Takeover {
		return Invalid // those bring an account or a replica along
	}
	code := t.extend(r.Change)
	if code == Done {
		t.dropPetitions()
	}
	return code
}

// dropPetitions drops those that no signature can complete in the new roster;
// the one that has just succeeded is among them.
func (t *txn) dropPetitions() {
	for _, p := range t.Petitions() {
		if _, _, err := t.roster.Gather(p.Change); err != nil {
			t.delete(petitionKey(petitionID(p.Change)))
			t.meta.Petitions--
		}
	}
}

func (p *SignPetition) apply(t *txn) Code {
	if k := p.Change.Kind; k != roster.Gone && k != roster.Stolen {
		return Invalid
	}
	whole, needs, err := t.roster.Gather(p.Change)
	key := petitionKey(petitionID(p.Change))
	var known Petition
	open := t.get(key, &known)
	if err == nil && open {
		whole, needs, err = t.roster.Gather(whole, known.Change)
	}
	switch {
	case errors.Is(err, roster.ErrOutdated):
		return Changed
	case err != nil:
		return Refused
	case needs == 0:
		return (&RosterChange{Change: whole}).apply(t)
	case !open && t.meta.Petitions >= MaxPetitions:
		return Full
	}
	if !open {
		known.Since = t.cmd.Time
		t.meta.Petitions++
	}
	known.Change, t.needs = whole, needs
	t.put(key, known)
	return Waiting
}

// petitionID names a petition by what is signed: two kinds may share a body.
func petitionID(c roster.Change) [32]byte {
	return sha256.Sum256(append([]byte{byte(c.Kind)}, c.Body...))
}
