package raftnode

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/transport"
)

// serviceStatus is the service by which boxes tell each other how their shards are.
const serviceStatus = "redhen/status/1"

// Status is what one box knows of itself at one moment.
type Status struct {
	Box    ident.BoxID   `cbor:"1,keyasint"`
	Time   int64         `cbor:"2,keyasint"`
	Boxes  []BoxStatus   `cbor:"3,keyasint,omitempty"` // the others, sorted
	Shards []ShardStatus `cbor:"4,keyasint,omitempty"` // sorted; those with a replica or unsettled writes here
	Chunks int           `cbor:"5,keyasint,omitempty"` // number of them here
	Bytes  int64         `cbor:"6,keyasint,omitempty"` // of them
	Care   CareStatus    `cbor:"7,keyasint"`
}

// BoxStatus is how another box is seen from here.
type BoxStatus struct {
	Box   ident.BoxID `cbor:"1,keyasint"`
	Alive bool        `cbor:"2,keyasint,omitempty"`
	Since int64       `cbor:"3,keyasint,omitempty"` // heard without a break since, milliseconds; zero when silent
	Last  int64       `cbor:"4,keyasint,omitempty"` // last heard; zero when not since the start
	RTT   int64       `cbor:"5,keyasint,omitempty"` // round trip of the last beat in microseconds
}

// ShardStatus is how one shard is seen from here.
type ShardStatus struct {
	Shard     ident.ShardID   `cbor:"1,keyasint"`
	Replica   ident.ReplicaID `cbor:"2,keyasint,omitempty"` // here; zero: none
	Leader    ident.BoxID     `cbor:"3,keyasint,omitempty"`
	Leads     bool            `cbor:"4,keyasint,omitempty"`
	Asleep    bool            `cbor:"5,keyasint,omitempty"`
	Term      uint64          `cbor:"6,keyasint,omitempty"`
	Applied   uint64          `cbor:"7,keyasint,omitempty"`
	Apart     bool            `cbor:"8,keyasint,omitempty"`
	Owes      bool            `cbor:"9,keyasint,omitempty"`  // chunks are missing here
	Pending   int             `cbor:"10,keyasint,omitempty"` // writes accepted here that are not settled
	Journaled int             `cbor:"11,keyasint,omitempty"` // of them, those answered as kept here
	Members   []MemberStatus  `cbor:"12,keyasint,omitempty"`
	Failed    string          `cbor:"13,keyasint,omitempty"` // why the replica here stopped
	Trouble   string          `cbor:"14,keyasint,omitempty"` // what goes wrong in its housekeeping
	Mended    int             `cbor:"15,keyasint,omitempty"` // damage made good since the start: chunks and what follows

	// Of Mended: a state file that was fetched again, and a lost log that cost the replica its number.
	Rebuilt    int `cbor:"16,keyasint,omitempty"`
	Renumbered int `cbor:"17,keyasint,omitempty"`

	Salvaged int `cbor:"18,keyasint,omitempty"` // of Renumbered: nobody else had what the log said, and a part of it may be lost
}

// MemberStatus is one replica of a shard. What it has is known at the leader only.
type MemberStatus struct {
	Replica ident.ReplicaID `cbor:"1,keyasint"`
	Box     ident.BoxID     `cbor:"2,keyasint"`
	Voter   bool            `cbor:"3,keyasint,omitempty"`
	Alive   bool            `cbor:"4,keyasint,omitempty"`
	Behind  uint64          `cbor:"5,keyasint,omitempty"` // entries
	Owes    bool            `cbor:"6,keyasint,omitempty"`
	Known   bool            `cbor:"7,keyasint,omitempty"` // Behind and Owes are known here
}

// Complete reports whether the member has every entry and every chunk.
func (m MemberStatus) Complete() bool { return m.Known && m.Behind == 0 && !m.Owes }

