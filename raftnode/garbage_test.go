package raftnode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/manifest"
	"redhen/raftnode/raftnodetest"
)

// sweeper is a random run of three boxes that sweep every minute, and remove what
// nothing has needed for three.
type sweeper struct {
	*testing.T
	ctx   context.Context
	c     *raftnodetest.Circle
	rng   *rand.Rand
	ahead time.Duration  // of the clocks on the wall of all boxes
	files ident.ShardID  // at all three boxes
	solo  ident.ShardID  // at box c alone
	stems map[string]int // names that were written, and with which content
	lie   error          // the first thing that was needed and not there
}

const (
	day       = 24 * time.Hour
	bodies    = 6
	sweepWait = 14 * time.Minute // longer than anything may wait, offered snapshots too
)

// body is one of a few contents, so that they come again and share chunks.
func body(i int) []byte { return append(noise(byte(i), 40_000), noise(99, 2<<20)...)[:40_000+i%2<<20] }

func (w *sweeper) anyBody() []byte { return body(w.rng.IntN(bodies)) }

func newSweeper(t *testing.T, seed uint64) *sweeper {
	w := &sweeper{T: t, rng: rand.New(rand.NewPCG(seed, 5)), stems: map[string]int{}}
	w.c = raftnodetest.New(t, raftnodetest.Config{
		Seed: seed, Logger: logger(), SweepEvery: time.Minute, GarbageAfter: 3 * time.Minute,
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
	t.Cleanup(cancel)
	w.ctx = ctx
	for _, name := range []string{"a", "b", "c"} {
		if _, err := w.c.Add(ctx, name, name+" house"); err != nil {
			t.Fatal(err)
		}
	}
	waitVoters(t, ctx, w.c, ident.CircleShard, 3)
	var err error
	if w.files, err = w.c.Box("a").NewSpace(ctx, "files"); err == nil {
		w.solo, err = w.c.Box("c").NewSpaceOf(ctx, "solo", 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	waitVoters(t, ctx, w.c, w.files, 3)
	waitVoters(t, ctx, w.c, w.solo, 1)
	return w
}

// check notes the first chunk that something needs and that is not there.
func (w *sweeper) check(when string) {
	for _, b := range w.c.Up() {
		if w.owes(b) {
			continue // it fetches what is not there
		}
		needed, err := b.Node.Needed(w.ctx)
		if err != nil && w.lie == nil {
			w.lie = fmt.Errorf("%s: what %s needs: %w", when, b.Name, err)
		}
		for h := range needed {
			if !here(b, h) && w.lie == nil && !w.owes(b) && !here(b, h) { // it may just be fetched
				w.lie = fmt.Errorf("%s: %s needs %v, which is not there", when, b.Name, h)
			}
		}
	}
}

func (w *sweeper) owes(b *raftnodetest.Box) bool {
	st, err := b.Node.Status(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	return slices.ContainsFunc(st.Shards, func(sh raftnode.ShardStatus) bool { return sh.Owes })
}

// step does one thing that may happen in a circle.
func (w *sweeper) step() string {
	b := w.c.Up()[w.rng.IntN(len(w.c.Up()))]
	name := fmt.Sprint("f", w.rng.IntN(5))
	switch w.rng.IntN(10) {
	case 0, 1, 2:
		w.put(b, w.files, name, w.anyBody())
		return "put"
	case 3:
		if _, _, err := b.Remove(w.ctx, w.files, name); err != nil && !errors.Is(err, catalog.ErrNotFound) {
			w.Fatal(err)
		}
		return "remove"
	case 4:
		w.slowUpload(b, name)
		return "slow upload"
	case 5:
		w.farWrite(name)
		return "write to a house that is away"
	case 6:
		b.Crash()
		time.Sleep(time.Minute)
		if err := b.Start(); err != nil {
			w.Fatal(err)
		}
		w.settle()
		return "crash"
	case 7:
		w.purge()
		return "purge"
	}
	time.Sleep(time.Duration(1+w.rng.IntN(8)) * time.Minute)
	return "wait"
}

func (w *sweeper) put(b *raftnodetest.Box, space ident.ShardID, name string, data []byte) {
	if _, _, err := b.Put(w.ctx, space, name, data); err != nil {
		w.Fatalf("put %s at %s: %v", name, b.Name, err)
	}
}

// slowUpload takes longer than garbage waits, and uses bytes that may be garbage.
func (w *sweeper) slowUpload(b *raftnodetest.Box, name string) {
	r, feed := io.Pipe()
	data := append(w.anyBody(), noise(50, 3<<20)...)
	go func() {
		half := len(data) / 2
		feed.Write(data[:half]) // an error shows at the reader
		time.Sleep(sweepWait)
		feed.Write(data[half:])
		feed.Close()
	}()
	s := b.Node.Space(w.files)
	content, err := s.Upload(w.ctx, r)
	if err != nil {
		w.Fatal(err)
	}
	for h := range manifest.Walk(w.ctx, content, nil) {
		if !here(b, h) && w.lie == nil {
			w.lie = fmt.Errorf("slow upload: %v is gone before it was written", h)
		}
	}
	if w.lie != nil {
		return // the write would wait for ever
	}
	op := catalog.Op{Kind: catalog.Put, Content: &content, Name: name}
	if e, err := s.Stat(w.ctx, name); err == nil {
		op.Node, op.Base = e.Node, e.Version
	}
	if _, _, err := s.Write(w.ctx, b.Account, op, 0); err != nil {
		w.Fatal(err)
	}
}

// farWrite writes at a what only c may settle, while c is away and a is not apart.
func (w *sweeper) farWrite(name string) {
	a, c := w.c.Box("a"), w.c.Box("c")
	if _, err := a.Stat(w.ctx, w.solo, ""); err != nil {
		w.Fatal(err)
	}
	w.put(a, w.solo, name+" first", w.anyBody()) // a knows where it lies
	e, err := a.Stat(w.ctx, w.solo, "")
	if err != nil {
		w.Fatal(err)
	}
	only := noise(byte(100+w.rng.IntN(100)), 50_000) // nothing else at a needs it
	content, err := a.Node.Space(w.solo).Upload(w.ctx, bytes.NewReader(only))
	if err != nil {
		w.Fatal(err)
	}
	w.c.Mesh.Partition([]ident.BoxID{c.Key.BoxID()})
	op := catalog.Op{Kind: catalog.Put, Dir: e.Node, Name: fmt.Sprint(name, w.rng.IntN(1000)), Content: &content}
	if _, kept, err := a.Node.Space(w.solo).Write(w.ctx, a.Account, op, 0); err != nil || kept != 1 {
		w.Fatalf("kept in %d houses, %v", kept, err)
	}
	time.Sleep(sweepWait)
	w.check("c is away")
	w.c.Mesh.Heal()
	w.settle()
}

// letPass has time pass on the wall alone.
func (w *sweeper) letPass(d time.Duration) {
	w.ahead += d
	for _, b := range w.c.All() {
		b.SetClock(int64(w.ahead / time.Second))
	}
}

// purge lets five weeks pass on the wall: what was removed or replaced goes for good.
// The time of a catalog goes on with its writes, by a day with each at most, and not
// with one that is older than another before it: each day's is decided on its day.
func (w *sweeper) purge() {
	for i := range 36 {
		w.letPass(day)
		w.put(w.c.Box([]string{"c", "b"}[i%2]), w.files, "day", fmt.Append(nil, i))
		w.put(w.c.Box("c"), w.solo, "day", fmt.Append(nil, i))
		w.nothingWaits()
	}
}

// settle waits until everything is everywhere, and nothing is under way.
func (w *sweeper) settle() {
	for _, space := range []ident.ShardID{w.files, w.solo} {
		if w.lie == nil {
			wait(w.T, w.ctx, "complete", func() (bool, error) { return w.c.Complete(w.ctx, space) })
		}
	}
	if w.lie == nil {
		w.nothingWaits()
	}
}

// nothingWaits waits until no box has a write that is not decided; else it says which.
func (w *sweeper) nothingWaits() {
	waits := ""
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if waits = w.waiting(); waits == "" {
			return
		}
	}
	stacks := make([]byte, 4<<20)
	w.Logf("%s", stacks[:runtime.Stack(stacks, true)])
	w.Fatalf("not in time: something waits yet: %s", waits)
}

func (w *sweeper) waiting() string {
	for _, b := range w.c.Up() {
		st, err := b.Node.Status(w.ctx)
		if err != nil {
			return fmt.Sprintf("%s: %v", b.Name, err)
		}
		for _, sh := range st.Shards {
			if sh.Pending > 0 {
				return fmt.Sprintf("%s: %+v", b.Name, sh)
			}
		}
	}
	return ""
}

// run takes steps until a lie shows; the mistake, unless empty, is planted in all boxes.
func (w *sweeper) run(steps int, mistake string) {
	for range steps {
		for _, b := range w.c.Up() {
			b.Node.Forget(mistake)
		}
		what := w.step()
		if w.check(what); w.lie != nil {
			return
		}
	}
}

// garbageGoes lets everything go that may, and reports what stays.
func (w *sweeper) garbageGoes() {
	for i := range 5 {
		for _, name := range []string{"a", "b", "c"} {
			if _, _, err := w.c.Box(name).Remove(w.ctx, w.files, fmt.Sprint("f", i)); err != nil && !errors.Is(err, catalog.ErrNotFound) {
				w.Fatal(err)
			}
		}
	}
	w.purge()
	w.letPass(20 * day) // leases end
	w.settle()
	time.Sleep(30 * time.Minute) // offered snapshots, then the sweeps
	w.check("at the end")
	for _, b := range w.c.Up() {
		if w.owes(b) {
			continue // it fetches what is not there
		}
		needed, err := b.Node.Needed(w.ctx)
		if err != nil {
			w.Fatal(err)
		}
		for h := range b.Chunks.All() {
			if !needed[h] {
				st, _ := b.Node.Status(w.ctx)
				w.Errorf("garbage is left at %s: %v; %+v", b.Name, h, st.Care)
				return
			}
		}
	}
}

func inSweeper(t *testing.T, seed uint64, fn func(*sweeper)) {
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w := newSweeper(t, seed)
		defer w.c.Close()
		defer func() {
			if t.Failed() {
				w.c.Said.Dump(t, 100)
			}
		}()
		fn(w)
	})
}

// TestOnlyGarbageGoes: whatever people do and boxes suffer, no chunk goes that
// something at its box needs; and in the end all garbage goes.
func TestOnlyGarbageGoes(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inSweeper(t, seed, func(w *sweeper) {
				if w.run(25, ""); w.lie != nil {
					w.Fatal(w.lie)
				}
				w.garbageGoes()
				if w.lie != nil {
					w.Fatal(w.lie)
				}
			})
		})
	}
}

