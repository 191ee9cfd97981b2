// Package manifest says which chunks, in which order, are the bytes of one file version.
package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"redhen/raftnode/chunk"
)

const (
	// InlineMax is the most bytes that ride inside the Content itself: 16 KiB.
	InlineMax = 16 << 10
	// MaxHashes is the most hashes that a Content holds. A file of more chunks
	// has its hashes in listing chunks, and the Content holds the hashes of those.
	MaxHashes = 128
	// ListHashes is the number of hashes in a full listing chunk.
	ListHashes = chunk.Size / len(chunk.Hash{})
	// MaxSize is the size of the longest file, in bytes: 4 TiB.
	MaxSize = int64(MaxHashes) * int64(ListHashes) * chunk.Size
)

// ErrInvalid says that a Content cannot have been made by Build: nothing may be
// read by it or kept for it.
var ErrInvalid = errors.New("manifest: not a valid content")

// Content is the bytes of one file version, or where to find them. The same bytes
// always give the same Content. The zero value is the empty file.
type Content struct {
	// Size is the length of the file in bytes.
	Size int64 `cbor:"1,keyasint,omitempty"`
	// Depth is 0 when Chunks are the file's bytes, 1 when each of Chunks is a
	// listing: the hashes of up to ListHashes data chunks, one after the other.
	Depth uint8 `cbor:"2,keyasint,omitempty"`
	// Chunks are at most MaxHashes; none for a file of up to InlineMax bytes.
	Chunks []chunk.Hash `cbor:"3,keyasint,omitempty"`
	// Inline is the whole file when it has up to InlineMax bytes.
	Inline []byte `cbor:"4,keyasint,omitempty"`
}

// Validate refuses what Build cannot have made, with ErrInvalid. It does not look at any chunk.
func (c Content) Validate() error {
	if c.Size < 0 || c.Size > MaxSize {
		return fmt.Errorf("%w: %d bytes", ErrInvalid, c.Size)
	}
	if c.Size <= InlineMax {
		if int64(len(c.Inline)) != c.Size || len(c.Chunks) != 0 || c.Depth != 0 {
			return fmt.Errorf("%w: %d bytes, %d inline, %d chunks", ErrInvalid, c.Size, len(c.Inline), len(c.Chunks))
		}
		return nil
	}
	want, depth := dataChunks(c.Size), uint8(0)
	if want > MaxHashes {
		want, depth = ceilDiv(want, int64(ListHashes)), 1
	}
	if int64(len(c.Chunks)) != want || c.Depth != depth || len(c.Inline) != 0 {
		return fmt.Errorf("%w: %d bytes in %d chunks of depth %d, %d inline", ErrInvalid, c.Size, len(c.Chunks), c.Depth, len(c.Inline))
	}
	return nil
}

// Equal reports whether both are the same bytes.
func (c Content) Equal(d Content) bool {
	return c.Size == d.Size && c.Depth == d.Depth && slices.Equal(c.Chunks, d.Chunks) && bytes.Equal(c.Inline, d.Inline)
}

// dataChunks returns the number of chunks that hold size bytes.
func dataChunks(size int64) int64 { return ceilDiv(size, chunk.Size) }

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
