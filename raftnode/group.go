package raftnode

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/raftnode/raftlog"
)

// group is the raft group of one replica of this box. It belongs to the Node's
// loop: no other goroutine touches it.
type group struct {
	n     *Node
	rep   *replica
	shard ident.ShardID
	id    ident.ReplicaID
	rn    *raft.RawNode
	mem   members // as raft has it: every conf change applied so far
	hints map[ident.ReplicaID]ident.BoxID

	lead     ident.ReplicaID
	term     uint64
	leadless time.Time // since when no leader is known; zero while one is

	offering bool // this box is about to go on with a shard that lost most of its voters
	unplaced bool // the placement does not name this replica any more
	gone     bool // and neither does the membership, as another replica said

	eager  int // ticks in which a fresh shard's first replica asks for votes at once
	asleep bool
	calm   int // ticks in a row in which there was nothing to do

	confAsked bool   // a change of membership was proposed and is not in the log yet
	confAt    uint64 // index of the last one in the log, or above it
	tail      uint64 // index of the last entry given to the log
	mark      uint64 // tail one beat ago
	brake     brake

	installing bool          // a snapshot is being put in place
	held       []*pb.Message // storage appends that wait for it
	fetching   *fetching     // a snapshot is on its way here; nil: none
	sending    map[ident.ReplicaID]time.Time

	whole    map[ident.ReplicaID]wholeness // at the leader
	writer   writerRun
	reading  map[string]func(index uint64)
	lastMove time.Time
	dirty    bool
}

// writerRun counts who writes, so that leadership can follow.
type writerRun struct {
	box ident.BoxID
	n   int
}

// newGroup starts raft over what the replica has on disk.
func newGroup(n *Node, rep *replica) (*group, error) {
	g := &group{
		n: n, rep: rep, shard: rep.shard, id: rep.id,
		hints:   map[ident.ReplicaID]ident.BoxID{},
		sending: map[ident.ReplicaID]time.Time{},
		whole:   map[ident.ReplicaID]wholeness{},
		reading: map[string]func(uint64){},
	}
	g.mem = *rep.members.Load()
	g.leadless = n.now()
	applied, _ := rep.state.Applied()
	rn, err := raft.NewRawNode(&raft.Config{
		ID:                        uint64(g.id),
		ElectionTick:              electionTicks,
		HeartbeatTick:             heartbeatTicks,
		Storage:                   &startStorage{rep.log, applied, g.mem.conf},
		Applied:                   applied,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             128 << 10,
		MaxCommittedSizePerReady:  1 << 20,
		MaxUncommittedEntriesSize: 4 << 20,
		MaxInflightMsgs:           64,
		MaxInflightBytes:          1 << 20,
		CheckQuorum:               true,
		PreVote:                   true,
		StepDownOnRemoval:         true,
		DisableProposalForwarding: true,
		Logger:                    raftLogger{n.log.With("shard", g.shard, "replica", g.id)},
	})
	if err != nil {
		return nil, fmt.Errorf("start raft of shard %s: %w", g.shard, err)
	}
	g.rn = rn
	if g.tail, err = rep.log.LastIndex(); err != nil {
		return nil, err
	}
	g.confAt = g.tail // nobody has looked for changes of membership there
	return g, nil
}

// startStorage is the log as raft must see it at a start: committed at least as
// far as the state has applied, and with the membership of the applied index.
type startStorage struct {
	*raftlog.Storage
	applied uint64
	conf    *pb.ConfState
}

// InitialState implements raft.Storage.
func (s *startStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hs, _, err := s.Storage.InitialState()
	if err != nil {
		return nil, nil, err
	}
	if hs == nil {
		hs = &pb.HardState{}
	}
	if hs.GetCommit() < s.applied {
		hs = proto.Clone(hs).(*pb.HardState)
		hs.Commit = proto.Uint64(s.applied)
	}
	return hs, s.conf, nil
}

func (g *group) leads() bool { return g.lead == g.id && g.id != 0 }

// leaderBox returns the box of the known leader, empty when none is known.
func (g *group) leaderBox() ident.BoxID { return g.boxOf(g.lead) }

func (g *group) boxOf(id ident.ReplicaID) ident.BoxID {
	if b, ok := g.mem.boxes[id]; ok {
		return b
	}
	return g.hints[id]
}

// touch says that something happened: the group ticks again, and its work is looked at.
func (g *group) touch() {
	g.dirty = true
	g.calm = 0
	if g.asleep {
		g.asleep = false
		g.n.log.Debug("shard wakes", "shard", g.shard)
	}
	g.n.dirty = append(g.n.dirty, g)
}

// look has the group's work looked at without waking it.
func (g *group) look() {
	g.dirty = true
	g.n.dirty = append(g.n.dirty, g)
}

func (g *group) tick() {
	if g.asleep || g.rep.failure() != nil {
		return
	}
	g.rn.Tick()
	g.calm++
	g.look()
	if g.eager > 0 && g.lead == 0 {
		g.eager--
		if g.eager%heartbeatTicks == 0 {
			// Raft itself judges whether this replica can win.
			_ = g.rn.Campaign()
		}
	}
}

