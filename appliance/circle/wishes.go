package circle

import (
	"context"
	"fmt"
	"slices"

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
	wishes, err := c.BoxWishes()
	if err != nil {
		return err
	}
	wishes.Refuses = slices.Clone(wishes.Refuses) // the view's own
	change(&wishes)
	_, err = c.command(ctx, directory.Command{SetBox: &directory.SetBox{Settings: wishes}})
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
