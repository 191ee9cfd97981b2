// Package garbage removes the chunks that nothing needs any more.
//
// A sweep asks what is needed, condemns the other chunks, and removes those that
// have been condemned for a week of running time and are not needed by this sweep
// either. Between the question and the removal somebody may come to rely on a
// chunk: then the chunk store has rescued it, and does not remove it (see
// chunk.Store.Remove). It does not know what needs chunks, nor when that can be
// known: both are told to it.
package garbage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"redhen/raftnode/chunk"
)

// What stands for the zero values of Config.
const (
	DefaultGrace = 7 * 24 * time.Hour
	DefaultEvery = 6 * time.Hour
)

// Config says what a Collector works with. Chunks, Needed, Blocked, Now and Logger are needed.
type Config struct {
	Chunks *chunk.Store
	// Needed tells each chunk that something here needs; what is upstream comes
	// first: a write is in a journal, then in a log, then in a catalog. An error
	// says that it is not known: then nothing is touched.
	Needed func(ctx context.Context, tell func(chunk.Hash)) error
	// Blocked says why nothing may go now; nil: it may.
	Blocked func(ctx context.Context) error
	// Now is a clock that counts running time only, in milliseconds.
	Now    func() int64
	Logger *slog.Logger

	Grace time.Duration // running time for which nothing must need a chunk; 0: DefaultGrace
	Every time.Duration // from sweep to sweep; 0: DefaultEvery
}

// Collector removes garbage. Its methods are safe for concurrent use.
type Collector struct {
	cfg Config

	sweeping sync.Mutex // one Sweep at a time

	mu   sync.Mutex // guards what follows
	last Status
}

// Status is what the last sweep came to.
type Status struct {
	Waiting int    // chunks that nothing seems to need, and that still wait
	Removed int    // since the start
	Blocked string // why the last sweep did nothing; empty when it did
	Swept   int64  // running time of the last one that did; zero: none since the start
}

// New returns a Collector.
func New(cfg Config) *Collector {
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Every == 0 {
		cfg.Every = DefaultEvery
	}
	return &Collector{cfg: cfg}
}

// Status returns what the last sweep came to.
func (c *Collector) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Run sweeps again and again until ctx ends, and returns nil.
func (c *Collector) Run(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Info("garbage stays", "err", err)
		}
	}
}

// Sweep looks once, and removes what has waited for long enough. It returns why it
// could not.
func (c *Collector) Sweep(ctx context.Context) error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	removed, waiting, err := c.sweep(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last.Removed += removed
	c.last.Blocked = ""
	if err != nil {
		c.last.Blocked = err.Error()
		return err
	}
	c.last.Waiting, c.last.Swept = waiting, c.cfg.Now()
	return nil
}

func (c *Collector) sweep(ctx context.Context) (removed, waiting int, err error) {
	if err := c.cfg.Blocked(ctx); err != nil {
		return 0, 0, err
	}
	now := max(c.cfg.Now(), 1)
	n, _ := c.cfg.Chunks.Usage()
	needed := newMarks(n)
	if err := c.cfg.Needed(ctx, needed.add); err != nil {
		return 0, 0, fmt.Errorf("what is needed is not known: %w", err)
	}
	found := c.sort(ctx, needed, now)
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	if err := c.cfg.Chunks.Rescue(found.rescued...); err != nil {
		return 0, 0, err
	}
	if err := c.cfg.Chunks.Condemn(found.fresh, now); err != nil {
		return 0, 0, err
	}
	if err := c.cfg.Blocked(ctx); err != nil {
		return 0, 0, err
	}
	removed, err = c.remove(ctx, found.due, now)
	return removed, found.waiting + len(found.fresh), err
}

// findings is what a sweep does with the chunks that are here.
type findings struct {
	rescued, fresh, due []chunk.Hash
	waiting             int
}

func (c *Collector) sort(ctx context.Context, needed *marks, now int64) (f findings) {
	for h := range c.cfg.Chunks.All() {
		if ctx.Err() != nil {
			break
		}
		since := c.cfg.Chunks.Condemned(h)
		switch {
		case needed.has(h) || c.cfg.Chunks.Leased(h):
			if since > 0 {
				f.rescued = append(f.rescued, h)
			}
		case since > now: // the clock began anew
			f.rescued, f.fresh = append(f.rescued, h), append(f.fresh, h)
		case since == 0:
			f.fresh = append(f.fresh, h)
		case now-since >= c.cfg.Grace.Milliseconds():
			f.due = append(f.due, h)
		default:
			f.waiting++
		}
	}
	return f
}

func (c *Collector) remove(ctx context.Context, due []chunk.Hash, now int64) (removed int, err error) {
	for _, h := range due {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		err := c.cfg.Chunks.Remove(h, now-c.cfg.Grace.Milliseconds())
		switch {
		case err == nil:
			removed++
		case !errors.Is(err, chunk.ErrRescued) && !errors.Is(err, chunk.ErrLeased):
			return removed, err
		}
	}
	if removed == 0 {
		return 0, nil
	}
	c.cfg.Logger.Info("garbage removed", "chunks", removed)
	return removed, c.cfg.Chunks.Forget()
}
