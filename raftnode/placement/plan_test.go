package placement

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
)

// parseBoxes reads "a@Oak b@Mill": boxes a and b in houses Oak and Mill. Behind
// the house may stand: !gone, !gone>c (c is the replacement), !keeps=P, !refuses=P, !given=N, !used=N.
func parseBoxes(t *testing.T, text string) []Box {
	t.Helper()
	var boxes []Box
	for f := range strings.FieldsSeq(text) {
		name, rest, _ := strings.Cut(f, "@")
		words := strings.Split(rest, "!")
		b := Box{ID: ident.BoxID(name), House: ident.HouseID(words[0]), Active: true}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			switch {
			case strings.HasPrefix(key, "gone"):
				b.Active, b.Replacement = false, ident.BoxID(strings.TrimPrefix(strings.TrimPrefix(key, "gone"), ">"))
			case key == "leaves":
				b.Leaving = true
			case key == "keeps":
				b.Keeper = ident.AccountID(value)
			case key == "refuses":
				b.Refuses = append(b.Refuses, ident.AccountID(value))
			case key == "given":
				fmt.Sscan(value, &b.Given)
			case key == "used":
				fmt.Sscan(value, &b.Used)
			default:
				t.Fatalf("box %q: %q", name, w)
			}
		}
		boxes = append(boxes, b)
	}
	return boxes
}

// parseReplicas reads "1a* 2b": replica 1 on a is a voter, replica 2 on b a learner.
func parseReplicas(t *testing.T, text string) []Replica {
	t.Helper()
	var rs []Replica
	for f := range strings.FieldsSeq(text) {
		r := Replica{Role: Learner}
		var box string
		if _, err := fmt.Sscanf(f, "%d%s", &r.ID, &box); err != nil {
			t.Fatal(err)
		}
		if b, ok := strings.CutSuffix(box, "*"); ok {
			box, r.Role = b, Voter
		}
		r.Box = ident.BoxID(box)
		rs = append(rs, r)
	}
	return rs
}

func format(rs []Replica) string {
	var words []string
	for _, r := range rs {
		words = append(words, fmt.Sprintf("%d%s%s", r.ID, r.Box, strings.Repeat("*", int(Learner-r.Role))))
	}
	return strings.Join(words, " ")
}

const anySpace ident.ShardID = 7

// nextOf is one above the highest number in use, but five more, as after some history.
func nextOf(rs []Replica) ident.ReplicaID {
	next := ident.ReplicaID(1)
	for _, r := range rs {
		next = max(next, r.ID+5)
	}
	return next
}

