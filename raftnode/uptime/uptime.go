// Package uptime counts for how long a box has run in all, durably: a clock that
// stands still while the box is off, and that no jump of the wall clock moves.
package uptime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"redhen/provision/onefile"
)

const (
	step      = time.Minute
	saveEvery = 10 * time.Minute // so much is lost when the power goes
)

// Clock tells the running time. Its methods are safe for concurrent use.
type Clock struct {
	path string
	log  *slog.Logger
	ms   atomic.Int64
}

// Open takes the clock up where the file at path left it; without one, or with one
// that is no clock, it begins at zero.
func Open(path string, log *slog.Logger) (*Clock, error) {
	c := &Clock{path: path, log: log}
	b, err := onefile.Read(path, 8)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, onefile.ErrTooLarge):
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("running time: %w", err)
	}
	if len(b) == 8 {
		c.ms.Store(max(0, int64(binary.BigEndian.Uint64(b))))
	}
	return c, nil
}

// Now returns the milliseconds that the box has run, in steps of a minute.
func (c *Clock) Now() int64 { return c.ms.Load() }

// Run counts until ctx ends, and returns nil. No step counts for more than two,
// however long the machine slept.
func (c *Clock) Run(ctx context.Context) error {
	tick := time.NewTicker(step)
	defer tick.Stop()
	last, saved := time.Now(), c.Now()
	for {
		select {
		case <-ctx.Done():
			c.save()
			return nil
		case <-tick.C:
		}
		now := time.Now()
		c.ms.Add(min(now.Sub(last), 2*step).Milliseconds())
		last = now
		if c.Now()-saved >= saveEvery.Milliseconds() {
			saved = c.Now()
			c.save()
		}
	}
}

func (c *Clock) save() {
	if err := onefile.Replace(c.path, binary.BigEndian.AppendUint64(nil, uint64(c.Now()))); err != nil {
		c.log.Warn("running time", "err", err) // some minutes are not counted
	}
}
