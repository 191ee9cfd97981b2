package p2ptest

import (
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	flowWindow = 512 << 10 // bytes under way in one direction
	resend     = 200 * time.Millisecond
	maxResend  = 5 * time.Second
)

// path is the way between two boxes that a TCP connection takes. It ends for good
// when a router on it gets another address.
type path struct {
	net      *Net
	near     bool // within one home
	from, to *Spot
	out, in  []*Router
	wans     []netip.Addr
}

func (p *path) routers() []*Router { return slices.Concat(p.out, p.in) }

// note remembers the addresses of the routers. Callers hold the net's lock.
func (p *path) note() {
	for _, r := range p.routers() {
		p.wans = append(p.wans, r.wan)
	}
}

func (p *path) latency() time.Duration {
	if p.near {
		return 0
	}
	return p.net.cfg.Latency
}

// open reports whether bytes pass now.
func (p *path) open() bool {
	if p.from.cut.Load() || p.to.cut.Load() {
		return false
	}
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	for i, r := range p.routers() {
		if p.near {
			break
		}
		r.mu.Lock()
		shut := r.cut || r.wan != p.wans[i]
		r.mu.Unlock()
		if shut {
			return false
		}
	}
	return true
}

// flow is one direction of a connection: bytes arrive in order, however often they
// are sent again.
type flow struct {
	path *path
	back bool // from the box that was called

	mu      sync.Mutex // guards all below
	sent    [][]byte   // not yet passed on
	coming  []segment  // under way, in the order of arrival
	bytes   int        // of both
	ended   bool       // the sender has closed
	dead    bool       // the receiver has closed
	pumping bool
	news    chan struct{} // closed at the next change
}

type segment struct {
	at   time.Time
	body []byte
}

func newFlow(p *path, back bool) *flow {
	return &flow{path: p, back: back, news: make(chan struct{})}
}

// change wakes all who wait. Callers hold f.mu.
func (f *flow) change() {
	close(f.news)
	f.news = make(chan struct{})
}

// write takes b as a whole once there is room.
func (f *flow) write(b []byte, late <-chan time.Time) (int, error) {
	for {
		f.mu.Lock()
		news := f.news
		switch {
		case f.dead || f.ended:
			f.mu.Unlock()
			return 0, net.ErrClosed
		case f.bytes < flowWindow:
			f.sent = append(f.sent, slices.Clone(b))
			f.bytes += len(b)
			if !f.pumping {
				f.pumping = true
				go f.pump() // ends when all is passed on, or nobody wants it
			}
			f.mu.Unlock()
			return len(b), nil
		}
		f.mu.Unlock()
		select {
		case <-news:
		case <-late:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// pump passes on what was sent, in order.
func (f *flow) pump() {
	for {
		f.mu.Lock()
		if len(f.sent) == 0 || f.dead {
			f.pumping = false
			f.mu.Unlock()
			return
		}
		b, news := f.sent[0], f.news
		f.mu.Unlock()
		for again := resend; !f.path.open(); again = min(2*again, maxResend) {
			if !f.pause(again, news) {
				break
			}
		}
		delay := f.path.delay(len(b), f.back)
		f.mu.Lock()
		if !f.dead {
			f.sent = f.sent[1:]
			f.coming = append(f.coming, segment{time.Now().Add(delay), b})
			f.change()
		}
		f.mu.Unlock()
	}
}

// pause waits; it reports false when the receiver closed.
func (f *flow) pause(d time.Duration, news <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-news:
			f.mu.Lock()
			dead := f.dead
			news = f.news
			f.mu.Unlock()
			if dead {
				return false
			}
		}
	}
}

// delay is how long some bytes take, with what is lost sent again.
func (p *path) delay(size int, back bool) time.Duration {
	if p.near {
		return 0
	}
	d := p.net.cfg.Latency
	for p.net.lost() {
		d += resend
	}
	queue := func(r *Router, up bool) {
		r.mu.Lock()
		line := r.down
		if up {
			line = r.up
		}
		queued, ok := line.delay(size)
		r.mu.Unlock()
		if !ok {
			queued = resend // the queue is full: what was lost is sent again
		}
		d += queued
	}
	for _, r := range p.out {
		queue(r, !back)
	}
	for _, r := range p.in {
		queue(r, back)
	}
	return d
}

// read gives out what has arrived.
func (f *flow) read(b []byte, late <-chan time.Time) (int, error) {
	for {
		f.mu.Lock()
		news := f.news
		var arrives <-chan time.Time
		var t *time.Timer
		switch {
		case f.dead:
			f.mu.Unlock()
			return 0, net.ErrClosed
		case len(f.coming) > 0:
			s := &f.coming[0]
			wait := time.Until(s.at)
			if wait <= 0 {
				n := copy(b, s.body)
				if s.body = s.body[n:]; len(s.body) == 0 {
					f.coming = f.coming[1:]
				}
				f.bytes -= n
				f.change()
				f.mu.Unlock()
				return n, nil
			}
			t = time.NewTimer(wait)
			arrives = t.C
		case f.ended && len(f.sent) == 0:
			f.mu.Unlock()
			return 0, io.EOF
		}
		f.mu.Unlock()
		select {
		case <-news:
		case <-arrives:
		case <-late:
			return 0, os.ErrDeadlineExceeded
		}
		if t != nil {
			t.Stop()
		}
	}
}

func (f *flow) end(receiver bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.dead = f.dead || receiver
	f.change()
}

// tcpConn is one end of a connection.
type tcpConn struct {
	local, remote netip.AddrPort
	in, out       *flow

	mu      sync.Mutex
	readBy  time.Time
	writeBy time.Time
}

var _ net.Conn = (*tcpConn)(nil)

// Read reads what has arrived.
func (c *tcpConn) Read(b []byte) (int, error) {
	late, stop := c.late(&c.readBy)
	defer stop()
	return c.in.read(b, late)
}

// Write sends.
func (c *tcpConn) Write(b []byte) (int, error) {
	late, stop := c.late(&c.writeBy)
	defer stop()
	return c.out.write(b, late)
}

func (c *tcpConn) late(by *time.Time) (<-chan time.Time, func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if by.IsZero() {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(time.Until(*by))
	return t.C, t.Stop
}

// Close ends both directions; the other end reads what is under way first.
func (c *tcpConn) Close() error {
	c.out.end(false)
	c.in.end(true)
	return nil
}

// LocalAddr returns the address on the spot.
func (c *tcpConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr returns the address of the other end, as seen from here.
func (c *tcpConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline bounds the reads and writes that follow.
func (c *tcpConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline bounds the reads that follow.
func (c *tcpConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	return nil
}

// SetWriteDeadline bounds the writes that follow.
func (c *tcpConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	return nil
}
