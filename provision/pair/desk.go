package pair

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/provision/wire"
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

// Terms say what a ticket is good for.
type Terms struct {
	TTL    time.Duration // 0 = ScreenTTL
	Waived bool          // let the box in without asking a person: a gift whose giver said so
	Gift   string        // the house or person that the box is for: it may come without a keeper of its own
}

// Issue makes a ticket. Only the returned value holds the secret.
func (d *Desk) Issue(terms Terms) (ticket.Ticket, error) {
	state := d.cfg.Circle()
	if state == nil {
		return ticket.Ticket{}, ErrNoCircle
	}
	if terms.TTL <= 0 {
		terms.TTL = ScreenTTL
	}
	t, err := ticket.New(d.cfg.Host.Self(), ticket.NewSecret(), bestMix(d.cfg.Host.Addrs()), d.relay())
	if err != nil {
		return ticket.Ticket{}, err
	}
	now := time.Now()
	s := stored{
		ID: t.ID(), Key: proofKey(t.Secret), Circle: state.Circle(), Waived: terms.Waived, Gift: terms.Gift,
		Made: now.UnixMilli(), Expires: now.Add(terms.TTL).UnixMilli(),
	}
	d.mu.Lock()
	err = d.book.put(s, now)
	d.mu.Unlock()
	if err != nil {
		return ticket.Ticket{}, err
	}
	d.setDoor()
	d.change()
	d.log.Info("ticket made", "ticket", t.ID(), "expires", time.UnixMilli(s.Expires))
	return t, nil
}

// bestMix puts one public address and one of the local network first, since a
// ticket carries three: the friend may sit in the next room or in another town.
func bestMix(addrs []netip.AddrPort) []netip.AddrPort {
	var mix []netip.AddrPort
	for _, public := range []bool{true, false} {
		i := slices.IndexFunc(addrs, func(a netip.AddrPort) bool { return netaddr.IsPublic(a.Addr()) == public })
		if i >= 0 {
			mix = append(mix, addrs[i])
		}
	}
	for _, a := range addrs {
		if !slices.Contains(mix, a) {
			mix = append(mix, a)
		}
	}
	return mix
}

// relay picks the member that relays to us and is most likely dialled by a stranger.
func (d *Desk) relay() (best *ticket.Relay) {
	least := hidden
	for _, box := range d.cfg.Host.Relays() {
		if a, w := front(d.cfg.Host.AddrsOf(box)); a.IsValid() && (best == nil || w < least) {
			best, least = &ticket.Relay{Box: box, Addr: a}, w
		}
	}
	return best
}

// wall is what stands between a stranger and a public address.
type wall int

const (
	none   wall = iota // the box has no other address: it is its own
	open               // a router that keeps the port: it may be forwarded
	hidden             // a router that changed the port: most let in only whom they know
)

// front returns the public address of a box that strangers should try, invalid when
// it has none. Members punch through walls; a stranger cannot.
func front(addrs []netip.AddrPort) (best netip.AddrPort, least wall) {
	for _, a := range addrs {
		if !netaddr.IsPublic(a.Addr()) {
			continue
		}
		w := none
		for _, inside := range addrs {
			switch {
			case netaddr.IsPublic(inside.Addr()):
			case inside.Port() == a.Port():
				w = max(w, open)
			default:
				w = hidden
			}
		}
		if !best.IsValid() || w < least {
			best, least = a, w
		}
	}
	return best, least
}

// Tickets returns the tickets of the last 60 days, the oldest first.
func (d *Desk) Tickets() []Issued {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Issued
	for _, s := range sorted(d.book.tickets) {
		out = append(out, s.issued())
	}
	return out
}

