package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

// frameService carries frames, one stream for each direction of a pair of boxes.
const frameService = "redhen/frames/1"

// What bounds the frames that wait for one box.
const (
	queueFrames = 512
	queueBytes  = 4 << 20
	queueAge    = 10 * time.Second // after which a frame is of no use to anybody
)

const (
	openPatience  = 5 * time.Second        // of opening a frame stream
	writePatience = 10 * time.Second       // of writing one frame
	reopenAfter   = 100 * time.Millisecond // at the soonest
	lookAgain     = time.Second            // at a box without a link, if nothing is said to have changed
)

// Host is what Peers needs of the box's libp2p host; *p2p.Host is one.
type Host interface {
	// Open opens a stream over a standing connection; p2p.ErrNoLink when there is none.
	Open(ctx context.Context, to ident.BoxID, protocol string) (p2p.Stream, error)
	Handle(protocol string, who p2p.Access, fn func(ctx context.Context, from ident.BoxID, s p2p.Stream))
	// Changed is closed when links have changed.
	Changed() <-chan struct{}
}

var _ Host = (*p2p.Host)(nil)

// Config says what Peers works with.
type Config struct {
	Host Host
	// Logger is told of frames that cannot be sent by a mistake of ours; slog.Default when nil.
	Logger *slog.Logger
}

// Peers is the Network of a box over libp2p. Frames to a box travel on one stream that is opened anew
// whenever it breaks; of those that wait too long or are too many, the oldest are lost. All
// other streams are bulk: beyond their first 64 KiB they are paced so that frames keep their time (SetRTT).
type Peers struct {
	cfg   Config
	share share

	mu      sync.Mutex // guards all below
	lines   map[ident.BoxID]*line
	pacers  map[ident.BoxID]*pacer
	coming  map[ident.BoxID]*inlet
	receive func(ident.BoxID, []byte)
	start   func(*line) // nil unless Run runs
}

var _ Network = (*Peers)(nil)

// New returns a network that sends and receives frames while Run runs.
func New(cfg Config) (*Peers, error) {
	if cfg.Host == nil {
		return nil, errors.New("transport: no host")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	p := &Peers{
		cfg:    cfg,
		lines:  make(map[ident.BoxID]*line),
		pacers: make(map[ident.BoxID]*pacer),
		coming: make(map[ident.BoxID]*inlet),
	}
	cfg.Host.Handle(protocolOf(frameService), p2p.Members, p.takeFrames)
	return p, nil
}

func protocolOf(service string) string { return "/" + service }

// Run carries frames until ctx ends, and returns nil then.
func (p *Peers) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	p.mu.Lock()
	p.start = func(l *line) { wg.Go(func() { p.carry(ctx, l) }) } // ends with ctx
	for _, l := range p.lines {
		p.start(l)
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.start = nil
	p.mu.Unlock()
	wg.Wait()
	return nil
}

// Send implements Network. A frame over MaxFrame is logged and lost.
func (p *Peers) Send(to ident.BoxID, frame []byte) {
	if len(frame) > MaxFrame {
		p.cfg.Logger.Error("frame too large", "box", to.Short(), "bytes", len(frame))
		return
	}
	p.line(to).put(slices.Clone(frame))
}

// line returns the queue to a box. There is one for every box that was ever sent to:
// never more than the circle has had members since the start.
func (p *Peers) line(to ident.BoxID) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[to]
	if l == nil {
		l = &line{to: to, ready: make(chan struct{}, 1)}
		p.lines[to] = l
		if p.start != nil {
			p.start(l)
		}
	}
	return l
}