// Status returns what this box knows of itself.
func (n *Node) Status(ctx context.Context) (Status, error) {
	type groups struct {
		st     Status
		shards map[ident.ShardID]ShardStatus
	}
	got := make(chan groups, 1)
	n.mail.put(func() {
		st, shards := n.status()
		got <- groups{st, shards}
	})
	select {
	case g := <-got:
		g.st.Care = n.care.status()
		n.addSpaces(g.shards)
		for _, id := range slices.Sorted(maps.Keys(g.shards)) {
			g.st.Shards = append(g.st.Shards, g.shards[id])
		}
		return g.st, nil
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

// status is what the loop knows.
func (n *Node) status() (Status, map[ident.ShardID]ShardStatus) {
	st := Status{Box: n.cfg.Box, Time: n.now().UnixMilli()}
	st.Chunks, st.Bytes = n.cfg.Chunks.Usage()
	for _, box := range n.others() {
		st.Boxes = append(st.Boxes, n.beats.status(box))
	}
	shards := map[ident.ShardID]ShardStatus{}
	for shard, g := range n.groups {
		shards[shard] = g.status()
	}
	return st, shards
}

// addSpaces adds what the loop does not know, and must not wait for: a Space may be
// locked while its journal is opened.
func (n *Node) addSpaces(shards map[ident.ShardID]ShardStatus) {
	n.mu.Lock()
	for shard, rep := range n.replicas {
		if _, ok := shards[shard]; !ok { // being healed
			shards[shard] = ShardStatus{Shard: shard, Replica: rep.id, Owes: true, Failed: fmt.Sprint(rep.failure())}
		}
	}
	spaces := maps.Clone(n.spaces)
	troubles := maps.Clone(n.troubles)
	mended := maps.Clone(n.mends)
	n.mu.Unlock()
	for id, s := range spaces {
		pending, journaled := s.counts()
		if sh, ok := shards[id]; ok || pending > 0 {
			sh.Shard, sh.Pending, sh.Journaled = id, pending, journaled
			shards[id] = sh
		}
	}
	for id, m := range mended {
		if sh, ok := shards[id]; ok {
			sh.Mended, sh.Rebuilt, sh.Renumbered, sh.Salvaged = m.chunks+m.states+m.logs, m.states, m.logs, m.salvaged
			shards[id] = sh
		}
	}
	for id, err := range troubles {
		sh := shards[id]
		sh.Shard, sh.Trouble = id, err.Error()
		shards[id] = sh
	}
}

func (b *beats) status(box ident.BoxID) BoxStatus {
	st := BoxStatus{Box: box, Alive: b.alive(box)}
	if p := b.peers[box]; p != nil {
		if !p.heard.IsZero() {
			st.Last = p.heard.UnixMilli()
		}
		if st.Alive {
			st.Since, st.RTT = p.since.UnixMilli(), p.rtt.Microseconds()
		}
	}
	return st
}

func (g *group) status() ShardStatus {
	st := ShardStatus{
		Shard: g.shard, Replica: g.id, Leader: g.leaderBox(), Leads: g.leads(), Asleep: g.asleep, Term: g.term,
		Applied: appliedIndex(g.rep.state), Apart: g.rep.apart(),
		Owes: g.n.owesChunks(g.n.cfg.Box, g.shard),
	}
	if err := g.rep.failure(); err != nil {
		st.Failed = err.Error()
	}
	progress := g.rn.Status().Progress
	last, _ := g.rep.log.LastIndex()
	for _, id := range slices.Sorted(maps.Keys(g.mem.boxes)) {
		box := g.mem.boxes[id]
		m := MemberStatus{Replica: id, Box: box, Voter: g.mem.isVoter(id), Alive: g.n.beats.alive(box)}
		if pr, ok := progress[uint64(id)]; ok && st.Leads {
			m.Known, m.Owes = true, g.n.owesChunks(box, g.shard)
			m.Behind = last - min(last, pr.Match)
		}
		st.Members = append(st.Members, m)
	}
	return st
}

func (s *Space) counts() (all, journaled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pending {
		if p.journaled {
			journaled++
		}
	}
	return len(s.pending), journaled
}

// CircleStatus asks every box that is in reach for its status; the first is this
// box's own. Boxes that do not answer in time are missing.
func (n *Node) CircleStatus(ctx context.Context) ([]Status, error) {
	own, err := n.Status(ctx)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithTimeout(ctx, statusFor)
	defer end()
	list := []Status{own}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, b := range own.Boxes {
		if !b.Alive {
			continue
		}
		wg.Go(func() {
			var st Status
			if n.call(ctx, b.Box, serviceStatus, struct{}{}, &st) == nil && st.Box == b.Box {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, st)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(list[1:], func(a, b Status) int { return cmp.Compare(a.Box, b.Box) })
	return list, nil
}

const statusFor = 2 * time.Second

func (n *Node) serveStatus(ctx context.Context, from ident.BoxID, s transport.Stream) {
	var q struct{}
	if readCall(s, &q) != nil {
		return
	}
	if st, err := n.Status(ctx); err == nil {
		n.reply(s, st)
	}
}

// mends counts the damage to one replica that was made good.
type mends struct{ chunks, states, logs, salvaged int }

// mended notes damage that was made good from another house.
func (n *Node) mended(shard ident.ShardID, more mends) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.mends[shard]
	n.mends[shard] = mends{m.chunks + more.chunks, m.states + more.states, m.logs + more.logs, m.salvaged + more.salvaged}
}

// houseName is the name of this box's house, for the names of files kept beside others.
func (n *Node) houseName() (name string) {
	_ = n.Directory(func(v directory.View) error { // without a circle there is none
		r := v.Roster()
		if r == nil {
			return nil
		}
		b, _ := r.Box(n.cfg.Box)
		for _, h := range r.Houses() {
			if h.ID == b.House {
				name = h.Name
			}
		}
		return nil
	})
	return name
}

// serve registers what this box answers.
func (n *Node) serve() {
	n.cfg.Net.Receive(n.receive)
	n.cfg.Net.Handle(serviceSettle, n.whenRunning(n.serveSettle))
	n.cfg.Net.Handle(serviceRead, n.whenRunning(n.serveRead))
	n.cfg.Net.Handle(serviceState, n.whenRunning(n.serveState))
	n.cfg.Net.Handle(serviceStatus, n.whenRunning(n.serveStatus))
}

type handler = func(context.Context, ident.BoxID, transport.Stream)

// whenRunning refuses strangers and holds calls back until Run has begun.
func (n *Node) whenRunning(h handler) handler {
	return func(ctx context.Context, from ident.BoxID, s transport.Stream) {
		select {
		case <-n.started:
		case <-ctx.Done():
			return
		}
		h(ctx, from, s)
	}
}

// heardBeat passes on what a beat taught about the link.
func (n *Node) heardBeat(from ident.BoxID, p *pulse) {
	n.mu.Lock()
	n.distance[from], n.heard[from] = p.rtt, p.heard
	n.mu.Unlock()
	if meter, ok := n.cfg.Net.(rttMeter); ok && p.rtt > 0 {
		meter.SetRTT(from, p.rtt)
	}
}

// lostSight is told that a box fell silent: what its link was like tells nothing now,
// and it must not be asked before those that are there.
func (n *Node) lostSight(box ident.BoxID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.distance, box)
}

// rttMeter is a network that paces bulk by the round trips of beats.
type rttMeter interface {
	SetRTT(box ident.BoxID, rtt time.Duration)
}

// sortedByRTT orders boxes by the round trip of their last beat, those without one last.
func (n *Node) sortedByRTT(boxes []ident.BoxID) []ident.BoxID {
	n.mu.Lock()
	defer n.mu.Unlock()
	far := func(b ident.BoxID) time.Duration {
		if d, ok := n.distance[b]; ok {
			return d
		}
		return time.Hour
	}
	return slices.SortedStableFunc(slices.Values(boxes), func(a, b ident.BoxID) int { return cmp.Compare(far(a), far(b)) })
}

// StateHash returns the hash of a shard's state here, and the index of the last
// entry in it: replicas that have applied the same entries have the same hash.
func (n *Node) StateHash(shard ident.ShardID) (index uint64, hash [32]byte, err error) {
	rep := n.replica(shard)
	if rep == nil {
		return 0, hash, ErrNoSpace
	}
	err = rep.state.ViewAt(func(r kv.Reader, applied uint64) error {
		index, hash = applied, kv.Hash(r)
		return nil
	})
	return index, hash, err
}