func TestPlanTable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		boxes  string
		copies int
		now    string
		want   string // "" when nothing changes
		why    string
	}{
		{"one box", "a@1", 0, "", "1a*", "new"},
		{"two boxes, one house: one voter", "a@1 b@1", 0, "", "1a* 2b", "new"},
		{"three boxes, one house", "a@1 b@1 c@1", 0, "", "1a* 2b* 3c*", "new"},
		{"two houses: two voters", "a@1 b@2", 0, "", "1a* 2b*", "new"},
		{"two houses, three boxes: the third is a learner", "a@1 b@1 c@2", 0, "", "1a* 2c* 3b", "new"},
		{"three houses", "a@1 b@2 c@3", 0, "", "1a* 2b* 3c*", "new"},
		{"five boxes, three copies in three houses", "a@1 b@1 c@2 d@2 e@3", 0, "", "1a* 2c* 3e*", "new"},
		{"four copies: an odd number of voters", "a@1 b@2 c@3 d@4", 4, "", "1a* 2b* 3c* 4d", "new"},
		{"seven copies: five voters", "a@1 b@2 c@3 d@4 e@5 f@6 g@7", 7, "", "1a* 2b* 3c* 4d* 5e* 6f 7g", "new"},
		{"one copy", "a@1 b@2", 1, "", "1a*", "new"},
		{"houses not known count as one", "a@ b@ c@", 2, "", "1a* 2b", "new"},

		{"all is well", "a@1 b@2 c@3 d@4", 0, "1a* 2b* 3c*", "", ""},
		{"a new box in a known house moves nothing", "a@1 b@2 c@3 d@3", 0, "1a* 2b* 3c*", "", ""},
		{"an emptier box moves nothing", "a@1!used=9 b@2!used=9 c@3!used=9 d@4", 0, "1a* 2b* 3c*", "", ""},
		{"second house joins", "a@1 b@2", 0, "1a*", "1a* 6b*", "another copy"},
		{"second house joins a house of three", "a@1 b@1 c@1 d@2", 0, "1a* 2b* 3c*", "1a* 2b 8d*", "a better place for a copy"},
		{"third house takes the second copy of a house", "a@1 b@1 c@2 d@3", 0, "1a* 2b 3c*", "1a* 3c* 8d*", "a better place for a copy"},
		{"a box is gone", "a@1 b@2!gone c@3 d@4", 0, "1a* 2b* 3c*", "1a* 3c* 8d*", "its box left"},
		{"a box is gone and none can follow", "a@1 b@2!gone c@3", 0, "1a* 2b* 3c*", "1a* 3c*", "its box left"},
		{"a box that nobody knows any more", "a@1 c@3", 0, "1a* 2b* 3c*", "1a* 3c*", "its box left"},
		{"the replacement inherits", "a@1 b@2!gone>e c@3 d@4 e@5", 0, "1a* 2b* 3c*", "1a* 3c* 8e*", "its box left"},
		{"but not into a house that has a copy", "a@1 b@2!gone>e c@3 d@4 e@3", 0, "1a* 2b* 3c*", "1a* 3c* 8d*", "its box left"},
		{"a replacement for another space is like any box", "a@1 b@2!gone c@3 d@4 x@9!gone>e e@5", 0, "1a* 2b* 3c*", "1a* 3c* 8d*", "its box left"},
		{"a box is leaving", "a@1 b@2!leaves c@3 d@4", 0, "1a* 2b* 3c*", "1a* 3c* 8d*", "its box left"},
		{"nobody else takes the space of a box that is leaving", "a@1!leaves b@2!refuses=P", 0, "1a*", "", ""},
		{"all are gone", "a@1!gone b@2!gone", 0, "1a* 2b*", "", ""},
		{"fewer copies", "a@1 b@2 c@3", 2, "1a* 2b* 3c*", "1a* 2b*", "fewer copies wanted"},
		{"fewer copies: the voters stay", "a@1 b@2 c@3 d@4", 3, "1a 2b* 3c* 4d*", "2b* 3c* 4d*", "fewer copies wanted"},
		{"more copies", "a@1 b@2 c@3 d@4 e@5", 5, "1a* 2b* 3c*", "1a* 2b* 3c* 8d* 9e*", "another copy"},
		{"two boxes turn out to be in one house", "a@1 b@1 c@2", 0, "1a* 2b* 3c*", "1a* 2b 3c*", "other voters"},
		{"a voter stays one", "a@1 b@1 c@2", 0, "1a 2b* 3c*", "", ""},

		{"a keeper refuses", "a@1 b@2!refuses=P c@3 d@4", 0, "1a* 2b* 3c*", "1a* 3c* 8d*", "its keeper does not host it"},
		{"a keeper refuses another", "a@1 b@2!refuses=Q c@3", 0, "1a* 2b* 3c*", "", ""},
		{"all refuse: the copies stay", "a@1!refuses=P b@2!refuses=P", 0, "1a* 2b*", "", ""},
		{"refused from the start", "a@1!refuses=P b@2", 0, "", "1b*", "new"},

		{"the fullest is not chosen", "a@1!used=90 b@2!used=20 c@3!used=10", 1, "", "1c*", "new"},
		{"no room", "a@1!given=9 b@2!given=10 c@3!given=50!used=41", 0, "", "1b*", "new"},
		{"given less: it goes where there is room", "a@1 b@2!given=9 c@3 d@4", 0, "1a* 2b* 3c*", "1a* 3c* 8d*", "a better place for a copy"},
		{"given less, and no other has room", "a@1 b@2!given=9 c@3", 0, "1a* 2b* 3c*", "", ""},

		{"given less, and only the house of the other copy has room", "a@1 b@2!given=9 c@1", 2, "1a* 2b*", "", ""},
		{"given less, and the other copy's house takes the third", "a@1 b@2!given=9 c@1 d@2", 3, "1a* 2b* 3c", "1a* 3c 8d*", "a better place for a copy"},

		{"the owner's box holds a copy", "a@1 b@2 c@3 d@4!keeps=P!used=99", 0, "", "1d* 2a* 3b*", "new"},
		{"the owner's box joins later", "a@1 b@2 c@3 d@4!keeps=P", 0, "1a* 2b* 3c*", "1a* 2b* 8d*", "a better place for a copy"},
		{"one of the owner's boxes is enough", "a@1 b@2 c@3!keeps=P d@4!keeps=P", 0, "1a* 2b* 3c*", "", ""},
		{"the owner's box refuses", "a@1 b@2 c@3 d@4!keeps=P!refuses=P", 0, "1a* 2b* 3c*", "", ""},
	} {
		now := parseReplicas(t, tt.now)
		s := Space{ID: anySpace, Owner: "P", Copies: tt.copies, Bytes: 10, Replicas: now, Next: nextOf(now)}
		changes := Plan(parseBoxes(t, tt.boxes), []Space{s})
		got, why := "", ""
		if len(changes) == 1 && changes[0].Shard == anySpace {
			got, why = format(changes[0].Replicas), changes[0].Why
		}
		if got != tt.want || why != tt.why || len(changes) > 1 {
			t.Errorf("%s: got %q (%s), want %q (%s)", tt.name, got, why, tt.want, tt.why)
		}
	}
}

