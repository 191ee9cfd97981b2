package raftnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/manifest"
	"redhen/raftnode/placement"
	"redhen/raftnode/transport"
)

// ErrNeedsHouse says that a write insisted on more houses than could be reached.
// It was not kept, or only as an unconfirmed write that may still arrive.
var ErrNeedsHouse = errors.New("needs one more house")

// ErrEnded says that the box is being stopped: nothing was kept.
var ErrEnded = errors.New("box has ended")

// pending is a write of this box that raft has not settled. While raft is quick
// it lives in memory only and nobody was answered; before anybody is answered that
// it is kept here, it stands in the journal.
type pending struct {
	write catalog.Write
	done  chan struct{} // closed when res is set
	res   result

	// Readers here see a write that is journaled, or settled elsewhere while the
	// replica here lags. Both are guarded by Space.mu.
	journaled bool
	lagging   bool
	dropped   bool // it is no longer among Space.pending; guarded by Space.mu, too
}

func newPending(w catalog.Write, journaled bool) *pending {
	return &pending{write: w, journaled: journaled, done: make(chan struct{})}
}

// Write has op happen in the space. It returns when the write is committed and
// visible here, or, when that takes longer than answerAfter or the space is apart,
// once the journal here holds it. On a disk without any room nothing is accepted
// (chunk.ErrFull). kept is the number of houses that have it on
// disk; 1 means that it is kept here and on its way. With insist of 2 or more it
// returns ErrNeedsHouse instead of an answer from one house.
func (s *Space) Write(ctx context.Context, author ident.AccountID, op catalog.Op, insist int) (out catalog.Outcome, kept int, err error) {
	if s.n.cfg.Log.Full() {
		return out, 0, fmt.Errorf("write: %w", chunk.ErrFull)
	}
	if insist > 1 && (s.apart() || s.membership().keptIn(s.n.houseOf) < insist) {
		return out, 0, ErrNeedsHouse // before anything is kept
	}
	p, err := s.accept(author, op)
	if err != nil {
		return out, 0, err
	}
	s.n.spawn(func(life context.Context) { s.send(life, p) })
	return s.answer(ctx, p, insist)
}

// answer waits for a write to settle, and keeps it here when that takes long.
func (s *Space) answer(ctx context.Context, p *pending, insist int) (catalog.Outcome, int, error) {
	late := time.NewTimer(answerAfter)
	defer late.Stop()
	look := time.NewTicker(answerAfter / 20)
	defer look.Stop()
	for waiting := !s.apart(); waiting; {
		select {
		case <-p.done:
			if insist > p.res.kept {
				return p.res.write, p.res.kept, ErrNeedsHouse
			}
			return p.res.write, p.res.kept, nil
		case <-late.C:
			waiting = false
		case <-look.C:
			waiting = !s.apart()
		case <-ctx.Done():
			waiting = false
		case <-s.n.life.Done():
			waiting = false
		}
	}
	err := s.keep(p)
	out := catalog.Outcome{Status: catalog.Done, Version: p.write.ID}
	switch {
	case err != nil:
		return out, 0, fmt.Errorf("keep write: %w", err)
	case ctx.Err() != nil:
		return out, 1, ctx.Err()
	case insist > 1:
		return out, 1, ErrNeedsHouse
	}
	s.changed()
	return s.tentative(p, out), 1, nil
}

// tentative is the outcome as this house alone can know it: what the write does
// to the state here.
func (s *Space) tentative(p *pending, out catalog.Outcome) catalog.Outcome {
	rep := s.here()
	if rep == nil {
		return out
	}
	_ = s.view(rep, func(v catalog.View) error { // the write is kept, whatever can be read now
		if here, ok := v.Outcome(p.write.ID); ok {
			out = here
		}
		return nil
	})
	return out
}

