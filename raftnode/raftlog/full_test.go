package raftlog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

// fillUp submits writes that are never compacted until one waits for room, and
// returns how many there are, with a channel that gets the answers.
func fillUp(t *testing.T, l *Log, size int) (n uint64, answers chan error) {
	t.Helper()
	answers = make(chan error, 1000)
	for n = 1; n < 1000; n++ {
		l.Submit(Write{Shard: 1, Entries: entries(n, 1, 1, size), HardState: hard(1, 1, 0), Done: func(err error) { answers <- err }})
		synctest.Wait()
		if l.Full() {
			return n, answers
		}
		must(t, <-answers)
	}
	t.Fatal("the disk was never full")
	return 0, nil
}

// TestAFullLogWaits guards that a log without room for a segment touches nothing, says
// so, answers nobody, and goes on by itself; and that a crash meanwhile loses nothing
// that was answered.
func TestAFullLogWaits(t *testing.T) {
	for _, size := range []int{300, 10 * page} { // one larger than a segment, too
		synctest.Test(t, func(t *testing.T) {
			d := vfstest.New(1)
			cfg := testConfig(d)
			l := open(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			d.SetCapacity(d.Used() + 30*page)
			n, answers := fillUp(t, l, size)
			time.Sleep(time.Minute)
			if len(answers) > 0 || len(ended) > 0 {
				t.Fatalf("%d answers, %d ends while there was no room", len(answers), len(ended))
			}
			if last, _ := l.Shard(1).LastIndex(); last != n-1 {
				t.Errorf("last index %d, want %d", last, n-1)
			}
			if first, err := l.Shard(1).Entries(1, 2, 1<<20); err != nil || len(first) != 1 {
				t.Errorf("reading while full: %v", err)
			}
			d.SetCapacity(0)
			time.Sleep(2 * retryFull)
			must(t, <-answers)
			if l.Full() {
				t.Error("full with room")
			}
			cancel()
			must(t, <-ended)
			d.Restart()
			l = open(t, cfg)
			if last, _ := l.Shard(1).LastIndex(); last != n {
				t.Errorf("last index %d after a restart, want %d", last, n)
			}
			must(t, l.Close())
		})
	}
}

// TestAFullLogEndsAndOpens guards that a box can be stopped, and loses its power,
// while its log waits.
func TestAFullLogEndsAndOpens(t *testing.T) {
	for _, crash := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := vfstest.New(1)
			cfg := testConfig(d)
			l := open(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			d.SetCapacity(d.Used() + 30*page)
			n, answers := fillUp(t, l, 300)
			if crash {
				d.Cut()
			}
			cancel()
			err := <-ended
			if why := <-answers; !errors.Is(why, ErrStopped) || !crash && (!vfs.ErrFull(err) || !vfs.ErrFull(why)) {
				t.Errorf("the end: %v; the write that waited: %v", err, why)
			}
			d.SetCapacity(0)
			d.Restart()
			l = open(t, cfg)
			if last, _ := l.Shard(1).LastIndex(); last != n-1 {
				t.Errorf("last index %d after a restart, want %d", last, n-1)
			}
			must(t, l.Close())
		})
	}
}

// TestNoRoomIsNotTried guards that where there is known to be no room, none is taken
// from others for a moment.
func TestNoRoomIsNotTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := vfstest.New(1)
		cfg := testConfig(d)
		var free atomic.Int64 // negative: not known
		free.Store(1 << 20)
		cfg.Room = func() (int64, error) {
			if free.Load() < 0 {
				return 0, fmt.Errorf("not known: %w", syscall.EIO)
			}
			return free.Load(), nil
		}
		l := open(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		free.Store(cfg.SegmentBytes - 1)
		_, answers := fillUp(t, l, 300)
		before := d.Operations()
		time.Sleep(time.Minute)
		if d.Operations() != before {
			t.Errorf("%d operations on a full disk", d.Operations()-before)
		}
		free.Store(-1) // then trying tells
		time.Sleep(2 * retryFull)
		must(t, <-answers)
		cancel()
		must(t, <-ended)
	})
}
