package transport

import (
	"context"
	"sync"
	"time"
)

// What a keeper's limit does. It holds for all bulk that leaves the box, to whomever, and
// nobody else can lift it. Bulk of the keeper's own goes first: while there is some, the
// rest gets an eighth.
const (
	askLimitEvery = time.Second // how long a limit is taken to hold
	restShare     = 8           // the part that others' bulk has beside the keeper's own
	ownFor        = time.Second // how long the keeper's own bulk counts as under way
)

// queue is one of the two kinds of bulk.
type queue struct {
	free time.Time // when the next bytes may go
	used time.Time // when some went last
}

// share holds all bulk of a box to what its keeper gives.
type share struct {
	mu    sync.Mutex // guards all below
	limit func(time.Time) int64
	rate  int64     // bytes per second; 0 = no limit
	asked time.Time // when limit was asked last
	own   queue
	rest  queue
}

// set gives another limit; nil is none.
func (s *share) set(limit func(time.Time) int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.asked = limit, time.Time{}
}

// book takes n bytes and returns how long to wait before they go.
func (s *share) book(now time.Time, n int, own bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit == nil {
		return 0
	}
	if s.asked.IsZero() || now.Sub(s.asked) >= askLimitEvery {
		s.rate, s.asked = s.limit(now), now
	}
	if s.rate <= 0 {
		s.own.free, s.rest.free = now, now
		return 0
	}
	mine, other, part := &s.rest, &s.own, 1.0/restShare
	if own {
		mine, other, part = &s.own, &s.rest, 1-1.0/restShare
	}
	if other.used.IsZero() || now.Sub(other.used) > ownFor && other.free.Before(now) {
		part = 1
	}
	if mine.free.Before(now) {
		mine.free = now
	}
	wait := mine.free.Sub(now)
	mine.free = mine.free.Add(time.Duration(float64(n) / (float64(s.rate) * part) * float64(time.Second)))
	mine.used = now
	return wait
}

// burst bounds what may be sent at once, so that a small limit holds within a second, too.
func (s *share) burst(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rate <= 0 {
		return n
	}
	return min(n, max(int(float64(s.rate)*paceFor.Seconds()*restShare), paceLeast))
}

type ownKey struct{}

// Own says that what is sent on behalf of ctx is the keeper's own, and goes first.
func Own(ctx context.Context) context.Context { return context.WithValue(ctx, ownKey{}, true) }

// IsOwn reports whether Own was said of ctx.
func IsOwn(ctx context.Context) bool {
	own, _ := ctx.Value(ownKey{}).(bool)
	return own
}

// SetLimit bounds the bulk that leaves this box: limit returns bytes per second for a
// moment, zero for no limit. It is asked about once a second. Frames are not bulk.
func (p *Peers) SetLimit(limit func(now time.Time) int64) { p.share.set(limit) }