// accept gives an operation its place in this box's order.
func (s *Space) accept(author ident.AccountID, op catalog.Op) (*pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrEnded
	}
	w := catalog.Write{
		ID:     catalog.WriteID{Box: s.n.cfg.Box, Inc: s.n.boot, Seq: s.seq + 1},
		Author: author,
		Time:   s.n.now().UnixMilli(),
		Where:  s.n.houseName(),
		After:  s.before(op),
		Op:     op,
	}
	w.Floor = w.ID.Seq
	for _, p := range s.pending {
		if p.write.ID.Inc == s.n.boot && !p.lagging {
			w.Floor = min(w.Floor, p.write.ID.Seq)
		}
	}
	if _, err := catalog.EncodeWrite(w); err != nil {
		return nil, err
	}
	s.seq++
	p := newPending(w, false)
	s.pending = append(s.pending, p)
	return p, nil
}

// before lists the unsettled writes here that op builds on: those that made,
// moved or changed what it touches.
func (s *Space) before(op catalog.Op) []catalog.WriteID {
	var ids []catalog.WriteID
	for _, p := range slices.Backward(s.pending) {
		if len(ids) < catalog.MaxAfter && p.write.Op.Shares(p.write.ID, op) {
			ids = append(ids, p.write.ID)
		}
	}
	return ids
}

// keep puts a write, and every unsettled one before it, into the journal; all of
// them for nil. Readers and other writers do not wait for the disk meanwhile.
//
// Invariant: a write in the journal never builds on one that is only in memory.
func (s *Space) keep(upTo *pending) error { return s.keepThem(upTo, false) }

// keepAll puts every unsettled write into the journal, also those of which the log
// here was the record: it is about to go.
func (s *Space) keepAll() error { return s.keepThem(nil, true) }

func (s *Space) keepThem(upTo *pending, lagging bool) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	fresh, err := s.toKeep(upTo, lagging)
	if err != nil || len(fresh) == 0 {
		return err
	}
	ws := make([]catalog.Write, len(fresh))
	for i, p := range fresh {
		ws[i] = p.write
	}
	if err := s.journal.Append(ws...); err != nil { // only who holds keeping changes s.journal
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeing = nil
	for _, p := range fresh {
		p.journaled = true
		p.lagging = p.lagging && p.decided()
		if p.dropped { // settled meanwhile
			s.resolve(p)
		}
	}
	return nil
}

