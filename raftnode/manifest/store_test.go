package manifest

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"redhen/raftnode/chunk"
)

// memory is a chunk store in memory that counts.
type memory struct {
	mu      sync.Mutex
	chunks  map[chunk.Hash][]byte
	gets    []chunk.Hash
	running int // puts at this moment
	most    int // puts at one moment
	failPut error
	failGet map[chunk.Hash]error
	block   chan struct{} // puts wait for it when set
}

func newMemory() *memory {
	return &memory{chunks: map[chunk.Hash][]byte{}, failGet: map[chunk.Hash]error{}}
}

func (m *memory) put(ctx context.Context, b []byte) (chunk.Hash, error) {
	m.mu.Lock()
	m.running++
	m.most = max(m.most, m.running)
	err := m.failPut
	m.mu.Unlock()
	if m.block != nil {
		select {
		case <-m.block:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	h := chunk.Sum(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	m.chunks[h] = append([]byte(nil), b...)
	return h, err
}

func (m *memory) get(ctx context.Context, h chunk.Hash) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets = append(m.gets, h)
	if err := m.failGet[h]; err != nil {
		return nil, err
	}
	b, ok := m.chunks[h]
	if !ok {
		return nil, chunk.ErrMissing
	}
	return b, ctx.Err()
}

// random returns n bytes drawn from a seed; no two chunks of them are alike.
func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b[:min(n, chunk.Size)])
	for at := 0; at < n; at += chunk.Size {
		if at > 0 {
			copy(b[at:], b[:chunk.Size])
		}
		b[at] = byte(at / chunk.Size)
	}
	return b
}

func build(t *testing.T, m *memory, b []byte) Content {
	t.Helper()
	c, err := Build(t.Context(), newSlowReader(b), m.put)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}
