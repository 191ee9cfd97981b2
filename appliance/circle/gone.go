package circle

import (
	"context"
	"fmt"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
)

// Gone has a keeper say that a box is lost for good, with their password. The
// circle then brings its copies to other houses. It returns how many more keepers
// must say so before it counts.
func (c *Circle) Gone(ctx context.Context, box string, keeper, password string) (more int, err error) {
	return c.gone(ctx, roster.Gone, box, "", keeper, password)
}

// Replace is Gone with the box that takes the lost one's place.
func (c *Circle) Replace(ctx context.Context, old, replacement string, keeper, password string) (more int, err error) {
	if replacement == "" {
		return 0, fmt.Errorf("%w: a replacement has a name", ErrNoBox)
	}
	return c.gone(ctx, roster.Gone, old, replacement, keeper, password)
}

// Stolen is Gone for a box that is in wrong hands, or Replace when replacement is not
// empty: the box is never let in again, the sessions that it gave end, and the secrets
// that it knew are changed.
func (c *Circle) Stolen(ctx context.Context, box, replacement string, keeper, password string) (more int, err error) {
	return c.gone(ctx, roster.Stolen, box, replacement, keeper, password)
}

// gone signs a change of kind Gone or Stolen, and sends it.
func (c *Circle) gone(ctx context.Context, kind roster.Kind, box, replacement, keeper, password string) (int, error) {
	acc, err := c.Account(keeper)
	if err != nil {
		return 0, err
	}
	body, err := c.goneBody(kind, box, replacement)
	if err != nil {
		return 0, err
	}
	key, err := c.cfg.Accounts.KeeperKey(ctx, acc.ID, password)
	if err != nil {
		return 0, err
	}
	sign := roster.NewGone
	if kind == roster.Stolen {
		sign = roster.NewStolen
	}
	change := sign(body, key)
	if err := c.maySay(key, body.Box, change); err != nil {
		return 0, err
	}
	out, err := c.command(ctx, directory.Command{Petition: &directory.SignPetition{Change: change}})
	return out.Needs, err
}

// goneBody is the body of the change; that of a petition which waits for the same
// when there is one, so that the signatures come together.
func (c *Circle) goneBody(kind roster.Kind, box, replacement string) (body roster.GoneBody, err error) {
	err = c.look(func(v directory.View) error {
		r := v.Roster()
		lost, err := findBox(r, box)
		if err != nil {
			return err
		}
		// One that left, or was taken over, may turn out to be in wrong hands.
		if former := kind == roster.Stolen && lost.Status != roster.StatusStolen; !r.Active(lost.ID) && !former {
			return fmt.Errorf("%w: %q is in the circle no more", ErrNoBox, box)
		}
		body = roster.GoneBody{Circle: r.Circle(), Box: lost.ID, Rev: lost.Rev, Time: c.cfg.Now().UnixMilli()}
		if replacement != "" {
			fresh, err := findBox(r, replacement)
			if err != nil {
				return err
			}
			body.Replacement = fresh.ID
		}
		for _, p := range v.Petitions() {
			if waiting, err := p.Change.GoneBody(); err == nil && p.Change.Kind == kind && same(waiting, body) {
				body = waiting
			}
		}
		return nil
	})
	return body, err
}

// same reports whether two bodies say the same, whenever they were written.
func same(a, b roster.GoneBody) bool {
	a.Time = b.Time
	return a == b
}

// maySay finds out here what the circle would refuse, to say why.
func (c *Circle) maySay(key ident.Key, box ident.BoxID, change roster.Change) error {
	return c.look(func(v directory.View) error {
		if !v.Roster().MayRemove(key.Public(), box) {
			return ErrNotKeeper
		}
		_, _, err := v.Roster().Gather(change)
		return err
	})
}