// step hands raft a message from another box.
func (g *group) step(from ident.BoxID, m *pb.Message) {
	if g.rep.failure() != nil || m.GetTo() != uint64(g.id) {
		return
	}
	if err := g.mayBe(from, m); err != nil {
		g.n.log.Warn("raft message refused", "shard", g.shard, "box", from.Short(), "type", m.GetType(), "err", err)
		return
	}
	if m.GetType() == pb.MsgSnap {
		g.fetchSnapshot(from, m)
		return
	}
	if m.GetType() != pb.MsgHeartbeat && m.GetType() != pb.MsgHeartbeatResp {
		g.calm = 0
	}
	if m.GetType() != pb.MsgHeartbeatResp {
		g.asleep = false // a late answer to a heartbeat is no news
	}
	g.stepForeign(from, m)
}

var (
	errNotForBoxes = errors.New("not a message between boxes")
	errNotItsBox   = errors.New("the replica is another box's")
)

// mayBe checks that a message is one that boxes send each other, and that it comes
// from the box of the replica that it names. Everything else raft takes for its own
// disk's word, or for a proposal that nobody judged.
func (g *group) mayBe(from ident.BoxID, m *pb.Message) error {
	switch m.GetType() {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgSnap,
		pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgTimeoutNow, pb.MsgReadIndex, pb.MsgReadIndexResp:
	default:
		return errNotForBoxes
	}
	id := ident.ReplicaID(m.GetFrom())
	if id == 0 || id == g.id || raft.IsLocalMsgTarget(m.GetFrom()) {
		return errNotItsBox
	}
	if box := g.boxOf(id); box != "" {
		if box != from {
			return errNotItsBox
		}
		return nil
	}
	if len(g.hints) >= maxReplicas {
		clear(g.hints) // of replicas that are long members, or gone
	}
	g.hints[id] = from
	return nil
}

// stepForeign hands raft what another box sent. Where raft sees that it cannot be
// true, it panics; that must stop this shard alone. A log here that cannot be read
// stops the box, which finds the damage at its next start. One that ends before what
// its leader knows to be promised here costs the replica its number.
func (g *group) stepForeign(from ident.BoxID, m *pb.Message) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if err, ok := r.(error); ok && errors.Is(err, raftlog.ErrDamaged) {
			panic(r)
		}
		if last, err := g.rep.log.LastIndex(); err == nil && m.GetType() == pb.MsgHeartbeat && m.GetCommit() > last {
			g.n.log.Error("the log ends before what it promised", "shard", g.shard, "last", last, "promised", m.GetCommit())
			g.n.logGone(g)
			return
		}
		g.rep.fail(fmt.Errorf("raft could not take a message of %s: %v", from.Short(), r))
	}()
	g.stepLocal(m)
}

func (g *group) stepLocal(m *pb.Message) {
	// Step's errors say that a message came late or from a stranger: no news.
	_ = g.rn.Step(m)
	g.look()
}

// ready carries out what raft asks for.
func (g *group) ready() {
	g.dirty = false
	if g.rep.failure() != nil || g.n.groups[g.shard] != g { // given up: the log may be another replica's by now
		return
	}
	for g.rn.HasReady() {
		rd := g.rn.Ready()
		if rd.SoftState != nil {
			g.leaderIs(ident.ReplicaID(rd.SoftState.Lead))
		}
		for _, rs := range rd.ReadStates {
			g.readAt(string(rs.RequestCtx), rs.Index)
		}
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				g.append(m)
			case raft.LocalApplyThread:
				g.rep.apply(m)
			default:
				g.send(m)
			}
		}
	}
	g.confAsked = false // if raft took it, noteTail has seen it
	g.term = g.rn.BasicStatus().GetTerm()
	g.rep.publish(g)
}

func (g *group) leaderIs(id ident.ReplicaID) {
	if id == g.lead {
		return
	}
	g.lead = id
	g.writer = writerRun{}
	clear(g.whole)
	g.mark, g.brake = g.tail, brake{}
	if id == 0 {
		g.leadless = g.n.now()
	} else {
		g.leadless = time.Time{}
	}
	g.n.log.Info("leader", "shard", g.shard, "replica", id, "box", g.boxOf(id).Short(), "term", g.rn.BasicStatus().GetTerm())
	g.rep.publish(g)
	g.rep.changed()
}

// append makes raft's log write durable, in order; its answers go out after.
func (g *group) append(m *pb.Message) {
	g.noteTail(m.GetEntries())
	switch {
	case g.installing:
		g.held = append(g.held, m)
	case !raft.IsEmptySnap(m.GetSnapshot()):
		g.installing = true
		g.rep.install(m.GetSnapshot(), func(err error) { g.installed(m, err) })
	default:
		g.write(m)
	}
}

