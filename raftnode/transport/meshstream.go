package transport

import (
	"io"
	"os"
	"sync"
	"time"
)

// meshWindow is how many bytes one direction of a stream holds unread; a Write waits for room.
const meshWindow = 1 << 20

// meshSegment is how much is sent at once, so that streams and frames share an uplink.
const meshSegment = 16 << 10

// meshPair is one stream of a Mesh with its two ends.
type meshPair struct {
	mesh      *Mesh
	near, far *meshEnd // the dialler's, the handler's

	mu      sync.Mutex // guards stalled
	stalled *time.Timer
}

// meshEnd is one end of a stream.
type meshEnd struct {
	pair    *meshPair
	box     *endpoint
	in, out *meshPipe
}

var _ Stream = (*meshEnd)(nil)

func newMeshPair(from, to *endpoint) *meshPair {
	out, in := newMeshPipe(from, to), newMeshPipe(to, from)
	p := &meshPair{mesh: from.mesh}
	p.near = &meshEnd{p, from, in, out}
	p.far = &meshEnd{p, to, out, in}
	return p
}

// stall freezes the stream, and breaks it unless it is resumed in time.
func (p *meshPair) stall(notice time.Duration) {
	if notice <= 0 {
		p.reset()
		return
	}
	p.near.in.freeze(true)
	p.near.out.freeze(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil {
		p.stalled = time.AfterFunc(notice, p.reset)
	}
}

// resume undoes stall; too late, it changes nothing.
func (p *meshPair) resume() {
	p.mu.Lock()
	if p.stalled != nil {
		p.stalled.Stop()
		p.stalled = nil
	}
	p.mu.Unlock()
	p.near.in.freeze(false)
	p.near.out.freeze(false)
}

// lose is the sudden end of one box: its own end breaks at once, the other after notice.
func (p *meshPair) lose(box *endpoint, notice time.Duration) {
	for _, end := range []*meshEnd{p.near, p.far} {
		if end.box == box {
			end.in.fail(ErrReset, nil)
			end.out.fail(nil, ErrReset)
		}
	}
	p.stall(notice)
}

func (p *meshPair) reset() {
	p.near.in.fail(ErrReset, ErrReset)
	p.near.out.fail(ErrReset, ErrReset)
	p.forget()
}

func (p *meshPair) forget() {
	p.mesh.mu.Lock()
	defer p.mesh.mu.Unlock()
	delete(p.mesh.streams, p)
}

// Read implements Stream.
func (e *meshEnd) Read(b []byte) (int, error) { return e.in.read(b) }

// Write implements Stream.
func (e *meshEnd) Write(b []byte) (int, error) { return e.out.write(b) }

// CloseWrite implements Stream.
func (e *meshEnd) CloseWrite() error {
	e.out.finish()
	return nil
}

// Close implements Stream.
func (e *meshEnd) Close() error {
	e.out.finish()
	e.in.abandon()
	if e.out.abandoned() {
		e.pair.forget() // both ends are closed
	}
	return nil
}

// Reset implements Stream.
func (e *meshEnd) Reset() error {
	e.pair.reset()
	return nil
}

// SetDeadline implements Stream.
func (e *meshEnd) SetDeadline(t time.Time) error {
	e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

// SetReadDeadline implements Stream.
func (e *meshEnd) SetReadDeadline(t time.Time) error {
	e.in.alter(func(p *meshPipe) { p.readBy = t })
	return nil
}

// SetWriteDeadline implements Stream.
func (e *meshEnd) SetWriteDeadline(t time.Time) error {
	e.out.alter(func(p *meshPipe) { p.writeBy = t })
	return nil
}

type segment struct {
	due  time.Time
	data []byte
}

// meshPipe is one direction of a stream.
type meshPipe struct {
	from, to *endpoint

	mu                sync.Mutex // guards all below; taken before mesh.mu, never after
	changed           chan struct{}
	segments          []segment
	unread            int
	last              time.Time // when the last byte, and with it the end, arrives
	finished          bool      // by the writer
	gone              bool      // the reader does not want more
	frozen            bool
	readErr, writeErr error
	readBy, writeBy   time.Time
}

func newMeshPipe(from, to *endpoint) *meshPipe {
	return &meshPipe{from: from, to: to, changed: make(chan struct{})}
}

// alter changes the pipe under its lock and wakes who waits for it.
func (p *meshPipe) alter(fn func(*meshPipe)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(p)
	p.wake()
}

func (p *meshPipe) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *meshPipe) freeze(on bool) { p.alter(func(p *meshPipe) { p.frozen = on }) }

func (p *meshPipe) finish() {
	p.alter(func(p *meshPipe) {
		if !p.finished {
			p.finished = true
			p.book(0)
		}
	})
}

func (p *meshPipe) abandon() {
	p.alter(func(p *meshPipe) {
		p.gone = true
		p.segments, p.unread = nil, 0
	})
}

func (p *meshPipe) abandoned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// fail makes reads and writes return errors from now on; nil leaves a side as it is.
func (p *meshPipe) fail(read, write error) {
	p.alter(func(p *meshPipe) {
		if p.readErr == nil {
			p.readErr = read
		}
		if p.writeErr == nil {
			p.writeErr = write
		}
	})
}

// book returns when n further bytes arrive. p.mu is held.
func (p *meshPipe) book(n int) time.Time {
	m := p.from.mesh
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.link(p.from.id, p.to.id)
	l.traffic.StreamBytes += int64(n)
	if due := m.arrival(p.from, l, n); due.After(p.last) {
		p.last = due
	}
	return p.last
}

func (p *meshPipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.readErr != nil:
			return 0, p.readErr
		case p.gone:
			return 0, io.ErrClosedPipe
		case past(p.readBy):
			return 0, os.ErrDeadlineExceeded
		case p.frozen:
			p.wait(p.readBy)
		case len(p.segments) > 0 && !p.segments[0].due.After(time.Now()):
			return p.take(b), nil
		case len(p.segments) > 0:
			p.wait(earlier(p.readBy, p.segments[0].due))
		case p.finished && !p.last.After(time.Now()):
			return 0, io.EOF
		case p.finished:
			p.wait(earlier(p.readBy, p.last))
		default:
			p.wait(p.readBy)
		}
	}
}

