package manifest

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"redhen/raftnode/chunk"
)

// appendList appends a listing: the hashes, one after the other.
func appendList(b []byte, hs []chunk.Hash) []byte {
	b = slices.Grow(b, len(hs)*len(chunk.Hash{}))
	for _, h := range hs {
		b = append(b, h[:]...)
	}
	return b
}

// parseList reads a listing of exactly n hashes.
func parseList(b []byte, n int64) ([]chunk.Hash, error) {
	if int64(len(b)) != n*int64(len(chunk.Hash{})) {
		return nil, fmt.Errorf("%w: listing of %d bytes, want %d hashes", ErrInvalid, len(b), n)
	}
	hs := make([]chunk.Hash, n)
	for i := range hs {
		hs[i] = chunk.Hash(b[i*len(chunk.Hash{}):])
	}
	return hs, nil
}

// listed returns how many hashes the k-th listing of a valid Content has.
func (c Content) listed(k int) int64 {
	return min(int64(ListHashes), dataChunks(c.Size)-int64(k)*int64(ListHashes))
}

// Walk visits every chunk that the Content needs, listings before what they
// list, in the order of the file; a chunk that occurs twice is visited twice. get fetches listings.
// An invalid Content yields one error. A listing that cannot be had is visited a second time, with the
// error, and what it lists is left out: who collects garbage must stop there.
func Walk(ctx context.Context, c Content, get func(context.Context, chunk.Hash) ([]byte, error)) iter.Seq2[chunk.Hash, error] {
	return func(yield func(chunk.Hash, error) bool) {
		if err := c.Validate(); err != nil {
			yield(chunk.Hash{}, err)
			return
		}
		for k, h := range c.Chunks {
			if !yield(h, nil) || c.Depth == 1 && !walkList(ctx, c, k, get, yield) {
				return
			}
		}
	}
}

func walkList(ctx context.Context, c Content, k int, get func(context.Context, chunk.Hash) ([]byte, error), yield func(chunk.Hash, error) bool) bool {
	b, err := get(ctx, c.Chunks[k])
	if err != nil {
		return yield(c.Chunks[k], fmt.Errorf("walk manifest: %w", err))
	}
	hs, err := parseList(b, c.listed(k))
	if err != nil {
		return yield(c.Chunks[k], fmt.Errorf("walk manifest: %w", err))
	}
	for _, h := range hs {
		if !yield(h, nil) {
			return false
		}
	}
	return true
}
