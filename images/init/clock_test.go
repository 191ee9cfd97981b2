package main

import (
	"path/filepath"
	"testing"
	"time"
)

// Rule: after a power cut the clock goes on from the last time that was noted, and never
// from before the release was made; a clock that is right is left alone.
func TestTheClockGoesOnFromTheLastKnownTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock")
	made := time.Unix(1_800_000_000, 0)
	noted := made.Add(24 * time.Hour)
	if then, wrong := lastKnown(time.Unix(0, 0), made, file); !wrong || !then.Equal(made) {
		t.Errorf("a new box: %v, %t", then, wrong)
	}
	if err := noteTime(noted, file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now   time.Time
		wrong bool
	}{{time.Unix(0, 0), true}, {noted.Add(-time.Second), true}, {noted, false}, {noted.Add(time.Hour), false}} {
		if then, wrong := lastKnown(c.now, made, file); wrong != c.wrong || !then.Equal(noted) {
			t.Errorf("at %v: %v, %t", c.now, then, wrong)
		}
	}
	back := noted.Add(-time.Hour)
	if err := noteTime(back, file); err != nil { // the internet has set the clock right
		t.Fatal(err)
	}
	if then, _ := lastKnown(noted, made, file); !then.Equal(back) {
		t.Errorf("a clock that was set right is not noted: %v", then)
	}
}
