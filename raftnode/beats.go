package raftnode

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"redhen/provision/ident"
)

// beats is who is there: one beat per pair of boxes and second, whatever the
// number of shards. It belongs to the loop.
type beats struct {
	n     *Node
	peers map[ident.BoxID]*pulse
}

// pulse is what was heard of one box.
type pulse struct {
	last    time.Time // of the last beat; zero before the first, and when silence was noticed
	heard   time.Time // of the last beat, whatever came after
	since   time.Time // of the first beat without a break
	boot    uint64
	sent    int64 // its Sent, to be echoed
	arrived time.Time
	rtt     time.Duration
}

func newBeats(n *Node) *beats { return &beats{n, map[ident.BoxID]*pulse{}} }

// alive reports whether the box was heard lately.
func (b *beats) alive(box ident.BoxID) bool {
	if box == b.n.cfg.Box {
		return true
	}
	p := b.peers[box]
	return p != nil && !p.last.IsZero() && b.n.now().Sub(p.last) < beatMissing
}

// contact returns since when the box has been heard without a break, zero when it is not.
func (b *beats) contact(box ident.BoxID) time.Time {
	if !b.alive(box) {
		return time.Time{}
	}
	return b.peers[box].since
}

// send beats to every box of the circle, and notices who fell silent.
func (b *beats) send() {
	for _, box := range b.n.others() {
		p := b.peer(box)
		beat := &beat{Boot: b.n.boot, Digest: b.n.digest(b.n.cfg.Box, box), Sent: b.n.now().UnixNano()}
		if p.sent != 0 {
			beat.Echo, beat.Lay = p.sent, b.n.now().Sub(p.arrived).Nanoseconds()
			p.sent = 0
		}
		b.n.post(box, func(f *frame) { f.Beat = beat }, 64)
	}
	b.noticeSilence()
}

// noticeSilence wakes what is shared with boxes that fell silent, also those that
// are in the circle no more and are sent nothing.
func (b *beats) noticeSilence() {
	for _, box := range slices.Sorted(maps.Keys(b.peers)) {
		if p := b.peers[box]; !p.last.IsZero() && !b.alive(box) {
			p.last = time.Time{}
			b.n.log.Info("box fell silent", "box", box.Short())
			b.n.lostSight(box)
			b.n.wakeShared(box, true)
		}
	}
	b.n.seekLeaders()
}

// seekLeaders has the others wake the shards that are awake here and know no
// leader: it may sleep, and a replica without a vote never asks for one.
func (n *Node) seekLeaders() {
	for shard, g := range n.groups {
		if g.asleep || g.lead != 0 || g.rep.failure() != nil || g.rep.leadless() < beatMissing {
			continue
		}
		for _, box := range g.mem.boxes {
			if box != n.cfg.Box && n.beats.alive(box) {
				n.post(box, func(f *frame) { f.Wake = append(f.Wake, wakeCall{shard}) }, 16)
			}
		}
	}
}

func (b *beats) peer(box ident.BoxID) *pulse {
	p := b.peers[box]
	if p == nil {
		p = &pulse{}
		b.peers[box] = p
	}
	return p
}

// hear takes a beat. A box that is new, back or restarted, and one whose word on
// what it leads differs from ours, wakes what we share with it.
func (b *beats) hear(from ident.BoxID, beat beat) {
	p, now := b.peer(from), b.n.now()
	fresh := p.last.IsZero() || p.boot != beat.Boot
	if fresh {
		p.since = now
		b.n.log.Info("box is there", "box", from.Short())
	}
	p.last, p.heard, p.boot, p.sent, p.arrived = now, now, beat.Boot, beat.Sent, now
	if beat.Echo != 0 {
		if rtt := time.Duration(now.UnixNano() - beat.Echo - beat.Lay); rtt >= 0 && rtt < time.Minute {
			p.rtt = rtt
		}
	}
	switch {
	case fresh:
		b.n.forgetWhole(from)
		b.n.resendTo(from)
		b.n.wakeShared(from, false)
	case beat.Digest != b.n.digest(from, b.n.cfg.Box):
		b.n.wakeLedBy(from)
	}
	b.n.heardBeat(from, p)
}

// digest sums up the sleeping shards that leader leads and other shares, with
// their terms; a replica that stopped does not sleep, so that the others find
// another leader. Both boxes compute it from what they know; a difference wakes.
func (n *Node) digest(leader, other ident.BoxID) uint64 {
	var shards []ident.ShardID
	for shard, g := range n.groups {
		if g.asleep && g.rep.failure() == nil && g.leaderBox() == leader && g.mem.replicaOf(other) != 0 {
			shards = append(shards, shard)
		}
	}
	slices.Sort(shards)
	h := fnv.New64a()
	for _, s := range shards {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], uint64(s))
		binary.BigEndian.PutUint64(b[8:], n.groups[s].term)
		h.Write(b[:])
	}
	return h.Sum64()
}

// wakeShared wakes the shards that this box shares with another; when it fell
// silent, only those that one of the two leads: a leader must notice that its
// quorum is gone.
func (n *Node) wakeShared(box ident.BoxID, silent bool) {
	for _, g := range n.groups {
		if g.leaderBox() == box || g.mem.replicaOf(box) != 0 && (!silent || g.leads()) {
			g.touch()
		}
	}
}

func (n *Node) wakeLedBy(box ident.BoxID) {
	for _, g := range n.groups {
		if g.leaderBox() == box {
			g.touch()
			shard := g.shard
			n.post(box, func(f *frame) { f.Wake = append(f.Wake, wakeCall{shard}) }, 16)
		}
	}
}
