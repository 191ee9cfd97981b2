// Package clock sets the clock of a box, which has no chip that keeps the time.
package clock

import (
	"fmt"
	"slices"
	"syscall"
	"time"
)

// Set sets the clock of this computer.
func Set(t time.Time) error {
	tv := syscall.NsecToTimeval(t.UnixNano())
	if err := syscall.Settimeofday(&tv); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

const (
	// Slack is how far a clock may be behind: an answer of a friend is seconds old.
	Slack = 2 * time.Minute
	// mostAhead bounds how far a clock is set ahead: nobody keeps a box in a drawer for longer.
	mostAhead = 10 * 365 * 24 * time.Hour
)

// Behind tells what time it is, from the clocks of friends, where a clock is behind them.
// The middle one counts, of two in the middle the earlier: a single wrong clock among three decides nothing. A clock
// without a chip is never ahead, as it went on from a time that had been; so it is never
// set back.
func Behind(now time.Time, friends []time.Time) (then time.Time, behind bool) {
	if len(friends) == 0 {
		return now, false
	}
	sorted := slices.SortedFunc(slices.Values(friends), time.Time.Compare)
	then = sorted[(len(sorted)-1)/2]
	ahead := then.Sub(now)
	return then, ahead > Slack && ahead < mostAhead
}
