package raftlog

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
)

// Storage is one shard's log as raft reads it: only what is durable. All methods
// are safe for concurrent use. An entry that can no longer be read as written gives an error that wraps
// ErrDamaged; raft panics on it, and the next Open says the same.
type Storage struct {
	log   *Log
	shard ident.ShardID

	// Guarded by log.mu.
	exists      bool
	hard        hardState
	base        uint64 // index before the first entry
	baseTerm    uint64
	slots       []slot // of base+1, base+2, …
	cached      int    // that many last slots have their entry
	cachedBytes int
	conf        *raftpb.ConfState
	snapshotter func() (*raftpb.Snapshot, error)
}

var _ raft.Storage = (*Storage)(nil)

type hardState struct{ term, vote, commit uint64 }

// slot is where one entry is.
type slot struct {
	seg   *segment
	entry *raftpb.Entry // nil when only on disk
	term  uint64
	where
}

// SetConfState sets what InitialState returns; the state machine knows it, the log does not.
func (s *Storage) SetConfState(cs *raftpb.ConfState) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.conf = proto.Clone(cs).(*raftpb.ConfState)
}

// SetSnapshotter sets what makes snapshots. It is called without a lock held.
func (s *Storage) SetSnapshotter(fn func() (*raftpb.Snapshot, error)) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.snapshotter = fn
}

// SetCommitted raises the commit index that InitialState returns, at most to the last
// entry. What the state machine has applied durably was committed, but the log may not know: see Submit. Call it before raft
// starts, or raft panics when its Config.Applied is larger.
func (s *Storage) SetCommitted(index uint64) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.hard.commit = max(s.hard.commit, min(index, s.last()))
}

// InitialState returns the durable hard state, nil when there is none, and what SetConfState set.
func (s *Storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	conf := raftpb.EnsureConfState(proto.Clone(s.conf).(*raftpb.ConfState))
	if s.hard == (hardState{}) {
		return nil, conf, nil
	}
	h := s.hard
	return &raftpb.HardState{Term: &h.term, Vote: &h.vote, Commit: &h.commit}, conf, nil
}

// FirstIndex returns the index after the last compacted one or the snapshot; 1 for an empty log.
func (s *Storage) FirstIndex() (uint64, error) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	return s.base + 1, nil
}

// LastIndex returns the index of the last durable entry, or the one before FirstIndex.
func (s *Storage) LastIndex() (uint64, error) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	return s.last(), nil
}

// Term returns the term of the entry at i, also of the one before FirstIndex.
func (s *Storage) Term(i uint64) (uint64, error) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	switch {
	case i < s.base:
		return 0, raft.ErrCompacted
	case i > s.last():
		return 0, raft.ErrUnavailable
	}
	return s.term(i), nil
}

// Entries returns the entries in [lo, hi), at least one and then as many as
// together encode to at most maxSize bytes.
func (s *Storage) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	switch {
	case lo <= s.base:
		return nil, raft.ErrCompacted
	case lo >= hi || hi > s.last()+1:
		return nil, raft.ErrUnavailable
	}
	var entries []*raftpb.Entry
	var size uint64
	for i := range s.slots[lo-s.base-1 : hi-s.base-1] {
		e, err := s.read(lo + uint64(i))
		if err != nil {
			return nil, err
		}
		if size += uint64(proto.Size(e)); size > maxSize && len(entries) > 0 {
			break
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Snapshot asks what SetSnapshotter set, and is temporarily unavailable without.
func (s *Storage) Snapshot() (*raftpb.Snapshot, error) {
	s.log.mu.RLock()
	fn := s.snapshotter
	s.log.mu.RUnlock()
	if fn == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return fn()
}

func (s *Storage) last() uint64 { return s.base + uint64(len(s.slots)) }

func (s *Storage) term(i uint64) uint64 {
	if i == s.base {
		return s.baseTerm
	}
	return s.slots[i-s.base-1].term
}

// read returns the entry at i, which exists; log.mu is held.
func (s *Storage) read(i uint64) (*raftpb.Entry, error) {
	at := s.slots[i-s.base-1]
	if at.entry != nil {
		return at.entry, nil
	}
	raw := make([]byte, at.size)
	if _, err := at.seg.file.ReadAt(raw, int64(at.off)); err != nil {
		return nil, fmt.Errorf("read entry %d of shard %v: %w", i, s.shard, err)
	}
	body, _, ok := checkRecord(raw, at.prev)
	r, err := decodeRecord(body)
	if !ok || err != nil || r.Shard != s.shard || r.Index != i || r.Term != at.term {
		return nil, &DamagedError{File: at.seg.name, Offset: int64(at.off), Shards: []ident.ShardID{s.shard}}
	}
	return r.entry(), nil
}

var errGap = errors.New("entries leave a gap")

// apply does what a record says; log.mu is held. For an entry, at is its place.
func (s *Storage) apply(r *record, at slot) error {
	s.exists = true
	switch r.Kind {
	case kindEntry:
		if r.Index <= s.base {
			return nil // compacted meanwhile
		}
		if r.Index > s.last()+1 {
			return errGap
		}
		s.truncate(r.Index)
		s.push(at)
	case kindState:
		s.hard = hardState{r.Term, r.Vote, r.Commit}
	case kindSnapshot:
		s.truncate(s.base + 1)
		s.base, s.baseTerm = r.Index, r.Term
	case kindForget:
		s.truncate(s.base + 1)
		s.forget()
	}
	return nil
}

// forget makes the storage that of a shard of which the log has nothing. Which log and
// shard it is of stays: that is read without the lock.
func (s *Storage) forget() {
	s.exists, s.hard, s.base, s.baseTerm = false, hardState{}, 0, 0
	s.slots, s.cached, s.cachedBytes = nil, 0, 0
	s.conf, s.snapshotter = nil, nil
}

func (s *Storage) push(at slot) {
	at.seg.live += int64(at.size)
	if at.entry == nil {
		s.uncache(s.cached) // the cached ones are always the last ones
		s.slots = append(s.slots, at)
		return
	}
	s.slots = append(s.slots, at)
	s.cached++
	s.cachedBytes += int(at.size)
	for s.cachedBytes > s.log.cfg.CacheBytes {
		s.uncache(1)
	}
}

// uncache drops the n oldest entries in memory.
func (s *Storage) uncache(n int) {
	for range n {
		at := &s.slots[len(s.slots)-s.cached]
		s.cachedBytes -= int(at.size)
		at.entry = nil
		s.cached--
	}
}

// truncate drops the entries from index on.
func (s *Storage) truncate(index uint64) {
	for s.last() >= index && len(s.slots) > 0 {
		at := &s.slots[len(s.slots)-1]
		at.seg.live -= int64(at.size)
		if at.entry != nil {
			s.cached--
			s.cachedBytes -= int(at.size)
		}
		*at = slot{}
		s.slots = s.slots[:len(s.slots)-1]
	}
}

// compact drops the entries up to index.
func (s *Storage) compact(index uint64) {
	if index <= s.base {
		return
	}
	n := int(index - s.base)
	s.baseTerm = s.term(index)
	if keep := len(s.slots) - n; s.cached > keep {
		s.uncache(s.cached - keep)
	}
	for _, at := range s.slots[:n] {
		at.seg.live -= int64(at.size)
	}
	s.base = index
	s.slots = slices.Clone(s.slots[n:])
}
