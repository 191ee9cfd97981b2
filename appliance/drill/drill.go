// Package drill plays a fire: the boxes of one house play dead for a minute, and the
// others show that people log in, read and write as before. What came of it is
// signed by the keeper who began it.
//
// A box plays dead only by the word of a keeper of its circle, signed for its house,
// and only when its own keeper does not refuse drills. It ends that by itself: the
// time is in its memory alone, so a restart ends it too, and nobody has to be
// reached for it.
package drill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/space"
	"redhen/appliance/status"
	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Why there is no drill.
var (
	ErrOneHouse = errors.New("the circle has one house only")
	ErrOwnHouse = errors.New("a house does not order its own boxes to play dead")
	ErrNoHouse  = errors.New("no house of that name")
	ErrNotNow   = errors.New("the circle is not whole")
	ErrRunning  = errors.New("a drill is under way")
)

// RefusedError says that a box of the house does not play dead.
type RefusedError struct {
	Box string
	Why refusal
}

// Error names the box.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s does not play dead: %s", e.Box, e.Why) }

// Net is how the boxes reach each other; *p2p.Host is one.
type Net interface {
	Handle(protocol string, who p2p.Access, fn func(ctx context.Context, from ident.BoxID, s p2p.Stream))
	Open(ctx context.Context, to ident.BoxID, protocol string) (p2p.Stream, error)
	PlayDead(d time.Duration)
}

var _ Net = (*p2p.Host)(nil)

// Node is what a drill asks the box's node; *raftnode.Node is one.
type Node interface {
	Directory(fn func(directory.View) error) error
	Command(ctx context.Context, c directory.Command) (directory.Outcome, error)
	Status(ctx context.Context) (raftnode.Status, error)
}

var _ Node = (*raftnode.Node)(nil)