// toKeep returns the writes up to one that no journal holds, and opens the journal
// when there are any. Lagging ones, which the log here has, only when asked for, and
// only if they are not decided and just waited for here.
func (s *Space) toKeep(upTo *pending, lagging bool) (fresh []*pending, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pending {
		if !p.journaled && (!p.lagging || lagging && !p.decided()) {
			fresh = append(fresh, p)
		}
		if p == upTo {
			break
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	return fresh, s.openJournal()
}

// decided reports whether raft has settled the write.
func (p *pending) decided() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// visible returns the kept writes that readers here must see. Nobody changes the list.
func (s *Space) visible() []catalog.Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seeing == nil {
		s.seeing = []catalog.Write{}
		for _, p := range s.pending {
			if p.journaled || p.lagging {
				s.seeing = append(s.seeing, p.write)
			}
		}
	}
	return slices.Clip(s.seeing)
}

// send brings one write to the others until it is settled or the Node ends.
func (s *Space) send(life context.Context, p *pending) {
	if !s.waitFor(life, p) {
		return
	}
	pause := retryMin
	for life.Err() == nil {
		select {
		case s.slots <- struct{}{}: // for one try: what cannot be sent keeps nothing else from it
		case <-life.Done():
			return
		}
		res, err := s.offer(life, p.write)
		<-s.slots
		if err == nil && !res.again() {
			s.settled(life, p, res)
			return
		}
		if err != nil && life.Err() == nil {
			s.n.log.Debug("write waits", "shard", s.id, "write", p.write.ID, "err", err)
		}
		select {
		case <-life.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retryMax)
	}
}

// waitFor waits until everything that a write builds on is settled.
func (s *Space) waitFor(life context.Context, p *pending) bool {
	for _, id := range p.write.After {
		s.mu.Lock()
		i := slices.IndexFunc(s.pending, func(q *pending) bool { return q.write.ID == id })
		var done chan struct{}
		if i >= 0 {
			done = s.pending[i].done
		}
		s.mu.Unlock()
		if done == nil {
			continue
		}
		select {
		case <-done:
		case <-life.Done():
			return false
		}
	}
	return true
}

// offer sends a write once: chunks first, then the write.
//
// A power cut may bring a write back that an earlier run saw settled, and of which
// all is garbage since: it is offered without its chunks, so that the state, which
// remembers it, can say so. To a state that does not, it is nothing without them.
func (s *Space) offer(ctx context.Context, w catalog.Write) (result, error) {
	holders, err := s.spread(ctx, w.Op.Content)
	if errors.Is(err, chunk.ErrMissing) && w.ID.Inc != s.n.boot {
		holders, err = nil, nil
	}
	if err != nil {
		return result{}, err
	}
	body, err := catalog.EncodeWrite(w)
	if err != nil {
		return result{}, err
	}
	ctx, end := context.WithTimeout(ctx, offerFor)
	defer end()
	return s.n.settle(ctx, s.id, writeKey(w.ID), entry{Kind: entryWrite, Body: body, Holders: holders})
}

// settled forgets a write whose outcome raft decided. The log here, or a majority
// elsewhere, holds it durably.
//
// Invariant: before anybody is answered, the write is in the state here, or in the
// log here, or in the journal: a crash does not hide it from readers at this box.
func (s *Space) settled(life context.Context, p *pending, res result) {
	rep := s.here()
	lags := rep != nil && appliedIndex(rep.state) < res.write.Index
	if lags {
		if err := s.keep(p); err != nil {
			s.n.log.Warn("journal", "shard", s.id, "err", err)
		}
	}
	s.mu.Lock()
	s.seeing = nil
	if rep == nil {
		s.seen = max(s.seen, res.write.Index)
		s.recent = append(s.recent[max(0, len(s.recent)-maxRecent+1):], p.write)
	}
	if p.lagging = lags; !lags {
		s.drop(p)
	}
	p.res = res
	close(p.done)
	s.mu.Unlock()
	s.changed()
	if lags && s.caughtUp(life, res.write.Index) {
		s.mu.Lock()
		s.drop(p)
		s.mu.Unlock()
	}
}

// caughtUp waits until the state here has an index, in this replica or one that
// takes its place, or there is none any more; then readers ask others. False when
// the Node ends first.
func (s *Space) caughtUp(life context.Context, index uint64) bool {
	for life.Err() == nil {
		rep := s.n.replica(s.id)
		if rep == nil {
			s.mu.Lock()
			s.seen = max(s.seen, index)
			s.mu.Unlock()
			return true
		}
		if rep.reach(life, index) == nil {
			return true
		}
		if s.n.replica(s.id) != rep {
			continue
		}
		select {
		case <-time.After(retryMax): // it stopped, and is healed
		case <-life.Done():
		}
	}
	return false
}

// drop forgets a write that the state here has, or that no state here will ever
// have. It is called with s.mu held.
func (s *Space) drop(p *pending) {
	s.pending = slices.DeleteFunc(s.pending, func(q *pending) bool { return q == p })
	s.seeing, p.dropped = nil, true
	if p.journaled {
		s.resolve(p)
	}
}

// resolve has the journal forget a write. It is called with s.mu held.
func (s *Space) resolve(p *pending) {
	if s.journal == nil {
		return // the box ends; offered again at the next start
	}
	if err := s.journal.Resolve(p.write.ID); err != nil {
		// It stays and is offered again at the next start: its ID makes that harmless.
		s.n.log.Warn("journal", "shard", s.id, "err", err)
	}
}

// spread makes a majority of the voters hold all chunks of a content, and returns
// the replicas that do. A content without chunks needs none. A large one goes to no
// more voters than are needed, the nearest: the line out of a house is thin, and the
// others fetch from several houses once it is committed.
func (s *Space) spread(ctx context.Context, c *manifest.Content) ([]ident.ReplicaID, error) {
	if c == nil || len(c.Chunks) == 0 {
		return nil, nil
	}
	var hs []chunk.Hash
	for h, err := range manifest.Walk(ctx, *c, s.get) { // a copy may be of what this box does not hold
		if err != nil {
			return nil, err
		}
		hs = append(hs, h)
	}
	m := s.membership()
	ctx, end := context.WithCancel(ctx)
	defer end()
	if s.n.ownSpace(s.id) {
		ctx = transport.Own(ctx)
	}
	type pushed struct {
		box ident.BoxID
		err error
	}
	last := ErrApart
	var holders []ident.ReplicaID
	if s.n.hasAll(hs) { // of a copy, this box may owe them
		holders = m.replicasOf(s.n.cfg.Box)
	}
	to := s.pushOrder(m)
	var sending []ident.ReplicaID
	results := make(chan pushed, len(to))
	for !m.heldByMajority(holders) {
		for len(to) > 0 && (c.Size <= pushToAll || !m.heldByMajority(slices.Concat(holders, sending))) {
			box := to[0]
			to, sending = to[1:], append(sending, m.replicasOf(box)...)
			s.n.spawn(func(context.Context) { results <- pushed{box, s.n.exchange.Push(ctx, box, hs)} })
		}
		if len(sending) == 0 {
			return nil, last
		}
		p := <-results
		sending = slices.DeleteFunc(sending, func(id ident.ReplicaID) bool { return m.boxes[id] == p.box })
		if p.err == nil {
			holders = append(holders, m.replicasOf(p.box)...)
		} else {
			last = fmt.Errorf("%w: %w", ErrApart, p.err)
		}
	}
	slices.Sort(holders)
	return holders, nil
}

// ownSpace reports whether a space is that of the keeper of this box: it goes first.
func (n *Node) ownSpace(id ident.ShardID) (own bool) {
	_ = n.Directory(func(v directory.View) error { // without a directory nothing is known
		box, _ := v.Roster().Box(n.cfg.Box)
		space, ok := v.Space(id)
		own = ok && box.Keeper != "" && space.Owner == box.Keeper
		return nil
	})
	return own
}

// pushOrder returns the other boxes with a vote, the nearest first.
func (s *Space) pushOrder(m members) []ident.BoxID {
	var boxes []ident.BoxID
	for id, box := range m.boxes {
		if box != s.n.cfg.Box && m.votes(id) {
			boxes = append(boxes, box)
		}
	}
	slices.Sort(boxes)
	return s.n.sortedByRTT(slices.Compact(boxes))
}

// replicasOf returns the replicas that a box has: two while one follows another there.
func (m members) replicasOf(box ident.BoxID) (ids []ident.ReplicaID) {
	for id, b := range m.boxes {
		if b == box {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// membership is what this box knows of the space's replicas: from its own
// replica, else from the placement.
func (s *Space) membership() members {
	if rep := s.here(); rep != nil {
		return *rep.members.Load()
	}
	m := noMembers()
	_ = s.n.Directory(func(v directory.View) error { // without a circle there are none
		p, _ := v.Placement(s.id)
		for _, r := range p.Replicas {
			m.boxes[r.ID] = r.Box
			if r.Role == placement.Voter {
				m.conf.Voters = append(m.conf.Voters, uint64(r.ID))
			}
		}
		return nil
	})
	return m
}

// votes reports whether the replica is a voter of either half.
func (m members) votes(id ident.ReplicaID) bool {
	return m.isVoter(id) || slices.Contains(m.conf.GetVotersOutgoing(), uint64(id))
}
