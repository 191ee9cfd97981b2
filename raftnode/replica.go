package raftnode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/raftnode/kv"
	"redhen/raftnode/raftlog"
)

// replica is one replica of this box as everybody but raft sees it: its state,
// its membership, and one goroutine that applies what raft committed. All its
// methods are safe for concurrent use.
type replica struct {
	n     *Node
	shard ident.ShardID
	id    ident.ReplicaID
	path  string
	state *kv.Store
	log   *raftlog.Storage

	members   atomic.Pointer[members]
	seen      atomic.Pointer[groupView]
	work      *mail // for the applier
	unflushed bool  // the applier's: the last flush failed
	debt      *debt
	life      context.Context // ends when the replica is given up or begun anew, and with the Node
	end       context.CancelFunc

	// Set by openReplica, for startGroup: what must be healed before raft may run.
	damaged bool // the state must be fetched
	lost    bool // the votes are lost: a new number is needed

	mu       sync.Mutex
	failed   error         // why this replica stopped; nil while it works
	change   chan struct{} // closed and renewed at every change
	snapshot *ownSnapshot  // the last one made here, while it is fresh
	making   bool          // one is being made
}

// groupView is what a group last said of itself.
type groupView struct {
	lead     ident.ReplicaID
	leadBox  ident.BoxID
	leads    bool
	asleep   bool
	term     uint64
	applied  uint64
	progress map[ident.ReplicaID]uint64 // matched index, at the leader
	last     uint64
	leadless time.Time // since when no leader is known; zero while one is
}

// stateName is the file of a replica's state: shard and replica in its name.
func stateName(shard ident.ShardID, id ident.ReplicaID) string {
	return fmt.Sprintf("%s-%d.db", shard, id)
}

func parseStateName(name string) (shard ident.ShardID, id ident.ReplicaID, ok bool) {
	base, isDB := strings.CutSuffix(name, ".db")
	s, r, cut := strings.Cut(base, "-")
	if !isDB || !cut {
		return 0, 0, false
	}
	shard, err := ident.ParseShardID(s)
	if err != nil {
		return 0, 0, false
	}
	num, err := strconv.ParseUint(r, 10, 64)
	return shard, ident.ReplicaID(num), err == nil && num > 0
}

// openReplica opens the state of a replica, and mends a log that ends before
// the state does: the power went between the two steps of a snapshot.
func openReplica(n *Node, shard ident.ShardID, id ident.ReplicaID) (*replica, error) {
	r := &replica{
		n: n, shard: shard, id: id, work: newMail(), change: make(chan struct{}), path: n.statePath(shard, id),
	}
	r.debt = newDebt(r)
	r.life, r.end = context.WithCancel(n.life)
	if err := r.openState(); err != nil {
		return nil, fmt.Errorf("shard %s: %w", shard, err)
	}
	r.log = n.cfg.Log.Shard(shard)
	if err := r.loadMembers(); err != nil {
		return nil, err
	}
	r.log.SetSnapshotter(r.ownSnapshot)
	if err := r.catchUpLog(); err != nil {
		return nil, err
	}
	switch {
	case r.lost:
		r.fail(ErrLogLost)
		return r, r.noteLost()
	case r.damaged:
		r.fail(ErrStateDamaged)
	}
	return r, nil
}

func (n *Node) statePath(shard ident.ShardID, id ident.ReplicaID) string {
	return filepath.Join(n.cfg.Dir, "shards", stateName(shard, id))
}

// openState opens the state file; a damaged one is kept aside.
func (r *replica) openState() (err error) {
	r.state, err = kv.Open(r.path)
	if errors.Is(err, kv.ErrDamaged) {
		r.damaged = true
		r.n.log.Error("state file damaged", "shard", r.shard, "err", err)
		r.state, err = emptyState(r.path, r.n.now())
	}
	return err
}

func (r *replica) loadMembers() error {
	return r.state.View(func(rd kv.Reader) error {
		m, err := readMembers(rd)
		r.members.Store(&m)
		return err
	})
}

// catchUpLog goes on with a reset of the log that a power cut may have ended: the
// state has its new first index, the log not yet. It says what is wrong otherwise:
//
//   - A log that ends before the state has lost what it promised, and its votes with
//     it: the replica must not go on. So it is, for ever, with one that was found so
//     earlier, or whose log and state are both gone.
//   - A state that ends before the log begins is not the one that the log continues
//     (it was set aside as damaged, and a power cut came before another house sent one).
func (r *replica) catchUpLog() error {
	index, term := r.state.Applied()
	first, err := r.log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := r.log.LastIndex()
	if err != nil {
		return err
	}
	switch {
	case r.notedLost(), r.damaged && last == 0:
		r.damaged, r.lost = false, true
		return nil
	case r.damaged:
		return nil
	case index+1 < first:
		r.damaged = true
		return nil
	case last < index || r.termAt(index) != term:
		if !r.resetting(index) {
			r.lost = true
			return nil
		}
		if err := r.resetLog(index, term, r.members.Load().conf); err != nil {
			return err
		}
	}
	r.log.SetCommitted(r.state.Durable())
	return r.endReset()
}

