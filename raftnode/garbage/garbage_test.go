package garbage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"redhen/raftnode/chunk"
	"redhen/raftnode/vfs/vfstest"
)

func TestMarksNeverForget(t *testing.T) {
	const n = 20_000
	m := newMarks(n)
	hash := func(i int) chunk.Hash { return chunk.Sum(fmt.Append(nil, i)) }
	for i := range n {
		m.add(hash(i))
	}
	wrong := 0
	for i := range n {
		if !m.has(hash(i)) {
			t.Fatalf("%d is forgotten", i)
		}
		if m.has(hash(n + i)) {
			wrong++
		}
	}
	if wrong > n/200 {
		t.Errorf("%d of %d are taken for needed", wrong, n)
	}
}

// world is a box as a Collector sees it, and what is true of it.
type world struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	disk    *vfstest.Disk
	store   *chunk.Store
	c       *Collector
	running int64 // milliseconds
	wall    int64 // milliseconds; it jumps

	bodies   map[chunk.Hash][]byte
	catalog  map[chunk.Hash]bool // as of the last applied entry
	log      map[chunk.Hash]bool // entries that are not applied
	journal  map[chunk.Hash]bool
	upload   map[chunk.Hash]bool // in flight: lost by a crash
	leased   map[chunk.Hash]int64
	since    map[chunk.Hash]int64 // running time of the last moment at which it was needed
	blocked  error
	between  func() // happens between the question and the removal
	forgets  string // the mutant: what Needed leaves out
	unlisted bool   // Needed cannot know
}

var errPower = errors.New("the power went")

const (
	grace = 7 * 24 * time.Hour
	hour  = int64(time.Hour / time.Millisecond)
)

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 3)), disk: vfstest.New(seed), running: 1, wall: 1 << 40,
		bodies: map[chunk.Hash][]byte{}, catalog: map[chunk.Hash]bool{}, log: map[chunk.Hash]bool{}, journal: map[chunk.Hash]bool{},
		upload: map[chunk.Hash]bool{}, leased: map[chunk.Hash]int64{}, since: map[chunk.Hash]int64{},
	}
	w.open()
	return w
}

