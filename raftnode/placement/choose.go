package placement

import (
	"cmp"
	"slices"

	"redhen/provision/ident"
)

// choice is a selection of boxes for one space, while it grows.
type choice struct {
	want   int
	boxes  []*load
	houses map[ident.HouseID]bool
}

func (c *choice) full() bool { return len(c.boxes) >= c.want }

func (c *choice) has(b *load) bool { return slices.Contains(c.boxes, b) }

func (c *choice) take(b *load) {
	if !c.full() && !c.has(b) {
		c.boxes = append(c.boxes, b)
		c.houses[b.House] = true
	}
}

// takeNewHouses takes the first box of each house that has none yet.
func (c *choice) takeNewHouses(bs []*load) {
	for _, b := range bs {
		if !c.houses[b.House] {
			c.take(b)
		}
	}
}

func (c *choice) takeAll(bs []*load) {
	for _, b := range bs {
		c.take(b)
	}
}

// choose returns the boxes that should hold s, none when nothing can be improved.
func (p *planner) choose(s Space) []*load {
	kept, over, fresh := p.sort(s)
	c := &choice{want: s.copies(), houses: map[ident.HouseID]bool{}}
	for _, bs := range [][]*load{kept, over, fresh} {
		if i := slices.IndexFunc(bs, s.home); i >= 0 && len(c.boxes) == 0 {
			c.take(bs[i])
		}
	}
	c.takeNewHouses(kept)
	c.takeNewHouses(fresh)
	c.takeNewHouses(over)
	c.takeAll(kept)
	c.takeAll(fresh)
	c.takeAll(over)
	if len(c.boxes) == 0 {
		c.takeAll(p.lastResort(s))
	}
	return c.boxes
}

// sort returns the boxes that may hold s, best first: those that do, those that
// do although they hold more than was given, and those that have room for it.
func (p *planner) sort(s Space) (kept, over, fresh []*load) {
	for _, b := range p.sorted {
		_, holds := s.on(b.ID)
		switch {
		case !b.Active || b.Leaving || slices.Contains(b.Refuses, s.Owner):
		case holds && b.Given > 0 && b.placed > b.Given:
			over = append(over, b)
		case holds:
			kept = append(kept, b)
		case b.Given == 0 || max(b.placed, b.Used)+s.Bytes <= b.Given:
			fresh = append(fresh, b)
		}
	}
	for _, bs := range [][]*load{kept, over} {
		slices.SortStableFunc(bs, func(a, b *load) int {
			ra, _ := s.on(a.ID)
			rb, _ := s.on(b.ID)
			return cmp.Or(cmp.Compare(ra.Role, rb.Role), cmp.Compare(ra.ID, rb.ID))
		})
	}
	slices.SortStableFunc(fresh, func(a, b *load) int {
		return cmp.Or(
			cmp.Compare(p.inherits(s, b), p.inherits(s, a)),
			cmp.Compare(max(a.placed, a.Used), max(b.placed, b.Used)),
			cmp.Compare(a.replicas, b.replicas))
	})
	return kept, over, fresh
}

// home reports whether the box is one of the owner's own.
func (s Space) home(b *load) bool { return s.Owner != "" && b.Keeper == s.Owner }

// inherits returns 1 when the box was named to follow one that holds s.
func (p *planner) inherits(s Space, b *load) int {
	if old, ok := p.heirs[b.ID]; ok {
		if _, held := s.on(old); held {
			return 1
		}
	}
	return 0
}

// lastResort returns the boxes that hold s against their keeper's will, when no other box will have it.
func (p *planner) lastResort(s Space) []*load {
	return slices.DeleteFunc(p.active(), func(b *load) bool {
		_, holds := s.on(b.ID)
		return !holds
	})
}

// setRoles makes voters of the right number of replicas, in different houses, of
// those that are voters first. A box that is leaving has no vote while another can have one: it may
// be switched off, and of two voters each is needed.
func (p *planner) setRoles(s Space, rs []Replica) {
	byHouse := map[ident.HouseID]int{} // index of the house's best replica
	order := p.staying(rs)
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank(s, rs[a]), rank(s, rs[b])), cmp.Compare(rs[a].ID, rs[b].ID))
	})
	var voters []int
	for _, i := range order {
		house := p.boxes[rs[i].Box].House
		if _, ok := byHouse[house]; !ok {
			byHouse[house] = i
			voters = append(voters, i)
		}
	}
	if len(byHouse) == 1 {
		voters = order[:odd(len(order))]
	} else if len(voters) > 2 {
		voters = voters[:odd(len(voters))]
	}
	for i := range rs {
		rs[i].Role = Learner
		if slices.Contains(voters, i) {
			rs[i].Role = Voter
		}
	}
}

// staying returns the indexes of the replicas whose boxes are not leaving; all where none stays.
func (p *planner) staying(rs []Replica) []int {
	var all, stay []int
	for i, r := range rs {
		if all = append(all, i); !p.boxes[r.Box].Leaving {
			stay = append(stay, i)
		}
	}
	if len(stay) == 0 {
		return all
	}
	return stay
}

// rank orders replicas by how much they are voters: voters, learners, new ones.
func rank(s Space, r Replica) int {
	if old, had := s.on(r.Box); had {
		return int(old.Role)
	}
	return int(Learner) + 1
}

// odd returns the largest odd number of voters up to n and MaxVoters.
func odd(n int) int { return min(n-1+n%2, MaxVoters) }

// why names the first reason for a change.
func (p *planner) why(s Space, c Change) string {
	old := len(s.Replicas)
	for _, r := range s.Replicas {
		b := p.boxes[r.Box]
		stays := slices.ContainsFunc(c.Replicas, func(n Replica) bool { return n.ID == r.ID })
		switch {
		case stays:
		case b == nil || !b.Active || b.Leaving:
			return "its box left"
		case slices.Contains(b.Refuses, s.Owner):
			return "its keeper does not host it"
		case len(c.Replicas) < old:
			return "fewer copies wanted"
		default:
			return "a better place for a copy"
		}
	}
	switch {
	case old == 0:
		return "new"
	case len(c.Replicas) > old:
		return "another copy"
	}
	return "other voters"
}
