// Package home brings a box back to a circle that went on without it. Such a box can
// reach others and hears nothing from them: it was given up as lost, or its friends
// had to go on in a new era. It asks one of them for the news, checks the signatures,
// and asks to be let in again; somebody at the other box says yes. Then it takes a new
// place in the circle, and what only it has comes along by itself.
//
// Only a box that is apart listens. One that is in touch with most of the others
// belongs to those, whoever else has gone on without them. But where this side went on
// alone, it looks for those that it gave up: if most of the circle as it was is there, it
// comes home to them; if they went on alone, too, a person picks (Keep).
package home

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// ErrNotWaiting says that no such box asks to come home.
var ErrNotWaiting = errors.New("no such box asks to come home")

// Host is what Home needs of the box's host; *p2p.Host is one.
type Host interface {
	Open(ctx context.Context, to ident.BoxID, protocol string) (p2p.Stream, error)
	// Visit connects to a box that left the circle, where it was heard of last.
	Visit(ctx context.Context, to ident.BoxID) error
	Handle(protocol string, who p2p.Access, fn func(ctx context.Context, from ident.BoxID, s p2p.Stream))
}

// Node is what Home needs of the box's node; *raftnode.Node is one.
type Node interface {
	Directory(fn func(directory.View) error) error
	Command(ctx context.Context, c directory.Command) (directory.Outcome, error)
	Rejoin(ctx context.Context, id ident.ReplicaID, boxes []ident.BoxID) error
	GiveWay(ctx context.Context, id ident.ReplicaID, boxes []ident.BoxID) error
	Apart() bool
	// TogetherWithout reports whether most of the circle's houses are in touch with this
	// box, one left out.
	TogetherWithout(box ident.BoxID) bool
}

var (
	_ Host = (*p2p.Host)(nil)
	_ Node = (*raftnode.Node)(nil)
)

// Config is what a Home stands on.
type Config struct {
	Key    ident.Key
	Dir    string // where it is kept which side was picked
	Host   Host
	Node   Node
	Ahead  func(*roster.State) // told of a roster that the directory here will have
	Logger *slog.Logger
	Every  time.Duration    // between two tries; 0: 5 seconds
	Now    func() time.Time // nil: time.Now
}

// Home is one box's part in it: the one that comes home, or the one that lets others
// in. Its methods are safe for concurrent use.
type Home struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	returns map[ident.BoxID]Return
	outcast *Outcast
	parted  *Parted
}

// Return is a box that was given up and asks to come home.
type Return struct {
	Box    ident.BoxID
	Name   string
	House  string
	Since  time.Time
	seen   time.Time
	change roster.Change // signed by that box
}

// Outcast says that this box was given up by the others.
type Outcast struct {
	Since time.Time // when, by the clock of whoever said so
	At    string    // the box that told, and where somebody has to say yes
}

// New returns a Home that answers others at once, and looks for its own way while Run runs.
func New(cfg Config) *Home {
	cfg.Every = cmp.Or(cfg.Every, 5*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Home{cfg: cfg, log: cfg.Logger, returns: map[ident.BoxID]Return{}}
	cfg.Host.Handle(protocol, p2p.Departed, h.serve)
	return h
}

// Run looks for the way home whenever this box is apart, until ctx ends.
func (h *Home) Run(ctx context.Context) error {
	tick := time.NewTicker(h.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		look := h.lookAround
		if !h.cfg.Node.Apart() {
			h.setOutcast(nil)
			look = h.visit
		}
		if err := look(ctx); err != nil && ctx.Err() == nil {
			h.log.Debug("way home", "err", err)
		}
	}
}

// Returns lists the boxes that ask to come home, by name.
func (h *Home) Returns() []Return {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []Return
	for id, r := range h.returns {
		if h.cfg.Now().Sub(r.seen) > forgetAfter {
			delete(h.returns, id)
			continue
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Return) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Box, b.Box)) })
	return list
}

// Outcast tells whether this box was given up, nil when it was not.
func (h *Home) Outcast() *Outcast {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.outcast
}

func (h *Home) setOutcast(o *Outcast) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outcast = o
}

// LetIn has the circle admit a box that asks to come home.
func (h *Home) LetIn(ctx context.Context, box ident.BoxID) error {
	h.mu.Lock()
	r, ok := h.returns[box]
	h.mu.Unlock()
	if !ok {
		return ErrNotWaiting
	}
	change := roster.AddSignature(r.change, h.cfg.Key)
	out, err := h.cfg.Node.Command(ctx, directory.Command{Admit: &directory.Admit{Change: change}})
	if err != nil {
		return err
	}
	if out.Code != directory.Done {
		return &RefusedError{out.Code}
	}
	h.forget(box)
	h.log.Info("box comes home", "box", box.Short())
	return nil
}

// Refuse forgets that a box asks. It will ask again.
func (h *Home) Refuse(box ident.BoxID) error {
	h.mu.Lock()
	_, ok := h.returns[box]
	h.mu.Unlock()
	if !ok {
		return ErrNotWaiting
	}
	h.forget(box)
	return nil
}

func (h *Home) forget(box ident.BoxID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.returns, box)
}

// RefusedError is an admission that the circle did not take; Code says why.
type RefusedError struct{ Code directory.Code }

// Error names the code.
func (e *RefusedError) Error() string { return "the circle refused: " + string(e.Code) }

// roster is who belongs to the circle by the directory here, nil without one.
func (h *Home) roster() (r *roster.State) {
	_ = h.cfg.Node.Directory(func(v directory.View) error { // without a circle there is none
		r = v.Roster()
		return nil
	})
	return r
}

func nameOf(r *roster.State, box ident.BoxID) string {
	b, _ := r.Box(box)
	house, _ := r.House(b.House)
	return fmt.Sprintf("%s at %s", b.Name, house.Name)
}
