package raftnode_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run TestRandomCircles with this seed alone")
	liesFlag  = flag.Bool("lies", false, "let disks lie in TestRandomCircles")
	seedsFlag = flag.Uint64("seeds", 0, "run the random stories with so many seeds")
	fromFlag  = flag.Uint64("from", 1, "the first of them")
)

// TestRandomCircles lets people write, move, remove and read at random boxes of a
// circle of three to five houses while things go wrong (see the table of faults). Then
// all heals, and the promises of the package are checked.
func TestRandomCircles(t *testing.T) {
	eachSeed(t, "seed", *seedFlag, runRandom)
}

// eachSeed runs a random story: with one seed alone where the flag of that name gives it.
func eachSeed(t *testing.T, name string, alone uint64, run func(*testing.T, uint64)) {
	first, count := *fromFlag, uint64(24)
	switch {
	case alone > 0:
		first, count = alone, 1
	case *seedsFlag > 0:
		count = *seedsFlag
	case testing.Short() || raceEnabled:
		count = 6
	}
	for seed := first; seed < first+count; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			defer func() {
				if t.Failed() {
					story, _, _ := strings.Cut(t.Name(), "/")
					t.Logf("again: go test ./raftnode -run '%s$' -%s %d", story, name, seed)
				}
			}()
			cryptotest.SetGlobalRandom(t, seed)
			synctest.Test(t, func(t *testing.T) { run(t, seed) })
		})
	}
}

// world is one random run.
type world struct {
	*testing.T
	ctx   context.Context
	c     *raftnodetest.Circle
	space ident.ShardID
	rng   *rand.Rand // of the faults
	hist  history

	people sync.WaitGroup
	stop   chan struct{}

	mu    sync.Mutex // guards what follows
	kept  []keptWrite
	burnt map[string]bool
	left  map[string]bool   // retired: nothing of theirs is excused
	calls int               // operations begun, for the names of files
	forks int               // how often both houses went on alone; the registers are others afterwards
	apart bool              // they do now: reads and writes of two sides are not linearizable
	lost  map[string]uint64 // the last life of which a box's disk may have lost something
}

// keptWrite is a write that somebody was told is kept.
type keptWrite struct {
	id    catalog.WriteID
	box   string // where it was accepted
	life  uint64 // of the box
	kept  int    // houses
	text  string // its content
	audit bool   // nobody removes it: it must be seen at its box at any time
}

func runRandom(t *testing.T, seed uint64) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	w := newWorld(t, ctx, seed, rand.NewPCG(seed, 1))
	defer w.end()
	w.setUp()
	w.comeIn(seed, 6, 2)
	w.faults()
	w.healAll()
	time.Sleep(5 * time.Second)
	w.goHome()
	w.check()
}

// comeIn lets people use the circle until goHome.
func (w *world) comeIn(seed uint64, people int, draws uint64) {
	for i := range people {
		rng := rand.New(rand.NewPCG(seed, uint64(i)+draws))
		w.people.Go(func() { w.client(rng) })
	}
}

func (w *world) goHome() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.people.Wait()
}

// end ends a run, also one that has failed in the middle, so that the next can begin.
func (w *world) end() {
	w.goHome()
	w.c.Close()
	if w.Failed() {
		w.c.Said.Dump(w.T, 150)
	}
}

func newWorld(t *testing.T, ctx context.Context, seed uint64, draws *rand.PCG) *world {
	return &world{
		T: t, ctx: ctx, rng: rand.New(draws), stop: make(chan struct{}), burnt: map[string]bool{}, left: map[string]bool{}, lost: map[string]uint64{},
		c: raftnodetest.New(t, raftnodetest.Config{Seed: seed, KeepEntries: 16, CutEntries: 48, Logger: logger()}),
	}
}

// setUp makes a circle of three to five boxes in at least three houses: a fourth may
// stand in the first one's.
func (w *world) setUp() {
	names := []string{"a", "b", "c", "d", "e"}[:3+w.rng.IntN(3)]
	houses := map[string]bool{}
	for i, name := range names {
		house := name + " house"
		if i == 3 && w.rng.IntN(2) == 0 {
			house = "a house"
		}
		houses[house] = true
		if _, err := w.c.Add(w.ctx, name, house); err != nil {
			w.Fatalf("add %s: %v", name, err)
		}
	}
	waitVoters(w.T, w.ctx, w.c, ident.CircleShard, (len(houses)-1)/2*2+1)
	var err error
	if w.space, err = w.c.All()[0].NewSpace(w.ctx, "files"); err != nil {
		w.Fatal(err)
	}
	waitVoters(w.T, w.ctx, w.c, w.space, 3)
	w.c.Mesh.SetLinks(transport.Link{Latency: 5 * time.Millisecond, Jitter: 20 * time.Millisecond})
}

