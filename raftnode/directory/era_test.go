package directory

import (
	"slices"
	"strings"
	"testing"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/placement"
)

func (c *circle) takeover(by member, replica ident.ReplicaID, lost ...member) Command {
	r := c.view().Roster()
	body := roster.TakeoverBody{Circle: r.Circle(), Box: by.id(), Era: r.Era() + 1, Head: r.Head(), Time: 2}
	for _, l := range lost {
		box, _ := r.Box(l.id())
		body.Lost = append(body.Lost, roster.Lost{Box: box.ID, Rev: box.Rev})
	}
	slices.SortFunc(body.Lost, func(a, b roster.Lost) int { return strings.Compare(string(a.Box), string(b.Box)) })
	return Command{Takeover: &Takeover{Change: roster.NewTakeover(body, by.box, by.keeper), Replica: replica}}
}

func TestATakeoverGivesEverybodyANewReplica(t *testing.T) {
	c, m := founded(t, 3)
	before, _ := c.view().Placement(ident.CircleShard)
	c.want(Invalid, m[0], c.takeover(m[0], before.Next-1, m[1]))
	c.want(Refused, m[2], c.takeover(m[0], 100, m[1])) // another box's
	c.want(Invalid, m[0], Command{Roster: &RosterChange{c.takeover(m[0], 100, m[1]).Takeover.Change}})
	out := c.want(Done, m[0], c.takeover(m[0], 100, m[1]))
	if out.Replica != 100 {
		t.Errorf("replica %d", out.Replica)
	}
	p, _ := c.view().Placement(ident.CircleShard)
	want := []placement.Replica{{ID: 100, Box: m[0].id(), Role: placement.Voter}, {ID: 101, Box: m[2].id(), Role: placement.Learner}}
	if !slices.Equal(p.Replicas, want) || p.Next != 102 || p.Era != 1 || p.Begins != 100 {
		t.Errorf("got %+v", p)
	}
	if r := c.view().Roster(); r.Era() != 1 || r.Active(m[1].id()) {
		t.Error("the roster does not say so")
	}
	c.want(Stranger, m[1], Command{Diary: &Entry{What: "hello"}})
	// A plan that comes after keeps the era.
	c.want(Done, m[0], Command{SetPlacement: &SetPlacement{
		Shard: ident.CircleShard, If: p.Version, Replicas: p.Replicas[:1], Next: p.Next,
	}})
	if p, _ = c.view().Placement(ident.CircleShard); p.Era != 1 || p.Begins != 100 {
		t.Errorf("the plan changed the era: %+v", p)
	}
	if row := c.view().Diary(10); !slices.ContainsFunc(row, func(e Entry) bool { return e.What == "box-taken-over" }) {
		t.Errorf("the diary says nothing: %+v", row)
	}
}

func TestAnEraOfASpaceBeginsOnlyWithoutAMajority(t *testing.T) {
	c, m := founded(t, 3)
	space := m[0].shard()
	voters := []ident.BoxID{m[0].id(), m[1].id(), m[2].id()}
	begin := func(edit func(*BeginEra)) Command {
		p, _ := c.view().Placement(space)
		b := BeginEra{Shard: space, If: p.Version, Box: m[0].id(), Replica: p.Next + 5, Voters: voters}
		edit(&b)
		return Command{BeginEra: &b}
	}
	as := func(*BeginEra) {}
	c.want(Refused, m[0], begin(as)) // all three may go on
	c.want(Done, m[0], Command{Roster: &RosterChange{c.gone(m[1], m[0], m[2])}})
	c.want(Refused, m[0], begin(as)) // two of three may go on
	c.want(Done, m[0], Command{Roster: &RosterChange{c.gone(m[2], m[0])}})
	c.want(Changed, m[0], begin(func(b *BeginEra) { b.If++ }))
	c.want(Missing, m[0], begin(func(b *BeginEra) { b.Shard = 99 }))
	c.want(Stranger, m[0], begin(func(b *BeginEra) { b.Box = m[1].id() }))
	c.want(Invalid, m[0], begin(func(b *BeginEra) { b.Replica = 1 }))
	p, _ := c.view().Placement(space)
	c.want(Done, m[0], begin(as))
	got, _ := c.view().Placement(space)
	if got.Era != 1 || got.Begins != p.Next+5 || got.Next != p.Next+6 ||
		!slices.Equal(got.Replicas, []placement.Replica{{ID: p.Next + 5, Box: m[0].id(), Role: placement.Voter}}) {
		t.Errorf("got %+v", got)
	}
	c.want(Changed, m[0], begin(func(b *BeginEra) { b.If = p.Version })) // somebody else's offer, too late
}

func TestAnEraHasLimits(t *testing.T) {
	m := newMember(t, 1)
	for name, act := range map[string]action{
		"of the circle shard": &BeginEra{Shard: ident.CircleShard, Box: m.id(), Replica: 1, Voters: []ident.BoxID{m.id()}},
		"of no voters":        &BeginEra{Shard: 7, Box: m.id(), Replica: 1},
		"of too many":         &BeginEra{Shard: 7, Box: m.id(), Replica: 1, Voters: make([]ident.BoxID, placement.MaxReplicas+1)},
		"of no replica":       &BeginEra{Shard: 7, Box: m.id(), Voters: []ident.BoxID{m.id()}},
		"takeover of none":    &Takeover{},
	} {
		if act.check() == nil {
			t.Errorf("%s: allowed", name)
		}
	}
}
