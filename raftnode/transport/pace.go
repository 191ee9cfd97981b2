package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"redhen/provision/p2p"
)

// How bulk gives way. A house's uplink queues what it cannot send at once, and frames queue
// with it; so bulk is held to a rate that goes down by a part when frames become slow, and up
// in small steps while it is that rate that holds bulk back (AIMD).
//
// A queue lasts while bulk flows, and a busy machine makes frames slow as well, now and then: a slow
// frame is believed when the next one is slow, too. In one network there is more room, and
// nobody there gains by frames that are a little faster: bulk soon has its rate again.
const (
	freeBytes   = 64 << 10              // of each stream that are never held back: questions and small answers
	paceBytes   = 16 << 10              // that are sent at once, at most
	paceLeast   = 1200                  // and at least: a packet
	paceFor     = 20 * time.Millisecond // at the present rate: a frame waits no longer behind them
	queueing    = 50 * time.Millisecond // by which frames may be slower than at their best
	slowDown    = 0.7
	nearby      = 10 * time.Millisecond // a box that is nearer is not paced before it gets slow
	startRate   = 1 << 20               // bytes per second
	speedUp     = 0.05
	speedUpNear = 0.25
	minRate     = 32 << 10
	minRateNear = startRate
	maxRate     = 64 << 20 // above it there is no need to pace
	baseMinutes = 5        // how long the best round trip is remembered, at least
	probes      = 3        // measurements until bulk is no longer halved then, that one included
)

// pacer holds back the bulk to one box. begin and adapt are called with mu held.
type pacer struct {
	mu     sync.Mutex // guards all below
	rate   float64    // bytes per second; 0 = as fast as it goes
	slow   int        // frames in a row that were, while bulk went
	slowed bool       // once: until then the rate is searched for by doubling it
	free   time.Time  // when the next bytes may go
	held   bool       // whether bulk was held back since the last measurement
	sent   int64      // bulk since the last measurement
	at     time.Time  // of the last measurement
	best   time.Duration
	before time.Duration // the best of the period before
	period time.Time     // when the present one began
	probe  int           // measurements until rate is saved again
	saved  float64
}

// book takes n bytes and returns how long to wait before they go.
func (p *pacer) book(now time.Time, n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent += int64(n)
	if p.rate == 0 {
		return 0
	}
	if p.free.Before(now) {
		p.free = now
	}
	wait := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	p.held = p.held || wait > 0
	return wait
}

// burst returns how much may be sent at once.
func (p *pacer) burst() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate == 0 {
		return paceBytes
	}
	return min(max(int(p.rate*paceFor.Seconds()), paceLeast), paceBytes)
}

// measured takes in the round trip of a frame.
func (p *pacer) measured(now time.Time, rtt time.Duration) {
	if rtt <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	since := now.Sub(p.at)
	if p.at.IsZero() && rtt > nearby {
		p.rate = startRate
	}
	if p.period.IsZero() || now.Sub(p.period) > baseMinutes*time.Minute {
		p.begin(now)
	}
	if p.best == 0 || rtt < p.best {
		p.best = rtt
	}
	if !p.slowed && p.usual() <= nearby {
		p.rate, p.probe = 0, 0 // what was measured first had a connection made, too
	}
	if p.probe > 0 {
		if p.probe--; p.probe == 0 {
			p.rate = p.saved
		}
	} else if since > 0 {
		p.adapt(rtt, since)
	}
	p.held, p.sent, p.at = false, 0, now
}

// begin begins a period. Under bulk that never pauses, the queue would be taken for the
// way itself; so bulk is halved for a moment, in which the queue drains (as BBR's ProbeRTT does).
func (p *pacer) begin(now time.Time) {
	p.before, p.best, p.period = p.best, 0, now
	if p.rate > 0 && p.sent > 0 {
		p.saved, p.rate, p.probe = p.rate, p.rate/2, probes
	}
}

// usual is the round trip without a queue.
func (p *pacer) usual() time.Duration {
	if p.before != 0 {
		return min(p.best, p.before)
	}
	return p.best
}

// adapt changes the rate after a round trip; the last one was measured since ago.
func (p *pacer) adapt(rtt, since time.Duration) {
	usual := p.usual()
	up, least := speedUp, float64(minRate)
	if usual <= nearby {
		up, least = speedUpNear, minRateNear
	}
	slow := rtt > usual+queueing
	if !slow || p.sent == 0 {
		p.slow = 0
	} else if p.slow++; p.slow > 1 { // one alone may be the machine
		p.lower(float64(p.sent)/since.Seconds(), least)
	}
	switch {
	case slow || !p.held:
	case !p.slowed:
		p.rate *= 2
	default:
		p.rate += max(p.rate*up, minRate/2)
	}
	if p.rate > maxRate {
		p.rate = 0
	}
}

// lower lowers the rate, below what was sent of late, once for each slow frame.
func (p *pacer) lower(sending, least float64) {
	if p.rate == 0 || sending < p.rate {
		p.rate = sending
	}
	p.rate *= slowDown
	if p.slow == 2 { // now the one before it is believed as well
		p.rate *= slowDown
	}
	p.rate, p.slowed = max(p.rate, least), true
}

// paced is a Stream whose writes a pacer holds back.
type paced struct {
	p2p.Stream
	pacer *pacer
	share *share
	own   bool // it carries what is the keeper's own

	mu      sync.Mutex // guards all below
	written int64
	writeBy time.Time
	ended   chan struct{} // closed by Close and Reset
	closed  bool
}

var _ Stream = (*paced)(nil)

func newPaced(s p2p.Stream, p *pacer, all *share, own bool) *paced {
	return &paced{Stream: s, pacer: p, share: all, own: own, ended: make(chan struct{})}
}

// Read implements Stream.
func (s *paced) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	return n, deadline(err)
}

// Write implements Stream. A deadline set while it is held back counts from the next burst on.
func (s *paced) Write(b []byte) (int, error) {
	written := 0
	for {
		part := b[written:min(len(b), written+s.share.burst(s.pacer.burst()))]
		if err := s.hold(len(part)); err != nil {
			return written, err
		}
		n, err := s.Stream.Write(part)
		written += n
		if err != nil || written == len(b) {
			return written, deadline(err)
		}
	}
}

// hold waits until n bytes may go.
func (s *paced) hold(n int) error {
	s.mu.Lock()
	s.written += int64(n)
	free, by := s.written <= freeBytes, s.writeBy
	s.mu.Unlock()
	now := time.Now()
	wait := s.share.book(now, n, s.own) // the keeper's limit holds for small answers, too: those after them wait
	if free {
		return nil
	}
	wait = max(wait, s.pacer.book(now, n))
	if wait == 0 {
		return nil
	}
	late := !by.IsZero() && now.Add(wait).After(by)
	if late {
		wait = by.Sub(now)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ended:
		return ErrReset
	}
	if late {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// SetDeadline implements Stream.
func (s *paced) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetWriteDeadline implements Stream.
func (s *paced) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	s.writeBy = t
	s.mu.Unlock()
	return s.Stream.SetWriteDeadline(t)
}

// Close implements Stream.
func (s *paced) Close() error {
	s.end()
	return s.Stream.Close()
}

// Reset implements Stream.
func (s *paced) Reset() error {
	s.end()
	return s.Stream.Reset()
}

func (s *paced) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.ended)
	}
}

// deadline makes the many kinds of timeouts one.
func deadline(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return err
}
