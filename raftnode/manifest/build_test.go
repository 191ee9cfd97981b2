package manifest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"redhen/raftnode/chunk"
)

// newSlowReader returns b in odd pieces, as a network does.
func newSlowReader(b []byte) io.Reader {
	return readerFunc(func(r *bytes.Reader) func(p []byte) (int, error) {
		return func(p []byte) (int, error) { return r.Read(p[:min(len(p), 70_001)]) }
	}(bytes.NewReader(b)))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// zeros is a file of n zero bytes that costs nothing, for buffers that are zero already.
func zeros(n int64) io.Reader {
	return io.LimitReader(readerFunc(func(p []byte) (int, error) { return len(p), nil }), n)
}

var lengths = []int{
	0, 1, InlineMax - 1, InlineMax, InlineMax + 1, chunk.Size - 1, chunk.Size, chunk.Size + 1,
	5*chunk.Size + 17, MaxHashes * chunk.Size, MaxHashes*chunk.Size + 1,
}

func TestWhatIsBuiltIsReadBack(t *testing.T) {
	for _, n := range lengths {
		m, want := newMemory(), random(n)
		c := build(t, m, want)
		if c.Size != int64(n) {
			t.Errorf("%d bytes: size %d", n, c.Size)
		}
		r := Open(t.Context(), c, m.get)
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: read %d, %v", n, len(got), err)
		}
		r.Close()
		if n > 10*chunk.Size {
			continue
		}
		if again := build(t, newMemory(), want); !again.Equal(c) {
			t.Errorf("%d bytes: built twice, and different", n)
		}
	}
}

// Four buffers, the head and a listing are all that is drawn.
func TestBuildOf4GiBTakesLittleMemory(t *testing.T) {
	const size = 4<<30 + 5
	zero, calls := chunk.Sum(make([]byte, chunk.Size)), make(chan int, 1)
	calls <- 0
	var list []byte
	put := func(_ context.Context, b []byte) (chunk.Hash, error) {
		calls <- 1 + <-calls
		if len(b) == chunk.Size {
			return zero, nil
		}
		if len(b) != 5 {
			list = bytes.Clone(b)
		}
		return chunk.Sum(b), nil
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := Build(t.Context(), zeros(size), put)
	runtime.ReadMemStats(&after)
	if err != nil || c.Validate() != nil || c.Size != size || c.Depth != 1 {
		t.Fatalf("%v, %v", c, err)
	}
	if got, want := <-calls, 4096+1+1; got != want {
		t.Errorf("%d chunks put, want %d", got, want)
	}
	hs, err := parseList(list, 4097)
	if err != nil || hs[0] != zero || hs[4095] != zero || hs[4096] != chunk.Sum(make([]byte, 5)) {
		t.Errorf("listing of %d hashes, %v", len(hs), err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("drew %d bytes of memory", got)
	}
}

func TestBuildHoldsFourChunksAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, read := newMemory(), 0
		m.block = make(chan struct{})
		r := readerFunc(func(p []byte) (int, error) { read += len(p); return len(p), nil })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := Build(ctx, r, m.put)
			ended <- err
		}()
		synctest.Wait()
		if m.running != InFlight || read > (InFlight)*chunk.Size+InlineMax+1 {
			t.Errorf("%d puts run, %d bytes read", m.running, read)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if m.running != 0 {
			t.Errorf("%d puts outlive Build", m.running)
		}
	})
}

func TestBuildEndsWithTheFirstError(t *testing.T) {
	bad := errors.New("bad")
	for name, r := range map[string]io.Reader{
		"at once":         iotest.ErrReader(bad),
		"in the head":     io.MultiReader(zeros(10), iotest.ErrReader(bad)),
		"in a chunk":      io.MultiReader(zeros(5*chunk.Size+5), iotest.ErrReader(bad)),
		"after the chunk": io.MultiReader(zeros(5*chunk.Size), iotest.ErrReader(bad)),
	} {
		if c, err := Build(t.Context(), r, newMemory().put); !errors.Is(err, bad) {
			t.Errorf("reader fails %s: %v, %v", name, c, err)
		}
	}
	m := newMemory()
	m.failPut = bad
	if c, err := Build(t.Context(), zeros(100*chunk.Size), m.put); !errors.Is(err, bad) {
		t.Errorf("put fails: %v, %v", c, err)
	}
	if m.running != 0 {
		t.Errorf("%d puts outlive Build", m.running)
	}
}

func TestPutOfAListingMayFail(t *testing.T) {
	bad := errors.New("bad")
	put := func(_ context.Context, b []byte) (chunk.Hash, error) {
		if len(b) < chunk.Size {
			return chunk.Hash{}, bad
		}
		return chunk.Hash{}, nil
	}
	if c, err := Build(t.Context(), zeros((MaxHashes+1)*chunk.Size), put); !errors.Is(err, bad) {
		t.Errorf("%v, %v", c, err)
	}
}

func TestManyListings(t *testing.T) {
	for _, tt := range []struct {
		chunks, lists int64
	}{{int64(ListHashes), 1}, {int64(ListHashes) + 1, 2}, {2*int64(ListHashes) + 3, 3}} {
		var lists [][]chunk.Hash
		put := func(_ context.Context, b []byte) (chunk.Hash, error) {
			if b[0] == 0 {
				return chunk.Hash{1}, nil // a data chunk, unhashed to save time
			}
			hs, err := parseList(b, int64(len(b)/len(chunk.Hash{})))
			lists = append(lists, hs)
			return chunk.Hash{2, byte(len(lists))}, err
		}
		c, err := Build(t.Context(), zeros(tt.chunks*chunk.Size), put)
		if err != nil || c.Validate() != nil || int64(len(c.Chunks)) != tt.lists {
			t.Fatalf("%d chunks: %v, %v", tt.chunks, c, err)
		}
		for k, hs := range lists {
			if int64(len(hs)) != c.listed(k) || c.Chunks[k] != (chunk.Hash{2, byte(k + 1)}) || hs[len(hs)-1] != (chunk.Hash{1}) {
				t.Errorf("%d chunks: listing %d is %v of %d, want %d", tt.chunks, k, c.Chunks[k], len(hs), c.listed(k))
			}
		}
	}
}
