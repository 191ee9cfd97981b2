// Package circle is what people decide about their circle, as the doors and the
// command line offer it: begin one, invite and join, accounts and their passwords,
// which box is gone. It turns a person's word into the directory's commands and
// signs what must be signed.
package circle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Errors that the doors turn into sentences.
var (
	ErrNoCircle  = errors.New("this box is in no circle yet")
	ErrInCircle  = errors.New("this box is in a circle already")
	ErrNoAccount = errors.New("no account of that name")
	ErrNoBox     = errors.New("no box of that name")
	ErrNoHouse   = errors.New("no house of that name")
	ErrNotKeeper = errors.New("that account keeps no box of this circle")
	ErrOwnHouse  = errors.New("that is the house of this box")
)

// RefusedError is a decision that the circle did not take; Code says why.
type RefusedError struct{ Code directory.Code }

// Error names the code.
func (e *RefusedError) Error() string { return "the circle refused: " + string(e.Code) }

// Node is what circle needs of the box's node; *raftnode.Node is one.
type Node interface {
	Directory(fn func(directory.View) error) error
	Command(ctx context.Context, c directory.Command) (directory.Outcome, error)
	Found(ctx context.Context, f directory.Found) error
	Join(ctx context.Context, id ident.ReplicaID, boxes []ident.BoxID) error
	First(space ident.ShardID, owner ident.AccountID, copies int) ([]Replica, error)
	News() <-chan struct{}
	TakeOver(ctx context.Context, lost []ident.BoxID, sign func(directory.View) (roster.Change, error)) error
}

var _ Node = (*raftnode.Node)(nil)

// Config is what a Circle stands on; all fields but Now are needed, Status by Retire alone.
type Config struct {
	Key      ident.Key
	Dir      string // where tickets are kept
	Node     Node
	Host     Host
	Accounts *account.Accounts
	Hasher   *account.Hasher
	Logger   *slog.Logger
	Status   func(context.Context) (raftnode.Status, error) // what this box knows of itself
	Now      func() time.Time                               // nil: time.Now
}

// Circle takes people's decisions. It is safe for concurrent use.
type Circle struct {
	cfg  Config
	log  *slog.Logger
	desk *pair.Desk
	told [32]byte // head of the roster that was remembered last; FollowMembers alone

	settling sync.Mutex                   // one at a time changes the settings of this box
	entering sync.Mutex                   // one at a time begins a circle or enters one
	ahead    atomic.Pointer[roster.State] // told by others, and on its way to the directory here; nil: none
	nudge    chan struct{}                // capacity 1: ahead changed
	entered  atomic.Bool                  // this box was let in, though its directory may not be here yet
}

// New returns a Circle over a node and a host that are about to run.
func New(cfg Config) (*Circle, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Circle{cfg: cfg, log: cfg.Logger, nudge: make(chan struct{}, 1)}
	return c, c.openDesk()
}

// Person is somebody who gets an account.
type Person struct {
	Login    string // see account.CheckName
	FullName string
	Password string
}

// Place says what a box is called and where it stands.
type Place struct {
	House string // a new house's name, or an existing one's
	Box   string
	// SameHouse says that House names a house of the circle, in which the box stands too.
	SameHouse bool
}

// Found begins a circle of this one box.
func (c *Circle) Found(ctx context.Context, name string, place Place, keeper Person) error {
	c.entering.Lock()
	defer c.entering.Unlock()
	if c.Claimed() || c.entered.Load() {
		return ErrInCircle
	}
	acc, err := c.cfg.Hasher.NewKeeperAccount(ctx, account.CleanName(keeper.Login), keeper.FullName, keeper.Password)
	if err != nil {
		return err
	}
	now := c.cfg.Now().UnixMilli()
	acc.Created, acc.Space = now, ident.NewShardID()
	change := roster.NewFound(roster.FoundBody{
		CircleName: name, Box: c.cfg.Key.BoxID(), BoxName: place.Box,
		House: ident.NewHouseID(), HouseName: place.House,
		Keeper: acc.ID, KeeperKey: acc.KeeperKey, Time: now, Nonce: roster.NewNonce(),
	}, c.cfg.Key)
	if err := roster.Check(change); err != nil {
		return err // before anything is kept
	}
	space := directory.Space{ID: acc.Space, Name: acc.Name, Owner: acc.ID, Created: now}
	if err := c.cfg.Node.Found(ctx, directory.Found{Change: change, Account: acc, Space: &space}); err != nil {
		return err
	}
	c.log.Info("circle founded", "box", c.cfg.Key.BoxID().Short())
	return nil
}

// Claimed reports whether this box is in a circle.
func (c *Circle) Claimed() bool {
	return c.cfg.Node.Directory(func(v directory.View) error {
		if v.Roster() == nil {
			return ErrNoCircle
		}
		return nil
	}) == nil
}

// command has the circle decide, and turns a refusal into an error.
func (c *Circle) command(ctx context.Context, cmd directory.Command) (directory.Outcome, error) {
	out, err := c.cfg.Node.Command(ctx, cmd)
	if err == nil && out.Code != directory.Done && out.Code != directory.Waiting {
		err = &RefusedError{out.Code}
	}
	return out, err
}

// look reads the directory.
func (c *Circle) look(fn func(directory.View) error) error {
	err := c.cfg.Node.Directory(func(v directory.View) error {
		if v.Roster() == nil {
			return ErrNoCircle
		}
		return fn(v)
	})
	if errors.Is(err, raftnode.ErrNoCircle) {
		return ErrNoCircle
	}
	return err
}

// Box finds an active or former box by its name, its ID, or the name of its house
// when that has only one.
func (c *Circle) Box(name string) (found roster.Box, err error) {
	err = c.look(func(v directory.View) error {
		found, err = findBox(v.Roster(), name)
		return err
	})
	return found, err
}

func findBox(r *roster.State, name string) (roster.Box, error) {
	var former *roster.Box
	for _, b := range r.Boxes() {
		if b.Name != name && string(b.ID) != name {
			continue
		}
		if r.Active(b.ID) {
			return b, nil
		}
		former = &b
	}
	if former != nil {
		return *former, nil
	}
	for _, h := range r.Houses() {
		if h.Name == name && len(h.Boxes) == 1 {
			b, _ := r.Box(h.Boxes[0])
			return b, nil
		}
	}
	return roster.Box{}, fmt.Errorf("%w: %q", ErrNoBox, name)
}
