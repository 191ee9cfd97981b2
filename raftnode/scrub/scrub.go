// Package scrub reads everything again that a box keeps, before somebody needs it:
// once a month, so slowly that nobody notices, or at once when somebody asks. Where
// it is, it remembers across restarts. What it finds, others mend.
package scrub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"sync"
	"time"

	"redhen/provision/onefile"
	"redhen/provision/wire"
	"redhen/raftnode/chunk"
)

// What stands for the zero values of Config.
const (
	DefaultEvery = 30 * 24 * time.Hour
	DefaultSlow  = 256 << 10
	DefaultFast  = 64 << 20
)

const (
	lookEvery = 10 * time.Minute       // whether a round is due
	saveEvery = 5 * time.Minute        // of a round's position
	mendEvery = 64                     // damaged chunks
	calm      = 250 * time.Millisecond // without people's reading before the next chunk
	patience  = 10 * time.Second       // for calm
	hurried   = time.Second            // for calm when somebody waits
	maxFile   = 4 << 10                // bytes of the file of the position
)

// Chunks is what is read again; *chunk.Store is one.
type Chunks interface {
	// After visits the chunks above one in the order of their names.
	After(h chunk.Hash) iter.Seq[chunk.Hash]
	// Verify reads one from the disk. chunk.ErrMissing says that it has gone meanwhile.
	Verify(h chunk.Hash) (size int64, err error)
	Usage() (chunks int, bytes int64)
	// Reads grows when people read or write.
	Reads() uint64
}

var _ Chunks = (*chunk.Store)(nil)

// Config says what is scrubbed. Path, Chunks, Lists, Mend and Logger are needed.
type Config struct {
	Path   string // of the file that remembers the position
	Chunks Chunks
	// Lists checks what is no chunk, and looks for chunks that are missing, at the
	// beginning of a round: how many lists were read, and were bad.
	Lists func(ctx context.Context) (read, bad int)
	// Mend fetches what was found damaged, and returns how many chunks could not be had.
	Mend   func(ctx context.Context) (left int)
	Logger *slog.Logger

	Now   func() time.Time // the clock on the wall; nil: time.Now
	Every time.Duration    // from the beginning of a round to that of the next; 0: DefaultEvery
	Slow  int64            // bytes in a second on schedule, more when the round would not end in time; 0: DefaultSlow
	Fast  int64            // bytes in a second when somebody waits; 0: DefaultFast
}

// Round is one time through everything. Times are in milliseconds since the Unix epoch.
type Round struct {
	Began    int64 `cbor:"1,keyasint,omitempty"`
	Ended    int64 `cbor:"2,keyasint,omitempty"` // zero: it is not at its end
	Chunks   int   `cbor:"3,keyasint,omitempty"` // read
	Bytes    int64 `cbor:"4,keyasint,omitempty"` // read
	Bad      int   `cbor:"5,keyasint,omitempty"` // chunks that were damaged
	Left     int   `cbor:"6,keyasint,omitempty"` // of them, those that could not be had elsewhere yet
	Lists    int   `cbor:"7,keyasint,omitempty"` // state files read
	BadLists int   `cbor:"8,keyasint,omitempty"`
}

// Status is where the scrub is.
type Status struct {
	Round Round `cbor:"1,keyasint"`           // under way; the zero value between rounds
	Last  Round `cbor:"2,keyasint"`           // the last one that came to its end; the zero value: none yet
	Total int64 `cbor:"3,keyasint,omitempty"` // bytes of all chunks
	First int64 `cbor:"4,keyasint,omitempty"` // when this box scrubbed first, or began to wait for it
}

// position is what the file remembers.
type position struct {
	Status
	At chunk.Hash `cbor:"9,keyasint"` // the last chunk that was read in Round
}

