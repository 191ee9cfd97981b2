package raftnode

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"redhen/raftnode/garbage"
	"redhen/raftnode/scrub"
	"redhen/raftnode/uptime"
)

// care is what a box does for the bytes that it keeps, beside people's work: it
// reads them again, mends what has rotted, and removes what nothing needs.
type care struct {
	clock   *uptime.Clock
	scrub   *scrub.Scrubber
	garbage *garbage.Collector
	lost    chan lostCall
	uploads uploads
	forgets atomic.Pointer[string] // a mistake that a test plants: the kind of root that is left out
}

// CareStatus is what the care of this box came to.
type CareStatus struct {
	Scrub   scrub.Status `cbor:"1,keyasint"`
	Waiting int          `cbor:"2,keyasint,omitempty"` // chunks that nothing seems to need, and that still wait
	Removed int          `cbor:"3,keyasint,omitempty"` // since the start
	Blocked string       `cbor:"4,keyasint,omitempty"` // why nothing may be removed; empty: it may
}

func (n *Node) openCare() (err error) {
	c := &n.care
	c.lost = make(chan lostCall)
	c.uploads.held = map[*upload]bool{}
	if c.clock, err = uptime.Open(filepath.Join(n.cfg.Dir, "running"), n.log); err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	c.scrub, err = scrub.Open(scrub.Config{
		Path: filepath.Join(n.cfg.Dir, "scrub"), Chunks: n.cfg.Chunks, Lists: n.checkLists, Mend: n.mendLost,
		Logger: n.log, Now: n.now, Every: n.cfg.ScrubEvery,
	})
	if err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	c.garbage = garbage.New(garbage.Config{
		Chunks: n.cfg.Chunks, Needed: n.needed, Blocked: n.keepsAll, Now: c.clock.Now,
		Logger: n.log, Grace: n.cfg.GarbageAfter, Every: n.cfg.SweepEvery,
	})
	return nil
}

// takeCare starts what runs beside people's work; each part ends with the Node.
func (n *Node) takeCare() {
	for _, part := range []func(context.Context) error{n.care.clock.Run, n.care.scrub.Run, n.care.garbage.Run, n.keepMending} {
		n.spawn(func(ctx context.Context) {
			if err := part(ctx); err != nil {
				n.log.Warn("care", "err", err)
			}
		})
	}
}

// Scrub reads everything again at once, from the beginning, and returns what came
// of it; tell, unless nil, hears every second where it is. When ctx ends, it goes on slowly.
func (n *Node) Scrub(ctx context.Context, tell func(scrub.Status)) (scrub.Round, error) {
	return n.care.scrub.AtOnce(ctx, tell)
}

// Sweep looks for garbage at once, and returns why it could not.
func (n *Node) Sweep(ctx context.Context) error { return n.care.garbage.Sweep(ctx) }

func (c *care) status() CareStatus {
	g := c.garbage.Status()
	return CareStatus{Scrub: c.scrub.Status(), Waiting: g.Waiting, Removed: g.Removed, Blocked: g.Blocked}
}
