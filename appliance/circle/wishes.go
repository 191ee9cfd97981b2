package circle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// BoxWishes returns what the keeper of this box decided about it.
func (c *Circle) BoxWishes() (wishes directory.BoxSettings, err error) {
	err = c.look(func(v directory.View) error {
		wishes = v.BoxSettings(c.cfg.Key.BoxID())
		return v.Err()
	})
	return wishes, err
}

// Wish changes what is decided about this box; by must be its keeper. What else is
// set stays as it is.
func (c *Circle) Wish(ctx context.Context, by ident.AccountID, change func(*directory.BoxSettings)) error {
	if !c.keepsThis(by) {
		return ErrNotKeeper
	}
	return c.settle(ctx, change)
}

// settle changes the settings of this box, one change at a time.
func (c *Circle) settle(ctx context.Context, change func(*directory.BoxSettings)) error {
	c.settling.Lock()
	defer c.settling.Unlock()
	wishes, err := c.BoxWishes()
	if err != nil {
		return err
	}
	wishes.Refuses = slices.Clone(wishes.Refuses) // the view's own
	change(&wishes)
	_, err = c.command(ctx, directory.Command{SetBox: &directory.SetBox{Settings: wishes}})
	return err
}

// Formats returns the level of formats that the circle has agreed to, and the one that
// this box told it that it reads; zero while it is in no circle.
func (c *Circle) Formats() (agreed, told uint64, err error) {
	err = c.look(func(v directory.View) error {
		agreed, told = v.Formats(), v.BoxSettings(c.cfg.Key.BoxID()).Reads
		return v.Err()
	})
	if errors.Is(err, ErrNoCircle) {
		err = nil
	}
	return agreed, told, err
}

// Reads tells the circle which formats this box reads; once all boxes read higher ones,
// the circle agrees to them.
func (c *Circle) Reads(ctx context.Context, level uint64) error {
	return c.settle(ctx, func(s *directory.BoxSettings) { s.Reads = level })
}

// ErrAnotherUpdates says that some other box is being updated just now.
var ErrAnotherUpdates = errors.New("another box of the circle is being updated")

// BeginUpdate takes the circle's one turn to update a box, until then; a zero time gives
// it back. The error is ErrAnotherUpdates while another has it.
func (c *Circle) BeginUpdate(ctx context.Context, until time.Time) error {
	err := c.settle(ctx, func(s *directory.BoxSettings) {
		if s.Updating = 0; !until.IsZero() {
			s.Updating = until.UnixMilli()
		}
	})
	if r, ok := errors.AsType[*RefusedError](err); ok && r.Code == directory.Changed {
		return ErrAnotherUpdates
	}
	return err
}

// keepsThis reports whether an account is the keeper of this box.
func (c *Circle) keepsThis(by ident.AccountID) bool {
	r := c.Roster()
	if r == nil {
		return false
	}
	b, _ := r.Box(c.cfg.Key.BoxID())
	return b.Keeper == by && by != ""
}

// Copies returns how many copies of their files a person wants.
func (c *Circle) Copies(login string) (n int, err error) {
	acc, err := c.Account(login)
	if err != nil {
		return 0, err
	}
	err = c.look(func(v directory.View) error {
		s, ok := v.Space(acc.Space)
		if !ok {
			return fmt.Errorf("%w: %q has no space", ErrNoAccount, login)
		}
		n = s.WantedCopies()
		return nil
	})
	return n, err
}

// SetCopies says how many copies of their files a person wants, 1 to directory.MaxCopies.
func (c *Circle) SetCopies(ctx context.Context, login string, n int) error {
	acc, err := c.Account(login)
	if err != nil {
		return err
	}
	var space directory.Space
	err = c.look(func(v directory.View) error {
		var ok bool
		if space, ok = v.Space(acc.Space); !ok {
			return fmt.Errorf("%w: %q has no space", ErrNoAccount, login)
		}
		return nil
	})
	if err != nil {
		return err
	}
	put := directory.PutSpace{Space: space, If: space.Version}
	put.Space.Copies = n
	_, err = c.command(ctx, directory.Command{PutSpace: &put})
	return err
}
