package exchange

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
	"redhen/raftnode/transport"
)

// tally counts what Fetch reports.
type tally struct {
	mu    sync.Mutex
	n     map[chunk.Hash]int
	again bool // a second call while one was running
}

func (c *tally) done(h chunk.Hash) {
	if !c.mu.TryLock() {
		c.again = true
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[chunk.Hash]int)
	}
	c.n[h]++
}

// each fails the test unless exactly these were reported, once each.
func (c *tally) each(t *testing.T, hs []chunk.Hash) {
	t.Helper()
	for i, h := range hs {
		if c.n[h] != 1 {
			t.Errorf("chunk %d was reported %d times", i, c.n[h])
		}
	}
	if len(c.n) != len(hs) || c.again {
		t.Errorf("%d chunks reported, want %d; two at a time: %v", len(c.n), len(hs), c.again)
	}
}

func TestFetchSharesTheWork(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(40, 100_000)
		b.fill(bs, berts, carls)
		b.fill(bs[:5], annas)
		b.SetUpload(berts, 1<<20)
		b.SetUpload(carls, 1<<20)
		var c tally
		begin := time.Now()
		if err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts, carls}, append(hs, hs[0], hs[39]), c.done); err != nil {
			t.Fatal(err)
		}
		c.each(t, hs)
		b.stores[annas].hasAll(t, hs)
		one, _ := b.stores[berts].counts()
		two, _ := b.stores[carls].counts()
		if one+two != 35 || one < 15 || two < 15 {
			t.Errorf("the holders sent %d and %d chunks, want half of 35 each", one, two)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("3.5 MB at 2 MiB/s took %v", took)
		}
	})
}

func TestFetchOfNothing(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(1, 100)
		b.fill(bs, annas)
		for _, from := range [][]ident.BoxID{nil, {berts}} {
			if err := b.x[annas].Fetch(t.Context(), from, nil, nil); err != nil {
				t.Error(err)
			}
			if err := b.x[annas].Fetch(t.Context(), from, hs, nil); err != nil {
				t.Error(err)
			}
		}
		_, gone := someChunks(2, 50)
		if err := b.x[annas].Fetch(t.Context(), nil, gone, nil); !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("from nobody: got %v", err)
		}
	})
}

func TestFetchSurvivesTheLossOfAHolder(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(40, 100_000)
		b.fill(bs, berts, carls)
		b.SetUpload(berts, 1<<20)
		b.SetUpload(carls, 1<<20)
		b.stores[annas].onPut = func(n int) {
			if n == 10 {
				b.Leave(berts)
			}
		}
		var c tally
		if err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts, carls}, hs, c.done); err != nil {
			t.Fatal(err)
		}
		c.each(t, hs)
		b.stores[annas].hasAll(t, hs)
	})
}

func TestFetchResumesWithTheOnlyHolder(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(40, 100_000)
		b.fill(bs, berts)
		b.SetUpload(berts, 1<<20)
		b.stores[annas].onPut = func(n int) {
			if n%15 == 0 {
				b.start(berts)
			}
		}
		if err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts}, hs, nil); err != nil {
			t.Fatal(err)
		}
		b.stores[annas].hasAll(t, hs)
		if sent, _ := b.stores[berts].counts(); sent > 40+3*window {
			t.Errorf("%d chunks were sent for 40", sent)
		}
	})
}

func TestFetchLeavesALyingHolder(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(20, 10_000)
		b.fill(bs, berts, carls)
		b.stores[berts].lie = true
		var c tally
		if err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts, carls}, hs, c.done); err != nil {
			t.Fatal(err)
		}
		c.each(t, hs)
		if asked, _ := b.stores[berts].counts(); asked > window {
			t.Errorf("the liar was asked for %d chunks", asked)
		}
		_, more := someChunks(25, 10_001)
		b.fill(func() [][]byte { bs, _ := someChunks(25, 10_001); return bs }(), berts)
		err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts}, more, nil)
		if !errors.Is(err, ErrContent) || errors.Is(err, chunk.ErrMissing) {
			t.Errorf("from the liar alone: got %v, want ErrContent", err)
		}
		for _, h := range more {
			if b.stores[annas].Has(h) {
				t.Error("a lie was stored")
			}
		}
	})
}

// What a slow holder owes is asked of an idle one, and nobody waits for the slow one.
func TestFetchLeavesASlowHolder(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(20, chunk.Size)
		b.fill(bs, berts, carls)
		b.SetUpload(berts, 4<<10) // a chunk in 256 s
		b.SetUpload(carls, 4<<20)
		var c tally
		begin := time.Now()
		if err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts, carls}, hs, c.done); err != nil {
			t.Fatal(err)
		}
		c.each(t, hs)
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("20 MiB took %v beside a slow holder", took)
		}
	})
}

func TestFetchStallsAlone(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(20, chunk.Size)
		b.fill(bs, berts)
		b.SetUpload(berts, 1<<20)
		b.SetNotice(time.Hour)
		time.AfterFunc(5*time.Second, func() { b.Cut(berts, annas) })
		begin := time.Now()
		err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts}, hs, nil)
		if !errors.Is(err, ErrStalled) && !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took > 5*time.Second+6*usualPatience {
			t.Errorf("it took %v", took)
		}
	})
}

