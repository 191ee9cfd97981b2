package raftnode

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/transport"
)

// serviceSettle is the service by which a box has an entry committed by the leader.
const serviceSettle = "redhen/settle/1"

// ErrApart says that no majority of a shard's houses was in reach in time. What
// was asked may still come to pass if it was sent.
var ErrApart = errors.New("not enough houses are in reach")

// result is what became of one entry: the key says which of its shard.
type result struct {
	key     string
	write   catalog.Outcome
	command directory.Outcome
	kept    int // houses that are sure to have it
}

func writeKey(id catalog.WriteID) string { return "w" + id.String() }
func commandKey(id [16]byte) string      { return "c" + hex.EncodeToString(id[:]) }

// again reports whether the entry must be proposed again: it changed nothing and
// did not use its ID up.
func (r result) again() bool {
	return r.write.Status == catalog.Unresolved || r.write.Status == catalog.NoHolders
}

// decided reports whether the entry took its place in the state.
func (r result) decided() bool { return !r.again() && r.write.Status != catalog.Stale }

// applyBody applies one entry to the state.
//
// A write that is offered again may have been decided when fewer replicas voted, and
// those that vote since may owe its bytes still: then one house is all it is sure of.
func (r *replica) applyBody(tx kv.Writer, index uint64, e entry) (result, error) {
	m := r.members.Load()
	kept := m.keptIn(r.n.houseOf)
	switch {
	case e.Kind == entryWrite && r.shard != ident.CircleShard:
		w, err := catalog.DecodeWrite(e.Body)
		if err != nil {
			return result{}, err
		}
		out, err := catalog.Apply(tx, index, w, func() bool { return m.heldByMajority(e.Holders) })
		if err == nil && (result{write: out}).decided() { // the bytes of a refused one are kept, too
			r.debt.expect(index, w.Op.Content, boxesOf(m, e.Holders))
		}
		if out.Index != index && !m.haveBytes(w.Op.Content, e.Holders) {
			kept = min(kept, 1)
		}
		return result{key: writeKey(w.ID), write: out, kept: kept}, err
	case e.Kind == entryCommand && r.shard == ident.CircleShard:
		c, err := directory.DecodeCommand(e.Body)
		if err != nil {
			return result{}, err
		}
		out, err := r.n.machine.Apply(tx, index, c)
		return result{key: commandKey(c.ID), command: out, kept: kept}, err
	}
	return result{}, fmt.Errorf("entry of kind %d: this version of redhen does not know it", e.Kind)
}

func boxesOf(m *members, ids []ident.ReplicaID) []ident.BoxID {
	var boxes []ident.BoxID
	for _, id := range ids {
		if b, ok := m.boxes[id]; ok {
			boxes = append(boxes, b)
		}
	}
	return boxes
}

// awaited is an entry that somebody waits for. A box numbers the writes of each space
// for themselves, so that the key of a write says nothing without its shard.
type awaited struct {
	shard ident.ShardID
	key   string
}

// settled tells those who wait for an entry; by the applier.
func (n *Node) settled(r *replica, res result) {
	what := awaited{r.shard, res.key}
	n.mu.Lock()
	waiting := n.waiting[what]
	delete(n.waiting, what)
	n.mu.Unlock()
	for _, w := range waiting {
		w <- res // has room for one
	}
	if r.shard == ident.CircleShard {
		n.circleNews()
	}
}

// await registers for an entry's result before it is proposed.
func (n *Node) await(what awaited) (<-chan result, func()) {
	ch := make(chan result, 1)
	n.mu.Lock()
	n.waiting[what] = append(n.waiting[what], ch)
	n.mu.Unlock()
	return ch, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		rest := slices.DeleteFunc(n.waiting[what], func(c chan result) bool { return c == ch })
		if len(rest) == 0 {
			delete(n.waiting, what)
		} else {
			n.waiting[what] = rest
		}
	}
}

// settle has an entry committed, wherever the leader is, through as many tries
// as ctx allows. The result is in this box's state, unless its replica lags.
func (n *Node) settle(ctx context.Context, shard ident.ShardID, key string, e entry) (result, error) {
	here, cancel := n.await(awaited{shard, key})
	defer cancel()
	pause := retryMin
	for {
		res, err := n.attempt(ctx, shard, key, e, here)
		if err == nil {
			return res, nil
		}
		if ctx.Err() != nil {
			return result{}, fmt.Errorf("%w: %w", ErrApart, err)
		}
		n.log.Debug("settle again", "shard", shard, "err", err)
		if rep := n.replica(shard); rep != nil {
			rep.wake() // the leader it knows may be gone
		}
		select {
		case res := <-here:
			return res, nil
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retryMax)
	}
}

