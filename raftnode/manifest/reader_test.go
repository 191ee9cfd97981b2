package manifest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"redhen/raftnode/chunk"
)

func TestReaderKeepsTheRulesOfIO(t *testing.T) {
	for _, n := range []int{0, 5, InlineMax + 1, 2*chunk.Size + 9} {
		if testing.Short() && n > chunk.Size {
			continue
		}
		m, want := newMemory(), random(n)
		r := Open(t.Context(), build(t, m, want), m.get)
		if err := iotest.TestReader(r, want); err != nil { // Read, Seek and ReadAt
			t.Errorf("%d bytes: %v", n, err)
		}
		if r.Size() != int64(n) {
			t.Errorf("%d bytes: size %d", n, r.Size())
		}
		r.Close()
	}
}

func TestReadAtIsConcurrent(t *testing.T) {
	m, want := newMemory(), random((MaxHashes+3)*chunk.Size+77)
	r := Open(t.Context(), build(t, m, want), m.get)
	defer r.Close()
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			for range 30 {
				off, p := rng.IntN(len(want)), make([]byte, rng.IntN(3*chunk.Size))
				n, err := r.ReadAt(p, int64(off))
				if end := min(off+len(p), len(want)); n != end-off || !bytes.Equal(p[:n], want[off:end]) {
					t.Errorf("read %d of %d at %d: %v", n, len(p), off, err)
				}
			}
		})
	}
	wg.Wait()
}

// Reading on fetches every chunk once and one ahead; a look at one place fetches one chunk.
func TestOneChunkAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, want := newMemory(), random(4*chunk.Size)
		c := build(t, m, want)
		r := Open(t.Context(), c, m.get)
		defer r.Close()
		p := make([]byte, 100)
		step := func(what string, gets int) {
			t.Helper()
			if _, err := r.Read(p); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(m.gets) != gets {
				t.Errorf("%s: %d chunks fetched, want %d", what, len(m.gets), gets)
			}
		}
		step("a look", 1)
		step("reading on", 2)
		r.Seek(chunk.Size, io.SeekStart)
		step("second chunk", 3)
		r.Seek(3*chunk.Size, io.SeekStart)
		step("jump", 4)
		r.Seek(0, io.SeekStart)
		step("jump back", 5)
		if len(r.loads) > 2 {
			t.Errorf("%d chunks held", len(r.loads))
		}
	})
}

func TestAFailedFetchIsTriedAgain(t *testing.T) {
	bad := errors.New("dark house")
	m, want := newMemory(), random((MaxHashes+1)*chunk.Size)
	c := build(t, m, want)
	data := chunk.Sum(want[:chunk.Size])
	for name, h := range map[string]chunk.Hash{"data": data, "listing": c.Chunks[0]} {
		r := Open(t.Context(), c, m.get)
		m.failGet[h] = bad
		p := make([]byte, 10)
		if n, err := r.Read(p); n != 0 || !errors.Is(err, bad) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		delete(m.failGet, h)
		if n, err := r.Read(p); err != nil || !bytes.Equal(p[:n], want[:n]) {
			t.Errorf("%s, second time: %d, %v", name, n, err)
		}
		r.Close()
	}
}

func TestReadingEndsWithTheContextAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := func(ctx context.Context, _ chunk.Hash) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		c := Content{Size: chunk.Size, Chunks: hashes(1)}
		ctx, cancel := context.WithCancel(t.Context())
		byContext, byClose := Open(ctx, c, wait), Open(t.Context(), c, wait)
		ended := make(chan error)
		for _, r := range []*Reader{byContext, byClose} {
			go func() { _, err := r.ReadAt(make([]byte, 1), 0); ended <- err }()
		}
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("context: %v", err)
		}
		byClose.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("close: %v", err)
		}
		if _, err := byClose.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
		byContext.Close()
	})
}

func TestReaderRefusesLies(t *testing.T) {
	m := newMemory()
	short, _ := m.put(t.Context(), make([]byte, 5))
	for name, c := range map[string]Content{
		"not valid":     {Size: 5},
		"chunk short":   {Size: chunk.Size, Chunks: []chunk.Hash{short}},
		"listing short": {Size: (MaxHashes + 1) * chunk.Size, Depth: 1, Chunks: []chunk.Hash{short}},
	} {
		r := Open(t.Context(), c, m.get)
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		r.Close()
	}
}

func TestSeekRefuses(t *testing.T) {
	r := Open(t.Context(), Content{}, nil)
	defer r.Close()
	if _, err := r.Seek(-1, io.SeekStart); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("before the start: %v", err)
	}
	if _, err := r.Seek(0, 7); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("whence 7: %v", err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("read before the start: %v", err)
	}
}