func TestFetchFromPartialHolders(t *testing.T) {
	boxes := []ident.BoxID{annas, "h1", "h2", "h3", "h4", "h5", "h6"}
	run(t, boxes, func(t *testing.T, b *bench) {
		bs, hs := someChunks(60, 1000)
		for i, box := range boxes[1:] {
			b.fill(bs[i*10:i*10+9], box) // each has its own nine; every tenth is with nobody
		}
		var c tally
		err := b.x[annas].Fetch(t.Context(), boxes[1:], hs, c.done)
		if !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("got %v, want ErrMissing", err)
		}
		var want []chunk.Hash
		for i, h := range hs {
			if i%10 != 9 {
				want = append(want, h)
			}
		}
		c.each(t, want)
		b.stores[annas].hasAll(t, want)
	})
}

// While one holder is dark nobody knows that a chunk is lost.
func TestFetchDoesNotCallMissingWhatADarkHolderMayHave(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(10, 1000)
		b.fill(bs[:9], berts)
		b.Cut(annas, carls)
		err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts, carls}, hs, nil)
		if errors.Is(err, chunk.ErrMissing) || !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("got %v, want ErrUnreachable", err)
		}
		b.stores[annas].hasAll(t, hs[:9])
	})
}

// That the others are called off at the end is no reason for the end.
func TestWhatComesAfterTheEndDoesNotCount(t *testing.T) {
	_, hs := someChunks(1, 10)
	work := newTask(2, func(chunk.Hash) {})
	work.add(hs[0])
	for i := range 2 {
		if h, ok := work.next(i); !ok || h != hs[0] {
			t.Fatalf("holder %d is asked for nothing", i)
		}
		work.lacks(i, hs[0])
	}
	<-work.over
	work.leave(0, context.Canceled)
	if err := work.result(nil); !errors.Is(err, chunk.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
}

func TestFetchEndsWhenTheDiskIsFull(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(10, 1000)
		b.fill(bs, berts)
		b.stores[annas].fail = func(chunk.Hash) error { return chunk.ErrFull }
		begin := time.Now()
		if err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts}, hs, nil); !errors.Is(err, chunk.ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
		if time.Since(begin) > time.Second {
			t.Error("a full disk was tried again")
		}
	})
}

func TestFetchIsBoundedInMemory(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(60, 1000)
		b.fill(bs, berts, carls)
		to := b.stores[annas]
		to.delay = time.Second
		to.onPut = func(int) {
			one, _ := b.stores[berts].counts()
			two, _ := b.stores[carls].counts()
			to.mu.Lock()
			defer to.mu.Unlock()
			if stored := to.puts - to.putting; one+two > stored+2*window {
				t.Errorf("%d chunks were sent while %d are stored", one+two, stored)
			}
		}
		if err := b.x[annas].Fetch(t.Context(), []ident.BoxID{berts, carls}, hs, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func TestGet(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls, dodos}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(4, 1000)
		b.fill(bs[:1], dodos)
		b.fill(bs[1:2], berts, carls)
		b.stores[berts].lie = true
		holders := []ident.BoxID{berts, carls, dodos}
		for i, h := range hs[:2] {
			got, err := b.x[annas].Get(t.Context(), holders, h)
			if err != nil || chunk.Sum(got) != h {
				t.Errorf("chunk %d: %v", i, err)
			}
			if b.stores[annas].Has(h) {
				t.Error("Get stored the chunk")
			}
		}
		if _, err := b.x[annas].Get(t.Context(), holders, hs[2]); !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("with nobody: got %v, want ErrMissing", err)
		}
		b.Leave(dodos)
		if _, err := b.x[annas].Get(t.Context(), holders, hs[0]); !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("with a dark one: got %v, want ErrUnreachable", err)
		}
		if _, err := b.x[annas].Get(t.Context(), nil, hs[0]); !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("from nobody: got %v", err)
		}
	})
}

func TestGetAsksTheNextBesideASlowOne(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(1, chunk.Size)
		b.fill(bs, berts, carls)
		b.SetUpload(berts, 1000)
		b.SetUpload(carls, 10<<20)
		begin := time.Now()
		if _, err := b.x[annas].Get(t.Context(), []ident.BoxID{berts, carls}, hs[0]); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < hedge || took > hedge+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestGetOutlastsAShortCut(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(1, 1000)
		b.fill(bs, berts)
		b.Cut(annas, berts)
		time.AfterFunc(2*time.Second, b.Heal)
		if _, err := b.x[annas].Get(t.Context(), []ident.BoxID{berts}, hs[0]); err != nil {
			t.Error(err)
		}
	})
}

func TestGetRefusesAnswersOfWrongSize(t *testing.T) {
	h := chunk.Sum([]byte("x"))
	for name, a := range map[string]answer{
		"empty":         {Code: codeDone, Hash: h},
		"huge":          {Code: codeDone, Hash: h, Size: chunk.Size + 1},
		"another chunk": {Code: codeDone, Hash: chunk.Sum(nil), Size: 1},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
				b.x[berts].serve(getService, func(_ context.Context, _ ident.BoxID, f *flow) error {
					var q question
					f.read(&q)
					return f.write(a, []byte("x")...)
				})
				if _, err := b.x[annas].Get(t.Context(), []ident.BoxID{berts}, h); !errors.Is(err, errProtocol) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
