package child

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// page is a log that may be read while it is written.
type page struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func TestAChildEndsWhenAsked(t *testing.T) {
	for _, script := range []string{"echo up; exec sleep 600", "trap '' TERM; echo up; sleep 600 & wait; wait"} {
		p := &page{}
		log := slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c, err := Start(log, "/bin/sh", "-c", script)
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(2 * time.Minute); !strings.Contains(p.String(), "up") && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		if !strings.Contains(p.String(), "sh says=up") {
			t.Errorf("the log has %q", p)
		}
		if strings.HasPrefix(script, "trap") { // asked, it would take lastWords
			c.cmd.Process.Kill()
			select {
			case <-c.Ended():
			case <-time.After(2 * time.Minute):
				t.Fatal("its own child keeps it")
			}
			for end := time.Now().Add(2 * time.Minute); syscall.Kill(-c.cmd.Process.Pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("its own child is left")
				}
			}
		}
		c.Stop()
		select {
		case <-c.Ended():
		default:
			t.Errorf("%s: still there", script)
		}
		c.Stop()
	}
	if _, err := Start(nil, filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestKeepStartsAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "starts")
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Keep(ctx, nil, time.Millisecond, "/bin/sh", "-c", "echo x >> "+file) }()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if b, _ := os.ReadFile(file); strings.Count(string(b), "x") >= 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it was not started again")
		}
	}
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
