package garbage

import (
	"hash/maphash"

	"redhen/raftnode/chunk"
)

// marks is the set of chunks that something needs, in little memory (Bloom, 1970):
// it never forgets one, and takes one in a thousand for needed that is not. Every
// sweep has a seed of its own, so that it is another one each time.
type marks struct {
	seed maphash.Seed
	bits []uint64
}

const (
	bitsPerMark = 16
	probes      = 6
)

// newMarks returns an empty set with room for about n chunks.
func newMarks(n int) *marks {
	return &marks{maphash.MakeSeed(), make([]uint64, max(n, 64)*bitsPerMark/64)}
}

// probe calls fn with each place of h until it returns false.
func (m *marks) probe(h chunk.Hash, fn func(word *uint64, bit uint64) bool) bool {
	sum := maphash.Bytes(m.seed, h[:])
	a, b := sum>>32, sum|1
	for i := range uint64(probes) {
		at := (a + i*b) % uint64(64*len(m.bits))
		if !fn(&m.bits[at/64], 1<<(at%64)) {
			return false
		}
	}
	return true
}

func (m *marks) add(h chunk.Hash) {
	m.probe(h, func(word *uint64, bit uint64) bool { *word |= bit; return true })
}

func (m *marks) has(h chunk.Hash) bool {
	return m.probe(h, func(word *uint64, bit uint64) bool { return *word&bit != 0 })
}