// Config is what Drills stand on; all fields but Now are needed.
type Config struct {
	Box      ident.BoxID
	Dir      string // where the last report is kept
	Net      Net
	Node     Node
	Accounts *account.Accounts
	// Space returns an account's view of its space of a name.
	Space  func(ctx context.Context, account ident.AccountID, name string) (*space.FS, error)
	Status interface {
		Report(ctx context.Context) (status.Report, error)
	}
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Drills answers orders, and gives them. It is safe for concurrent use.
type Drills struct {
	cfg     Config
	running sync.Mutex // one drill of this box at a time

	mu   sync.Mutex
	dead time.Time // when this box played dead last
}

// New registers what this box answers.
func New(cfg Config) *Drills {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Drills{cfg: cfg}
	cfg.Net.Handle(protocol, p2p.Members, d.serve)
	return d
}

// protocol is the one by which boxes speak of drills.
const protocol = "/redhen/drill/1"

// The kinds of questions. The numbers are sent: never reused.
const (
	askMay   = 1 // would you play dead?
	askDead  = 2 // play dead now
	askProve = 3 // show that people carry on
	askKeep  = 4 // keep the report
)

type question struct {
	Kind   int    `cbor:"1,keyasint"`
	Order  Order  `cbor:"2,keyasint"`
	Token  string `cbor:"3,keyasint,omitempty"` // prove: of somebody who logged in at the asking box
	Path   string `cbor:"4,keyasint,omitempty"` // prove: of what that person wrote before
	Text   string `cbor:"5,keyasint,omitempty"` // prove: what it says
	Report []byte `cbor:"6,keyasint,omitempty"` // keep
}

// refusal says why a box does not do what is asked. The texts are sent and never change.
type refusal string

const (
	refusedByKeeper refusal = "keeper" // its keeper refuses drills
	refusedOrder    refusal = "order"  // the order does not hold here
	refusedAgain    refusal = "again"  // it played dead just now
	noAnswer        refusal = "silent" // it did not answer; never sent
)

type answer struct {
	Refused refusal `cbor:"1,keyasint,omitempty"`
	Proof   Proof   `cbor:"2,keyasint"`
}

const (
	maxMessage = 128 << 10
	askFor     = 10 * time.Second
	proveFor   = 40 * time.Second
	lastWord   = 300 * time.Millisecond // for the answer to leave before the links go
)

func (d *Drills) serve(ctx context.Context, from ident.BoxID, s p2p.Stream) {
	s.SetDeadline(time.Now().Add(proveFor + askFor)) // an error shows at the first read
	var q question
	if err := wire.Read(s, maxMessage, &q); err != nil {
		d.cfg.Logger.Warn("drill: question refused", "box", from.Short(), "err", err)
		return
	}
	a := d.answer(ctx, from, q)
	if err := wire.Write(s, a); err != nil {
		d.cfg.Logger.Debug("drill: answer", "err", err)
	}
	s.CloseWrite()
}

func (d *Drills) answer(ctx context.Context, from ident.BoxID, q question) (a answer) {
	switch q.Kind {
	case askMay, askDead:
		a.Refused = d.judge(q.Order)
		if a.Refused == "" && q.Kind == askDead {
			d.playDead(from)
		}
	case askProve:
		ctx, end := context.WithTimeout(ctx, proveFor)
		defer end()
		a.Proof = d.prove(ctx, q)
	case askKeep:
		if err := d.keep(q.Report); err != nil {
			d.cfg.Logger.Warn("drill: report", "box", from.Short(), "err", err)
			a.Refused = refusedOrder
		}
	default:
		a.Refused = refusedOrder
	}
	return a
}

// judge says why this box does not obey an order, "" when it does.
func (d *Drills) judge(o Order) refusal {
	var unfit error
	var settings directory.BoxSettings
	err := d.look(func(v directory.View, r *roster.State) error {
		unfit, settings = o.check(r, d.cfg.Box, d.cfg.Now()), v.BoxSettings(d.cfg.Box)
		return nil
	})
	d.mu.Lock()
	again := !d.dead.IsZero() && time.Since(d.dead) < Length+rest
	d.mu.Unlock()
	switch {
	case err != nil || unfit != nil:
		d.cfg.Logger.Warn("drill: order refused", "err", errors.Join(err, unfit))
		return refusedOrder
	case settings.NoDrills:
		return refusedByKeeper
	case again:
		return refusedAgain
	}
	return ""
}

// playDead has the links go once the answer has left.
func (d *Drills) playDead(by ident.BoxID) {
	d.mu.Lock()
	d.dead = time.Now()
	d.mu.Unlock()
	d.cfg.Logger.Info("fire drill: plays dead", "by", by.Short(), "for", Length)
	time.AfterFunc(lastWord, func() { d.cfg.Net.PlayDead(Length) })
}

func (d *Drills) look(fn func(directory.View, *roster.State) error) error {
	return d.cfg.Node.Directory(func(v directory.View) error {
		if v.Roster() == nil {
			return raftnode.ErrNoCircle
		}
		return fn(v, v.Roster())
	})
}

func (d *Drills) reportPath() string { return filepath.Join(d.cfg.Dir, "drill") }

// keep keeps a report that a keeper of this circle signed, unless it has a later one.
func (d *Drills) keep(b []byte) error {
	r, err := DecodeReport(b)
	if err != nil {
		return err
	}
	err = d.look(func(_ directory.View, ro *roster.State) error {
		if r.Order.Circle != ro.Circle() || !isKeeper(ro, r.Order.Key) {
			return errOrder
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, ok := d.last(); ok && last.Ended > r.Ended {
		return nil
	}
	return onefile.Replace(d.reportPath(), b)
}

// Last returns the report of the last drill, if there was one.
func (d *Drills) Last() (Report, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last()
}

func (d *Drills) last() (Report, bool) {
	b, err := onefile.Read(d.reportPath(), maxReport)
	if err != nil {
		return Report{}, false
	}
	r, err := DecodeReport(b)
	return r, err == nil
}

// SetConsent has this box take part in drills, or not.
func (d *Drills) SetConsent(ctx context.Context, consents bool) error {
	var settings directory.BoxSettings
	err := d.look(func(v directory.View, _ *roster.State) error {
		settings = v.BoxSettings(d.cfg.Box)
		return nil
	})
	if err != nil {
		return err
	}
	settings.NoDrills = !consents
	out, err := d.cfg.Node.Command(ctx, directory.Command{SetBox: &directory.SetBox{Settings: settings}})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("set consent: %s", out.Code)
	}
	return err
}
