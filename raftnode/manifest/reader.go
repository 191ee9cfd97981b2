package manifest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"redhen/raftnode/chunk"
)

// Reader reads a file version by its Content. Once a chunk is read further than by
// one Read, or follows the one before, the next is fetched. It holds up to two chunks and one listing in memory.
// ReadAt is safe for concurrent use, beside Read too; Read and Seek belong to one caller at a time.
type Reader struct {
	c      Content
	err    error // the Content is not valid
	fetch  func(chunk.Hash) ([]byte, error)
	cancel context.CancelFunc

	off int64 // of the next Read

	mu     sync.Mutex // guards what follows
	closed bool
	loads  []*load // at most two
	wg     sync.WaitGroup

	listMu sync.Mutex // guards what follows; held while a listing is fetched
	listed int        // which listing hashes are
	hashes []chunk.Hash
}

// load is a data chunk on its way, or here once done is closed.
type load struct {
	index int64
	done  chan struct{}
	b     []byte
	err   error
}

var (
	_ io.ReadSeekCloser = (*Reader)(nil)
	_ io.ReaderAt       = (*Reader)(nil)
)

// Open returns a Reader of c. get returns the verified bytes of a chunk, and is
// called by up to two goroutines at once until Close has returned; the Reader does not change
// what it gets. A chunk that get could not return is asked for again by the next Read. Ending ctx fails
// reads that wait. Reading an invalid Content fails with ErrInvalid.
func Open(ctx context.Context, c Content, get func(context.Context, chunk.Hash) ([]byte, error)) *Reader {
	ctx, cancel := context.WithCancel(ctx)
	return &Reader{
		c:      c,
		err:    c.Validate(),
		fetch:  func(h chunk.Hash) ([]byte, error) { return get(ctx, h) },
		cancel: cancel,
		listed: -1,
	}
}

// Size returns the length of the file in bytes.
func (r *Reader) Size() int64 { return r.c.Size }

// Close ends reads that wait and frees what is held. It returns nil always.
func (r *Reader) Close() error {
	r.cancel()
	r.mu.Lock()
	r.closed, r.loads = true, nil
	r.mu.Unlock()
	r.wg.Wait()
	return nil
}

// Read reads at the offset and moves it on, as io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.readOnce(p, r.off, true)
	r.off += int64(n)
	return n, err
}

// Seek sets the offset of the next Read. It may lie beyond the end.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.off
	case io.SeekEnd:
		offset += r.c.Size
	default:
		return 0, fmt.Errorf("seek: whence %d: %w", whence, fs.ErrInvalid)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: %w", offset, fs.ErrInvalid)
	}
	r.off = offset
	return offset, nil
}

// ReadAt reads at off, as io.ReaderAt. It neither uses nor moves the offset of Read.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: %w", off, fs.ErrInvalid)
	}
	for n < len(p) && err == nil {
		var m int
		m, err = r.readOnce(p[n:], off+int64(n), false)
		n += m
	}
	return n, err
}

// readOnce reads from at most one chunk; ahead says to fetch the next one too.
func (r *Reader) readOnce(p []byte, off int64, ahead bool) (int, error) {
	switch {
	case r.err != nil:
		return 0, r.err
	case off >= r.c.Size:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case len(r.c.Chunks) == 0:
		return copy(p, r.c.Inline[off:]), nil
	}
	b, err := r.chunk(off/chunk.Size, ahead)
	if err != nil {
		return 0, fmt.Errorf("read at %d: %w", off, err)
	}
	return copy(p, b[off%chunk.Size:]), nil
}

// chunk returns the i-th data chunk.
func (r *Reader) chunk(i int64, ahead bool) ([]byte, error) {
	l, err := r.start(i, ahead)
	if err != nil {
		return nil, err
	}
	<-l.done
	return l.b, l.err
}

// start finds or begins the load of the i-th chunk, and of the next when ahead, and forgets others.
func (r *Reader) start(i int64, ahead bool) (*load, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fs.ErrClosed
	}
	ahead = ahead && slices.ContainsFunc(r.loads, func(l *load) bool { return l.index == i || l.index == i-1 })
	l := r.find(i)
	keep := []*load{l}
	if i+1 < dataChunks(r.c.Size) {
		if next := r.lookup(i + 1); next != nil {
			keep = append(keep, next)
		} else if ahead {
			keep = append(keep, r.find(i+1))
		}
	}
	r.loads = keep
	return l, nil
}

// find returns the load of the i-th chunk and begins it when there is none.
func (r *Reader) find(i int64) *load {
	if l := r.lookup(i); l != nil {
		return l
	}
	l := &load{index: i, done: make(chan struct{})}
	r.wg.Go(func() {
		defer close(l.done)
		l.b, l.err = r.load(i)
	})
	return l
}

// lookup returns the load of the i-th chunk, nil when there is none or it failed.
func (r *Reader) lookup(i int64) *load {
	for _, l := range r.loads {
		if l.index == i && !l.failed() {
			return l
		}
	}
	return nil
}

func (l *load) failed() bool {
	select {
	case <-l.done:
		return l.err != nil
	default:
		return false
	}
}

func (r *Reader) load(i int64) ([]byte, error) {
	h, err := r.hash(i)
	if err != nil {
		return nil, err
	}
	b, err := r.fetch(h)
	if err != nil {
		return nil, err
	}
	if want := min(chunk.Size, r.c.Size-i*chunk.Size); int64(len(b)) != want {
		return nil, fmt.Errorf("%w: chunk %d has %d bytes, want %d", ErrInvalid, i, len(b), want)
	}
	return b, nil
}

// hash returns the name of the i-th data chunk.
func (r *Reader) hash(i int64) (chunk.Hash, error) {
	if r.c.Depth == 0 {
		return r.c.Chunks[i], nil
	}
	r.listMu.Lock()
	defer r.listMu.Unlock()
	k := int(i / int64(ListHashes))
	if r.listed != k {
		b, err := r.fetch(r.c.Chunks[k])
		if err != nil {
			return chunk.Hash{}, err
		}
		hs, err := parseList(b, r.c.listed(k))
		if err != nil {
			return chunk.Hash{}, err
		}
		r.listed, r.hashes = k, hs
	}
	return r.hashes[i%int64(ListHashes)], nil
}