// Revoke takes an open ticket back; who waits with it is refused.
func (d *Desk) Revoke(id string) error {
	d.mu.Lock()
	s, ok := d.book.tickets[id]
	if !ok || s.State != Open {
		d.mu.Unlock()
		return ErrNoTicket
	}
	s.State, s.Ended = TakenBack, time.Now().UnixMilli()
	err := d.book.put(s, time.Now())
	if err == nil {
		d.dismiss(id, "", Revoked)
	}
	d.mu.Unlock()
	d.setDoor()
	d.change()
	return err
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

func (d *Desk) setDoor() {
	d.mu.Lock()
	until := d.book.door()
	d.mu.Unlock()
	d.cfg.Host.OpenDoor(until)
}

// serve talks to one joiner, and logs a refusal once.
func (d *Desk) serve(ctx context.Context, from ident.BoxID, s p2p.Stream) {
	d.mu.Lock()
	d.streams++
	busy := d.streams > maxStreams
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.streams--
		d.mu.Unlock()
	}()
	var err error = &Refusal{Busy}
	if !busy {
		err = d.talk(ctx, from, s)
	}
	if r := refused(err); r != nil {
		d.log.Info("box refused", "box", from.Short(), "why", r.Sentence())
		s.SetDeadline(time.Now().Add(patience))
		err = wire.Write(s, reply{Refused: r.Code})
	}
	if err != nil {
		s.Reset()
		return
	}
	s.CloseWrite()
	s.Read(make([]byte, 1)) // until the joiner has taken it and closed
}

func (d *Desk) talk(ctx context.Context, from ident.BoxID, s p2p.Stream) error {
	s.SetDeadline(time.Now().Add(patience))
	var h hello
	if err := wire.Read(s, maxHello, &h); err != nil || h.Version != version {
		return &Refusal{Garbage}
	}
	state := d.cfg.Circle()
	if state == nil {
		return &Refusal{WrongCircle}
	}
	d.mu.Lock()
	t, refusal := d.book.find(h.Ticket, from, state.Circle(), time.Now())
	d.mu.Unlock()
	if refusal != nil && !(refusal.Code == Expired && admitted(state, t, from)) {
		return refusal
	}
	v, err := d.examine(state, t, h, from, s)
	if err != nil {
		return err
	}
	if t.Waived || admitted(state, t, from) {
		w, err := d.admit(ctx, v)
		if err != nil {
			return err
		}
		return d.welcome(s, w)
	}
	return d.await(ctx, v, s)
}

// examine sends the challenge, guides who answers it, and checks the application.
func (d *Desk) examine(state *roster.State, t stored, h hello, from ident.BoxID, s p2p.Stream) (*visit, error) {
	self := d.cfg.Host.Self()
	me, _ := state.Box(self)
	before, _ := state.Box(from)
	c := challenge{Circle: state.Circle(), Name: state.Name(), Box: me.Name, Rev: before.Rev}
	if t.Gift != "" {
		c.Keeper, c.KeeperKey = me.Keeper, me.KeeperKey
	}
	rand.Read(c.Nonce[:]) // never fails
	said := transcript{Inviter: self, Joiner: from, Hello: h.Nonce, Answer: c.Nonce}
	said.Role, said.Body = "inviter", c.said()
	c.Proof = said.mac(t.Key)
	if err := wire.Write(s, reply{Challenge: &c}); err != nil {
		return nil, err
	}
	if err := d.guide(t, c, said, admitted(state, t, from), s); err != nil {
		return nil, err
	}
	raw, err := wire.ReadFrame(s, maxApply)
	if errors.Is(err, wire.ErrTooLarge) {
		return nil, &Refusal{Garbage}
	}
	if err != nil {
		return nil, err
	}
	var a application
	if err := wire.Unmarshal(raw, &a); err != nil {
		return nil, &Refusal{Garbage}
	}
	said.Role, said.Body = "joiner", append(c.said(), a.said()...)
	if !hmac.Equal(said.mac(t.Key), a.Proof) {
		return nil, d.wrong(t.ID)
	}
	v, err := d.accept(state, t, c, a, from)
	if err != nil {
		return nil, err
	}
	v.Known, err = d.provesKeeper(v.Application, a, said)
	return v, err
}

// wrong counts a wrong proof, and burns the ticket at the fifth.
func (d *Desk) wrong(id string) error {
	defer d.change()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.book.tickets[id]
	if s.State == UsedUp {
		return &Refusal{WrongProof}
	}
	s.Wrong++
	code := WrongProof
	if s.Wrong >= maxWrong {
		s.State, s.Ended, code = TriedTooOften, time.Now().UnixMilli(), Burnt
		d.dismiss(id, "", Burnt)
	}
	if err := d.book.put(s, time.Now()); err != nil {
		return err
	}
	return &Refusal{code}
}

