package status

import (
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/raftnode"
)

// tally is the facts, sorted by what the report asks.
type tally struct {
	f       Facts
	houseOf map[ident.BoxID]ident.HouseID
	boxes   map[ident.BoxID]BoxFacts
	reached map[ident.BoxID]Reached
	answers map[ident.BoxID]raftnode.Status
	late    map[ident.ShardID][]Late
}

func newTally(f Facts) *tally {
	t := &tally{f: f,
		houseOf: map[ident.BoxID]ident.HouseID{}, boxes: map[ident.BoxID]BoxFacts{},
		reached: map[ident.BoxID]Reached{}, answers: map[ident.BoxID]raftnode.Status{},
	}
	for _, b := range f.Circle.Boxes {
		t.houseOf[b.ID], t.boxes[b.ID] = b.House, b
	}
	for _, st := range f.Boxes {
		t.answers[st.Box] = st
	}
	for _, b := range f.Circle.Boxes {
		t.reached[b.ID] = t.reach(b.ID)
	}
	return t
}

func (t *tally) houseName(id ident.HouseID) string {
	for _, h := range t.f.Circle.Houses {
		if h.ID == id {
			return h.Name
		}
	}
	return t.f.Words.Say("unnamed-house")
}

// reach says how a box is reached: the link tells how, the beats tell whether.
func (t *tally) reach(box ident.BoxID) Reached {
	if box == t.f.Self {
		return t.inWords(Reached{How: Here})
	}
	r := Reached{How: Away}
	own := t.answers[t.f.Self]
	for _, b := range own.Boxes {
		if b.Box == box && b.Alive {
			r = Reached{How: Unknown, Since: milli(b.Since)}
		} else if b.Box == box {
			r.Since = milli(b.Last)
		}
	}
	for _, l := range t.f.Links {
		if l.Box != box {
			continue
		}
		switch {
		case l.State == p2p.Direct && r.How != Away:
			r = Reached{How: Direct, Since: l.Since}
		case l.State == p2p.Relayed && r.How != Away:
			r = Reached{How: Through, Via: t.boxes[l.Via].Name, Since: l.Since}
		case l.State == p2p.None && r.Since.IsZero():
			r.Since = l.Since
		}
	}
	return t.inWords(r)
}

func (t *tally) inWords(r Reached) Reached {
	r.Words = reachedWords(t.f.Words, r, t.f.Now)
	return r
}

// lastSeen is when anybody that answered heard the box last.
func (t *tally) lastSeen(box ident.BoxID) time.Time {
	var last int64
	for _, st := range t.f.Boxes {
		if st.Box == box {
			last = max(last, st.Time)
		}
		for _, b := range st.Boxes {
			if b.Box == box {
				last = max(last, b.Last)
			}
		}
	}
	return milli(last)
}

// houses lists the houses, this one first, then by name.
func (t *tally) houses(spaces []Space) []House {
	var list []House
	for _, h := range t.f.Circle.Houses {
		house := House{Name: h.Name, Reached: t.inWords(Reached{How: Away})}
		for _, b := range t.f.Circle.Boxes {
			if b.House != h.ID {
				continue
			}
			answer, known := t.answers[b.ID]
			box := Box{ID: b.ID, Name: b.Name, Keeper: b.Keeper, Given: b.Given, Known: known, Used: answer.Bytes,
				Reached: t.reached[b.ID], LastSeen: t.lastSeen(b.ID)}
			if known {
				check := CheckOf(t.f.Words, answer.Care.Scrub, t.f.Now)
				box.Check = &check
			}
			house.Here = house.Here || b.ID == t.f.Self
			if len(house.Boxes) == 0 || nearer(box.Reached, house.Reached) {
				house.Reached = box.Reached
			}
			house.Boxes = append(house.Boxes, box)
		}
		for _, s := range spaces {
			if s.Name != "" && slices.Contains(s.Houses, h.Name) {
				house.Spaces++
			}
		}
		slices.SortFunc(house.Boxes, func(a, b Box) int { return byName(a.Name, b.Name) })
		list = append(list, house)
	}
	slices.SortFunc(list, func(a, b House) int {
		if a.Here != b.Here {
			return map[bool]int{true: -1, false: 1}[a.Here]
		}
		return byName(a.Name, b.Name)
	})
	return list
}