func TestCircleShardTable(t *testing.T) {
	for _, tt := range []struct{ name, boxes, now, want string }{
		{"founder", "a@1", "", "1a*"},
		{"two boxes, one house", "a@1 b@1", "1a*", "1a* 6b"},
		{"two houses", "a@1 b@2", "1a*", "1a* 6b*"},
		{"four houses", "a@1 b@2 c@3 d@4", "1a* 2b*", "1a* 2b* 7c* 8d"},
		{"six houses, eight boxes", "a@1 b@2 c@3 d@4 e@5 f@6 g@6 h@1", "1a* 2b* 3c*", "1a* 2b* 3c* 8d* 9e* 10f 11g 12h"},
		{"limits and refusals do not matter", "a@1!given=1!used=5 b@2!refuses=P", "1a*", "1a* 6b*"},
		{"a voter is gone: the oldest learner follows", "a@1 b@2!gone c@3 d@4 e@5", "1a* 2b* 3c* 4d 5e", "1a* 3c* 4d* 5e"},
		{"all is well", "a@1 b@2 c@2", "1a* 2b 3c*", ""},
		{"of two houses one is leaving: the other decides alone", "a@1!leaves b@2", "1a* 2b*", "1a 2b*"},
		{"of three houses one is leaving", "a@1 b@2 c@3!leaves", "1a* 2b* 3c*", "1a* 2b* 3c"},
		{"a box is leaving, another of its house votes", "a@1!leaves b@1 c@2", "1a* 2b 3c*", "1a 2b* 3c*"},
		{"all are leaving", "a@1!leaves b@2!leaves", "1a* 2b*", ""},
		{"it stays after all", "a@1 b@2", "1a 2b*", "1a* 2b*"},
	} {
		now := parseReplicas(t, tt.now)
		s := Space{ID: ident.CircleShard, Owner: "P", Copies: 1, Bytes: 10, Replicas: now, Next: nextOf(now)}
		got := ""
		for _, c := range Plan(parseBoxes(t, tt.boxes), []Space{s}) {
			got += format(c.Replicas)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// circle is a random circle that lives on: boxes come and go, houses are
// corrected, limits are changed, and each plan is carried out.
type circle struct {
	rng    *rand.Rand
	boxes  []Box
	spaces []Space
}

func newCircle(seed uint64) *circle {
	c := &circle{rng: rand.New(rand.NewPCG(seed, 0))}
	c.spaces = []Space{{ID: ident.CircleShard, Next: 1}}
	c.join()
	for i := range 12 {
		c.spaces = append(c.spaces, Space{
			ID: ident.ShardID(10 + i), Owner: c.account(), Copies: c.rng.IntN(6), Bytes: int64(c.rng.IntN(40)), Next: 1,
		})
	}
	return c
}

func (c *circle) account() ident.AccountID { return ident.AccountID(fmt.Sprint("P", c.rng.IntN(6))) }

func (c *circle) join() {
	c.boxes = append(c.boxes, Box{
		ID: ident.BoxID(fmt.Sprintf("b%02d", len(c.boxes))), House: ident.HouseID(fmt.Sprint(c.rng.IntN(6))), Keeper: c.account(), Active: true,
	})
}

// step lets something happen.
func (c *circle) step() {
	b := &c.boxes[c.rng.IntN(len(c.boxes))]
	switch c.rng.IntN(7) {
	case 0, 1:
		if len(c.boxes) < 20 {
			c.join()
		}
	case 2:
		if len(c.active()) > 1 {
			b.Active, b.Replacement = false, c.boxes[c.rng.IntN(len(c.boxes))].ID
		}
	case 3:
		b.House = ident.HouseID(fmt.Sprint(c.rng.IntN(6)))
	case 4:
		b.Given = int64(c.rng.IntN(200))
	case 5:
		b.Refuses = []ident.AccountID{c.account()}
	case 6:
		s := &c.spaces[c.rng.IntN(len(c.spaces))]
		s.Copies, s.Bytes = c.rng.IntN(6), int64(c.rng.IntN(40))
	}
}

func (c *circle) active() map[ident.BoxID]Box {
	m := map[ident.BoxID]Box{}
	for _, b := range c.boxes {
		if b.Active {
			m[b.ID] = b
		}
	}
	return m
}

// carryOut does what the plan says.
func (c *circle) carryOut(changes []Change) {
	for _, ch := range changes {
		i := slices.IndexFunc(c.spaces, func(s Space) bool { return s.ID == ch.Shard })
		c.spaces[i].Replicas, c.spaces[i].Next = ch.Replicas, ch.Next
	}
}

// check holds a change against the rules.
func (c *circle) check(t *testing.T, ch Change) {
	t.Helper()
	i := slices.IndexFunc(c.spaces, func(s Space) bool { return s.ID == ch.Shard })
	s, active := c.spaces[i], c.active()
	if err := Check(ch.Replicas, ch.Next); err != nil {
		t.Error(err)
	}
	if ch.Next < s.Next || ch.Why == "" || len(ch.Replicas) == 0 {
		t.Errorf("next %d after %d, %q, %d replicas", ch.Next, s.Next, ch.Why, len(ch.Replicas))
	}
	houses, voters := map[ident.HouseID]bool{}, map[ident.HouseID]int{}
	refused := 0
	for _, r := range ch.Replicas {
		b, ok := active[r.Box]
		old, had := s.on(r.Box)
		if !ok || had && old.ID != r.ID || !had && r.ID < s.Next {
			t.Errorf("replica %v: active %v, was %v", r, ok, old)
		}
		if slices.Contains(b.Refuses, s.Owner) && s.ID != ident.CircleShard {
			refused++
		}
		houses[b.House] = true
		if r.Role == Voter {
			voters[b.House]++
		}
	}
	c.checkVoters(t, len(ch.Replicas), len(houses), voters)
	switch {
	case s.ID == ident.CircleShard && len(ch.Replicas) != len(active):
		t.Errorf("circle shard on %d of %d boxes", len(ch.Replicas), len(active))
	case s.ID != ident.CircleShard && len(ch.Replicas) > max(s.copies(), refused):
		t.Errorf("%d copies, want %d", len(ch.Replicas), s.copies())
	case refused > 0 && refused < len(ch.Replicas):
		t.Errorf("%d copies against the keeper's will", refused)
	}
}

func (c *circle) checkVoters(t *testing.T, replicas, houses int, voters map[ident.HouseID]int) {
	t.Helper()
	n, most := 0, 0
	for _, k := range voters {
		n, most = n+k, max(most, k)
	}
	want := min(5, houses-1+houses%2)
	switch houses {
	case 1:
		want, most = min(5, replicas-1+replicas%2), 1
	case 2:
		want = 2
	}
	if n != want || most > 1 {
		t.Errorf("%d voters, %d in one house, of %d replicas in %d houses: want %d", n, most, replicas, houses, want)
	}
}

// shuffled returns the list in another order, which a plan must not depend on.
func shuffled[T any](rng *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func TestPlanKeepsItsRulesInARandomLife(t *testing.T) {
	for seed := range uint64(60) {
		c := newCircle(seed)
		for step := range 30 {
			c.step()
			before := slices.Clone(c.spaces)
			plan := Plan(c.boxes, c.spaces)
			if diff := cmp.Diff(before, c.spaces); diff != "" {
				t.Fatalf("the input was changed: %s", diff)
			}
			if diff := cmp.Diff(plan, Plan(shuffled(c.rng, c.boxes), shuffled(c.rng, c.spaces))); diff != "" {
				t.Fatalf("seed %d, step %d: the order of the input matters: %s", seed, step, diff)
			}
			for _, ch := range plan {
				c.check(t, ch)
			}
			c.carryOut(plan)
			rounds := 0
			for ; rounds < 5; rounds++ {
				if plan = Plan(c.boxes, c.spaces); len(plan) == 0 {
					break
				}
				c.carryOut(plan)
			}
			if rounds == 5 || t.Failed() {
				t.Fatalf("seed %d, step %d: %d rounds, then %v", seed, step, rounds, plan)
			}
		}
	}
}

// Losing one box moves only what was on it.
func TestABoxThatLeavesMovesOnlyItsOwn(t *testing.T) {
	for seed := range uint64(100) {
		c := newCircle(seed)
		for range 9 {
			c.join()
		}
		for i := range c.boxes {
			c.boxes[i].House = ident.HouseID(c.boxes[i].ID) // so that no copy is out of place
		}
		c.carryOut(Plan(c.boxes, c.spaces))
		gone := &c.boxes[c.rng.IntN(len(c.boxes))]
		gone.Active, gone.Keeper = false, ""
		home := maps.Collect(func(yield func(ident.AccountID, bool) bool) {
			for _, b := range c.boxes {
				if b.Active && !yield(b.Keeper, true) {
					return
				}
			}
		})
		for _, ch := range Plan(c.boxes, c.spaces) {
			i := slices.IndexFunc(c.spaces, func(s Space) bool { return s.ID == ch.Shard })
			s := c.spaces[i]
			if _, held := s.on(gone.ID); !held {
				t.Errorf("seed %d: %v moves though it was not on the box that left", seed, ch)
			}
			for _, r := range s.Replicas {
				if r.Box != gone.ID && !slices.ContainsFunc(ch.Replicas, func(n Replica) bool { return n.ID == r.ID }) && !home[s.Owner] {
					t.Errorf("seed %d: %v is dropped by %v", seed, r, ch)
				}
			}
		}
	}
}

// What a plan adds to a box fits into what its keeper gave.
func TestPlanNeverAddsMoreThanIsGiven(t *testing.T) {
	for seed := range uint64(100) {
		c := newCircle(seed)
		for range 6 {
			c.join()
		}
		for i := range c.boxes {
			c.boxes[i].Given = 1 + int64(c.rng.IntN(100))
			c.boxes[i].Used = int64(c.rng.IntN(60))
		}
		c.carryOut(Plan(c.boxes, c.spaces))
		for _, b := range c.boxes {
			sum := b.Used
			for _, s := range c.spaces[1:] {
				if _, ok := s.on(b.ID); ok {
					sum += s.Bytes
				}
			}
			if sum > b.Given && sum > b.Used {
				t.Errorf("seed %d: %d bytes on %s, given %d", seed, sum, b.ID, b.Given)
			}
		}
	}
}
