package raftlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
)

// op is a record that waits to take effect.
type op struct {
	record
	entry *raftpb.Entry
	n     int // its number in the batch
}

// view is a shard's log as it will be after the batch that is being built.
type view struct {
	base, last uint64
	hard       hardState
}

// retryFull is how often is looked whether a full disk has room again.
const retryFull = time.Second

// noRoom is why a batch was not begun: the disk has no room for a segment. Nothing
// was touched, and the batch may be tried again.
type noRoom struct{ error }

// Unwrap returns the disk's error.
func (e noRoom) Unwrap() error { return e.error }

// drain commits until nothing is queued.
func (l *Log) drain(ctx context.Context) error {
	for {
		ws := l.take()
		if len(ws) == 0 {
			return nil
		}
		if err := l.commitInRoom(ctx, ws); err != nil {
			return err
		}
	}
}

// commitInRoom commits, and waits before it as long as the disk is full. When ctx
// ends meanwhile, the writes are answered as those of a log that stops.
func (l *Log) commitInRoom(ctx context.Context, ws []Write) error {
	defer l.full.Store(false)
	for {
		err := l.commit(ws)
		full, is := errors.AsType[noRoom](err)
		switch {
		case is && ctx.Err() == nil:
		case is:
			answer(ws, full.error)
			return full.error
		default:
			if l.full.Load() && err == nil {
				l.cfg.Logger.Info("raft log goes on: there is room again")
			}
			return err
		}
		if !l.full.Swap(true) {
			l.cfg.Logger.Warn("raft log waits for room", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryFull):
		}
	}
}

// answer tells writes that the log stops.
func answer(ws []Write, err error) {
	for _, w := range ws {
		w.done(fmt.Errorf("%w: %w", ErrStopped, err))
	}
}

// take takes the writes of the next batch: one, and more while they are small.
func (l *Log) take() []Write {
	l.qmu.Lock()
	defer l.qmu.Unlock()
	n, size := 0, 0
	for n < len(l.queue) && size < batchBytes {
		for _, e := range l.queue[n].Entries {
			size += len(e.GetData()) + headerSize
		}
		n++
	}
	ws := slices.Clone(l.queue[:n])
	clear(l.queue[:n])
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return ws
}

// commit makes the writes durable with one write and one sync, then visible, then
// answers them. An error means that the log stops; but for noRoom, which answers nobody.
func (l *Log) commit(ws []Write) error {
	l.buf.reset()
	ops, errs, must := l.stage(ws)
	if must {
		if err := l.append(); err != nil {
			if _, full := errors.AsType[noRoom](err); full {
				return err
			}
			err = fmt.Errorf("write raft log: %w", err)
			answer(ws, err)
			return err
		}
	}
	l.publish(ops, must)
	for i, w := range ws {
		w.done(errs[i])
	}
	return nil
}

// stage puts the records of all valid writes into l.buf. must says that they have to be synced.
func (l *Log) stage(ws []Write) (ops []op, errs []error, must bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(l.dirty)) {
		l.buf.add(l.shards[id].hard.record(id)) // in force already
	}
	views := map[ident.ShardID]view{}
	errs = make([]error, len(ws))
	for i, w := range ws {
		v, ok := views[w.Shard]
		if s := l.shards[w.Shard]; !ok && s != nil {
			v = view{s.base, s.last(), s.hard}
		}
		before := v.hard
		add, err := v.add(w)
		if err != nil {
			errs[i] = fmt.Errorf("shard %v: %w", w.Shard, err)
			continue
		}
		views[w.Shard] = v
		for _, o := range add {
			o.n = l.buf.add(o.record)
			ops = append(ops, o)
		}
		must = must || w.Forget || w.Snapshot != nil || len(w.Entries) > 0 ||
			v.hard.term != before.term || v.hard.vote != before.vote
	}
	return ops, errs, must
}

