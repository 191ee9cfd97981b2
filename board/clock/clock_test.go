package clock

import (
	"testing"
	"time"
)

func TestTheMiddleOfFriendsCountsAndNothingIsSetBack(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		friends []time.Duration // ahead of now
		want    time.Duration   // 0: nothing is set
	}{
		"nobody":              {nil, 0},
		"one":                 {[]time.Duration{day}, day},
		"a little":            {[]time.Duration{Slack}, 0},
		"behind us":           {[]time.Duration{-day, -day, -day}, 0},
		"one of three is mad": {[]time.Duration{time.Second, 2 * time.Second, 900 * day}, 0},
		"two differ":          {[]time.Duration{900 * day, day}, day},
		"three know":          {[]time.Duration{day, day + time.Second, -900 * day}, day},
		"out of reason":       {[]time.Duration{20 * 365 * day}, 0},
	} {
		var friends []time.Time
		for _, ahead := range c.friends {
			friends = append(friends, now.Add(ahead))
		}
		then, behind := Behind(now, friends)
		if behind != (c.want != 0) || behind && then.Sub(now) != c.want {
			t.Errorf("%s: %v ahead, %t, want %v", name, then.Sub(now), behind, c.want)
		}
	}
}