// attempt tries once, at the leader that is known.
func (n *Node) attempt(ctx context.Context, shard ident.ShardID, key string, e entry, here <-chan result) (result, error) {
	ctx, end := context.WithTimeout(ctx, attemptFor)
	defer end()
	leader, err := n.leaderOf(ctx, shard)
	if err != nil {
		return result{}, err
	}
	there := make(chan settleReply, 1)
	failed := make(chan error, 1)
	if leader == n.cfg.Box {
		n.mail.put(func() { failed <- n.propose(shard, n.cfg.Box, e) })
	} else {
		n.spawn(func(context.Context) { n.askLeader(ctx, leader, settleCall{shard, key, e}, there, failed) })
	}
	rep := n.replica(shard)
	holds := rep != nil && rep.failure() == nil
	var answered settleReply
	var lagging <-chan time.Time
	for {
		select {
		case res := <-here:
			return res, nil
		case answered = <-there:
			if !holds || answered.again() {
				return answered.result(key), nil
			}
			lagging = time.After(lagFor)
		case <-lagging: // committed, and the replica here is behind
			return answered.result(key), nil
		case err := <-failed:
			if err != nil {
				return result{}, err
			}
		case <-ctx.Done():
			return result{}, ctx.Err()
		}
	}
}

// propose hands an entry to the raft group that this box leads; on the loop.
func (n *Node) propose(shard ident.ShardID, by ident.BoxID, e entry) error {
	g := n.groups[shard]
	if g == nil || !g.leads() {
		return errNotLeader
	}
	if err := g.rep.failure(); err != nil {
		return err
	}
	if e.Kind == entryWrite && (g.changing() || g.brakes(e.Holders)) {
		return errChanging
	}
	b := e.encode()
	if _, err := decodeEntry(b); err != nil { // applied, it would stop the shard everywhere
		return err
	}
	g.touch()
	if err := g.rn.Propose(b); err != nil {
		return err
	}
	g.wrote(by)
	return nil
}

var (
	errNotLeader = errors.New("this box does not lead the shard")
	errChanging  = errors.New("the shard's members are being changed")
)

// changing reports whether a change of membership may stand in the log that is not
// in force here. A write behind it would be committed by the majority before it and
// be answered as kept by the one after it: when a second house begins to vote, as
// kept in two houses, of which one has it. It is refused until the change is in force.
func (g *group) changing() bool {
	return g.confAsked || g.rn.BasicStatus().Applied < g.confAt
}

// noteTail follows where the log ends, and where the last change of membership stands in it.
func (g *group) noteTail(entries []*pb.Entry) {
	for i, e := range entries {
		if i == 0 && e.GetIndex() <= g.confAt { // replaced
			g.confAt = e.GetIndex() - 1
		}
		if t := e.GetType(); t == pb.EntryConfChange || t == pb.EntryConfChangeV2 {
			g.confAt = e.GetIndex()
		}
		g.tail = e.GetIndex()
	}
}

// wrote lets leadership follow a box that keeps writing.
func (g *group) wrote(by ident.BoxID) {
	if g.writer.box != by {
		g.writer = writerRun{box: by}
	}
	g.writer.n++
	now := g.n.now()
	to := g.mem.replicaOf(by)
	if by == g.n.cfg.Box || g.writer.n < writerRunLength || now.Sub(g.lastMove) < leaderMoveEvery ||
		!g.mem.isVoter(to) || g.mem.joint() || g.n.owesChunks(by, g.shard) || !g.fitToLead(to) {
		return
	}
	g.lastMove = now
	g.n.log.Info("leadership follows the writer", "shard", g.shard, "box", by.Short())
	g.rn.TransferLeader(uint64(to))
}

func (g *group) fitToLead(id ident.ReplicaID) bool {
	last, err := g.rep.log.LastIndex()
	return err == nil && g.rn.Status().Progress[uint64(id)].Match+matchSlack >= last
}

// settleCall asks the leader of a shard to have an entry committed.
type settleCall struct {
	Shard ident.ShardID `cbor:"1,keyasint"`
	Key   string        `cbor:"2,keyasint"`
	Entry entry         `cbor:"3,keyasint"`
}

