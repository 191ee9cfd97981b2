package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"redhen/raftnode/chunk"
)

// InFlight is the most chunks that Build holds in memory at once.
const InFlight = 4

// ErrTooLong says that a file has more than MaxSize bytes.
var ErrTooLong = errors.New("manifest: file is too long")

// Build cuts what it reads into chunks, gives each to put, and returns the
// Content when put has returned for all of them. Up to InFlight calls of put run
// at once; none runs after Build has returned. put must not keep its slice, and
// decides how durable the Content is. Memory is InFlight chunks and one listing, whatever the
// length; a file of up to InlineMax bytes calls put never.
//
// Build ends with the first error of r or put. It cannot interrupt a Read: who
// wants that closes r when ctx ends.
func Build(ctx context.Context, r io.Reader, put func(context.Context, []byte) (chunk.Hash, error)) (Content, error) {
	head, err := readUpTo(r, make([]byte, InlineMax+1))
	if err != nil {
		return Content{}, fmt.Errorf("build manifest: %w", err)
	}
	if len(head) <= InlineMax {
		return Content{Size: int64(len(head)), Inline: head}, nil
	}
	b := builder{put: put, free: make(chan []byte, InFlight)}
	c, err := b.build(ctx, io.MultiReader(bytes.NewReader(head), r))
	if err != nil {
		return Content{}, fmt.Errorf("build manifest: %w", err)
	}
	return c, nil
}

type builder struct {
	put  func(context.Context, []byte) (chunk.Hash, error)
	free chan []byte // buffers that are not in flight
	made int         // buffers altogether, at most InFlight

	lists []chunk.Hash // of the full listings

	mu     sync.Mutex   // guards hashes while chunks are in flight
	hashes []chunk.Hash // of the data chunks since the last listing, at most ListHashes
}

func (b *builder) build(ctx context.Context, r io.Reader) (Content, error) {
	var size int64
	for {
		n, end, err := b.section(ctx, r)
		if err != nil {
			return Content{}, err
		}
		size += n
		if size > MaxSize {
			return Content{}, ErrTooLong
		}
		if end && len(b.lists) == 0 && len(b.hashes) <= MaxHashes {
			return Content{Size: size, Chunks: b.hashes}, nil
		}
		if err := b.list(ctx); err != nil {
			return Content{}, err
		}
		if end {
			return Content{Size: size, Depth: 1, Chunks: b.lists}, nil
		}
	}
}

// section stores the data chunks of one listing, ListHashes of them or what is
// left, and returns how many bytes they were.
func (b *builder) section(ctx context.Context, r io.Reader) (size int64, end bool, err error) {
	g, ctx := errgroup.WithContext(ctx)
	for i := 0; i < ListHashes && !end && err == nil; i++ {
		var buf []byte
		if buf, err = b.buffer(ctx); err != nil {
			break
		}
		if buf, err = readUpTo(r, buf); err != nil {
			break
		}
		size += int64(len(buf))
		end = len(buf) < chunk.Size
		if len(buf) == 0 {
			b.free <- buf
			break
		}
		b.mu.Lock()
		b.hashes = append(b.hashes, chunk.Hash{})
		b.mu.Unlock()
		g.Go(func() error { return b.store(ctx, i, buf) })
	}
	if err != nil {
		g.Go(func() error { return err }) // so that those in flight hear of it
	}
	return size, end, g.Wait()
}

// buffer waits for a free buffer.
func (b *builder) buffer(ctx context.Context) ([]byte, error) {
	if len(b.free) == 0 && b.made < InFlight {
		b.made++
		return make([]byte, chunk.Size), ctx.Err()
	}
	select {
	case buf := <-b.free:
		return buf[:chunk.Size], ctx.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *builder) store(ctx context.Context, i int, buf []byte) error {
	h, err := b.put(ctx, buf)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.hashes[i] = h
	b.mu.Unlock()
	b.free <- buf
	return nil
}

// list stores the hashes since the last listing as a listing chunk.
func (b *builder) list(ctx context.Context) error {
	if len(b.hashes) == 0 {
		return nil
	}
	h, err := b.put(ctx, appendList(nil, b.hashes))
	if err != nil {
		return err
	}
	b.lists, b.hashes = append(b.lists, h), b.hashes[:0]
	return nil
}

// readUpTo fills buf as far as r goes.
func readUpTo(r io.Reader, buf []byte) ([]byte, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buf[:n], err
}
