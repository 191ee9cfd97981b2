package account

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

// looked counts the guesses that were hashed rather than refused before.
func looked(t *testing.T, guesses int, guess func(i int) error) (n int) {
	t.Helper()
	for i := range guesses {
		err := guess(i)
		var slow *SlowError
		switch {
		case errors.Is(err, ErrWrong):
			n++
		case !errors.As(err, &slow) || slow.Wait <= 0 || slow.Wait > maxWait:
			t.Fatalf("guess %d: got %v", i, err)
		}
	}
	return n
}

func TestTenThousandGuessesAreRefusedBeforeHashing(t *testing.T) {
	for name, tt := range map[string]struct {
		guess func(i int) (name, from string)
		most  int
	}{
		"one account, one address":       {func(int) (string, string) { return "hen1", "203.0.113.5" }, freePerAccount},
		"one account, all addresses":     {func(i int) (string, string) { return "hen1", fmt.Sprintf("203.0.%d.%d", i>>8, i&255) }, freePerAccount},
		"all names, one address":         {func(i int) (string, string) { return fmt.Sprint("n", i), "203.0.113.5" }, freePerSource},
		"all names, one IPv6 house":      {func(i int) (string, string) { return fmt.Sprint("n", i), fmt.Sprintf("2001:db8::%x", i+1) }, freePerSource},
		"all names, IPv4 inside of IPv6": {func(i int) (string, string) { return fmt.Sprint("n", i), "::ffff:203.0.113.5" }, freePerSource},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.at(1)
			n := looked(t, 10_000, func(i int) error {
				who, addr := tt.guess(i)
				_, _, err := a.Login(from(t, addr), who, fmt.Sprint("guess ", i))
				return err
			})
			if n > tt.most {
				t.Errorf("%d of 10,000 guesses were hashed, want at most %d", n, tt.most)
			}
		})
	}
}

func TestWaitsGrowAndAreForgiven(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	g := newGuard(func() time.Time { return now }, slog.New(slog.DiscardHandler))
	addr := netip.MustParseAddr("192.0.2.1")
	for i := range freePerAccount {
		if wait := g.begin("anna", addr); wait > 0 {
			t.Fatalf("guess %d waits %s", i, wait)
		}
	}
	want := firstWait
	for range 20 {
		wait := g.begin("anna", addr)
		if wait != want {
			t.Fatalf("got %s, want %s", wait, want)
		}
		if again := g.begin("anna", addr); again != wait {
			t.Fatalf("asking again made it %s", again)
		}
		now = now.Add(wait)
		if wait := g.begin("anna", addr); wait > 0 {
			t.Fatalf("after the wait: %s more", wait)
		}
		want = min(2*want, maxWait)
	}
	now = now.Add(forgiven + 1)
	for i := range freePerAccount {
		if wait := g.begin("anna", addr); wait > 0 {
			t.Fatalf("a day later, guess %d waits %s", i, wait)
		}
	}
}

func TestAYearOfGuessing(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	g := newGuard(func() time.Time { return now }, slog.New(slog.DiscardHandler))
	end, n := now.AddDate(1, 0, 0), 0
	for i := 0; now.Before(end); i++ {
		addr := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		wait := g.begin("anna", addr)
		if wait == 0 {
			n++
		}
		now = now.Add(max(wait, time.Millisecond))
	}
	if limit := int(366*24*time.Hour/maxWait) + 20; n > limit {
		t.Errorf("%d guesses in a year, want at most %d", n, limit)
	}
}

func TestAStrangersGuessingLocksNobodyOutAtHome(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	home := from(t, "192.168.1.7")
	if _, _, err := a.Login(home, "hen1", password); err != nil {
		t.Fatal(err)
	}
	looked(t, 100, func(i int) error {
		_, _, err := a.Login(from(t, "203.0.113.5"), "hen1", fmt.Sprint("guess ", i))
		return err
	})
	var slow *SlowError
	if _, _, err := a.Login(from(t, "198.51.100.1"), "hen1", "yet another guess"); !errors.As(err, &slow) {
		t.Errorf("elsewhere: got %v, want a wait", err)
	}
	w.pass(rightFor + 1) // the verdict is forgotten: this login is a guess of its own
	if _, _, err := a.Login(home, "hen1", password); err != nil {
		t.Errorf("at home: got %v", err)
	}
	n := looked(t, 100, func(i int) error {
		_, _, err := a.Login(home, "hen1", fmt.Sprint("guess at home ", i))
		return err
	})
	if n > freePerAccount {
		t.Errorf("a friend's address has %d guesses", n)
	}
}

// Whoever has an account cannot use it to guess faster at another's.
func TestOwnLoginsBuyNoGuesses(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	g := newGuard(func() time.Time { return now }, slog.New(slog.DiscardHandler))
	addr := netip.MustParseAddr("192.0.2.1")
	n := 0
	for i := range 10_000 {
		if g.begin("mallory", addr) == 0 {
			g.passed("mallory", addr)
		}
		if g.begin(fmt.Sprint("victim", i), addr) == 0 {
			n++
		}
	}
	if n > freePerSource {
		t.Errorf("%d guesses at once, want at most %d", n, freePerSource)
	}
}

func TestAGuessThatWasNotLookedAtIsTakenBack(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	for range maxQueue {
		a.cfg.Hasher.line <- struct{}{}
	}
	for i := range 100 {
		if _, _, err := a.Login(t.Context(), "hen1", fmt.Sprint("guess ", i)); !errors.Is(err, ErrBusy) {
			t.Fatalf("got %v, want ErrBusy", err)
		}
	}
	for range maxQueue {
		<-a.cfg.Hasher.line
	}
	if _, _, err := a.Login(t.Context(), "hen1", password); err != nil {
		t.Errorf("got %v", err)
	}
}
