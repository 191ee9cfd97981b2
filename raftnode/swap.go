package raftnode

import (
	"slices"
	"time"

	"redhen/provision/ident"
)

// brake holds back, for a moment, writes whose chunks too few of the voters to come
// have, so that a voter may leave although people go on writing.
type brake struct {
	target []ident.ReplicaID // the voters to come
	tail   uint64            // the last entry when it was pulled: it does not bind those up to it
	since  time.Time
	held   bool // it held a write back: the next ones go on for a while
}

// rest is how long after it was pulled the brake may be pulled again.
func (b brake) rest() time.Duration {
	if b.held {
		return brakeFor + brakePause
	}
	return brakeFor
}

// brakes reports whether a write with these holders of its chunks must wait.
func (g *group) brakes(holders []ident.ReplicaID) bool {
	if len(holders) == 0 || !g.braking(g.brake.target) || most(g.brake.target, holders) {
		return false
	}
	g.brake.held = true
	return true
}

func (g *group) braking(target []ident.ReplicaID) bool {
	return len(target) > 0 && slices.Equal(g.brake.target, target) && g.n.now().Sub(g.brake.since) < brakeFor
}

// mayLeave reports whether the voters that are not in target may go: a majority of
// target is heard, and has every chunk that was promised. It is asked at every beat.
//
// A chunk is promised by an entry whose holders were a majority of the voters of its
// time. Those that stay may be one of them alone, and the others owe it still.
func (g *group) mayLeave(target []ident.ReplicaID) bool {
	if !most(target, g.heard(target)) {
		return false
	}
	if g.shard == ident.CircleShard {
		return true
	}
	if g.braking(target) {
		return g.covered(target)
	}
	if now := g.n.now(); !slices.Equal(g.brake.target, target) || now.Sub(g.brake.since) > g.brake.rest() {
		g.brake = brake{target: slices.Clone(target), tail: g.tail, since: now}
		g.n.log.Debug("a voter is to leave", "shard", g.shard, "stay", target, "tail", g.tail)
	}
	return false
}

func (g *group) heard(ids []ident.ReplicaID) []ident.ReplicaID {
	return slices.DeleteFunc(slices.Clone(ids), func(id ident.ReplicaID) bool { return !g.n.beats.alive(g.boxOf(id)) })
}

// covered reports whether of every entry a majority of target has the chunks: by
// their own word, or because the entry names them as holders. Entries behind
// brake.tail need not be looked at if they are not in the log yet: the brake did.
func (g *group) covered(target []ident.ReplicaID) bool {
	last, err := g.rep.log.LastIndex()
	if err != nil || last < g.brake.tail {
		return false
	}
	to := map[ident.ReplicaID]uint64{}
	var sorted []uint64
	for _, id := range target {
		to[id] = g.whole[id].to
		if id == g.id {
			to[id] = g.rep.debt.wholeTo(appliedIndex(g.rep.state))
		}
		sorted = append(sorted, to[id])
	}
	slices.Sort(sorted)
	from := sorted[(len(sorted)-1)/2] // a majority has everything up to here
	if last > from+maxCovered {
		return false
	}
	for next := from + 1; next <= last; {
		entries, err := g.rep.log.Entries(next, last+1, maxEntry)
		if err != nil { // cut away: somebody owes what is long in the state
			return false
		}
		for _, e := range entries {
			if !heldAt(e.GetIndex(), e.GetData(), to) {
				return false
			}
		}
		next += uint64(len(entries))
	}
	return true
}

// heldAt reports whether a majority has the chunks of an entry: to is up to which
// entry each of them has all.
func heldAt(index uint64, data []byte, to map[ident.ReplicaID]uint64) bool {
	e, err := decodeEntry(data)
	if err != nil || len(e.Holders) == 0 { // no write, or one without chunks
		return true
	}
	n := 0
	for id, has := range to {
		if has >= index || slices.Contains(e.Holders, id) {
			n++
		}
	}
	return n > len(to)/2
}

// most reports whether the ids are a majority of the voters.
func most(voters, ids []ident.ReplicaID) bool {
	n := 0
	for _, v := range voters {
		if slices.Contains(ids, v) {
			n++
		}
	}
	return n > len(voters)/2
}
