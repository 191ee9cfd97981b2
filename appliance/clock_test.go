package appliance

import (
	"sync/atomic"
	"testing"
	"time"

	"redhen/images/layout"
)

// A box whose clock went on from a week ago has it set by a friend's; the friend's own
// clock, which is ahead, stays.
func TestFriendsSetTheClock(t *testing.T) {
	var set, ahead atomic.Pointer[time.Time]
	behind := &Clock{
		Now: func() time.Time { return time.Now().Add(-7 * 24 * time.Hour) },
		Set: func(to time.Time) error { set.Store(&to); return nil }, Every: 50 * time.Millisecond,
	}
	right := &Clock{Set: func(to time.Time) error { ahead.Store(&to); return nil }, Every: 50 * time.Millisecond}
	hen := runSlot(t, t.TempDir(), newCard(t), layout.A, 10, func(c *Config) { c.Clock = right })
	hen.found(t)
	oak := runSlot(t, t.TempDir(), newCard(t), layout.A, 10, func(c *Config) { c.Clock = behind })
	oak.joins(t, hen)
	awaits(t, "the clock is set", func() bool { return set.Load() != nil })
	if off := time.Since(*set.Load()); off < -time.Second || off > patience {
		t.Errorf("it is set %v behind", off)
	}
	if to := ahead.Load(); to != nil {
		t.Errorf("the clock that is right was set to %v", to)
	}
	hen.stop(t)
	oak.stop(t)
}
