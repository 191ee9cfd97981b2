package appliance

import (
	"context"
	"time"

	"redhen/board/clock"
)

// Clock is that of a machine, which keeps no time while it is off. Set is needed.
type Clock struct {
	Set   func(time.Time) error
	Now   func() time.Time // nil = time.Now
	Every time.Duration    // between two looks at those of friends; 0 = a minute
}

// followClocks sets the clock of a box that has no chip for it by those of its friends,
// until ctx ends: they know the time where the internet's time is out of reach.
func (a *Appliance) followClocks(ctx context.Context) error {
	if a.cfg.Clock == nil {
		return nil
	}
	c := *a.cfg.Clock
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Every == 0 {
		c.Every = time.Minute
	}
	for {
		if err := a.setClock(ctx, c); err != nil && ctx.Err() == nil {
			a.log.Debug("clocks of friends", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.Every):
		}
	}
}

func (a *Appliance) setClock(ctx context.Context, c Clock) error {
	if !a.circle.Claimed() {
		return nil
	}
	boxes, err := a.node.CircleStatus(ctx)
	if err != nil {
		return err
	}
	var friends []time.Time
	for _, b := range boxes {
		if b.Box != a.key.BoxID() && b.Time > 0 {
			friends = append(friends, time.UnixMilli(b.Time))
		}
	}
	then, behind := clock.Behind(c.Now(), friends)
	if !behind {
		return nil
	}
	if err := c.Set(then); err != nil {
		return err
	}
	a.log.Info("clock set by friends", "to", then.UTC(), "friends", len(friends))
	return nil
}
