package raftlog

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
)

// model is what a log has to say, in the simplest words.
type model map[ident.ShardID]*modelShard

type modelShard struct {
	hard           hardState
	base, baseTerm uint64
	entries        []*raftpb.Entry
}

func (m *modelShard) last() uint64 { return m.base + uint64(len(m.entries)) }

func (m *modelShard) term(i uint64) uint64 {
	if i == m.base {
		return m.baseTerm
	}
	return m.entries[i-m.base-1].GetTerm()
}

func (m model) clone() model {
	c := model{}
	for id, s := range m {
		s := *s
		s.entries = slices.Clone(s.entries)
		c[id] = &s
	}
	return c
}

func (m model) apply(ws []Write) {
	for _, w := range ws {
		s := m[w.Shard]
		if s == nil || w.Forget {
			s = &modelShard{}
			m[w.Shard] = s
		}
		if w.Snapshot != nil {
			s.base, s.baseTerm, s.entries = w.Snapshot.GetIndex(), w.Snapshot.GetTerm(), nil
		}
		for _, e := range w.Entries {
			s.entries = append(slices.Clone(s.entries[:e.GetIndex()-s.base-1]), e)
		}
		if h := w.HardState; h != nil {
			s.hard = hardState{h.GetTerm(), h.GetVote(), h.GetCommit()}
		}
		if w.Forget && w.Snapshot == nil && len(w.Entries) == 0 && w.HardState == nil {
			delete(m, w.Shard)
		}
	}
}

// same says how the log differs; nil when it says what it must. After a restart the first index and
// the commit index may be older than they were, nothing else.
func (m model) same(l *Log) error {
	if got, want := l.Shards(), slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		return fmt.Errorf("shards %v, want %v", got, want)
	}
	for id, want := range m {
		s := l.Shard(id)
		if s.hard.term != want.hard.term || s.hard.vote != want.hard.vote || s.hard.commit > want.hard.commit {
			return fmt.Errorf("shard %v: hard state %v, want %v", id, s.hard, want.hard)
		}
		if s.base > want.base || s.last() != want.last() {
			return fmt.Errorf("shard %v: %d to %d, want %d to %d", id, s.base, s.last(), want.base, want.last())
		}
		if term, err := s.Term(want.base); err != nil || term != want.baseTerm {
			return fmt.Errorf("shard %v: term %d, %v before the first, want %d", id, term, err, want.baseTerm)
		}
		for _, e := range want.entries {
			got, err := s.Entries(e.GetIndex(), e.GetIndex()+1, 0)
			if err != nil {
				return fmt.Errorf("shard %v entry %d: %w", id, e.GetIndex(), err)
			}
			if !proto.Equal(got[0], e) {
				return fmt.Errorf("shard %v: entry %v, want %v", id, got[0], e)
			}
		}
		if _, err := s.Entries(s.base+1, s.last()+1, 1<<40); err != nil && s.last() > s.base {
			return fmt.Errorf("shard %v from %d: %w", id, s.base+1, err)
		}
	}
	return nil
}

// adopt is the model of what a log says.
func adopt(t testing.TB, l *Log) model {
	t.Helper()
	m := model{}
	for _, id := range l.Shards() {
		s := l.Shard(id)
		m[id] = &modelShard{hard: s.hard, base: s.base, baseTerm: s.baseTerm, entries: read(t, s).Entries}
	}
	return m
}

// work draws writes that a raft group could ask for, and does them on log and model.
type work struct {
	rng  *rand.Rand
	log  *Log
	want model
	next model // what the log says if the failing commit took place
	big  bool  // now and then an entry larger than a segment
}

func newWork(seed uint64, l *Log, m model) *work {
	return &work{rng: rand.New(rand.NewPCG(seed, 2)), log: l, want: m}
}

// step does one batch of one to three writes, then perhaps compacts.
func (w *work) step() error {
	w.next = w.want.clone()
	var ws []Write
	for range 1 + w.rng.IntN(3) {
		x := w.draw(w.next)
		w.next.apply([]Write{x})
		ws = append(ws, x)
	}
	var failed error
	for i := range ws {
		ws[i].Done = func(err error) { failed = errors.Join(failed, err) }
	}
	if err := w.log.commit(ws); err != nil {
		w.log.stop(err)
		return err
	}
	if failed != nil {
		return fmt.Errorf("refused: %w", failed)
	}
	w.want = w.next
	return w.compact()
}

func (w *work) compact() error {
	id := ident.ShardID(2 + w.rng.IntN(4)) // never shard 1
	s := w.want[id]
	if s == nil || w.rng.IntN(3) > 0 || s.hard.commit <= s.base {
		return nil
	}
	i := s.base + 1 + w.rng.Uint64N(s.hard.commit-s.base)
	s.baseTerm, s.entries = s.term(i), s.entries[i-s.base:]
	s.base = i
	return w.log.Compact(id, i)
}

// draw draws a write to shards 1–5. Shard 1 is small and never compacted.
func (w *work) draw(m model) Write {
	x := Write{Shard: ident.ShardID(1 + w.rng.IntN(5))}
	s := m[x.Shard]
	if s == nil {
		s = &modelShard{}
	}
	term := max(s.hard.term, s.term(s.last()), 1)
	switch k := w.rng.IntN(40); {
	case x.Shard > 1 && k == 0:
		x.Forget = true
	case x.Shard > 1 && k == 1:
		i := s.last() + w.rng.Uint64N(5)
		x.Snapshot = &raftpb.SnapshotMetadata{Index: &i, Term: &term}
		x.HardState = hard(term, 0, i)
	case k < 8:
		x.HardState = hard(term, s.hard.vote, max(s.hard.commit, s.base)+w.rng.Uint64N(1+s.last()-max(s.hard.commit, s.base)))
	case k < 11:
		x.HardState = hard(term+1, w.rng.Uint64N(3), s.hard.commit)
	case k < 15: // replaces the suffix that is not committed
		low := max(s.hard.commit, s.base) + 1
		x.Entries = entries(low+w.rng.Uint64N(1+s.last()+1-low), 1+w.rng.Uint64N(3), term+1, w.rng.IntN(200))
		x.HardState = hard(term+1, 0, s.hard.commit)
	default:
		size := w.rng.IntN(200)
		if x.Shard == 1 {
			size = 1
		} else if w.big && w.rng.IntN(12) == 0 {
			size = 3000 + w.rng.IntN(30000)
		}
		x.Entries = entries(s.last()+1, 1+w.rng.Uint64N(4), term, size)
	}
	return x
}