// nearer orders ways by how good they are; of two silent ones the later silence.
func nearer(a, b Reached) bool {
	order := []How{Here, Direct, Through, Unknown, Away}
	if a.How == b.How {
		return a.Since.After(b.Since)
	}
	return slices.Index(order, a.How) < slices.Index(order, b.How)
}

// spaces tells of each space what the box that leads it knows.
func (t *tally) spaces() []Space {
	t.late = map[ident.ShardID][]Late{}
	var list []Space
	for _, sf := range t.f.Circle.Spaces {
		s := Space{ID: sf.ID, Name: sf.Name, Title: sf.Title, Wanted: sf.Copies,
			Possible: min(sf.Copies, len(t.f.Circle.Houses)), Houses: []string{}}
		if s.Title == "" {
			s.Title = titleWords(t.f.Words, orElse(sf.Owner, sf.Name))
		}
		lead, known := t.leader(sf.ID)
		s.Known = known
		for _, m := range lead.Members {
			t.count(&s, m)
		}
		s.Deciding, s.Deciders = t.deciders(lead)
		slices.SortFunc(s.Houses, byName)
		for _, st := range t.f.Boxes {
			for _, sh := range st.Shards {
				if sh.Shard == sf.ID {
					s.Waiting += sh.Journaled
					s.Moving += sh.Pending - sh.Journaled
					s.Apart = s.Apart || sh.Apart && !known
				}
			}
		}
		t.late[sf.ID] = s.Late
		s.Words = spaceWords(t.f.Words, s)
		list = append(list, s)
	}
	return list
}

// count adds one copy to what is known of a space.
func (t *tally) count(s *Space, m raftnode.MemberStatus) {
	b, ok := t.boxes[m.Box]
	if !ok {
		return // it is about to be given up
	}
	house := t.houseName(b.House)
	switch {
	case m.Alive && m.Complete():
		s.Copies++
		if !slices.Contains(s.Houses, house) {
			s.Houses = append(s.Houses, house)
		}
	case m.Alive:
		s.Late = append(s.Late, Late{Box: b.Name, House: house, Behind: m.Behind, Bytes: m.Owes})
	default:
		s.Late = append(s.Late, Late{Box: b.Name, House: house, Away: true})
	}
}

// deciders counts the houses with a voter, and how many there are to be: each of
// two, else an odd number of at most five.
func (t *tally) deciders(lead raftnode.ShardStatus) (now, planned int) {
	voting, all := map[ident.HouseID]bool{}, map[ident.HouseID]bool{}
	for _, m := range lead.Members {
		if h, ok := t.houseOf[m.Box]; ok {
			all[h], voting[h] = true, voting[h] || m.Voter
		}
	}
	for _, v := range voting {
		if v {
			now++
		}
	}
	planned = len(all)
	if planned > 2 {
		planned = min(planned-1+planned%2, 5)
	}
	return now, planned
}

// leader finds the status of the box that leads the shard now.
func (t *tally) leader(id ident.ShardID) (found raftnode.ShardStatus, ok bool) {
	for _, st := range t.f.Boxes {
		for _, sh := range st.Shards {
			if sh.Shard == id && sh.Leads && (!ok || sh.Term > found.Term) {
				found, ok = sh, true
			}
		}
	}
	return found, ok
}

// awayHouses are the names of the houses that are not in reach.
func (t *tally) awayHouses() (names []string) {
	for _, h := range t.f.Circle.Houses {
		if !slices.ContainsFunc(t.f.Circle.Boxes, func(b BoxFacts) bool {
			return b.House == h.ID && t.reached[b.ID].How != Away
		}) {
			names = append(names, h.Name)
		}
	}
	slices.SortFunc(names, byName)
	return names
}

func milli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
