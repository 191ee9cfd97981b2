package p2p

import (
	"testing"
	"time"

	"redhen/provision/ident"
)

// A box that knocks all day does not fill the log, and does not fill memory.
func TestAStrangerIsLoggedOnce(t *testing.T) {
	var s strangers
	a, _ := testPeer(t)
	b, _ := testPeer(t)
	now := time.Unix(1e9, 0)
	for _, step := range []struct {
		box   ident.BoxID
		after time.Duration
		want  bool
	}{
		{a, 0, true}, {a, time.Second, false}, {b, time.Second, true}, {a, tellAgain, true}, {b, tellAgain, false},
	} {
		if got := s.news(step.box, now.Add(step.after)); got != step.want {
			t.Errorf("%s after %v: got %v, want %v", step.box.Short(), step.after, got, step.want)
		}
	}
	for range 2 * maxStrangers {
		box, _ := testPeer(t)
		if !s.news(box, now) {
			t.Error("a new stranger was not told")
		}
	}
	if len(s.told) > maxStrangers {
		t.Errorf("%d are remembered", len(s.told))
	}
}