// Scrubber reads everything again. Its methods are safe for concurrent use.
type Scrubber struct {
	cfg Config
	ask chan struct{} // has a token when somebody asked for a round at once

	mu      sync.Mutex // guards what follows
	at      position
	waiting int           // callers of AtOnce
	change  chan struct{} // closed and renewed when a round ends
	ended   int           // rounds that somebody asked for and that ended
	begun   int           // of those that were begun
}

// Open takes up where the file left off. A file that cannot be read begins anew.
func Open(cfg Config) (*Scrubber, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Every == 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Slow == 0 {
		cfg.Slow = DefaultSlow
	}
	if cfg.Fast == 0 {
		cfg.Fast = DefaultFast
	}
	s := &Scrubber{cfg: cfg, ask: make(chan struct{}, 1), change: make(chan struct{})}
	b, err := onefile.Read(cfg.Path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, onefile.ErrTooLarge):
		cfg.Logger.Warn("position of the scrub", "err", err)
	case err != nil:
		return nil, fmt.Errorf("position of the scrub: %w", err)
	default:
		if s.at, err = decodePosition(b); err != nil {
			cfg.Logger.Warn("position of the scrub", "err", err)
		}
	}
	if s.at.First == 0 {
		s.at.First = cfg.Now().UnixMilli()
	}
	return s, nil
}

func decodePosition(b []byte) (p position, err error) {
	if err := wire.Unmarshal(b, &p); err != nil {
		return position{}, err
	}
	return p, nil
}

// Status returns where the scrub is.
func (s *Scrubber) Status() Status {
	_, total := s.cfg.Chunks.Usage()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.at.Status
	st.Total = total
	return st
}

// Run scrubs on schedule until ctx ends, and returns nil. The first round is due
// at once: a card may be old when it is new here.
func (s *Scrubber) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			s.save()
			return nil
		case <-s.ask:
			asked = true
		case <-tick.C:
		}
		for asked || s.due() {
			if asked = s.round(ctx, asked); ctx.Err() != nil {
				break
			}
		}
	}
}

// due reports whether a round is under way or should begin. A clock that jumped
// back before the last one does not keep the next one waiting for longer than Every.
func (s *Scrubber) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now().UnixMilli()
	if s.at.Last.Began > now {
		s.at.Last.Began = now
	}
	return s.at.Round.Began != 0 || now-s.at.Last.Began >= s.cfg.Every.Milliseconds()
}

// AtOnce goes through everything from the beginning, fast, and returns what came
// of it; tell, unless nil, hears every second where it is. When ctx ends, the round goes on
// at the pace of the schedule.
func (s *Scrubber) AtOnce(ctx context.Context, tell func(Status)) (Round, error) {
	s.mu.Lock()
	s.waiting++
	want := s.begun + 1
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting--
	}()
	s.askAgain()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.mu.Lock()
		change, last, done := s.change, s.at.Last, s.ended >= want
		s.mu.Unlock()
		if done {
			return last, nil
		}
		select {
		case <-change:
		case <-tick.C:
			if tell != nil {
				tell(s.Status())
			}
		case <-ctx.Done():
			return Round{}, ctx.Err()
		}
	}
}

// askAgain asks for a fresh round, unless somebody did just now.
func (s *Scrubber) askAgain() {
	select {
	case s.ask <- struct{}{}:
	default:
	}
}

// round goes through everything, or what is left of it. It reports whether it
// ended early because somebody asked for a fresh one.
func (s *Scrubber) round(ctx context.Context, fresh bool) (again bool) {
	number := s.begin(ctx, fresh)
	saved, bad := time.Now(), 0
	for h := range s.cfg.Chunks.After(s.position()) {
		size, damaged := s.verify(h)
		s.passed(h, size, damaged)
		if damaged {
			bad++
		}
		if bad == mendEvery {
			s.mend(ctx)
			bad = 0
		}
		if time.Since(saved) >= saveEvery {
			saved = time.Now()
			s.save()
		}
		if !s.pace(ctx, size) {
			return false
		}
		select {
		case <-s.ask:
			return true
		default:
		}
	}
	if s.mend(ctx); ctx.Err() == nil {
		s.end(number)
	}
	return false
}

