package child

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"redhen/appliance/status"
)

// script makes a program that answers "run" in its own way.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFreePortIsFreeForBoth(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if port >= 32768 {
		t.Errorf("port %d may be taken by a passing connection while its box is down", port)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	u.Close()
}

func TestBoxThatEndsAtOnceSaysWhy(t *testing.T) {
	_, err := New(t.Context(), script(t, "echo first; echo the port is taken >&2; exit 1"), t.TempDir(), "a")
	if err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("start: %v, want its last words", err)
	}
}

// Rule: what a failed test shows of a box fits on a screen.
func TestLastWordsAreShort(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	said := "first\ntime=2026-11-25T10:38:51.340Z level=INFO msg=\"box is there\" box=x\n" + strings.Repeat("y", 5000) + "\n"
	if err := os.WriteFile(log, []byte(said), 0o600); err != nil {
		t.Fatal(err)
	}
	got := LastWords(log, 2)
	if want := "10:38:51.340 \"box is there\" box=x\nyyy"; !strings.HasPrefix(got, want) || len(got) > 300 {
		t.Errorf("last words: %.400q", got)
	}
	if got := LastWords(log+"not there", 2); !strings.Contains(got, "no such file") {
		t.Errorf("of a log that is gone: %q", got)
	}
}

// Rule: what a failed test shows of a circle names houses, spaces and faults.
func TestTellNamesWhatIsWrong(t *testing.T) {
	got := Tell(status.Report{
		Safe: "no", Sentence: "Not everything is safe.",
		Houses: []status.House{{Name: "Mill Lane", Reached: status.Reached{Words: "direct"}}},
		Spaces: []status.Space{{Words: "Files of Mia: one copy.", Houses: []string{"Mill Lane"}, Deciders: 2, Deciding: 1, Waiting: 3}},
		Faults: []status.Fault{{Code: "parted", What: "Two houses went on alone.", Details: []string{"era 3"}}},
	})
	for _, want := range []string{"safe: no", "Mill Lane: direct", "Files of Mia", "1 of 2 decide, 3 writes in one house", "parted: Two houses", "era 3"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestBoxThatNeverAnswersIsKilled(t *testing.T) {
	dir := t.TempDir()
	ctx, end := context.WithCancel(t.Context())
	go func() {
		for !exists(filepath.Join(dir, "pid")) {
		}
		end()
	}()
	_, err := New(ctx, script(t, "echo $$ > "+filepath.Join(dir, "pid")+".new; mv "+filepath.Join(dir, "pid")+".new "+filepath.Join(dir, "pid")+"; exec sleep 1000"), dir, "a")
	if err == nil {
		t.Fatal("started a box that does not answer")
	}
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}

func TestCommandTellsWhatThePersonWouldRead(t *testing.T) {
	out, err := Command(t.Context(), script(t, `cat; echo " $*"`), "/state", "secret", "found", "--circle", "x")
	if want := "secret --state /state --json found --circle x\n"; err != nil || string(out) != want {
		t.Errorf("command: %q, %v; want %q", out, err, want)
	}
	_, err = Command(t.Context(), script(t, "echo 'redhen: It did not work.' >&2; exit 1"), "/state", "", "status")
	if err == nil || !strings.Contains(err.Error(), "redhen status") || !strings.Contains(err.Error(), "It did not work.") {
		t.Errorf("command: %v", err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