// accept checks that the signed change says what the application says, and that
// the circle could take it.
func (d *Desk) accept(state *roster.State, t stored, c challenge, a application, from ident.BoxID) (*visit, error) {
	var app Application
	if err := wire.Unmarshal(a.Body, &app); err != nil || app.validate() != nil {
		return nil, &Refusal{Garbage}
	}
	if app.Gift && (t.Gift == "" || app.Keeper != c.Keeper || !app.KeeperKey.Equal(c.KeeperKey)) {
		return nil, &Refusal{Garbage} // the giver did not offer to keep it
	}
	change, err := roster.Decode(a.Change)
	if err != nil {
		return nil, refusalOf(err)
	}
	body, err := change.AdmitBody()
	want := wire.MustMarshal(app.admission(c, d.cfg.Host.Self(), from))
	if err != nil || string(wire.MustMarshal(body)) != string(want) || !change.SignedBy(from.PublicKey()) {
		return nil, &Refusal{Garbage}
	}
	if !admitted(state, t, from) {
		if _, err := state.Apply(roster.AddSignature(change, d.cfg.Key)); err != nil {
			return nil, refusalOf(err)
		}
	}
	return &visit{
		Pending: Pending{
			Box: from, Ticket: t.ID, Application: app, Since: time.Now(),
			Words: wordsFor(t.Key, d.cfg.Host.Self(), from), SameHouse: app.standsWith(state),
		},
		change:  change,
		decided: make(chan decision, 1),
	}, nil
}

// admitted reports whether the joiner was let in with this ticket and comes for its
// welcome. When this box was switched off before it could note that the circle had
// agreed, the roster tells.
func admitted(state *roster.State, t stored, from ident.BoxID) bool {
	return t.Box == from && (t.State == UsedUp || t.State == Open && state.Active(from))
}

// admission is the body that inviter and joiner sign.
func (a Application) admission(c challenge, inviter, joiner ident.BoxID) roster.AdmitBody {
	return roster.AdmitBody{
		Circle: c.Circle, Inviter: inviter, Box: joiner, Rev: c.Rev, BoxName: a.BoxName,
		House: a.House, HouseName: a.HouseName, Keeper: a.Keeper, KeeperKey: a.KeeperKey, Time: a.Time,
		Gift: a.Gift,
	}
}

// await has the joiner wait for a decision. A joiner that goes away is forgotten;
// it comes again by itself.
func (d *Desk) await(ctx context.Context, v *visit, s p2p.Stream) error {
	if err := wire.Write(s, reply{Waiting: true}); err != nil {
		return err
	}
	s.SetDeadline(time.Time{})
	d.mu.Lock()
	if old := d.pending[v.Box]; old != nil {
		v.Since = old.Since
	}
	d.pending[v.Box] = v
	d.mu.Unlock()
	d.change()
	defer d.change()
	gone := make(chan struct{})
	go func() { // ends with the stream
		s.Read(make([]byte, 1))
		close(gone)
	}()
	select {
	case what := <-v.decided:
		s.SetReadDeadline(time.Now()) // one reader at a time
		<-gone
		if what.refusal != nil {
			return what.refusal
		}
		return d.welcome(s, what.welcome)
	case <-gone:
	case <-ctx.Done():
	}
	d.mu.Lock()
	if d.pending[v.Box] == v {
		delete(d.pending, v.Box)
	}
	d.mu.Unlock()
	s.Reset()
	<-gone
	return fmt.Errorf("joiner %s went away", v.Box.Short())
}

// welcome sends the welcome, with addresses that this box knows where the caller gave none.
func (d *Desk) welcome(s p2p.Stream, w Welcome) error {
	s.SetDeadline(time.Now().Add(5 * patience))
	addrs := maps.Clone(w.Addrs)
	if addrs == nil {
		addrs = map[ident.BoxID][]netip.AddrPort{}
	}
	if state := d.cfg.Circle(); state != nil {
		for _, b := range state.Members() {
			if known := d.cfg.Host.AddrsOf(b.ID); len(addrs[b.ID]) == 0 && len(known) > 0 {
				addrs[b.ID] = known
			}
		}
	}
	w.Addrs = addrs
	return writeWelcome(s, w)
}
