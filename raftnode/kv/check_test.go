package kv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// A file may be checked while it is read and written, and is whole.
func TestCheckBesideWrites(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, "a=1")
	flush(t, s)
	if err := s.Check(t.Context()); err != nil { // all in the root page
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 60 {
			for j := range 4 {
				apply(t, s, uint64(2+4*i+j), fmt.Sprintf("%d=%s", (i*7+j)%50, strings.Repeat("x", 100*j+i*20)))
			}
			flush(t, s)
		}
	})
	for range 60 {
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
			break
		}
	}
	wg.Wait()
}

// What rots while the store is open is found; the store goes on.
func TestCheckFindsRot(t *testing.T) {
	b, _ := filled(t)
	found := 0
	for at := 2*pageSize + 40; at < len(b); at += 17 * pageSize / 3 {
		path := t.TempDir() + "/state.db"
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, path)
		bad := append([]byte(nil), b[at]^0x10)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			_, err = f.WriteAt(bad, int64(at))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		switch err := s.Check(t.Context()); {
		case errors.Is(err, ErrDamaged):
			found++
		case err != nil:
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if found < 10 {
		t.Errorf("%d times something was found", found)
	}
}

func TestCheckEnds(t *testing.T) {
	s := newStore(t)
	for i := range 40 {
		apply(t, s, uint64(i+1), fmt.Sprintf("%d=%s", i, strings.Repeat("x", 1000)))
	}
	flush(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