// standing returns the boxes that did neither burn nor retire.
func (w *world) standing() []*raftnodetest.Box {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(w.c.All(), func(b *raftnodetest.Box) bool { return w.burnt[b.Name] || w.left[b.Name] })
}

func (w *world) oneOf(rng *rand.Rand) *raftnodetest.Box {
	all := w.standing()
	return all[rng.IntN(len(all))]
}

// client is one person, who uses whatever box is at hand.
func (w *world) client(rng *rand.Rand) {
	for {
		select {
		case <-w.stop:
			return
		case <-time.After(time.Duration(20+rng.IntN(400)) * time.Millisecond):
		}
		w.act(rng, w.oneOf(rng))
	}
}

func (w *world) act(rng *rand.Rand, b *raftnodetest.Box) {
	ctx, cancel := context.WithTimeout(w.ctx, 40*time.Second)
	defer cancel()
	w.mu.Lock()
	w.calls++
	n, forks, apart := w.calls, w.forks, w.apart
	w.mu.Unlock()
	switch k := rng.IntN(20); {
	case k < 6:
		w.put(ctx, b, fmt.Sprintf("k%d", rng.IntN(6)), n, rng.IntN(8) == 0, true)
	case k < 9:
		w.put(ctx, b, fmt.Sprintf("r%d", rng.IntN(3)), n, false, false)
	case k < 10:
		_, _, _ = b.Remove(ctx, w.space, fmt.Sprintf("r%d", rng.IntN(3))) // what it removes, check restores
	case k < 11:
		_, _, _ = b.Move(ctx, w.space, fmt.Sprintf("k%d", rng.IntN(6)), fmt.Sprintf("moved-%d", n)) // nothing may get lost by it
	case k < 13:
		w.audit(ctx, b)
	case apart:
	case k < 17:
		w.readRegister(ctx, b, 2*forks+rng.IntN(2))
	default:
		w.writeRegister(ctx, b, 2*forks+rng.IntN(2), n)
	}
}

func (w *world) put(ctx context.Context, b *raftnodetest.Box, name string, n int, large, audit bool) {
	text := fmt.Sprintf("<%d>", n)
	if large {
		text += strings.Repeat(".", 40_000)
	}
	life := b.Life()
	out, kept, err := b.Put(ctx, w.space, name, []byte(text))
	if err != nil || b.Life() != life || life%2 == 0 {
		return // nobody was told anything
	}
	if out.Status != catalog.Done && out.Status != catalog.Beside {
		w.Errorf("put %s at %s: %v", name, b.Name, out.Status)
		return
	}
	w.mu.Lock()
	w.kept = append(w.kept, keptWrite{out.Version, b.Name, life, kept, text, audit})
	w.mu.Unlock()
}

// audit looks for everything that this box accepted.
func (w *world) audit(ctx context.Context, b *raftnodetest.Box) {
	life := b.Life()
	n, err := b.Running()
	if err != nil {
		return
	}
	_, _, err = n.StateHash(w.space)
	holds := err == nil
	w.mu.Lock()
	var want []catalog.WriteID
	for _, k := range w.kept {
		// A box without a replica forgets, when it restarts, what it wrote at others:
		// one of them that lags may answer while there is no leader.
		if k.box == b.Name && k.audit && (holds || k.life == life) && k.life > w.lost[b.Name] {
			want = append(want, k.id)
		}
	}
	w.mu.Unlock()
	for try := 0; ; try++ {
		seen, err := w.versions(ctx, b)
		if err != nil || b.Life() != life || life%2 == 0 {
			return
		}
		i := slices.IndexFunc(want, func(id catalog.WriteID) bool { return !seen[id] })
		if i < 0 {
			return
		}
		if try == 5 { // moved between one look and the next, perhaps; not five times
			w.Errorf("at %s: %s was accepted here and is not to be seen", b.Name, want[i])
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// versions returns every version of every file that a box shows.
func (w *world) versions(ctx context.Context, b *raftnodetest.Box) (map[catalog.WriteID]bool, error) {
	n, err := b.Running()
	if err != nil {
		return nil, err
	}
	s := n.Space(w.space)
	seen := map[catalog.WriteID]bool{}
	for after := ""; ; {
		list, err := s.List(ctx, "", after, 1000)
		if err != nil || len(list) == 0 {
			return seen, err
		}
		for _, e := range list {
			seen[e.Version] = true
			versions, err := s.Versions(ctx, e.Name)
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return seen, err
			}
			for _, v := range versions {
				seen[v.ID] = true
			}
		}
		after = list[len(list)-1].Name
	}
}