// settleReply says what became of it, or who leads.
type settleReply struct {
	Done    bool              `cbor:"1,keyasint,omitempty"`
	Write   catalog.Outcome   `cbor:"2,keyasint,omitempty"`
	Command directory.Outcome `cbor:"3,keyasint,omitempty"`
	Kept    int               `cbor:"4,keyasint,omitempty"`
	Leader  ident.BoxID       `cbor:"5,keyasint,omitempty"`
}

func (r settleReply) result(key string) result { return result{key, r.Write, r.Command, r.Kept} }
func (r settleReply) again() bool              { return r.result("").again() }

func (n *Node) askLeader(ctx context.Context, leader ident.BoxID, call settleCall, there chan<- settleReply, failed chan<- error) {
	var reply settleReply
	err := n.call(ctx, leader, serviceSettle, call, &reply)
	switch {
	case err != nil:
		n.forgetLeader(call.Shard)
		failed <- err
	case !reply.Done:
		n.rememberLeader(call.Shard, reply.Leader)
		failed <- errNotLeader
	default:
		n.rememberLeader(call.Shard, leader)
		there <- reply
	}
}

// serveSettle answers a settleCall. A box may only bring writes of its own.
func (n *Node) serveSettle(ctx context.Context, from ident.BoxID, s transport.Stream) {
	var call settleCall
	if err := readCall(s, &call); err != nil {
		n.log.Warn("call refused", "service", serviceSettle, "box", from.Short(), "err", err)
		return
	}
	if err := mayBring(from, call); err != nil {
		n.log.Warn("call refused", "service", serviceSettle, "box", from.Short(), "err", err)
		return
	}
	here, cancel := n.await(awaited{call.Shard, call.Key})
	defer cancel()
	failed := make(chan error, 1)
	n.mail.put(func() { failed <- n.propose(call.Shard, from, call.Entry) })
	timeout := time.After(attemptFor)
	for {
		select {
		case res := <-here:
			n.reply(s, settleReply{Done: true, Write: res.write, Command: res.command, Kept: res.kept})
			return
		case err := <-failed:
			if err != nil {
				n.reply(s, settleReply{Leader: n.hintLeader(call.Shard)})
				return
			}
		case <-timeout:
			return
		case <-ctx.Done():
			return
		}
	}
}

// mayBring refuses what every replica would stop at if it stood in its log, and
// what another box must bring.
func mayBring(from ident.BoxID, call settleCall) error {
	circle := call.Shard == ident.CircleShard
	switch {
	case call.Entry.Kind == entryWrite && !circle:
		w, err := catalog.DecodeWrite(call.Entry.Body)
		if err != nil {
			return err
		}
		if call.Key != writeKey(w.ID) { // it may be another box's, of a branch that comes home
			return errors.New("a write under another name")
		}
	case call.Entry.Kind == entryCommand && circle:
		c, err := directory.DecodeCommand(call.Entry.Body)
		if err != nil {
			return err
		}
		if c.By != from || call.Key != commandKey(c.ID) {
			return errors.New("a command of another box")
		}
	default:
		return fmt.Errorf("entry of kind %d for shard %s", call.Entry.Kind, call.Shard)
	}
	if len(call.Entry.Holders) > maxReplicas || len(call.Entry.encode()) > maxEntry {
		return fmt.Errorf("entry: %w", wire.ErrTooLarge)
	}
	return nil
}

// call asks another box one question and reads one answer.
func (n *Node) call(ctx context.Context, to ident.BoxID, service string, question, answer any) error {
	s, err := n.cfg.Net.Dial(ctx, to, service)
	if err != nil {
		return fmt.Errorf("call %s at %s: %w", service, to.Short(), err)
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	if err := wire.Write(s, question); err != nil {
		return fmt.Errorf("call %s at %s: %w", service, to.Short(), err)
	}
	s.CloseWrite()
	if err := wire.Read(s, 0, answer); err != nil {
		return fmt.Errorf("call %s at %s: %w", service, to.Short(), err)
	}
	return nil
}

func readCall(s transport.Stream, question any) error {
	if err := s.SetDeadline(time.Now().Add(callFor)); err != nil {
		return err
	}
	return wire.Read(s, 2*maxEntry, question)
}

func (n *Node) reply(s transport.Stream, answer any) {
	if err := wire.Write(s, answer); err != nil {
		n.log.Debug("reply", "err", err)
	}
}
