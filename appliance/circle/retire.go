package circle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
)

// Why a box does not leave.
var (
	// ErrHoldsAlone says that this box holds what no other house has.
	ErrHoldsAlone = errors.New("this box holds what no other house has")
	// ErrNobodyTakes says that no other box may hold a space.
	ErrNobodyTakes = errors.New("no other box takes a space")
)

// Leaving is how far a box is that retires.
type Leaving struct {
	Waiting int // changes that no other house has yet
	Spaces  int // that are still here

	needed bool // the others cannot decide without this box
}

const (
	drainFor   = 2 * time.Minute  // for what waits to reach other houses
	takeFor    = 30 * time.Second // for the circle to find other boxes
	leaveEvery = time.Second
)

// Retire takes this box out of the circle: what waits here goes to other houses,
// its copies move there, they learn to decide without this box, and then it signs that it
// leaves. When Retire returns it may be switched off. tell hears how far it is. It returns an error and stays when it alone has something. When ctx ends on the
// way, the box goes on leaving and can be called back by StayAfterAll, or Retire called again.
func (c *Circle) Retire(ctx context.Context, tell func(Leaving)) error {
	if err := c.mayRetire(); err != nil {
		return err
	}
	if err := c.drain(ctx, tell); err != nil {
		return err
	}
	if err := c.setLeaving(ctx, true); err != nil {
		return err
	}
	if err := c.moveAway(ctx, tell); err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, c.setLeaving(ctx, false))
		}
		return err
	}
	body, err := c.retireBody()
	if err != nil {
		return err
	}
	_, err = c.command(ctx, directory.Command{Roster: &directory.RosterChange{Change: roster.NewRetire(body, c.cfg.Key)}})
	if err == nil {
		c.log.Info("box retired", "box", c.cfg.Key.BoxID().Short())
	}
	return err
}

// StayAfterAll ends a Retire that has not come to its end.
func (c *Circle) StayAfterAll(ctx context.Context) error { return c.setLeaving(ctx, false) }

func (c *Circle) retireBody() (body roster.RetireBody, err error) {
	err = c.look(func(v directory.View) error {
		r := v.Roster()
		me, ok := r.Box(c.cfg.Key.BoxID())
		if !ok || !r.Active(me.ID) {
			return ErrNoCircle
		}
		body = roster.RetireBody{Circle: r.Circle(), Box: me.ID, Rev: me.Rev, Time: c.cfg.Now().UnixMilli()}
		return nil
	})
	return body, err
}

// mayRetire finds out here what the circle would refuse.
func (c *Circle) mayRetire() error {
	body, err := c.retireBody()
	if err != nil {
		return err
	}
	return c.look(func(v directory.View) error {
		_, err := v.Roster().Apply(roster.NewRetire(body, c.cfg.Key))
		return err
	})
}

// leaving says what is still here.
func (c *Circle) leaving(ctx context.Context) (l Leaving, err error) {
	st, err := c.cfg.Status(ctx)
	if err != nil {
		return l, err
	}
	for _, sh := range st.Shards {
		l.Waiting += sh.Pending
		if sh.Shard != ident.CircleShard && sh.Replica != 0 {
			l.Spaces++
		}
		for _, m := range sh.Members {
			l.needed = l.needed || m.Voter && m.Box == c.cfg.Key.BoxID()
		}
	}
	return l, nil
}

// drain waits until nothing waits here any more.
func (c *Circle) drain(ctx context.Context, tell func(Leaving)) error {
	end := time.Now().Add(drainFor)
	for {
		l, err := c.leaving(ctx)
		if err != nil || l.Waiting == 0 {
			return err
		}
		if tell(l); time.Now().After(end) {
			return fmt.Errorf("%w: %d changes", ErrHoldsAlone, l.Waiting)
		}
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// moveAway waits until other boxes hold what this one held, and decide without it: a copy, or
// a vote, goes only when those that stay have everything.
func (c *Circle) moveAway(ctx context.Context, tell func(Leaving)) error {
	end := time.Now().Add(takeFor)
	for {
		l, err := c.leaving(ctx)
		if err != nil || l.Waiting+l.Spaces == 0 && !l.needed {
			return err
		}
		tell(l)
		if space := c.placedHere(); space != "" && time.Now().After(end) {
			return fmt.Errorf("%w: %s", ErrNobodyTakes, space)
		}
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// placedHere returns the name of a space that the circle still wants at this box.
func (c *Circle) placedHere() (name string) {
	_ = c.look(func(v directory.View) error { // nothing is known without a circle
		for shard, p := range v.Placements() {
			for _, r := range p.Replicas {
				if s, ok := v.Space(shard); ok && r.Box == c.cfg.Key.BoxID() {
					name = s.Name
				}
			}
		}
		return nil
	})
	return name
}

func sleep(ctx context.Context) error {
	select {
	case <-time.After(leaveEvery):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Circle) setLeaving(ctx context.Context, leaving bool) error {
	var settings directory.BoxSettings
	err := c.look(func(v directory.View) error {
		settings = v.BoxSettings(c.cfg.Key.BoxID())
		return nil
	})
	if err != nil || settings.Leaving == leaving {
		return err
	}
	settings.Leaving = leaving
	_, err = c.command(ctx, directory.Command{SetBox: &directory.SetBox{Settings: settings}})
	return err
}
