package manifest

import (
	"bytes"
	"errors"
	"testing"

	"redhen/raftnode/chunk"
)

// Whatever Build has put is visited, and nothing else.
func TestWalkVisitsEveryChunk(t *testing.T) {
	for _, n := range lengths {
		m := newMemory()
		c := build(t, m, random(n))
		visited := map[chunk.Hash]int{}
		for h, err := range Walk(t.Context(), c, m.get) {
			if err != nil {
				t.Fatal(err)
			}
			visited[h]++
		}
		for h := range m.chunks {
			if visited[h] != 1 {
				t.Errorf("%d bytes: %v visited %d times", n, h, visited[h])
			}
		}
		if len(visited) != len(m.chunks) {
			t.Errorf("%d bytes: %d chunks visited, want %d", n, len(visited), len(m.chunks))
		}
	}
}

func TestWalkTellsWhatItCouldNotSee(t *testing.T) {
	c := Content{Size: int64(ListHashes+1) * chunk.Size, Depth: 1, Chunks: []chunk.Hash{{1}, {2}}}
	m := newMemory()
	m.chunks[chunk.Hash{2}] = appendList(nil, []chunk.Hash{{3}})
	var seen []chunk.Hash
	var errs []error
	for h, err := range Walk(t.Context(), c, m.get) {
		seen, errs = append(seen, h), append(errs, err)
	}
	if len(seen) != 4 || seen[1] != (chunk.Hash{1}) || !errors.Is(errs[1], chunk.ErrMissing) || seen[3] != (chunk.Hash{3}) || errs[3] != nil {
		t.Errorf("saw %v, %v", seen, errs)
	}
	m.chunks[chunk.Hash{1}] = make([]byte, 32)
	errs = nil
	for _, err := range Walk(t.Context(), c, m.get) {
		errs = append(errs, err)
	}
	if len(errs) != 4 || !errors.Is(errs[1], ErrInvalid) {
		t.Errorf("short listing: %v", errs)
	}
	for _, err := range Walk(t.Context(), Content{Size: 1}, m.get) {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("not valid: %v", err)
		}
	}
}

func TestWalkMayEndAnywhere(t *testing.T) {
	m := newMemory()
	c := build(t, m, random((MaxHashes+2)*chunk.Size))
	for stop := range MaxHashes + 3 {
		n := 0
		for range Walk(t.Context(), c, m.get) {
			if n++; n > stop {
				break
			}
		}
		if n != stop+1 {
			t.Errorf("visited %d, want %d", n, stop+1)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add(appendList(nil, []chunk.Hash{{1}, {2}}), int64(2))
	f.Fuzz(func(t *testing.T, b []byte, n int64) {
		if n < 0 || n > int64(ListHashes) {
			return
		}
		hs, err := parseList(b, n)
		if err == nil && (int64(len(hs)) != n || !bytes.Equal(appendList(nil, hs), b)) {
			t.Errorf("%d hashes of %d bytes", len(hs), len(b))
		}
	})
}
