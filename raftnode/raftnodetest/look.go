package raftnodetest

import (
	"context"
	"fmt"
	"slices"

	"redhen/provision/ident"
	"redhen/raftnode"
)

// shards returns what every box that is up says of a shard.
func (c *Circle) shards(ctx context.Context, shard ident.ShardID) (map[*Box]raftnode.ShardStatus, error) {
	found := map[*Box]raftnode.ShardStatus{}
	for _, b := range c.Up() {
		st, err := b.Node.Status(ctx)
		if err != nil {
			return nil, err
		}
		for _, sh := range st.Shards {
			if sh.Shard == shard {
				found[b] = sh
			}
		}
	}
	return found, nil
}

// leader returns what the leader says, the one of the highest term; false while there is none.
func (c *Circle) leader(ctx context.Context, shard ident.ShardID) (best raftnode.ShardStatus, ok bool, err error) {
	shards, err := c.shards(ctx, shard)
	for _, sh := range shards {
		if sh.Leads && (!ok || sh.Term > best.Term) {
			best, ok = sh, true
		}
	}
	return best, ok, err
}

// Voters reports whether exactly these boxes vote, by the leader's word.
func (c *Circle) Voters(ctx context.Context, shard ident.ShardID, boxes ...string) (bool, error) {
	sh, ok, err := c.leader(ctx, shard)
	var names []string
	for _, m := range sh.Members {
		if m.Voter {
			names = append(names, c.Named(m.Box))
		}
	}
	return ok && sameNames(names, boxes), err
}

func sameNames(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// Holders reports whether exactly these of the boxes that are up hold a replica,
// and the leader counts exactly them.
func (c *Circle) Holders(ctx context.Context, shard ident.ShardID, boxes ...string) (bool, error) {
	shards, err := c.shards(ctx, shard)
	if err != nil {
		return false, err
	}
	var holding, counted []string
	for b, sh := range shards {
		if sh.Replica != 0 {
			holding = append(holding, b.Name)
		}
	}
	sh, ok, err := c.leader(ctx, shard)
	for _, m := range sh.Members {
		counted = append(counted, c.Named(m.Box))
	}
	if !sameNames(holding, boxes) || !sameNames(counted, boxes) {
		return false, fmt.Errorf("held by %v, counted %v", holding, counted)
	}
	return ok, err
}

// Complete reports whether every replica has every entry and every chunk, by the leader's word.
func (c *Circle) Complete(ctx context.Context, shard ident.ShardID) (bool, error) {
	sh, ok, err := c.leader(ctx, shard)
	for _, m := range sh.Members {
		ok = ok && m.Complete()
	}
	return ok, err
}

// Same reports whether all replicas that are up have applied the same entries and
// have equal states. Different states at one index are an error.
func (c *Circle) Same(shard ident.ShardID) (bool, error) {
	type state struct {
		index uint64
		hash  [32]byte
	}
	var all []state
	for _, b := range c.Up() {
		var st state
		var err error
		if st.index, st.hash, err = b.Node.StateHash(shard); err != nil {
			continue // no replica
		}
		for _, o := range all {
			if o.index == st.index && o.hash != st.hash {
				return false, fmt.Errorf("%s differs at index %d", b.Name, st.index)
			}
		}
		all = append(all, st)
	}
	for _, st := range all {
		if st != all[0] {
			return false, nil
		}
	}
	return len(all) > 0, nil
}

// Settled reports whether no box that is up has an unsettled write.
func (c *Circle) Settled(ctx context.Context, shard ident.ShardID) (bool, error) {
	shards, err := c.shards(ctx, shard)
	for _, sh := range shards {
		if sh.Pending > 0 {
			return false, err
		}
	}
	return err == nil, err
}

// Asleep reports whether every replica that is up sleeps.
func (c *Circle) Asleep(ctx context.Context, shard ident.ShardID) (bool, error) {
	shards, err := c.shards(ctx, shard)
	for _, sh := range shards {
		if sh.Replica != 0 && !sh.Asleep {
			return false, err
		}
	}
	return err == nil && len(shards) > 0, err
}

// Leads reports whether a box leads.
func (c *Circle) Leads(ctx context.Context, shard ident.ShardID, box string) (bool, error) {
	sh, ok, err := c.leader(ctx, shard)
	return ok && c.Named(sh.Leader) == box, err
}

// Led reports whether one of these boxes leads, and all of them know it.
func (c *Circle) Led(ctx context.Context, shard ident.ShardID, boxes ...string) (bool, error) {
	shards, err := c.shards(ctx, shard)
	if err != nil {
		return false, err
	}
	leader := shards[c.Box(boxes[0])].Leader
	ok := slices.Contains(boxes, c.Named(leader))
	for _, name := range boxes {
		sh := shards[c.Box(name)]
		ok = ok && sh.Leader == leader && sh.Leads == (c.Named(leader) == name)
	}
	return ok, nil
}

// Apart reports whether a box knows that it is apart.
func (c *Circle) Apart(ctx context.Context, shard ident.ShardID, box string) (bool, error) {
	shards, err := c.shards(ctx, shard)
	return shards[c.Box(box)].Apart, err
}
