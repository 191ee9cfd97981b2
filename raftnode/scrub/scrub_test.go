package scrub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/wire"
	"redhen/raftnode/chunk"
)

// shelf is chunks of one size, some of them bad.
type shelf struct {
	mu     sync.Mutex
	hs     []chunk.Hash
	size   int64
	bad    map[chunk.Hash]bool
	read   []chunk.Hash // in the order of verifying
	people uint64
}

func newShelf(n int, size int64) *shelf {
	s := &shelf{size: size, bad: map[chunk.Hash]bool{}}
	for i := range n {
		s.hs = append(s.hs, chunk.Sum(fmt.Append(nil, i)))
	}
	slices.SortFunc(s.hs, chunk.Hash.Compare)
	return s
}

func (s *shelf) After(h chunk.Hash) iter.Seq[chunk.Hash] {
	return func(yield func(chunk.Hash) bool) {
		for _, next := range s.hs {
			if next.Compare(h) > 0 && !yield(next) {
				return
			}
		}
	}
}

func (s *shelf) Verify(h chunk.Hash) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = append(s.read, h)
	if s.bad[h] {
		delete(s.bad, h)
		return 0, chunk.ErrDamaged
	}
	return s.size, nil
}

func (s *shelf) Usage() (int, int64) { return len(s.hs), s.size * int64(len(s.hs)) }

func (s *shelf) Reads() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.people
}

func (s *shelf) verified() []chunk.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.read)
}

// bench is a Scrubber that runs.
type bench struct {
	*Scrubber
	t            *testing.T
	stop         func()
	lists, mends int
	left         int
	skew         atomic.Int64 // of the clock on the wall, in nanoseconds
}

func start(t *testing.T, path string, s *shelf) *bench {
	t.Helper()
	b := &bench{t: t}
	var err error
	b.Scrubber, err = Open(Config{
		Path: path, Chunks: s, Logger: slog.New(slog.DiscardHandler),
		Lists: func(context.Context) (int, int) { b.lists++; return 3, 1 },
		Mend:  func(context.Context) int { b.mends++; return b.left },
		Now:   func() time.Time { return time.Now().Add(time.Duration(b.skew.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return b
}

// A round goes through everything once, slowly, and the next begins 30 days after it.
func TestOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(100, 1<<20)
		s.bad[s.hs[40]] = true
		b := start(t, filepath.Join(t.TempDir(), "scrub"), s)
		defer b.stop()
		time.Sleep(11 * time.Minute)
		if got := len(s.verified()); got < 5 || got > 20 {
			t.Errorf("%d read in a minute: at 256 kB/s it is about 14", got)
		}
		time.Sleep(time.Hour)
		last := b.Status().Last
		if want := (Round{Began: last.Began, Ended: last.Ended, Chunks: 100, Bytes: 99 << 20, Bad: 1, Lists: 3, BadLists: 1}); last != want || last.Ended == 0 {
			t.Errorf("got %+v, want %+v", last, want)
		}
		if !slices.Equal(s.verified(), s.hs) {
			t.Errorf("%d were read, want each once", len(s.verified()))
		}
		time.Sleep(29 * 24 * time.Hour)
		if got := len(s.verified()); got != 100 {
			t.Errorf("%d read: the second round is early", got)
		}
		time.Sleep(24 * time.Hour)
		if got := len(s.verified()); got != 200 || b.lists != 2 {
			t.Errorf("%d read, lists %d times", got, b.lists)
		}
	})
}

// A round goes on after a restart where it was, but for the last five minutes.
func TestTheRoundGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, path := newShelf(200, 1<<20), filepath.Join(t.TempDir(), "scrub")
		b := start(t, path, s)
		time.Sleep(16 * time.Minute)
		crashed, err := os.ReadFile(path) // as a power cut would leave it
		if err != nil {
			t.Fatal(err)
		}
		b.stop()
		before := len(s.verified())
		if err := os.WriteFile(path, crashed, 0o600); err != nil {
			t.Fatal(err)
		}
		b = start(t, path, s)
		defer b.stop()
		time.Sleep(2 * time.Hour)
		if again := len(s.verified()) - 200; again < 0 || again > 90 || before < 20 || b.lists != 0 {
			t.Errorf("%d before the cut, %d read twice, lists %d times", before, again, b.lists)
		}
		if b.Status().Last.Chunks < 200 {
			t.Errorf("the round counts %d", b.Status().Last.Chunks)
		}
	})
}

