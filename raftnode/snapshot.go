package raftnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// snapshotRef is what a snapshot message carries instead of the state: where to
// fetch it, in parts that can be resumed, and what must arrive.
type snapshotRef struct {
	Box  ident.BoxID `cbor:"1,keyasint"`
	Name string      `cbor:"2,keyasint"`
	Size int64       `cbor:"3,keyasint"` // bytes
	Hash [32]byte    `cbor:"4,keyasint"` // SHA-256 of the file
}

// ownSnapshot is a copy of the state that other boxes may fetch.
type ownSnapshot struct {
	meta *pb.SnapshotMetadata
	ref  snapshotRef
	path string
	made time.Time
}

// ownSnapshot gives raft the last copy of the state, or has one made and says
// that it is not there yet; raft asks again. A copy from before the last change of
// membership is of no use to a replica that the change added: raft ignores it.
func (r *replica) ownSnapshot() (*pb.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.snapshot; s != nil && r.n.now().Sub(s.made) < snapshotHold && proto.Equal(s.meta.GetConfState(), r.members.Load().conf) {
		return &pb.Snapshot{Metadata: s.meta, Data: wire.MustMarshal(s.ref)}, nil
	}
	if !r.making {
		r.making = true
		r.work.put(r.makeSnapshot)
	}
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// makeSnapshot copies the state into a file of its own and offers it.
func (r *replica) makeSnapshot() {
	s, err := r.copyState()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.making = false
	if err != nil {
		r.n.log.Warn("make snapshot", "shard", r.shard, "err", err)
		return
	}
	if old := r.snapshot; old != nil && old.path != s.path {
		r.n.exchange.Withdraw(old.ref.Name)
		os.Remove(old.path)
	}
	r.snapshot = s
	r.n.exchange.Offer(s.ref.Name, s.path)
}

func (r *replica) copyState() (*ownSnapshot, error) {
	path := fmt.Sprintf("%s.snapshot-%d", r.path, appliedIndex(r.state))
	c, err := r.state.Copy(path)
	if err != nil {
		return nil, err
	}
	return &ownSnapshot{
		meta: &pb.SnapshotMetadata{
			Index: proto.Uint64(c.Index), Term: proto.Uint64(c.Term), ConfState: r.members.Load().conf,
		},
		ref:  snapshotRef{r.n.cfg.Box, fmt.Sprintf("%s-%d", r.shard, c.Index), c.Size, c.Hash},
		path: path,
		made: r.n.now(),
	}, nil
}

// dropSnapshot forgets a copy that nobody fetched for long. One that is on its way
// stays, and is the one that others get: their way may be long too.
func (r *replica) dropSnapshot(sending bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.snapshot
	switch {
	case s == nil:
	case sending:
		s.made = r.n.now()
	case r.n.now().Sub(s.made) > 5*snapshotHold:
		r.n.exchange.Withdraw(s.ref.Name)
		os.Remove(s.path)
		r.snapshot = nil
	}
}

// fetchSnapshot brings the state that a snapshot message names, then hands the
// message to raft. One at a time; a partial file is continued by the next try.
func (g *group) fetchSnapshot(from ident.BoxID, m *pb.Message) {
	switch f := g.fetching; {
	case g.installing:
		g.tellLost(from) // else its raft would wait for an answer
		return
	case f == nil:
	case f.from != from && m.GetTerm() > f.term: // a new leader; the old one may be gone in the middle
		f.next = func() { g.fetchSnapshot(from, m) }
		f.end()
		return
	default:
		return
	}
	var ref snapshotRef
	if err := wire.Unmarshal(m.GetSnapshot().GetData(), &ref); err != nil || ref.Box != from {
		g.n.log.Warn("snapshot message", "shard", g.shard, "box", from.Short(), "err", err)
		return
	}
	if m.GetSnapshot().GetMetadata().GetIndex() <= appliedIndex(g.rep.state) {
		g.stepForeign(from, m) // raft answers with what it has
		return
	}
	ctx, end := context.WithCancel(g.n.life)
	g.fetching = &fetching{from: from, term: m.GetTerm(), end: end}
	dst := g.rep.receivedPath(m.GetSnapshot().GetMetadata().GetIndex())
	g.n.spawn(func(context.Context) {
		defer end()
		g.rep.dropReceived(dst)
		err := g.n.exchange.FetchFile(ctx, from, ref.Name, dst, ref.Size, ref.Hash)
		g.n.mail.put(func() { g.fetched(from, m, err) })
	})
}

// fetching is a snapshot on its way here.
type fetching struct {
	from ident.BoxID
	term uint64
	end  context.CancelFunc
	next func() // to be fetched instead, from a newer leader; nil when there is none
}

// dropReceived removes what came of earlier snapshots, all but the file at keep.
func (r *replica) dropReceived(keep string) {
	files, err := filepath.Glob(r.path + ".received-*")
	if err != nil {
		return
	}
	for _, f := range files {
		if f != keep {
			os.Remove(f)
		}
	}
}

func (g *group) fetched(from ident.BoxID, m *pb.Message, err error) {
	next := g.fetching.next
	g.fetching = nil
	if g.n.groups[g.shard] != g {
		return
	}
	if next != nil {
		next()
		return
	}
	if err == nil {
		g.stepForeign(from, m)
		g.ready()
		if g.installing || appliedIndex(g.rep.state) >= m.GetSnapshot().GetMetadata().GetIndex() {
			return
		}
		err = errors.New("raft has no use for it")
	}
	g.n.log.Info("snapshot did not help", "shard", g.shard, "box", from.Short(), "err", err)
	g.tellLost(from)
}

// tellLost has the sender of a snapshot begin anew.
func (g *group) tellLost(to ident.BoxID) {
	lost := lostPart{g.shard, g.id}
	g.n.post(to, func(f *frame) { f.Lost = append(f.Lost, lost) }, 32)
}

// hearLost lets raft try again.
func (g *group) hearLost(l lostPart) {
	delete(g.sending, l.From)
	g.rn.ReportSnapshot(uint64(l.From), raft.SnapshotFailure)
	g.look()
}

// followSnapshots ends the sending of those that arrived, and gives up on those
// of which nothing was heard: their box may have restarted in the middle.
func (g *group) followSnapshots() {
	if len(g.sending) == 0 {
		return
	}
	progress := g.rn.Status().Progress
	for id, since := range g.sending {
		pr, ok := progress[uint64(id)]
		switch {
		case !ok || pr.PendingSnapshot == 0:
			delete(g.sending, id)
		case !g.n.beats.alive(g.boxOf(id)) || g.n.now().Sub(since) > snapshotPatience:
			g.hearLost(lostPart{g.shard, id})
		}
	}
}

// resendTo begins anew the snapshots under way to a box that is new, back or
// restarted: what it had of them may be gone, and raft would wait for its answer.
func (n *Node) resendTo(box ident.BoxID) {
	for _, g := range n.groups {
		if id := g.mem.replicaOf(box); id != 0 && !g.sending[id].IsZero() {
			g.hearLost(lostPart{g.shard, id})
		}
	}
}
