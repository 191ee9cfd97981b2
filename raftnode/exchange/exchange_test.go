package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
	"redhen/raftnode/transport"
)

const (
	annas = ident.BoxID("box-anna")
	berts = ident.BoxID("box-bert")
	carls = ident.BoxID("box-carl")
	dodos = ident.BoxID("box-dodo")
)

// memory is a chunk store in memory that can be slow and fail.
type memory struct {
	mu      sync.Mutex
	chunks  map[chunk.Hash][]byte
	leases  map[chunk.Hash]int64
	gets    int
	puts    int
	putting int           // now
	most    int           // most of putting
	delay   time.Duration // of a put
	fail    func(h chunk.Hash) error
	onPut   func(n int) // told before the n-th put
	lie     bool        // Get returns wrong bytes
}

var _ Chunks = (*memory)(nil)

func newMemory(bs ...[]byte) *memory {
	m := &memory{chunks: make(map[chunk.Hash][]byte), leases: make(map[chunk.Hash]int64)}
	for _, b := range bs {
		m.chunks[chunk.Sum(b)] = b
	}
	return m
}

func (m *memory) Get(h chunk.Hash) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	b, ok := m.chunks[h]
	if !ok {
		return nil, chunk.ErrMissing
	}
	if m.lie {
		b = slices.Clone(b)
		b[len(b)/2] ^= 1
	}
	return b, nil
}

func (m *memory) PutNamed(h chunk.Hash, b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	m.putting++
	m.most = max(m.most, m.putting)
	n, delay, onPut := m.puts, m.delay, m.onPut
	m.mu.Unlock()
	if onPut != nil {
		onPut(n)
	}
	time.Sleep(delay)
	m.mu.Lock()
	m.putting--
	if m.fail != nil {
		if err := m.fail(h); err != nil {
			return err
		}
	}
	if chunk.Sum(b) != h {
		return chunk.ErrContent
	}
	m.chunks[h] = b
	return nil
}

func (m *memory) Has(h chunk.Hash) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.chunks[h] != nil
}

func (m *memory) Lease(hs []chunk.Hash, until int64) (have []bool, err error) {
	for _, h := range hs {
		have = append(have, m.Has(h))
		m.mu.Lock()
		m.leases[h] = max(m.leases[h], until)
		m.mu.Unlock()
	}
	return have, nil
}

func (m *memory) counts() (gets, puts int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gets, m.puts
}

// hasAll fails the test unless the store has every chunk.
func (m *memory) hasAll(t *testing.T, hs []chunk.Hash) {
	t.Helper()
	for i, h := range hs {
		if !m.Has(h) {
			t.Errorf("chunk %d of %d is missing", i, len(hs))
		}
	}
}

// someChunks makes n distinct chunks of the given size.
func someChunks(n, size int) (bs [][]byte, hs []chunk.Hash) {
	for i := range n {
		b := []byte(strings.Repeat(fmt.Sprintf("chunk %8d ", i), size/15+1))[:size]
		bs = append(bs, b)
		hs = append(hs, chunk.Sum(b))
	}
	return bs, hs
}

// bench is a mesh of boxes with an Exchange each.
type bench struct {
	*transport.Mesh
	t      *testing.T
	stores map[ident.BoxID]*memory
	x      map[ident.BoxID]*Exchange
	nets   map[ident.BoxID]transport.Network
}

func newBench(t *testing.T, boxes ...ident.BoxID) *bench {
	b := &bench{
		transport.NewMesh(1), t, make(map[ident.BoxID]*memory),
		make(map[ident.BoxID]*Exchange), make(map[ident.BoxID]transport.Network),
	}
	b.SetLinks(transport.Link{Latency: 20 * time.Millisecond})
	for _, box := range boxes {
		b.stores[box] = newMemory()
		b.start(box)
	}
	return b
}

// start joins the box, anew if it was in.
func (b *bench) start(box ident.BoxID) {
	b.t.Helper()
	net := b.Join(box)
	x, err := New(Config{Net: net, Chunks: b.stores[box], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.x[box], b.nets[box] = x, net
}

// fill gives chunks to boxes.
func (b *bench) fill(bs [][]byte, boxes ...ident.BoxID) {
	for _, box := range boxes {
		for _, c := range bs {
			b.stores[box].chunks[chunk.Sum(c)] = c
		}
	}
}

// run runs the test in a bubble with the boxes given and closes the mesh at the end.
func run(t *testing.T, boxes []ident.BoxID, fn func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, boxes...)
		fn(t, b)
		b.Close()
	})
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"nothing":    {},
		"no chunks":  {Net: transport.NewMesh(1).Join(annas)},
		"no network": {Chunks: newMemory()},
		"impatient":  {Net: transport.NewMesh(1).Join(annas), Chunks: newMemory(), Patience: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A box serves another on perPeer streams of a service and no more, whatever the other does.
func TestABusyBoxSaysSo(t *testing.T) {
	run(t, []ident.BoxID{annas, berts, carls}, func(t *testing.T, b *bench) {
		dial := func(from ident.BoxID) *flow {
			s, err := b.nets[from].Dial(t.Context(), berts, getService)
			if err != nil {
				t.Fatal(err)
			}
			return newFlow(t.Context(), s, time.Minute)
		}
		for range perPeer {
			defer dial(annas).close(nil)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		extra := dial(annas)
		defer extra.close(nil)
		var a answer
		if err := extra.read(&a); err != nil || a.Code != codeBusy {
			t.Errorf("a stream too many: got code %d, %v; want busy", a.Code, err)
		}
		if _, err := b.x[carls].getOnce(t.Context(), berts, chunk.Sum([]byte("x"))); !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("another box is kept out: %v", err)
		}
		time.Sleep(usualPatience) // the idle ones are given up
		if _, err := b.x[annas].getOnce(t.Context(), berts, chunk.Sum([]byte("x"))); !errors.Is(err, chunk.ErrMissing) {
			t.Errorf("after the others were given up: %v", err)
		}
	})
}

// Callers that want more streams than are served wait for each other.
func TestCallersQueueForStreams(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(20, 1000)
		b.fill(bs, berts)
		var wg sync.WaitGroup
		for _, h := range hs {
			wg.Go(func() {
				if _, err := b.x[annas].Get(t.Context(), []ident.BoxID{berts}, h); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		b.x[berts].mu.Lock()
		defer b.x[berts].mu.Unlock()
		if n := len(b.x[berts].guests); n != 0 {
			t.Errorf("%d streams are still counted", n)
		}
	})
}

func TestACallerGivesUpWithItsContext(t *testing.T) {
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		bs, hs := someChunks(3, chunk.Size)
		b.fill(bs[:2], annas)
		b.fill(bs[1:], berts)
		b.SetUpload(annas, 10_000)
		b.SetUpload(berts, 10_000)
		calls := map[string]func(context.Context) error{
			"push":  func(ctx context.Context) error { return b.x[annas].Push(ctx, berts, hs[:1]) },
			"fetch": func(ctx context.Context) error { return b.x[annas].Fetch(ctx, []ident.BoxID{berts}, hs[2:], nil) },
			"get": func(ctx context.Context) error {
				_, err := b.x[annas].Get(ctx, []ident.BoxID{berts}, hs[1])
				return err
			},
		}
		for name, call := range calls {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			begin := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 3*time.Second {
				t.Errorf("%s: got %v after %v", name, err, time.Since(begin))
			}
			cancel()
		}
	})
}