// Receive implements Network.
func (p *Peers) Receive(fn func(from ident.BoxID, frame []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.receive = fn
}

// Dial implements Network.
func (p *Peers) Dial(ctx context.Context, to ident.BoxID, service string) (Stream, error) {
	s, err := p.cfg.Host.Open(ctx, to, protocolOf(service))
	if err != nil {
		return nil, dialError(err)
	}
	return newPaced(s, p.pacer(to), &p.share, IsOwn(ctx)), nil
}

// dialError says in this package's words why a stream could not be opened.
func dialError(err error) error {
	var unknown multistream.ErrNotSupported[protocol.ID]
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: %w", ErrNoService, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// Handle implements Network, for members of the circle only.
func (p *Peers) Handle(service string, fn func(context.Context, ident.BoxID, Stream)) {
	p.cfg.Host.Handle(protocolOf(service), p2p.Members, func(ctx context.Context, from ident.BoxID, s p2p.Stream) {
		paced := newPaced(s, p.pacer(from), &p.share, false)
		defer paced.Close()
		fn(ctx, from, paced)
	})
}

// SetRTT tells how long a frame to the box and its answer took. Bulk to that box is
// slowed down when that becomes longer than it was, and speeded up again while it does not. A box of which nothing is told is not paced.
func (p *Peers) SetRTT(box ident.BoxID, rtt time.Duration) { p.pacer(box).measured(time.Now(), rtt) }

func (p *Peers) pacer(box ident.BoxID) *pacer {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.pacers[box]
	if c == nil {
		c = &pacer{}
		p.pacers[box] = c
	}
	return c
}

// carry keeps a frame stream to one box while there are frames for it.
func (p *Peers) carry(ctx context.Context, l *line) {
	for l.await(ctx) {
		changed := p.cfg.Host.Changed()
		opening, cancel := context.WithTimeout(ctx, openPatience)
		s, err := p.cfg.Host.Open(opening, l.to, protocolOf(frameService))
		cancel()
		if err != nil {
			rest(ctx, lookAgain, changed)
			continue
		}
		err = l.drain(ctx, s)
		s.Reset()
		p.cfg.Logger.Debug("frame stream ended", "box", l.to.Short(), "err", err)
		rest(ctx, reopenAfter, nil)
	}
}

// rest waits for a while, a change, or the end of ctx.
func rest(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// inlet is where the frames of one other box come in.
type inlet struct {
	reading sync.Mutex // held by the one stream that is read
	newest  p2p.Stream // guarded by Peers.mu
}

// takeFrames reads the frames of another box. Its newest stream counts: the one
// before is of a connection that it has given up.
func (p *Peers) takeFrames(ctx context.Context, from ident.BoxID, s p2p.Stream) {
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	p.mu.Lock()
	in := p.coming[from]
	if in == nil {
		in = &inlet{}
		p.coming[from] = in
	}
	if in.newest != nil {
		in.newest.Reset()
	}
	in.newest = s
	p.mu.Unlock()

	in.reading.Lock()
	defer in.reading.Unlock()
	r := bufio.NewReaderSize(s, 16<<10)
	for {
		frame, err := wire.ReadFrame(r, MaxFrame)
		if err != nil {
			return
		}
		p.mu.Lock()
		fn, current := p.receive, in.newest == s
		p.mu.Unlock()
		if !current {
			return
		}
		if fn != nil {
			fn(from, frame)
		}
	}
}

// line is the queue of frames to one box.
type line struct {
	to    ident.BoxID
	ready chan struct{} // holds a token when frames were put

	mu     sync.Mutex // guards all below
	frames []waiting
	bytes  int
}

type waiting struct {
	frame []byte
	since time.Time
}

// put appends a frame and drops the oldest ones over the limits.
func (l *line) put(frame []byte) {
	l.mu.Lock()
	l.frames = append(l.frames, waiting{frame, time.Now()})
	l.bytes += len(frame)
	for len(l.frames) > queueFrames || l.bytes > queueBytes {
		l.drop()
	}
	l.mu.Unlock()
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// drop removes the oldest frame. l.mu is held.
func (l *line) drop() []byte {
	frame := l.frames[0].frame
	l.frames[0] = waiting{}
	l.frames = l.frames[1:]
	l.bytes -= len(frame)
	return frame
}

// take removes the oldest frame that is still of use.
func (l *line) take() (frame []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.frames) > 0 {
		late := time.Since(l.frames[0].since) > queueAge
		if frame = l.drop(); !late {
			return frame, true
		}
	}
	return nil, false
}

// await waits until a frame waits; false when ctx has ended.
func (l *line) await(ctx context.Context) bool {
	for ctx.Err() == nil {
		l.mu.Lock()
		n := len(l.frames)
		l.mu.Unlock()
		if n > 0 {
			return true
		}
		select {
		case <-l.ready:
		case <-ctx.Done():
		}
	}
	return false
}

// drain writes frames as they come until the stream breaks or ctx ends. Frames that
// wait together leave together.
func (l *line) drain(ctx context.Context, s p2p.Stream) error {
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	w := bufio.NewWriterSize(s, 16<<10)
	for {
		frame, ok := l.take()
		if ok {
			if err := s.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
				return err
			}
			if err := wire.WriteFrame(w, frame); err != nil {
				return err
			}
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if !l.await(ctx) {
			return ctx.Err()
		}
	}
}
