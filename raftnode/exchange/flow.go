package exchange

import (
	"bufio"
	"context"
	"io"
	"sync"
	"time"

	"redhen/provision/wire"
	"redhen/raftnode/transport"
)

// piece is how many bytes count as progress: a stream that moves fewer within
// Config.Patience is given up.
const piece = 32 << 10

// record is what travels in a frame.
type record interface{ validate() error }

// flow is a stream that breaks when its context ends or it makes no progress. One
// goroutine may read while others write.
type flow struct {
	s        transport.Stream
	r        *bufio.Reader
	patience time.Duration
	free     func() // gives the lane back; nil when there is none
	detach   func() bool

	writeMu sync.Mutex // held while a record and its bytes are written

	mu      sync.Mutex // guards all below
	watch   *time.Timer
	stalled bool
	closed  bool
}

func newFlow(ctx context.Context, s transport.Stream, patience time.Duration) *flow {
	f := &flow{s: s, r: bufio.NewReaderSize(s, 4<<10), patience: patience}
	f.detach = context.AfterFunc(ctx, func() { s.Reset() })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch = time.AfterFunc(patience, f.giveUp)
	return f
}

func (f *flow) giveUp() {
	f.mu.Lock()
	closed := f.closed
	f.stalled = !closed
	f.mu.Unlock()
	if !closed {
		f.s.Reset()
	}
}

// progress grants another patience.
func (f *flow) progress() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.watch.Reset(f.patience)
	}
}

// rest stops the watch until the next progress, while this side is the one that waits.
func (f *flow) rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch.Stop()
}

// cause returns why the stream failed: our own impatience rather than the reset it led to.
func (f *flow) cause(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && err != io.EOF && f.stalled {
		return ErrStalled
	}
	return err
}

// close ends the stream: cleanly, or with a reset when err is not nil.
func (f *flow) close(err error) {
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	f.watch.Stop()
	f.mu.Unlock()
	if closed {
		return
	}
	f.detach()
	if err != nil {
		f.s.Reset()
	} else {
		f.s.Close()
	}
	if f.free != nil {
		f.free()
	}
}

// read reads one record; io.EOF when the other side is done.
func (f *flow) read(r record) error {
	if err := wire.Read(f.r, maxRecord, r); err != nil {
		return f.cause(err)
	}
	f.progress()
	return r.validate()
}

// readBytes fills b, and calls between after every piece when it is not nil.
func (f *flow) readBytes(b []byte, between func()) error {
	for len(b) > 0 {
		n, err := io.ReadFull(f.r, b[:min(piece, len(b))])
		if err != nil {
			return f.cause(noEOF(err))
		}
		f.progress()
		if b = b[n:]; between != nil {
			between()
		}
	}
	return nil
}

// write writes one record and the bytes that belong to it.
func (f *flow) write(r record, b ...byte) error {
	f.writeMu.Lock()
	defer f.writeMu.Unlock()
	if err := wire.Write(f.s, r); err != nil {
		return f.cause(err)
	}
	f.progress()
	for len(b) > 0 {
		n := min(piece, len(b))
		if err := f.writePiece(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// writeFrom writes all that r has.
func (f *flow) writeFrom(r io.Reader) error {
	f.writeMu.Lock()
	defer f.writeMu.Unlock()
	b := make([]byte, piece)
	for {
		n, err := io.ReadFull(r, b)
		if n > 0 {
			if err := f.writePiece(b[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil
			}
			return err
		}
	}
}

func (f *flow) writePiece(b []byte) error {
	if _, err := f.s.Write(b); err != nil {
		return f.cause(err)
	}
	f.progress()
	return nil
}

// noEOF makes an end within a record an error.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