func (h hardState) record(id ident.ShardID) record {
	return record{Kind: kindState, Shard: id, Term: h.term, Vote: h.vote, Commit: h.commit}
}

// add checks that w continues the view, and returns its records.
func (v *view) add(w Write) ([]op, error) {
	if w.Shard == 0 {
		return nil, fmt.Errorf("%w: no shard", ErrInvalid)
	}
	var ops []op
	if w.Forget {
		*v = view{}
		ops = append(ops, op{record: record{Kind: kindForget, Shard: w.Shard}})
	}
	if m := w.Snapshot; m != nil {
		v.base, v.last = m.GetIndex(), m.GetIndex()
		ops = append(ops, op{record: record{Kind: kindSnapshot, Shard: w.Shard, Index: m.GetIndex(), Term: m.GetTerm()}})
	}
	size := 0
	for i, e := range w.Entries {
		size += len(e.GetData()) + headerSize
		switch {
		case i > 0 && e.GetIndex() != w.Entries[i-1].GetIndex()+1, e.GetIndex() > v.last+1:
			return nil, fmt.Errorf("%w: entry %d after %d", ErrInvalid, e.GetIndex(), v.last)
		case e.GetIndex() == 0 || size > MaxWriteBytes:
			return nil, fmt.Errorf("%w: entry %d, %d bytes", ErrInvalid, e.GetIndex(), size)
		case e.GetIndex() <= v.base:
			continue // in the snapshot already
		}
		v.last = e.GetIndex()
		ops = append(ops, op{record: entryRecord(kindEntry, w.Shard, e), entry: e})
	}
	if h := w.HardState; h != nil {
		v.hard = hardState{h.GetTerm(), h.GetVote(), h.GetCommit()}
		ops = append(ops, op{record: v.hard.record(w.Shard)})
	}
	return ops, nil
}

// publish lets the operations take effect. Those of a batch that was not synced
// are hard states that the next one takes along.
func (l *Log) publish(ops []op, synced bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if synced {
		clear(l.dirty)
	}
	for _, o := range ops {
		if !synced {
			l.dirty[o.Shard] = true
		}
		at := slot{seg: l.cur, entry: o.entry, term: o.Term}
		if o.entry != nil {
			at.where = l.buf.starts[o.n]
		}
		if err := l.storage(o.Shard).apply(&o.record, at); err != nil {
			panic(fmt.Sprintf("shard %v index %d: %v", o.Shard, o.Index, err)) // stage has checked
		}
	}
}

// append writes and syncs l.buf behind the newest batch, in a fresh segment when there is no room. A batch that
// is larger than a segment makes its file larger.
func (l *Log) append() error {
	if l.cur.end+l.buf.bytes() > l.cur.size {
		if l.cur.end > l.begun { // else it is fresh: the batch alone is too large
			if err := l.rotate(position{l.cur.seq, l.cur.end}); err != nil {
				return err
			}
		}
		if err := l.grow(l.cur, l.cur.end+l.buf.bytes()); err != nil {
			return err
		}
	}
	l.stated = false
	return l.put(l.cur, &l.buf, position{l.cur.seq, l.cur.end})
}

// put writes a batch to the end of a segment and syncs it. synced is what it states.
func (l *Log) put(s *segment, b *batch, synced position) error {
	chain := b.seal(header{id: s.id, seq: s.seq, pos: s.end, synced: synced, prev: s.chain})
	if _, err := s.file.WriteAt(b.buf, s.end); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.end, s.chain = s.end+int64(len(b.buf)), chain
	s.size = max(s.size, s.end)
	return nil
}

// state writes a last batch, so that the one before is stated synced.
func (l *Log) state() error {
	if l.stated && len(l.dirty) == 0 {
		return nil
	}
	l.buf.reset()
	l.stage(nil)
	if err := l.append(); err != nil {
		return fmt.Errorf("close raft log: %w", err)
	}
	l.publish(nil, true)
	l.stated = true
	return nil
}