// TestTheGarbageTestBites: a collection that leaves out a kind of root is caught.
// Logs and journals have a test of their own (TestWhatWaitsIsNoGarbage): here entries are applied
// at once, and a write that waits is offered again every few seconds, which rescues its chunks.
func TestTheGarbageTestBites(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("one run of each is enough")
	}
	for _, mistake := range []string{"uploads", "catalogs"} {
		t.Run(mistake, func(t *testing.T) {
			for seed := range uint64(8) {
				caught := false
				inSweeper(t, seed, func(w *sweeper) {
					w.run(25, mistake)
					caught = w.lie != nil
				})
				if caught {
					t.Logf("caught by seed %d", seed)
					return
				}
			}
			t.Error("not caught")
		})
	}
}

// A chunk that is condemned and comes to be needed again stays, and so does one that
// somebody was told is here.
func TestACondemnedChunkThatIsWrittenAgainStays(t *testing.T) {
	inSweeper(t, 77, func(w *sweeper) {
		b := w.c.Box("b")
		w.put(b, w.files, "f0", w.anyBody())
		h := chunk.Sum(body(2)[:40_000])
		w.put(b, w.files, "f1", body(2))
		if _, _, err := b.Remove(w.ctx, w.files, "f1"); err != nil {
			w.Fatal(err)
		}
		w.purge()
		w.letPass(20 * day)
		until(w.T, w.ctx, "condemned", func() bool { return b.Chunks.Condemned(h) > 0 })
		time.Sleep(2 * time.Minute)
		w.put(w.c.Box("a"), w.files, "f2", body(2))
		w.settle()
		if b.Chunks.Condemned(h) != 0 {
			w.Error("it is still condemned")
		}
		time.Sleep(sweepWait)
		if w.check("later"); w.lie != nil || !here(b, h) {
			w.Error(w.lie)
		}
	})
}
