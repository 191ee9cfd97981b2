package pair

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
)

const (
	// ScreenTTL is how long a ticket lives that is shown on a screen.
	ScreenTTL = 10 * time.Minute
	// GiftTTL is how long a ticket lives that travels on a card.
	GiftTTL = 30 * 24 * time.Hour

	patience   = 20 * time.Second // for each message but the decision
	maxStreams = 16               // joiners at once
)

var (
	// ErrNoCircle says that this box is in no circle, so nobody can join it here.
	ErrNoCircle = errors.New("box is in no circle")
	// ErrNotPending says that nobody of that name waits.
	ErrNotPending = errors.New("no such box is waiting")
	// ErrNoTicket says that there is no such open ticket.
	ErrNoTicket = errors.New("no such open ticket")
)

// Config says what a Desk works with. All but Dir, Door and Logger are needed.
type Config struct {
	Host *p2p.Host
	Key  ident.Key // of this box: it signs admissions
	Dir  string    // where tickets are kept; "" = in memory only

	// Circle returns the present roster, nil when the box is in no circle.
	Circle func() *roster.State

	// Admit lets a box in: the change bears both signatures. It is called again for
	// a box that has not received its welcome, with a new change; it then only
	// makes the welcome again. A *Refusal is passed on to the joiner, any other
	// error is returned by Approve, and the joiner goes on waiting.
	Admit func(context.Context, Application, roster.Change) (Welcome, error)

	// Guide says how the circle looks to who brings a box under the login name, which
	// may be any text; nil = joiners are told nothing, and only new keepers join.
	Guide func(login string) Guide

	Logger *slog.Logger // nil = none
}

// Pending is a box that waits for a person's yes.
type Pending struct {
	Box         ident.BoxID
	Ticket      string // its ID
	Application Application
	Words       []Word // the joiner shows the same
	Since       time.Time
	Known       bool // the keeper's account is one of the circle, and its password was right
	SameHouse   bool // it stands in a house that has a box already
}

// Desk makes tickets and lets in the boxes that come with them.
type Desk struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	book    *book
	pending map[ident.BoxID]*visit
	streams int
	changed chan struct{}
}

// visit is a joiner that has proved to know the secret.
type visit struct {
	Pending
	change  roster.Change // signed by the joiner
	decided chan decision // capacity 1
	busy    bool          // an approval is under way; guarded by Desk.mu
}

// decision is what a visit ends with: a welcome or a refusal.
type decision struct {
	welcome Welcome
	refusal *Refusal
}

// New makes a Desk and has the host serve it.
func New(cfg Config) (*Desk, error) {
	if cfg.Host == nil || cfg.Circle == nil || cfg.Admit == nil || cfg.Key.IsZero() {
		return nil, errors.New("pair: incomplete configuration")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := openBook(cfg.Dir)
	if err != nil {
		return nil, err
	}
	d := &Desk{cfg: cfg, log: cfg.Logger, book: b, pending: map[ident.BoxID]*visit{}, changed: make(chan struct{})}
	d.setDoor()
	cfg.Host.Handle(Protocol, p2p.Anyone, d.serve)
	return d, nil
}

// dismiss refuses all who wait with the ticket, but one. Callers hold d.mu.
func (d *Desk) dismiss(id string, but ident.BoxID, code Code) {
	for box, v := range d.pending {
		if v.Ticket == id && box != but {
			d.decide(v, decision{refusal: &Refusal{code}})
		}
	}
}

// decide ends a visit, once. Callers hold d.mu.
func (d *Desk) decide(v *visit, what decision) {
	if d.pending[v.Box] == v {
		delete(d.pending, v.Box)
		v.decided <- what
	}
}

// Pending returns who waits for a decision, the longest first.
func (d *Desk) Pending() []Pending {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Pending
	for _, v := range d.pending {
		out = append(out, v.Pending)
	}
	slices.SortFunc(out, func(a, b Pending) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(string(a.Box), string(b.Box))
	})
	return out
}

// Changed is closed when a ticket or a waiting box has changed.
func (d *Desk) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *Desk) change() {
	d.mu.Lock()
	close(d.changed)
	d.changed = make(chan struct{})
	d.mu.Unlock()
}

// Approve lets a waiting box in. On an error that is no *Refusal the box goes on
// waiting, and Approve may be called again.
func (d *Desk) Approve(ctx context.Context, box ident.BoxID) error {
	d.mu.Lock()
	v := d.pending[box]
	if v == nil || v.busy {
		d.mu.Unlock()
		return ErrNotPending
	}
	v.busy = true
	d.mu.Unlock()
	w, err := d.admit(ctx, v)
	defer d.change()
	d.mu.Lock()
	defer d.mu.Unlock()
	v.busy = false
	if now := d.pending[box]; now != nil && now.Ticket == v.Ticket {
		v = now // it came anew meanwhile
	}
	if r := refused(err); r != nil {
		d.decide(v, decision{refusal: r})
	}
	if err != nil {
		return err
	}
	d.decide(v, decision{welcome: w})
	d.dismiss(v.Ticket, box, Used)
	return nil
}

// admit calls Config.Admit between two notes about the ticket: for whom it is, and
// that it is used. After a crash between the two the ticket is open still, and the
// box is admitted again with it, which changes nothing.
func (d *Desk) admit(ctx context.Context, v *visit) (Welcome, error) {
	if err := d.note(v, Open); err != nil {
		return Welcome{}, err
	}
	w, err := d.cfg.Admit(ctx, v.Application, roster.AddSignature(v.change, d.cfg.Key))
	if err != nil {
		return w, err
	}
	err = d.note(v, UsedUp)
	d.setDoor()
	d.log.Info("box admitted", "box", v.Box.Short(), "ticket", v.Ticket)
	return w, err
}

// note keeps on disk that an open ticket is for the visitor, and in which state.
func (d *Desk) note(v *visit, state TicketState) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.book.tickets[v.Ticket]
	if s.State != Open || s.Box == v.Box && state == Open {
		return nil
	}
	s.Box, s.State = v.Box, state
	if state != Open {
		s.Ended = time.Now().UnixMilli()
	}
	return d.book.put(s, time.Now())
}

// Reject refuses a waiting box. Its ticket stays open, for the right one.
func (d *Desk) Reject(box ident.BoxID) error {
	d.mu.Lock()
	v := d.pending[box]
	if v == nil || v.busy {
		d.mu.Unlock()
		return ErrNotPending
	}
	d.decide(v, decision{refusal: &Refusal{Rejected}})
	d.mu.Unlock()
	d.change()
	return nil
}