// While people use the disk, a chunk waits for a calm moment, and not for ever.
func TestPeopleComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1000, 1<<20)
		b := start(t, filepath.Join(t.TempDir(), "scrub"), s)
		defer b.stop()
		busy, end := context.WithCancel(t.Context())
		var people sync.WaitGroup
		defer people.Wait()
		defer end()
		people.Go(func() {
			for busy.Err() == nil {
				s.mu.Lock()
				s.people++
				s.mu.Unlock()
				time.Sleep(50 * time.Millisecond)
			}
		})
		time.Sleep(20 * time.Minute)
		if got := len(s.verified()); got < 20 || got > 60 {
			t.Errorf("%d read in ten busy minutes, want about 43", got)
		}
	})
}

// Who asks gets a fresh round, fast, and hears where it is; the one on schedule ends with it.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(2000, 1<<20)
		b := start(t, filepath.Join(t.TempDir(), "scrub"), s)
		defer b.stop()
		time.Sleep(11 * time.Minute) // one on schedule is under way
		b.left = 2
		begun, told := time.Now(), int64(0)
		last, err := b.AtOnce(t.Context(), func(st Status) {
			if st.Total != 2000<<20 || st.Round.Bytes < told {
				t.Errorf("told %+v", st)
			}
			told = st.Round.Bytes
		})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 2*time.Minute || told == 0 {
			t.Errorf("took %v, told of %d bytes", took, told)
		}
		if last.Chunks != 2000 || last.Left != 2 || last.Began < begun.UnixMilli() {
			t.Errorf("got %+v", last)
		}
		time.Sleep(24 * time.Hour)
		if b.Status().Round.Began != 0 {
			t.Error("the one on schedule goes on")
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if last, err := b.AtOnce(t.Context(), nil); err != nil || last.Chunks != 2000 {
					t.Errorf("two ask: %+v, %v", last, err)
				}
			})
		}
		both.Wait()
	})
}

// Who goes away leaves a round that goes on slowly.
func TestWhoAskedGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(4000, 1<<20)
		b := start(t, filepath.Join(t.TempDir(), "scrub"), s)
		defer b.stop()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := b.AtOnce(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		fast := len(s.verified())
		time.Sleep(time.Minute)
		if slow := len(s.verified()) - fast; fast < 100 || slow < 5 || slow > 20 {
			t.Errorf("%d in ten seconds, then %d in a minute", fast, slow)
		}
	})
}

// A clock that jumps back by years makes the next round wait for a month at most.
func TestAClockThatJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(10, 1<<20)
		b := start(t, filepath.Join(t.TempDir(), "scrub"), s)
		defer b.stop()
		time.Sleep(time.Hour)
		b.skew.Store(int64(-5 * 365 * 24 * time.Hour))
		time.Sleep(32 * 24 * time.Hour)
		if got := len(s.verified()); got != 20 {
			t.Errorf("%d read, want two rounds of 10", got)
		}
	})
}

// A large box is read faster than a small one, so that a round takes 20 days.
func TestALargeBoxIsDoneInTime(t *testing.T) {
	s := &Scrubber{cfg: Config{Every: DefaultEvery, Slow: DefaultSlow, Chunks: &shelf{hs: make([]chunk.Hash, 4_000_000), size: 1 << 20}}}
	days := float64(4_000_000<<20) / float64(s.rate()) / (24 * 3600)
	if days < 19 || days > 21 {
		t.Errorf("4 TB take %.1f days", days)
	}
}

// FuzzPosition: whatever is in the file, nothing breaks, and what is read is what was written.
func FuzzPosition(f *testing.F) {
	f.Add([]byte{})
	f.Add(wire.MustMarshal(position{Status: Status{Round: Round{Began: 5, Bytes: 7}}, At: chunk.Hash{1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePosition(b)
		if err != nil {
			if p != (position{}) {
				t.Error("something was read all the same")
			}
			return
		}
		if again, err := decodePosition(wire.MustMarshal(p)); err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}
