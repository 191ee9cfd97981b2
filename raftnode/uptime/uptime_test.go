package uptime

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func open(t *testing.T, path string) *Clock {
	t.Helper()
	c, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// runFor runs the clock for a time, and ends it as a planned stop does.
func runFor(t *testing.T, c *Clock, d time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	time.Sleep(d)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Only the time for which the box runs counts, and it is kept.
func TestRunningTimeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "running")
		runFor(t, open(t, path), time.Hour+time.Second)
		time.Sleep(24 * time.Hour)
		c := open(t, path)
		runFor(t, c, 30*time.Minute+time.Second)
		if got := time.Duration(c.Now()) * time.Millisecond; got != 90*time.Minute {
			t.Errorf("got %v, want 1h30m", got)
		}
	})
}

// When the power goes, ten minutes at most are not counted, and none too many.
func TestAPowerCutCostsTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "running")
		ctx, cancel := context.WithCancel(t.Context())
		c := open(t, path)
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(59*time.Minute + time.Second)
		got := time.Duration(open(t, path).Now()) * time.Millisecond
		if got < 49*time.Minute || got > 59*time.Minute {
			t.Errorf("got %v after 59 minutes", got)
		}
		cancel()
		<-done
	})
}

// A file that is no clock begins anew: what waits for the clock waits longer.
func TestNonsenseBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "running")
	for _, b := range [][]byte{nil, []byte("soon"), make([]byte, 100), {0xff, 0, 0, 0, 0, 0, 0, 0}} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := open(t, path).Now(); got != 0 {
			t.Errorf("%x: got %d", b, got)
		}
	}
}
