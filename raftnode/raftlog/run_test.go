package raftlog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

// TestFailureStopsForEver guards that a failed write or sync is never tried again: the disk is not touched any more,
// everybody is told the cause, and only Open helps.
func TestFailureStopsForEver(t *testing.T) {
	for n, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		d := vfstest.New(1)
		cfg := testConfig(d)
		l := open(t, cfg)
		ended := make(chan error, 1)
		go func() { ended <- l.Run(t.Context()) }()
		must(t, submit(l, Write{Shard: 1, Entries: entries(1, 1, 1, 9)}))
		d.FailAt(1+n, failure) // the write, the sync
		err := submit(l, Write{Shard: 1, Entries: entries(2, 1, 1, 9)})
		if !errors.Is(err, ErrStopped) || !errors.Is(err, failure) || vfs.ErrFull(err) != (failure == syscall.ENOSPC) {
			t.Errorf("%v: %v", failure, err)
		}
		if err := <-ended; !errors.Is(err, failure) {
			t.Errorf("run: %v", err)
		}
		before := d.Operations()
		if err := submit(l, Write{Shard: 2, Entries: entries(1, 1, 1, 9)}); !errors.Is(err, failure) {
			t.Errorf("later write: %v", err)
		}
		if last, _ := l.Shard(1).LastIndex(); last != 1 || d.Operations() != before {
			t.Errorf("last index %d, %d operations after the failure", last, d.Operations()-before)
		}
		l = open(t, cfg)
		must(t, l.Close())
	}
}

// TestCloseAnswersTheQueue guards that no write waits for ever.
func TestCloseAnswersTheQueue(t *testing.T) {
	l := open(t, testConfig(vfstest.New(1)))
	var got error
	l.Submit(Write{Shard: 1, HardState: hard(1, 1, 0), Done: func(err error) { got = err }})
	must(t, l.Close())
	if !errors.Is(got, ErrStopped) {
		t.Errorf("queued write: %v", got)
	}
}

// TestCleanStopWritesTheQueue guards that what was submitted before the end is durable.
func TestCleanStopWritesTheQueue(t *testing.T) {
	cfg := testConfig(vfstest.New(1))
	l := open(t, cfg)
	var got error = errors.New("not answered")
	l.Submit(Write{Shard: 1, Entries: entries(1, 3, 1, 9), Done: func(err error) { got = err }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, l.Run(ctx))
	must(t, got)
	l = open(t, cfg)
	diff(t, read(t, l.Shard(1)), content{First: 1, Entries: entries(1, 3, 1, 9)})
	must(t, l.Close())
}

// TestConcurrent lets shards write, read, compact and forget at once, over many rotations.
func TestConcurrent(t *testing.T) {
	cfg := testConfig(vfstest.New(1))
	l := open(t, cfg)
	stop := run(t, l)
	var wg sync.WaitGroup
	for id := ident.ShardID(1); id <= 8; id++ {
		wg.Go(func() { one(t, l, id) })
	}
	wg.Wait()
	want := adopt(t, l)
	stop()
	l = open(t, cfg)
	must(t, want.same(l))
	must(t, l.Close())
}

func one(t *testing.T, l *Log, id ident.ShardID) {
	s := l.Shard(id)
	for i := uint64(1); i < 150; i++ {
		if err := submit(l, Write{Shard: id, Entries: entries(i, 2, i, 100), HardState: hard(i, 0, i)}); err != nil {
			t.Errorf("shard %v: %v", id, err)
			return
		}
		if last, _ := s.LastIndex(); last != i+1 {
			t.Errorf("shard %v: last index %d right after Done, want %d", id, last, i+1)
		}
		first, _ := s.FirstIndex()
		if es, err := s.Entries(first, i+2, 1<<20); err != nil || uint64(len(es)) != i+2-first {
			t.Errorf("shard %v: %d entries, %v", id, len(es), err)
		}
		if i%10 == 0 && id > 2 {
			if err := l.Compact(id, i-uint64(id)); err != nil {
				t.Errorf("compact: %v", err)
			}
		}
	}
	if id == 8 {
		l.Forget(id) // later writes of the shard come after it
		if err := submit(l, Write{Shard: id, Entries: entries(1, 1, 1, 1)}); err != nil {
			t.Errorf("after forget: %v", err)
		}
	}
}

// TestOrderOfAnswers guards that writes are answered in the order in which they were submitted.
func TestOrderOfAnswers(t *testing.T) {
	l := open(t, testConfig(vfstest.New(1)))
	var got []int
	for i := range 100 {
		l.Submit(Write{Shard: ident.ShardID(1 + i%3), Entries: entries(1+uint64(i/3), 1, 1, 2000), Done: func(error) { got = append(got, i) }})
	}
	stop := run(t, l)
	stop()
	if len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("answers %v", got)
	}
}
