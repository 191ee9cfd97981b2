package placement

import (
	"cmp"
	"maps"
	"slices"

	"redhen/provision/ident"
)

const (
	// DefaultCopies is what a space with Copies 0 gets.
	DefaultCopies = 3
	// MaxVoters is the most voters of a shard.
	MaxVoters = 5
)

// Box is what a plan needs to know of a box.
type Box struct {
	ID    ident.BoxID
	House ident.HouseID
	// Keeper is the account whose spaces this box holds rather than others'; "" when not known.
	Keeper ident.AccountID
	// Active says that the box may hold replicas: false when it is gone, retired or about to retire.
	Active bool
	// Leaving says that the box is about to retire: it holds the circle shard, without a vote, and no space.
	Leaving bool
	// Replacement is the box that was named to follow this one, when not Active.
	Replacement ident.BoxID
	// Given is how many bytes the keeper lets it hold; 0 is no limit.
	Given int64
	// Used is how many bytes it holds now, needed or not.
	Used int64
	// Refuses lists the accounts whose spaces the keeper does not host.
	Refuses []ident.AccountID
}

// Space is a shard and where it is. The circle shard is one too: its Owner, Copies and Bytes do not matter.
type Space struct {
	ID    ident.ShardID
	Owner ident.AccountID
	// Copies is how many replicas are wanted; DefaultCopies when 0.
	Copies int
	// Bytes is the size of one copy.
	Bytes int64
	// Replicas is the placement in force, in any order.
	Replicas []Replica
	// Next is the replica ID that is drawn next; 1 when 0.
	Next ident.ReplicaID
}

// Change is where a shard should be instead. Getting there safely is another's work.
type Change struct {
	Shard ident.ShardID
	// Replicas are ordered by ID.
	Replicas []Replica
	Next     ident.ReplicaID
	// Why is the first reason, in lower-case words, for the log.
	Why string
}

// Plan returns the changes that bring every shard to where it should be, ordered
// by shard; none when all is well. Carried out, the next plan is empty, unless a
// move has made room that a space before it waited for.
//
// The circle shard goes to every active box. A space goes to as many boxes as it
// wants copies: one of its owner's own, then one in each house, the others where there
// is room. What is placed stays, unless its box is no longer Active, the keeper refuses the owner, the box holds
// more than was given and another has room (of another house, or of its own), or another house gains a first copy by
// it. Where all boxes refuse, those that hold copies keep them.
//
// Voters stand one to a house: two in two houses, an odd number up to MaxVoters in
// more. Within a single house they are an odd number of boxes. None is Leaving, while any box stays.
func Plan(boxes []Box, spaces []Space) []Change {
	p := newPlanner(boxes, spaces)
	var changes []Change
	for _, s := range slices.SortedFunc(slices.Values(spaces), func(a, b Space) int { return cmp.Compare(a.ID, b.ID) }) {
		if c, ok := p.space(s); ok {
			changes = append(changes, c)
		}
	}
	return changes
}

// planner knows the boxes, and what the plan so far puts on each.
type planner struct {
	boxes  map[ident.BoxID]*load
	sorted []*load                     // by box ID
	heirs  map[ident.BoxID]ident.BoxID // replacement → the box it replaces
}

// load is a box under plan.
type load struct {
	Box
	placed   int64 // bytes of the spaces on it
	replicas int
}

func newPlanner(boxes []Box, spaces []Space) *planner {
	p := &planner{boxes: map[ident.BoxID]*load{}, heirs: map[ident.BoxID]ident.BoxID{}}
	for _, b := range boxes {
		p.boxes[b.ID] = &load{Box: b}
	}
	for _, id := range slices.Sorted(maps.Keys(p.boxes)) {
		b := p.boxes[id]
		p.sorted = append(p.sorted, b)
		if !b.Active && b.Replacement != "" {
			p.heirs[b.Replacement] = id
		}
	}
	for _, s := range spaces {
		for _, r := range s.Replicas {
			p.add(s, r.Box, +1)
		}
	}
	return p
}

// add counts a replica of s on a box, or takes it away.
func (p *planner) add(s Space, box ident.BoxID, sign int) {
	if b := p.boxes[box]; b != nil && s.ID != ident.CircleShard {
		b.placed += int64(sign) * s.Bytes
		b.replicas += sign
	}
}

// space plans one shard; ok is false when it is where it should be.
func (p *planner) space(s Space) (c Change, ok bool) {
	s.Next = max(s.Next, 1)
	s.Replicas = slices.SortedFunc(slices.Values(s.Replicas), byID)
	var chosen []*load
	if s.ID == ident.CircleShard {
		chosen = p.active()
	} else {
		chosen = p.choose(s)
	}
	if len(chosen) == 0 {
		return Change{}, false
	}
	c = Change{Shard: s.ID, Next: s.Next}
	for _, b := range chosen {
		r, had := s.on(b.ID)
		if !had {
			r = Replica{ID: c.Next, Box: b.ID, Role: Learner}
			c.Next++
			p.add(s, b.ID, +1)
			b.Used += s.Bytes
		}
		c.Replicas = append(c.Replicas, r)
	}
	for _, r := range s.Replicas {
		if !slices.ContainsFunc(chosen, func(b *load) bool { return b.ID == r.Box }) {
			p.add(s, r.Box, -1)
		}
	}
	slices.SortFunc(c.Replicas, byID)
	p.setRoles(s, c.Replicas)
	c.Why = p.why(s, c)
	return c, !slices.Equal(c.Replicas, s.Replicas)
}

func byID(a, b Replica) int { return cmp.Compare(a.ID, b.ID) }

func (p *planner) active() []*load {
	return slices.DeleteFunc(slices.Clone(p.sorted), func(b *load) bool { return !b.Active })
}

// on returns the replica of s on a box.
func (s Space) on(box ident.BoxID) (Replica, bool) {
	i := slices.IndexFunc(s.Replicas, func(r Replica) bool { return r.Box == box })
	if i < 0 {
		return Replica{}, false
	}
	return s.Replicas[i], true
}

// copies returns how many replicas of s are wanted.
func (s Space) copies() int {
	if s.Copies <= 0 {
		return DefaultCopies
	}
	return min(s.Copies, MaxReplicas)
}