func (w *world) open() {
	var err error
	w.store, err = chunk.Open(chunk.Config{
		FS: w.disk, Dir: "chunks", Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.UnixMilli(w.wall) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.c = New(Config{
		Chunks: w.store, Needed: w.needed, Now: func() int64 { return w.running }, Logger: slog.New(slog.DiscardHandler),
		Blocked: func(context.Context) error {
			store := w.store
			if w.blocked == nil && w.between != nil {
				w.between()
			}
			if w.store != store {
				return errPower // this sweep ends with its process
			}
			return w.blocked
		},
	})
}

func (w *world) roots() map[string]map[chunk.Hash]bool {
	return map[string]map[chunk.Hash]bool{"upload": w.upload, "journal": w.journal, "log": w.log, "catalog": w.catalog}
}

func (w *world) needed(_ context.Context, tell func(chunk.Hash)) error {
	for _, name := range []string{"upload", "journal", "log", "catalog"} {
		for h := range w.roots()[name] {
			if name != w.forgets {
				tell(h)
			}
		}
	}
	if w.unlisted {
		return errors.New("a listing is missing")
	}
	return nil
}

// isNeeded is the truth.
func (w *world) isNeeded(h chunk.Hash) bool {
	for _, set := range w.roots() {
		if set[h] {
			return true
		}
	}
	return w.leased[h] > w.wall
}

// step does one thing that may happen on a box.
func (w *world) step() {
	body := fmt.Appendf(nil, "chunk %d", w.rng.IntN(12))
	h := chunk.Sum(body)
	switch w.rng.IntN(12) {
	case 0, 1: // somebody uploads
		if _, err := w.store.Put(body); err != nil {
			w.t.Fatal(err)
		}
		w.bodies[h], w.upload[h] = body, true
	case 2: // what was uploaded is written
		move(w.rng, w.upload, w.journal)
	case 3:
		move(w.rng, w.journal, w.log)
	case 4:
		move(w.rng, w.log, w.catalog)
	case 5: // purged
		move(w.rng, w.catalog, map[chunk.Hash]bool{})
	case 6: // another box asks whether it is here, and relies on the answer
		have, err := w.store.Lease([]chunk.Hash{h}, w.wall+7*24*hour)
		if err != nil {
			w.t.Fatal(err)
		}
		if have[0] {
			w.leased[h] = w.wall + 7*24*hour
		}
	case 7: // an entry names what was found here
		if w.store.Has(h) {
			w.log[h] = true
		}
	case 8: // the power goes; what was in flight is gone
		w.disk.Restart()
		clear(w.upload)
		w.open()
	case 9: // the clock on the wall jumps
		w.wall += (w.rng.Int64N(400) - 100) * 24 * hour
	default:
		d := w.rng.Int64N(60) * hour
		w.running, w.wall = w.running+d, w.wall+d
	}
	// A lease that has ended does not begin again when the clock on the wall jumps back.
	maps.DeleteFunc(w.leased, func(_ chunk.Hash, end int64) bool { return end <= w.wall })
}

// move moves a few.
func move(rng *rand.Rand, from, to map[chunk.Hash]bool) {
	for _, h := range sorted(from) {
		if rng.IntN(2) == 0 {
			delete(from, h)
			to[h] = true
		}
	}
}

func sorted(set map[chunk.Hash]bool) (hs []chunk.Hash) {
	for h := range set {
		hs = append(hs, h)
	}
	for i := range hs {
		for j := i; j > 0 && hs[j].Compare(hs[j-1]) < 0; j-- {
			hs[j], hs[j-1] = hs[j-1], hs[j]
		}
	}
	return hs
}

// check returns what is needed and not here, or was removed too early.
func (w *world) check() error {
	for h, body := range w.bodies {
		if w.isNeeded(h) {
			w.since[h] = w.running
		}
		_, err := w.store.Verify(h)
		switch {
		case err == nil:
		case w.isNeeded(h):
			return fmt.Errorf("seed %d: %s is needed: %w", w.seed, body, err)
		case w.running-w.since[h] < grace.Milliseconds():
			return fmt.Errorf("seed %d: %s was needed %v ago", w.seed, body, time.Duration(w.running-w.since[h])*time.Millisecond)
		default:
			delete(w.bodies, h)
		}
	}
	return nil
}

// run lets things happen between, before and after sweeps, and returns the first lie.
func (w *world) run(steps int) error {
	w.between = func() {
		for range w.rng.IntN(3) {
			w.step()
		}
	}
	for i := range steps {
		w.step()
		if err := w.check(); err != nil {
			return err
		}
		w.blocked, w.unlisted = nil, w.rng.IntN(10) == 0
		if w.rng.IntN(8) == 0 {
			w.blocked = errors.New("apart")
		}
		before := maps.Clone(w.bodies)
		if err := w.c.Sweep(context.Background()); err != nil && w.blocked == nil && !w.unlisted && !errors.Is(err, errPower) {
			return fmt.Errorf("seed %d, step %d: %w", w.seed, i, err)
		}
		if err := w.check(); err != nil {
			return err
		}
		if w.blocked != nil && len(before) != len(w.bodies) {
			return fmt.Errorf("seed %d, step %d: removed while %w", w.seed, i, w.blocked)
		}
	}
	return nil
}

// Whatever happens, nothing goes that anything needs, or needed within a week of
// running time; and in the end all garbage goes.
func TestOnlyGarbageGoes(t *testing.T) {
	removed, seeds := 0, uint64(120)
	if testing.Short() {
		seeds = 12
	}
	for seed := range seeds {
		w := newWorld(t, seed)
		if err := w.run(150); err != nil {
			t.Fatal(err)
		}
		w.between, w.blocked, w.unlisted = nil, nil, false
		clear(w.upload)
		for range 6 { // one in a thousand is taken for needed, another each time
			w.running += 8 * 24 * hour
			w.wall += 1000 * 24 * hour
			if err := w.c.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			removed += w.c.Status().Removed
		}
		for h := range w.store.All() {
			if !w.isNeeded(h) {
				t.Errorf("seed %d: %v is still here", seed, h)
			}
		}
		if err := w.check(); err != nil {
			t.Fatal(err)
		}
	}
	if removed < 200 {
		t.Errorf("only %d were removed: the test is too tame", removed)
	}
}

// Each of these mistakes is caught by the test above.
func TestTheTestBites(t *testing.T) {
	for _, forgets := range []string{"upload", "journal", "log", "catalog"} {
		caught := false
		for seed := uint64(0); seed < 120 && !caught; seed++ {
			w := newWorld(t, seed)
			w.forgets = forgets
			caught = w.run(150) != nil
			if caught {
				t.Logf("GC ignores %s: caught by seed %d", forgets, seed)
			}
		}
		if !caught {
			t.Errorf("GC ignores %s: not caught", forgets)
		}
	}
}

// A clock that begins anew makes garbage wait, not go.
func TestAClockThatBeginsAnew(t *testing.T) {
	w := newWorld(t, 1)
	w.running = 1000 * 24 * hour
	h, err := w.store.Put([]byte("eggs"))
	if err == nil {
		err = w.c.Sweep(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.running = 5
	for range 8 {
		if err := w.c.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Verify(h); err != nil && w.running < 7*24*hour {
			t.Fatalf("after %v: %v", time.Duration(w.running)*time.Millisecond, err)
		}
		w.running += 24 * hour
	}
	if _, err := w.store.Verify(h); !errors.Is(err, chunk.ErrMissing) {
		t.Errorf("still here: %v", err)
	}
}