// carry is an entry that a checkpoint copies.
type carry struct {
	store *Storage
	index uint64
	from  slot
	n     int
}

// rotate goes on in a fresh segment: it writes the checkpoint, syncs it, and only
// then counts the segments that it does not list as spare. What is in the newest
// segment behind the position known synced is carried.
func (l *Log) rotate(synced position) error {
	proven := int64(0)
	if l.cur != nil && l.cur.seq == synced.seq {
		proven = synced.off
	}
	next, err := l.fresh()
	if err != nil {
		return err
	}
	var b batch
	b.reset()
	carried, listed, err := l.checkpoint(&b, proven)
	if err != nil {
		return err
	}
	if err := l.put(next, &b, synced); err != nil {
		return err
	}
	l.adopt(next, carried, listed, b.starts)
	l.cfg.Logger.Debug("raft log goes on in a fresh segment", "segment", next.seq, "carried", len(carried), "listed", len(listed))
	return l.keepSpares(2)
}

// adopt makes next the newest segment after its checkpoint was synced.
func (l *Log) adopt(next *segment, carried []carry, listed map[*segment]bool, starts []where) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range carried {
		s := c.store
		if c.index <= s.base {
			continue // compacted meanwhile
		}
		at := &s.slots[c.index-s.base-1]
		at.seg.live -= int64(at.size)
		at.seg, at.where = next, starts[c.n]
		next.live += int64(at.size)
		if at.entry != nil {
			s.cachedBytes += int(at.size) - int(c.from.size)
		}
	}
	if l.cur != nil {
		l.old = append(l.old, l.cur)
	}
	keep := l.old[:0:0]
	for _, s := range l.old {
		if listed[s] {
			keep = append(keep, s)
		} else {
			l.spare = append(l.spare, s)
		}
	}
	l.old, l.cur, l.begun = keep, next, next.end
	slices.SortFunc(l.spare, func(a, b *segment) int { return cmp.Compare(a.name, b.name) })
	clear(l.dirty) // the checkpoint has all hard states
}

// checkpoint builds the first batch of a segment. It returns what it carries, and the segments it lists.
func (l *Log) checkpoint(b *batch, proven int64) ([]carry, map[*segment]bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	listed := l.choose(proven)
	for _, s := range slices.SortedFunc(maps.Keys(listed), func(a, b *segment) int { return cmp.Compare(a.seq, b.seq) }) {
		end := s.end
		if s == l.cur {
			end = proven
		}
		b.add(record{Kind: kindSegment, Seq: s.seq, ID: s.id, End: end})
	}
	var carried []carry
	for _, id := range l.known() {
		s := l.shards[id]
		b.add(record{Kind: kindShard, Shard: id, Index: s.base, Term: s.baseTerm, Last: s.last()})
		b.add(s.hard.record(id))
		for i, at := range s.slots {
			if listed[at.seg] && (at.seg != l.cur || int64(at.off) < proven) {
				continue
			}
			index := s.base + 1 + uint64(i)
			e, err := s.read(index)
			if err != nil {
				return nil, nil, err
			}
			carried = append(carried, carry{s, index, at, b.add(entryRecord(kindMoved, id, e))})
		}
	}
	return carried, listed, nil
}

// choose returns the segments whose live entries stay where they are: all but those
// with the fewest, together at most a quarter of a segment.
func (l *Log) choose(proven int64) map[*segment]bool {
	listed := map[*segment]bool{}
	candidates := slices.Clone(l.old)
	if l.cur != nil {
		candidates = append(candidates, l.cur)
	}
	slices.SortFunc(candidates, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.live, b.live), cmp.Compare(a.seq, b.seq))
	})
	room := l.cfg.SegmentBytes / 4
	for _, s := range candidates {
		if room -= s.live; room < 0 && (s != l.cur || proven > 0) {
			listed[s] = true
		}
	}
	return listed
}