// take moves bytes of the first segment to b. p.mu is held.
func (p *meshPipe) take(b []byte) int {
	n := copy(b, p.segments[0].data)
	p.segments[0].data = p.segments[0].data[n:]
	if len(p.segments[0].data) == 0 {
		p.segments[0] = segment{}
		p.segments = p.segments[1:]
	}
	p.unread -= n
	p.wake()
	return n
}

func (p *meshPipe) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written := 0
	for {
		room := min(meshWindow-p.unread, meshSegment, len(b)-written)
		switch {
		case p.writeErr != nil:
			return written, p.writeErr
		case p.finished:
			return written, io.ErrClosedPipe
		case p.gone:
			return written, ErrReset
		case past(p.writeBy):
			return written, os.ErrDeadlineExceeded
		case written == len(b):
			return written, nil
		case room == 0:
			p.wait(p.writeBy)
		default:
			data := append([]byte(nil), b[written:written+room]...)
			p.segments = append(p.segments, segment{p.book(room), data})
			p.unread += room
			written += room
			p.wake()
		}
	}
}

// wait lets go of p.mu until the pipe changes or t has come; zero is no time.
func (p *meshPipe) wait(t time.Time) {
	changed := p.changed
	p.mu.Unlock()
	defer p.mu.Lock()
	if t.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func past(t time.Time) bool { return !t.IsZero() && !t.After(time.Now()) }

// earlier returns the earlier of two times, of which a may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