// installed goes on after a snapshot's state is in place: first the state file,
// then the log record, then raft's answer (DESIGN §9).
func (g *group) installed(m *pb.Message, err error) {
	if g.n.groups[g.shard] != g {
		return
	}
	if err != nil {
		g.rep.fail(fmt.Errorf("install snapshot: %w", err))
		return
	}
	g.mem = *g.rep.members.Load()
	g.installing = false
	g.write(m)
	held := g.held
	g.held = nil
	for _, h := range held {
		g.append(h)
	}
	g.look()
}

func (g *group) write(m *pb.Message) {
	w := raftlog.Write{Shard: g.shard, Entries: m.GetEntries()}
	if m.Term != nil {
		w.HardState = &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	}
	if s := m.GetSnapshot(); !raft.IsEmptySnap(s) {
		w.Snapshot = s.GetMetadata()
	}
	w.Done = func(err error) {
		g.n.mail.put(func() {
			if err != nil {
				g.n.stopWith(fmt.Errorf("raft log: %w", err))
				return
			}
			if w.Snapshot != nil {
				if err := g.rep.endReset(); err != nil {
					g.n.log.Warn("end of log reset", "shard", g.shard, "err", err)
				}
			}
			g.deliver(m.GetResponses())
		})
	}
	g.n.cfg.Log.Submit(w)
}

// deliver sends the messages that had to wait for a storage write.
func (g *group) deliver(ms []*pb.Message) {
	if g.rep.failure() != nil || g.n.groups[g.shard] != g {
		return
	}
	for _, m := range ms {
		if m.GetTo() == uint64(g.id) {
			g.stepLocal(m)
		} else {
			g.send(m)
		}
	}
	g.look()
}

func (g *group) send(m *pb.Message) {
	to := ident.ReplicaID(m.GetTo())
	box := g.boxOf(to)
	if box == "" {
		return
	}
	if m.GetType() == pb.MsgSnap {
		g.sending[to] = g.n.now()
		g.n.log.Info("sending snapshot", "shard", g.shard, "replica", to, "index", m.GetSnapshot().GetMetadata().GetIndex())
	}
	b, err := proto.Marshal(m)
	if err != nil {
		g.rep.fail(fmt.Errorf("encode raft message: %w", err))
		return
	}
	g.n.post(box, func(f *frame) { f.Raft = append(f.Raft, raftMessage{g.shard, b}) }, len(b))
}

// applied is told by the applier: these entries are in the state, these conf
// changes among them, in order; then raft's own answers.
func (g *group) applied(changes []*pb.ConfChangeV2, index uint64, answers []*pb.Message) {
	if g.n.groups[g.shard] != g {
		return
	}
	if g.installing {
		changes = nil // raft has the membership of the snapshot, which is newer
	}
	for _, cc := range changes {
		g.rn.ApplyConfChange(cc)
	}
	if len(changes) > 0 {
		g.mem = *g.rep.members.Load()
		g.n.log.Info("members changed", "shard", g.shard, "index", index, "members", g.mem.String())
		g.touch()
	}
	g.deliver(answers)
}

// settled reports whether every live replica of the group has everything and they
// are a quorum, so that a leader may put it to sleep. A box that comes back wakes it
// again. A leader without a quorum must stay awake: it has to find out and step down.
func (g *group) settled() bool {
	st := g.rn.Status()
	last, err := g.rep.log.LastIndex()
	if err != nil || st.GetCommit() != last || st.Applied != last || g.installing || len(g.sending) > 0 || len(g.reading) > 0 {
		return false
	}
	var live []ident.ReplicaID
	for id, pr := range st.Progress {
		r := ident.ReplicaID(id)
		switch {
		case r != g.id && !g.n.beats.alive(g.boxOf(r)):
		case pr.Match != last:
			return false
		default:
			live = append(live, r)
		}
	}
	return !g.mem.joint() && g.mem.heldByMajority(live)
}

// rest puts an idle group that this replica leads to sleep, and tells the others.
func (g *group) rest() {
	if g.asleep || !g.leads() || g.calm < restTicks || !g.settled() {
		return
	}
	last, _ := g.rep.log.LastIndex()
	for id, box := range g.mem.boxes {
		if id != g.id {
			s := sleep{g.shard, id, g.id, g.term, last}
			g.n.post(box, func(f *frame) { f.Sleep = append(f.Sleep, s) }, 64)
		}
	}
	g.asleep = true
	g.n.log.Debug("shard sleeps", "shard", g.shard, "term", g.term, "index", last)
}

// hearSleep obeys a leader's sleep when this replica agrees in every number.
func (g *group) hearSleep(s sleep) {
	last, err := g.rep.log.LastIndex()
	st := g.rn.BasicStatus()
	if err != nil || s.To != g.id || s.Leader != g.lead || s.Term != st.GetTerm() ||
		s.Index != last || st.GetCommit() != last || st.Applied != last || g.installing {
		return // stays awake: the digest of the next beats will tell the leader
	}
	g.asleep = true
}