// begin begins a round unless one is under way; a fresh one anyway.
func (s *Scrubber) begin(ctx context.Context, fresh bool) (number int) {
	s.mu.Lock()
	if fresh {
		s.begun++
	}
	number = s.begun
	begins := fresh || s.at.Round.Began == 0
	if begins {
		s.at.Round, s.at.At = Round{Began: s.cfg.Now().UnixMilli()}, chunk.Hash{}
	}
	s.mu.Unlock()
	if !begins {
		return number
	}
	read, bad := s.cfg.Lists(ctx)
	s.mu.Lock()
	s.at.Round.Lists, s.at.Round.BadLists = read, bad
	s.mu.Unlock()
	s.save()
	return number
}

func (s *Scrubber) position() chunk.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.At
}

func (s *Scrubber) verify(h chunk.Hash) (size int64, damaged bool) {
	size, err := s.cfg.Chunks.Verify(h)
	if err != nil && !errors.Is(err, chunk.ErrMissing) {
		s.cfg.Logger.Warn("scrub", "err", err)
		return 0, true
	}
	return size, false
}

func (s *Scrubber) passed(h chunk.Hash, size int64, damaged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at.At = h
	s.at.Round.Chunks++
	s.at.Round.Bytes += size
	if damaged {
		s.at.Round.Bad++
	}
}

func (s *Scrubber) mend(ctx context.Context) {
	left := s.cfg.Mend(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at.Round.Left = left
}

// end ends a round. The number is that of the last one that somebody asked for
// when it began.
func (s *Scrubber) end(number int) {
	s.mu.Lock()
	s.at.Round.Ended = s.cfg.Now().UnixMilli()
	s.at.Last, s.at.Round, s.at.At = s.at.Round, Round{}, chunk.Hash{}
	s.ended = number
	last := s.at.Last
	close(s.change)
	s.change = make(chan struct{})
	s.mu.Unlock()
	s.cfg.Logger.Info("scrubbed", "chunks", last.Chunks, "bytes", last.Bytes, "bad", last.Bad, "left", last.Left, "lists", last.Lists)
	s.save()
}

func (s *Scrubber) save() {
	s.mu.Lock()
	b := wire.MustMarshal(s.at)
	s.mu.Unlock()
	if err := onefile.Replace(s.cfg.Path, b); err != nil {
		s.cfg.Logger.Warn("position of the scrub", "err", err) // some is read twice
	}
}

// pace waits after size bytes, and until people let the disk alone for a moment;
// false when ctx has ended.
func (s *Scrubber) pace(ctx context.Context, size int64) bool {
	s.mu.Lock()
	hurry := s.waiting > 0
	s.mu.Unlock()
	rate, most := s.rate(), patience
	if hurry {
		rate, most = s.cfg.Fast, hurried
	}
	wait := time.Duration(float64(size) / float64(rate) * float64(time.Second))
	reads := s.cfg.Chunks.Reads()
	if !s.sleep(ctx, wait) {
		return false
	}
	if hurry && s.cfg.Chunks.Reads() == reads {
		return true // nobody has been at the disk
	}
	for until := time.Now().Add(most); time.Now().Before(until); {
		reads := s.cfg.Chunks.Reads()
		if !s.sleep(ctx, calm) {
			return false
		}
		if s.cfg.Chunks.Reads() == reads {
			break
		}
	}
	return true
}

// rate is what lets a round end when two thirds of the time to the next one are over.
func (s *Scrubber) rate() int64 {
	_, total := s.cfg.Chunks.Usage()
	return max(s.cfg.Slow, int64(float64(total)/(s.cfg.Every.Seconds()*2/3)))
}

// sleep waits; less when somebody asks for a fresh round.
func (s *Scrubber) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ask:
		s.askAgain() // round looks at it
	case <-ctx.Done():
		return false
	}
	return true
}
