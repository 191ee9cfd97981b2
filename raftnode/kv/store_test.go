package kv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func newStore(t testing.TB) *Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "state.db"))
}

func openStore(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func apply(t testing.TB, s *Store, index uint64, pairs ...string) {
	t.Helper()
	if err := s.Apply(index, 7, func(w Writer) error { put(w, pairs...); return nil }); err != nil {
		t.Fatal(err)
	}
}

func flush(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, s *Store) string {
	t.Helper()
	var out []string
	if err := s.View(func(r Reader) error { out = list(r, "", ""); return nil }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestAppliedIndexIsInTheTransaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openStore(t, path)
	apply(t, s, 5, "a=1")
	if s.Durable() != 0 || s.Pending() != 1 {
		t.Errorf("before flush: durable %d, pending %d", s.Durable(), s.Pending())
	}
	flush(t, s)
	if s.Durable() != 5 || s.Pending() != 0 {
		t.Errorf("after flush: durable %d, pending %d", s.Durable(), s.Pending())
	}
	apply(t, s, 6) // an entry that changes nothing counts too
	apply(t, s, 9, "b=2")
	// A box that loses power here has what was flushed and nothing else.
	lost := filepath.Join(t.TempDir(), "copy.db")
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(lost, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := openStore(t, lost)
	if index, term := again.Applied(); index != 5 || term != 7 || content(t, again) != "a=1" {
		t.Errorf("got index %d, term %d, %q", index, term, content(t, again))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again = openStore(t, path)
	if index, _ := again.Applied(); index != 9 || content(t, again) != "a=1 b=2" {
		t.Errorf("after close: got index %d, %q", index, content(t, again))
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, "a=1")
	boom := errors.New("boom")
	err := s.Apply(2, 1, func(w Writer) error {
		put(w, "a=2", "b=2")
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v, want boom", err)
	}
	if index, _ := s.Applied(); index != 1 || content(t, s) != "a=1" {
		t.Errorf("got index %d, %q", index, content(t, s))
	}
	if err := s.Apply(1, 1, func(Writer) error { return nil }); err == nil {
		t.Error("an entry was applied twice")
	}
}

func TestPanicOfTheCallerGoesOn(t *testing.T) {
	s := newStore(t)
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
		apply(t, s, 1, "a=1") // and nothing is left locked
	}()
	s.Apply(1, 1, func(Writer) error { panic("mine") })
}

func TestDamagedEndsTheApply(t *testing.T) {
	s := newStore(t)
	err := s.Apply(1, 1, func(w Writer) error {
		put(w, "a=1")
		Damaged("row %d", 7)
		return nil
	})
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "row 7") || content(t, s) != "" {
		t.Errorf("got %v, %q", err, content(t, s))
	}
}

func TestViewIsConsistent(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, "a=1")
	flush(t, s)
	apply(t, s, 2, "a=2")
	err := s.ViewAt(func(r Reader, at uint64) error {
		if at != 2 {
			t.Errorf("got index %d, want 2", at)
		}
		for i := uint64(3); i < 6; i++ {
			apply(t, s, i, fmt.Sprintf("a=%d", i), fmt.Sprintf("b%d=1", i))
			flush(t, s)
			if got := list(r, "", ""); !slices.Equal(got, []string{"a=2"}) {
				t.Errorf("after entry %d: %q", i, got)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestViewsBesideFlushes checks that each view sees whole entries only, whatever runs beside it.
func TestViewsBesideFlushes(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for i := uint64(1); i <= 300; i++ {
			v := fmt.Sprint(i)
			apply(t, s, i, "a="+v, "z="+v)
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				flush(t, s)
			}
		}
	})
	for range 3 {
		wg.Go(func() {
			for last := uint64(0); last < 300; {
				err := s.ViewAt(func(r Reader, at uint64) error {
					a, z := string(r.Get([]byte("a"))), string(r.Get([]byte("z")))
					if a != z || at > 0 && a != fmt.Sprint(at) || at < last {
						return fmt.Errorf("at %d after %d: a=%s z=%s", at, last, a, z)
					}
					last = at
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestFailedFlushKeepsEverything(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, "a=1", "b=1")
	flush(t, s)
	apply(t, s, 2, "a=2", "c=2")
	at, err := s.freeze()
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, 3, "c=3")
	if got := content(t, s); got != "a=2 b=1 c=3" {
		t.Errorf("while flushing: %q", got)
	}
	if err := s.thaw(at, fmt.Errorf("%w: %w", ErrFull, syscall.ENOSPC)); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if got := content(t, s); got != "a=2 b=1 c=3" || s.Durable() != 1 {
		t.Errorf("after the failure: %q, durable %d", got, s.Durable())
	}
	flush(t, s)
	if got := content(t, s); got != "a=2 b=1 c=3" || s.Durable() != 3 {
		t.Errorf("after the next flush: %q, durable %d", got, s.Durable())
	}
}

func TestFailedSyncStopsTheStore(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, "a=1")
	at, _ := s.freeze()
	if err := s.thaw(at, syscall.EIO); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	for name, err := range map[string]error{
		"flush": s.Flush(),
		"apply": s.Apply(2, 1, func(Writer) error { return nil }),
	} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v, want EIO", name, err)
		}
	}
	if got := content(t, s); got != "a=1" {
		t.Errorf("reading: %q", got)
	}
}

func TestDiskFull(t *testing.T) {
	s := newStore(t)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip(err)
	}
	if !isFull(fmt.Errorf("write: %w", syscall.ENOSPC)) || isFull(syscall.EIO) {
		t.Error("a full disk is not told apart")
	}
	s.db.MaxSize = 64 << 10
	apply(t, s, 1, "a="+strings.Repeat("x", 1<<20))
	if err := s.Flush(); err == nil {
		t.Error("a flush over the size went through")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	s := newStore(t)
	if _, err := Open(s.path); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}

func TestClosed(t *testing.T) {
	s := newStore(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, copied := s.Copy(filepath.Join(t.TempDir(), "c"))
	for name, err := range map[string]error{
		"view":    s.View(func(Reader) error { return nil }),
		"apply":   s.Apply(1, 1, func(Writer) error { return nil }),
		"flush":   s.Flush(),
		"copy":    copied,
		"replace": s.Replace("x"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
}

func TestCopyAndReplace(t *testing.T) {
	a, b := newStore(t), newStore(t)
	var pairs []string
	for i := range 3000 {
		pairs = append(pairs, fmt.Sprintf("key%06d=%s", i, strings.Repeat("v", i%4000)))
	}
	apply(t, a, 40, pairs...)
	apply(t, b, 3, "old=1")
	file := filepath.Join(filepath.Dir(b.path), "incoming")
	snap, err := a.Copy(file)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Size() != snap.Size || snap.Index != 40 || snap.Term != 7 {
		t.Errorf("snapshot %+v of file %v (%v)", snap, fi, err)
	}
	again, err := a.Copy(file)
	if err != nil || again != snap {
		t.Errorf("the second copy differs: %+v, %+v (%v)", snap, again, err)
	}
	if err := b.Replace(file); err != nil {
		t.Fatal(err)
	}
	if index, term := b.Applied(); index != 40 || term != 7 || b.Durable() != 40 || b.Pending() != 0 {
		t.Errorf("got %d, %d, durable %d, pending %d", index, term, b.Durable(), b.Pending())
	}
	if content(t, a) != content(t, b) {
		t.Error("the states differ")
	}
	apply(t, b, 41, "new=1")
	flush(t, b)
}

func TestReplaceRefusesADamagedFile(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, "a=1")
	file := filepath.Join(filepath.Dir(s.path), "incoming")
	if _, err := s.Copy(file); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(file)
	if err := os.WriteFile(file, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	apply(t, s, 2, "a=2")
	if err := s.Replace(file); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
	if got := content(t, s); got != "a=2" {
		t.Errorf("the refused file changed something: %q", got)
	}
}

func BenchmarkApplyOneKey(b *testing.B) {
	s := newStore(b)
	value := make([]byte, 200)
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		err := s.Apply(i, 1, func(w Writer) error {
			w.Put(fmt.Appendf(nil, "key%d", i%5000), value)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if i%500 == 0 {
			flush(b, s)
		}
	}
}