// termAt returns the term of an entry of the log, that of the state's own when the
// log has forgotten it.
func (r *replica) termAt(index uint64) uint64 {
	term, err := r.log.Term(index)
	if err != nil {
		_, term = r.state.Applied()
	}
	return term
}

// noteLost notes durably that the votes of this replica are lost: after the next
// start its log may look like that of one that never had any.
func (r *replica) noteLost() error {
	if r.notedLost() {
		return nil
	}
	return onefile.Replace(r.lostPath(), []byte("the votes of this replica are lost\n"))
}

func (r *replica) notedLost() bool {
	_, err := os.Stat(r.lostPath())
	return err == nil
}

func (r *replica) lostPath() string { return r.path + ".lost" }

// beginReset notes durably that the log is about to begin after an index, which
// the state will have first.
func (r *replica) beginReset(index uint64) error {
	return onefile.Replace(r.resetPath(), binary.BigEndian.AppendUint64(nil, index))
}

// resetting reports whether such a note of that index stands.
func (r *replica) resetting(index uint64) bool {
	b, err := onefile.Read(r.resetPath(), 8)
	return err == nil && len(b) == 8 && binary.BigEndian.Uint64(b) == index
}

func (r *replica) endReset() error {
	if err := os.Remove(r.resetPath()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (r *replica) resetPath() string { return r.path + ".reset" }

// resetLog makes the log begin after (index, term), durably.
func (r *replica) resetLog(index, term uint64, conf *pb.ConfState) error {
	hs, _, err := r.log.InitialState()
	if err != nil {
		return err
	}
	next := &pb.HardState{Term: proto.Uint64(max(hs.GetTerm(), term)), Commit: proto.Uint64(max(hs.GetCommit(), index)), Vote: proto.Uint64(0)}
	if hs.GetTerm() >= term {
		next.Vote = proto.Uint64(hs.GetVote())
	}
	done := make(chan error, 1)
	r.n.cfg.Log.Submit(raftlog.Write{
		Shard:     r.shard,
		HardState: next,
		Snapshot:  &pb.SnapshotMetadata{Index: proto.Uint64(index), Term: proto.Uint64(term), ConfState: conf},
		Done:      func(err error) { done <- err },
	})
	return <-done
}

// bootstrap gives a fresh replica its first membership, the same at every
// replica that begins with it: state and log begin after index 1 of term 1.
func (r *replica) bootstrap(m members) error {
	if index, _ := r.state.Applied(); index > 0 {
		return nil
	}
	if err := r.beginReset(1); err != nil {
		return err
	}
	if err := r.state.Apply(1, 1, m.write); err != nil {
		return err
	}
	if err := r.state.Flush(); err != nil {
		return err
	}
	r.members.Store(&m)
	if err := r.resetLog(1, 1, m.conf); err != nil {
		return err
	}
	return r.endReset()
}

// run applies what is put to work until the replica ends, and then what is left:
// its files are closed and removed by it.
func (r *replica) run(node context.Context) {
	for {
		select {
		case <-r.life.Done():
			for _, f := range r.work.take() {
				if node.Err() == nil {
					f()
				}
			}
			return
		case <-r.work.ready:
			for _, f := range r.work.take() {
				f()
			}
		}
	}
}

// fail stops this replica, not the box: it takes part in nothing more and its
// status carries the reason.
func (r *replica) fail(err error) {
	r.mu.Lock()
	first := r.failed == nil
	if first {
		r.failed = err
	}
	r.mu.Unlock()
	if first {
		r.n.log.Error("shard stops", "shard", r.shard, "replica", r.id, "err", err)
		r.changed()
	}
	if first && errors.Is(err, kv.ErrDamaged) {
		r.n.mail.put(func() { r.n.reopen(r) })
	}
}

func (r *replica) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// changed wakes everybody who waits for a change of this replica.
func (r *replica) changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.change)
	r.change = make(chan struct{})
}

func (r *replica) changes() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.change
}

// publish stores what others may know of the group.
func (r *replica) publish(g *group) {
	v := &groupView{lead: g.lead, leadBox: g.leaderBox(), leads: g.leads(), asleep: g.asleep, term: g.term, leadless: g.leadless}
	v.applied, _ = r.state.Applied()
	v.last, _ = r.log.LastIndex()
	if v.leads {
		v.progress = map[ident.ReplicaID]uint64{}
		for id, pr := range g.rn.Status().Progress {
			v.progress[ident.ReplicaID(id)] = pr.Match
		}
	}
	r.seen.Store(v)
}

// apply hands committed entries to the applier, in order.
func (r *replica) apply(m *pb.Message) {
	r.work.put(func() { r.applyNow(m) })
}

