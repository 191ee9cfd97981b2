package raftlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/testing/protocmp"

	"redhen/provision/ident"
	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

// testConfig has segments of six pages, so that everything happens often.
func testConfig(fs vfs.FS) Config {
	return Config{FS: fs, Dir: "state/raftlog", SegmentBytes: 6 * page, CacheBytes: 600, Rand: rand.NewChaCha8([32]byte{1})}
}

func open(t testing.TB, cfg Config) *Log {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run starts the log; stop ends it cleanly.
func run(t testing.TB, l *Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Fatalf("run: %v", err)
		}
	}
	return stop
}

// submit does writes in order and returns their errors.
func submit(l *Log, ws ...Write) error {
	errs := make(chan error, len(ws))
	for _, w := range ws {
		w.Done = func(err error) { errs <- err }
		l.Submit(w)
	}
	var all []error
	for range ws {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func entries(first, n, term uint64, size int) []*raftpb.Entry {
	var es []*raftpb.Entry
	for i := first; i < first+n; i++ {
		var data []byte // raft's own entries have none
		if size > 0 {
			data = bytes.Repeat(fmt.Appendf(nil, "%d.%d ", term, i), 1+size/4)[:size]
		}
		es = append(es, &raftpb.Entry{Index: new(i), Term: new(term), Type: raftpb.EntryNormal.Enum(), Data: data})
	}
	return es
}

func hard(term, vote, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

// content is what one shard's storage says, all of it.
type content struct {
	Hard    *raftpb.HardState
	First   uint64
	Base    uint64 // term before the first
	Entries []*raftpb.Entry
}

func read(t testing.TB, s *Storage) content {
	t.Helper()
	var c content
	var err error
	if c.Hard, _, err = s.InitialState(); err != nil {
		t.Fatal(err)
	}
	c.First, _ = s.FirstIndex()
	last, _ := s.LastIndex()
	if c.Base, err = s.Term(c.First - 1); err != nil {
		t.Fatal(err)
	}
	if last < c.First {
		return c
	}
	if c.Entries, err = s.Entries(c.First, last+1, 1<<40); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Entries {
		if term, err := s.Term(e.GetIndex()); err != nil || term != e.GetTerm() {
			t.Fatalf("term of %d: %d, %v", e.GetIndex(), term, err)
		}
	}
	return c
}

func diff(t testing.TB, got, want content) {
	t.Helper()
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Fatalf("want (-), got (+):\n%s", d)
	}
}

// TestStorage is the conformance suite of raft.Storage: in memory, from files, and after opening again.
func TestStorage(t *testing.T) {
	for _, cache := range []int{1, 1 << 20} {
		cfg := testConfig(vfstest.New(1))
		cfg.CacheBytes = cache
		l := open(t, cfg)
		stop := run(t, l)
		s := l.Shard(7)
		testEmpty(t, s)
		must(t, submit(l,
			Write{Shard: 7, Entries: entries(1, 10, 1, 100), HardState: hard(1, 2, 0)},
			Write{Shard: 9, Entries: entries(1, 3, 5, 10)},
			Write{Shard: 7, Entries: entries(8, 5, 3, 100), HardState: hard(3, 0, 4)}, // replaces 8, 9, 10
		))
		must(t, l.Compact(7, 4))
		testFilled(t, s)
		stop()
		l = open(t, cfg)
		must(t, l.Compact(7, 4)) // may have been forgotten
		testFilled(t, l.Shard(7))
		if got := l.Shards(); !slices.Equal(got, []ident.ShardID{7, 9}) {
			t.Errorf("shards %v", got)
		}
		must(t, l.Close())
	}
}

func testEmpty(t *testing.T, s *Storage) {
	t.Helper()
	diff(t, read(t, s), content{First: 1})
	_, cs, err := s.InitialState()
	if cs == nil || err != nil {
		t.Errorf("conf state of an empty log: %v, %v", cs, err)
	}
	if _, err := s.Entries(1, 2, 0); err != raft.ErrUnavailable {
		t.Errorf("entries of an empty log: %v", err)
	}
	if _, err := s.Snapshot(); err != raft.ErrSnapshotTemporarilyUnavailable {
		t.Errorf("snapshot without snapshotter: %v", err)
	}
}

func testFilled(t *testing.T, s *Storage) {
	t.Helper()
	diff(t, read(t, s), content{
		Hard: hard(3, 0, 4), First: 5, Base: 1,
		Entries: append(entries(5, 3, 1, 100), entries(8, 5, 3, 100)...),
	})
	for _, c := range []struct {
		lo, hi, max uint64
		want        int
		err         error
	}{
		{4, 6, 1000, 0, raft.ErrCompacted}, {5, 13, 0, 1, nil}, {5, 13, 250, 2, nil}, {6, 8, 1 << 30, 2, nil},
		{12, 14, 1000, 0, raft.ErrUnavailable},
	} {
		es, err := s.Entries(c.lo, c.hi, c.max)
		if len(es) != c.want || err != c.err {
			t.Errorf("entries [%d, %d) to %d bytes: %d, %v", c.lo, c.hi, c.max, len(es), err)
		}
	}
	for i, want := range map[uint64]error{3: raft.ErrCompacted, 4: nil, 12: nil, 13: raft.ErrUnavailable} {
		if _, err := s.Term(i); err != want {
			t.Errorf("term of %d: %v", i, err)
		}
	}
}

func TestConfStateAndSnapshotter(t *testing.T) {
	l := open(t, testConfig(vfstest.New(1)))
	defer l.Close()
	s := l.Shard(7)
	s.SetConfState(&raftpb.ConfState{Voters: []uint64{1, 2}})
	if _, cs, _ := s.InitialState(); !slices.Equal(cs.Voters, []uint64{1, 2}) {
		t.Errorf("conf state: %v", cs)
	}
	s.SetSnapshotter(func() (*raftpb.Snapshot, error) {
		s.FirstIndex() // no lock is held
		return &raftpb.Snapshot{Data: []byte("x")}, nil
	})
	if snap, err := s.Snapshot(); string(snap.GetData()) != "x" || err != nil {
		t.Errorf("snapshot: %v, %v", snap, err)
	}
}

func TestSnapshotResetsTheLog(t *testing.T) {
	cfg := testConfig(vfstest.New(1))
	l := open(t, cfg)
	stop := run(t, l)
	must(t, submit(l, Write{Shard: 7, Entries: entries(1, 10, 1, 50), HardState: hard(1, 1, 1)},
		Write{Shard: 7, Snapshot: &raftpb.SnapshotMetadata{Index: new(uint64(100)), Term: new(uint64(6))},
			Entries: entries(99, 4, 6, 5), HardState: hard(6, 0, 100)}))
	want := content{Hard: hard(6, 0, 100), First: 101, Base: 6, Entries: entries(101, 2, 6, 5)}
	diff(t, read(t, l.Shard(7)), want)
	stop()
	l = open(t, cfg)
	diff(t, read(t, l.Shard(7)), want)
	must(t, l.Close())
}

func TestForget(t *testing.T) {
	cfg := testConfig(vfstest.New(1))
	l := open(t, cfg)
	stop := run(t, l)
	must(t, submit(l, Write{Shard: 7, Entries: entries(1, 10, 1, 50), HardState: hard(1, 1, 1)}, Write{Shard: 8, HardState: hard(2, 0, 0)}))
	l.Forget(7)
	must(t, submit(l, Write{Shard: 7, Forget: true}))
	diff(t, read(t, l.Shard(7)), content{First: 1})
	must(t, submit(l, Write{Shard: 7, Forget: true, Entries: entries(1, 1, 4, 9)}))
	stop()
	l = open(t, cfg)
	diff(t, read(t, l.Shard(7)), content{First: 1, Entries: entries(1, 1, 4, 9)})
	stop = run(t, l)
	must(t, submit(l, Write{Shard: 7, Forget: true}))
	stop()
	l = open(t, cfg)
	if got := l.Shards(); !slices.Equal(got, []ident.ShardID{8}) {
		t.Errorf("shards %v", got)
	}
	must(t, l.Close())
}

// TestInvalidWrite guards that a write that does not fit is refused alone and whole.
func TestInvalidWrite(t *testing.T) {
	l := open(t, testConfig(vfstest.New(1)))
	stop := run(t, l)
	defer stop()
	gap := entries(1, 3, 1, 5)
	gap[2].Index = new(uint64(4))
	for _, w := range []Write{
		{Shard: 0, HardState: hard(1, 1, 0)},
		{Shard: 7, Entries: entries(2, 1, 1, 5)},
		{Shard: 7, Entries: gap},
		{Shard: 7, Entries: entries(0, 2, 1, 5)},
	} {
		if err := submit(l, w); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", w, err)
		}
	}
	if err := l.Compact(7, 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("compact beyond the end: %v", err)
	}
	must(t, submit(l, Write{Shard: 7, Entries: entries(1, 2, 1, 5)}))
	diff(t, read(t, l.Shard(7)), content{First: 1, Entries: entries(1, 2, 1, 5)})
}

// TestOneSyncPerBatch guards the floor: one write and one sync for a commit of any
// number of shards, none for a commit index.
func TestOneSyncPerBatch(t *testing.T) {
	d := vfstest.New(1)
	cfg := testConfig(d)
	cfg.SegmentBytes = 1 << 20
	l := open(t, cfg)
	before := d.Stats()
	var ws []Write
	for shard := range ident.ShardID(16) {
		ws = append(ws, Write{Shard: shard + 1, Entries: entries(1, 1, 1, 256), HardState: hard(1, 1, 0)})
	}
	for _, w := range ws {
		l.Submit(w)
	}
	stop := run(t, l)
	must(t, submit(l, Write{Shard: 1, HardState: hard(1, 1, 1)}))
	after := d.Stats()
	if after.Syncs-before.Syncs != 1 || after.Writes-before.Writes != 1 || after.Bytes-before.Bytes != 2*page {
		t.Errorf("16 shards in one batch: %+v, before %+v", after, before)
	}
	stop()
	l = open(t, cfg)
	if h, _, _ := l.Shard(1).InitialState(); h.GetCommit() != 1 {
		t.Errorf("commit index after a clean stop: %v", h)
	}
	must(t, l.Close())
}

func TestSetCommitted(t *testing.T) {
	l := open(t, testConfig(vfstest.New(1)))
	stop := run(t, l)
	defer stop()
	must(t, submit(l, Write{Shard: 7, Entries: entries(1, 5, 1, 5), HardState: hard(1, 1, 2)}))
	for set, want := range []uint64{2, 2, 2, 3, 4, 5, 5, 5} {
		l.Shard(7).SetCommitted(uint64(set))
		if h, _, _ := l.Shard(7).InitialState(); h.GetCommit() != want {
			t.Errorf("set %d: commit %d, want %d", set, h.GetCommit(), want)
		}
	}
}

func TestStopped(t *testing.T) {
	l := open(t, testConfig(vfstest.New(1)))
	stop := run(t, l)
	stop()
	if err := submit(l, Write{Shard: 7, HardState: hard(1, 1, 1)}); !errors.Is(err, ErrStopped) {
		t.Errorf("write to a stopped log: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{}, {Dir: "x", SegmentBytes: 5000}, {Dir: "x", SegmentBytes: page}} {
		if _, err := Open(c); err == nil {
			t.Errorf("%+v: opened", c)
		}
	}
	cfg := testConfig(vfs.OS{})
	cfg.Dir = t.TempDir() + "/a/b"
	l := open(t, cfg)
	stop := run(t, l)
	must(t, submit(l, Write{Shard: 7, Entries: entries(1, 500, 1, 100)}))
	stop()
	l = open(t, cfg)
	diff(t, read(t, l.Shard(7)), content{First: 1, Entries: entries(1, 500, 1, 100)})
	must(t, l.Close())
}
