package directory

import (
	"errors"
	"slices"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/placement"
)

// Takeover is the first entry of a new era of the circle shard: one box goes on
// without those that are lost. Replica is the number under which it does, above all
// that were ever given out; the other boxes that are left get the numbers after it.
type Takeover struct {
	Change  roster.Change   `cbor:"1,keyasint"`
	Replica ident.ReplicaID `cbor:"2,keyasint"`
}

// BeginEra begins a new era of a space that lost most of its voters, from the
// replica of one box that is left. Voters are the boxes that vote in it, by the word
// of that replica; most of them must be out of the circle.
type BeginEra struct {
	Shard   ident.ShardID   `cbor:"1,keyasint"`
	If      uint64          `cbor:"2,keyasint"` // Placement.Version
	Box     ident.BoxID     `cbor:"3,keyasint"`
	Replica ident.ReplicaID `cbor:"4,keyasint"` // its new number, at least Placement.Next
	Voters  []ident.BoxID   `cbor:"5,keyasint"`
}

func (k *Takeover) check() error {
	if k.Replica == 0 {
		return errors.New("a takeover without a replica")
	}
	return nil // the roster checks its own
}

func (b *BeginEra) check() error {
	if b.Shard == ident.CircleShard || len(b.Voters) == 0 || len(b.Voters) > placement.MaxReplicas {
		return errors.New("an era of no space, or of no voters")
	}
	return placement.Check([]placement.Replica{{ID: b.Replica, Box: b.Box, Role: placement.Voter}}, b.Replica+1)
}

func (k *Takeover) apply(t *txn) Code {
	body, err := k.Change.TakeoverBody()
	if err != nil || body.Box != t.cmd.By {
		return Refused
	}
	p, ok := t.Placement(ident.CircleShard)
	if !ok || k.Replica < p.Next {
		return Invalid // Invariant: a replica ID never names another replica.
	}
	if code := t.extend(k.Change); code != Done {
		return code
	}
	t.dropPetitions()
	first := placement.Replica{ID: k.Replica, Box: body.Box, Role: placement.Voter}
	next := Placement{Replicas: []placement.Replica{first}, Next: k.Replica + 1, Era: t.roster.Era(), Begins: k.Replica}
	for _, b := range t.roster.Members() {
		if b.ID != body.Box {
			next.Replicas = append(next.Replicas, placement.Replica{ID: next.Next, Box: b.ID, Role: placement.Learner})
			next.Next++
		}
	}
	if placement.Check(next.Replicas, next.Next) != nil {
		return Full
	}
	t.replica = k.Replica
	t.putPlacement(ident.CircleShard, next)
	return Done
}

func (b *BeginEra) apply(t *txn) Code {
	p, ok := t.Placement(b.Shard)
	switch {
	case !ok:
		return Missing
	case p.Version != b.If:
		return Changed
	case b.Replica < p.Next:
		return Invalid // Invariant: a replica ID never names another replica.
	case !t.active(b.Box):
		return Stranger
	case !t.mostAreOut(b.Voters):
		return Refused // they may go on, or may have gone on
	}
	t.putPlacement(b.Shard, Placement{
		Replicas: []placement.Replica{{ID: b.Replica, Box: b.Box, Role: placement.Voter}},
		Next:     b.Replica + 1, Era: p.Era + 1, Begins: b.Replica,
	})
	s, _ := t.Space(b.Shard)
	box, _ := t.roster.Box(b.Box)
	t.note(Entry{What: "space-goes-on", About: map[string]string{"space": s.Name, "box": box.Name}})
	return Done
}

// mostAreOut reports whether so many of the voters are out of the circle that the
// others are no majority.
func (t *txn) mostAreOut(voters []ident.BoxID) bool {
	left := slices.DeleteFunc(slices.Clone(voters), func(b ident.BoxID) bool { return !t.active(b) })
	return len(left) <= len(voters)/2
}