func (r *replica) applyNow(m *pb.Message) {
	if r.failure() != nil {
		return
	}
	var changes []*pb.ConfChangeV2
	var index uint64
	for _, e := range m.GetEntries() {
		cc, err := r.applyEntry(e)
		if err != nil {
			r.fail(fmt.Errorf("entry %d: %w", e.GetIndex(), err))
			return
		}
		if cc != nil {
			changes = append(changes, cc)
		}
		index = e.GetIndex()
	}
	if len(changes) > 0 {
		r.flushNow() // a restart must not lead again with the members of before
	}
	r.n.mail.put(func() {
		if g := r.n.groupOf(r); g != nil {
			g.applied(changes, index, m.GetResponses())
		}
	})
	r.changed()
	if r.state.Pending() > flushEntries*4 {
		r.flushNow()
	}
}

// applyEntry applies an entry that raft committed, and tells those who wait for it.
func (r *replica) applyEntry(e *pb.Entry) (*pb.ConfChangeV2, error) {
	cc, res, err := r.applyOne(e)
	if err == nil && res.key != "" {
		r.n.settled(r, res)
	}
	return cc, err
}

func (r *replica) applyOne(e *pb.Entry) (cc *pb.ConfChangeV2, res result, err error) {
	switch e.GetType() {
	case pb.EntryConfChange, pb.EntryConfChangeV2:
		cc, err = r.applyConf(e)
		return cc, res, err
	}
	if len(e.GetData()) == 0 { // a new leader's first entry
		return nil, res, r.state.Apply(e.GetIndex(), e.GetTerm(), func(kv.Writer) error { return nil })
	}
	body, err := decodeEntry(e.GetData())
	if err != nil {
		return nil, res, err
	}
	err = r.state.Apply(e.GetIndex(), e.GetTerm(), func(tx kv.Writer) (err error) {
		res, err = r.applyBody(tx, e.GetIndex(), body)
		return err
	})
	return nil, res, err
}

func (r *replica) applyConf(e *pb.Entry) (*pb.ConfChangeV2, error) {
	cc := &pb.ConfChangeV2{}
	if e.GetType() == pb.EntryConfChange {
		v1 := &pb.ConfChange{}
		if err := proto.Unmarshal(e.GetData(), v1); err != nil {
			return nil, fmt.Errorf("conf change: %w", err)
		}
		cc = v1.AsV2()
	} else if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return nil, fmt.Errorf("conf change: %w", err)
	}
	next, err := r.members.Load().after(cc, e.GetIndex())
	if err != nil {
		return nil, err
	}
	if err := r.state.Apply(e.GetIndex(), e.GetTerm(), next.write); err != nil {
		return nil, err
	}
	r.members.Store(&next)
	return cc, nil
}

// flush makes what was applied durable, then lets the log be cut.
func (r *replica) flush() { r.work.put(r.flushNow) }

func (r *replica) flushNow() {
	if r.failure() != nil || r.state.Durable() == appliedIndex(r.state) {
		return
	}
	if err := r.state.Flush(); err != nil {
		r.unflushed = true
		r.n.trouble(r.shard, err)
		return
	}
	if r.unflushed { // there is room again
		r.unflushed = false
		r.n.trouble(r.shard, nil)
	}
	r.cutLog()
}

func appliedIndex(s *kv.Store) uint64 {
	index, _ := s.Applied()
	return index
}

// cutLog lets entries go that the durable state has, all but a tail for boxes
// that lag. Invariant: the log is never cut above the durable applied index, nor
// above a snapshot that is on its way to somebody.
func (r *replica) cutLog() {
	first, err := r.log.FirstIndex()
	durable := r.state.Durable()
	if err != nil || durable < first+r.n.cfg.CutEntries+r.n.cfg.KeepEntries {
		return
	}
	to := durable - r.n.cfg.KeepEntries
	r.mu.Lock()
	if r.snapshot != nil {
		to = min(to, r.snapshot.meta.GetIndex())
	}
	r.mu.Unlock()
	if to > first {
		r.n.cfg.Log.Compact(r.shard, to)
	}
}

// install puts a received snapshot in place of the state, on the applier's
// goroutine so that no entry is applied meanwhile; then is called on the loop.
func (r *replica) install(snap *pb.Snapshot, then func(error)) {
	r.work.put(func() {
		err := r.installNow(snap)
		r.n.mail.put(func() { then(err) })
		r.changed()
	})
}

func (r *replica) installNow(snap *pb.Snapshot) error {
	if raft.IsEmptySnap(snap) || snap.GetMetadata().GetIndex() <= appliedIndex(r.state) {
		return nil
	}
	if err := r.beginReset(snap.GetMetadata().GetIndex()); err != nil {
		return err
	}
	if err := r.state.Replace(r.receivedPath(snap.GetMetadata().GetIndex())); err != nil {
		return err
	}
	if err := r.loadMembers(); err != nil {
		return err
	}
	r.n.replaced(r)
	return nil
}

// receivedPath is where the snapshot of an index lies while it arrives.
func (r *replica) receivedPath(index uint64) string {
	return fmt.Sprintf("%s.received-%d", r.path, index)
}
