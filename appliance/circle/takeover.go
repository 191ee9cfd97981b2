package circle

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// OtherBoxError says that a takeover must look at another box first: one that is not
// in reach, or that has more than this one (Ahead).
type OtherBoxError struct {
	Box, House string
	Ahead      bool
}

// Error names the box.
func (e *OtherBoxError) Error() string {
	if e.Ahead {
		return fmt.Sprintf("box %s at %s has more than this one", e.Box, e.House)
	}
	return fmt.Sprintf("box %s at %s is not in reach", e.Box, e.House)
}

// words tell what is to be done about it.
func (e *OtherBoxError) words() Words {
	about := []any{"box", e.Box, "house", e.House}
	if e.Ahead {
		return Words{Code: "other-box-first", About: about, Sentence: fmt.Sprintf("The box %s at %s has more of what was decided last.%sDo the same at that box.", e.Box, e.House, unchanged)}
	}
	return Words{Code: "other-box-away", About: about, Sentence: fmt.Sprintf("The box %s at %s is not in reach, and may have what this one has not.%sWait until it is in reach, or give that house up as well.", e.Box, e.House, unchanged)}
}

// TakeOver has the circle go on from this box without houses that are lost for good,
// when so many are lost that it can decide nothing any more. The keeper is that of
// this box; houses are named in full, as a person types them to confirm.
func (c *Circle) TakeOver(ctx context.Context, houses []string, keeper, password string) error {
	acc, err := c.Account(keeper)
	if err != nil {
		return err
	}
	lost, err := c.boxesOf(houses, acc.ID)
	if err != nil {
		return err
	}
	key, err := c.cfg.Accounts.KeeperKey(ctx, acc.ID, password)
	if err != nil {
		return err
	}
	err = c.cfg.Node.TakeOver(ctx, lost, func(v directory.View) (roster.Change, error) { return c.signTakeover(v.Roster(), lost, key) })
	if other, ok := errors.AsType[*raftnode.SurvivorError](err); ok {
		return c.named(other)
	}
	return err
}

// KeeperKey opens the key of a keeper with their password.
func (c *Circle) KeeperKey(ctx context.Context, keeper, password string) (ident.Key, error) {
	acc, err := c.Account(keeper)
	if err != nil {
		return ident.Key{}, err
	}
	return c.cfg.Accounts.KeeperKey(ctx, acc.ID, password)
}

// boxesOf returns the active boxes of the houses, ascending; the account must be the
// keeper of this box, which stands elsewhere.
func (c *Circle) boxesOf(houses []string, keeper ident.AccountID) (boxes []ident.BoxID, err error) {
	err = c.look(func(v directory.View) error {
		r := v.Roster()
		here, _ := r.Box(c.cfg.Key.BoxID())
		if here.Keeper != keeper {
			return ErrNotKeeper
		}
		for _, name := range houses {
			i := slices.IndexFunc(r.Houses(), func(h roster.House) bool { return h.Name == name })
			if i < 0 {
				return fmt.Errorf("%w: %q", ErrNoHouse, name)
			}
			house := r.Houses()[i]
			if house.ID == here.House {
				return ErrOwnHouse
			}
			boxes = append(boxes, house.Boxes...)
		}
		return nil
	})
	slices.Sort(boxes)
	return slices.Compact(boxes), err
}

func (c *Circle) signTakeover(r *roster.State, lost []ident.BoxID, keeper ident.Key) (roster.Change, error) {
	body := roster.TakeoverBody{
		Circle: r.Circle(), Box: c.cfg.Key.BoxID(), Era: r.Era() + 1, Head: r.Head(), Time: c.cfg.Now().UnixMilli(),
	}
	for _, id := range lost {
		if b, ok := r.Box(id); ok && r.Active(id) {
			body.Lost = append(body.Lost, roster.Lost{Box: id, Rev: b.Rev})
		}
	}
	change := roster.NewTakeover(body, c.cfg.Key, keeper)
	_, err := r.Apply(change)
	return change, err
}

func (c *Circle) named(e *raftnode.SurvivorError) error {
	other := &OtherBoxError{Ahead: e.Ahead}
	if err := c.look(func(v directory.View) error {
		b, _ := v.Roster().Box(e.Box)
		h, _ := v.Roster().House(b.House)
		other.Box, other.House = b.Name, h.Name
		return nil
	}); err != nil {
		return err
	}
	return other
}
