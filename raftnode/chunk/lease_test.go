package chunk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// clock is a clock that a test turns by hand.
type clock struct{ ms int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms) }

func openLeased(t *testing.T, dir string, c *clock) *Store {
	cfg := testConfig(t, dir)
	cfg.Now = c.now
	return openTest(t, cfg)
}

func mustLease(t *testing.T, s *Store, until int64, hs ...Hash) []bool {
	t.Helper()
	have, err := s.Lease(hs, until)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

func TestALeasedChunkIsNotRemoved(t *testing.T) {
	dir, c := t.TempDir(), &clock{1000}
	s := openLeased(t, dir, c)
	here, coming := mustPut(t, s, []byte("here")), Sum([]byte("coming"))
	if got := mustLease(t, s, 2000, here, coming); !slices.Equal(got, []bool{true, false}) {
		t.Errorf("have %v", got)
	}
	mustLease(t, s, 1500, here) // a lease gets no shorter
	mustPut(t, s, []byte("coming"))

	s = openLeased(t, dir, c)
	for _, h := range []Hash{here, coming} {
		if err := remove(s, h); !errors.Is(err, ErrLeased) || !s.Leased(h) {
			t.Errorf("remove: %v", err)
		}
	}
	c.ms = 2000
	for _, h := range []Hash{here, coming} {
		if err := remove(s, h); err != nil || s.Leased(h) || s.Has(h) {
			t.Errorf("remove at the end: %v", err)
		}
	}
}

func TestALeaseOutlivesATornRecord(t *testing.T) {
	dir, c := t.TempDir(), &clock{1000}
	s := openLeased(t, dir, c)
	a, b := Hash{1}, Hash{2}
	mustLease(t, s, 2000, a)
	mustLease(t, s, 2000, b)
	name := filepath.Join(dir, "leases")
	raw, err := os.ReadFile(name)
	if err != nil || len(raw) != 2*leaseBlock {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	for cut := 0; cut < len(raw); cut += 1 + cut%97 {
		if err := os.WriteFile(name, raw[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s := openLeased(t, dir, c)
		if got, want := s.Leased(a), cut >= leaseSize; got != want {
			t.Fatalf("cut to %d: leased %v", cut, got)
		}
		mustLease(t, s, 2000, b)
		if s := openLeased(t, dir, c); !s.Leased(b) {
			t.Fatalf("cut to %d: a later lease is lost", cut)
		}
	}
}

func TestTheLeaseFileStaysSmall(t *testing.T) {
	dir, c := t.TempDir(), &clock{0}
	s := openLeased(t, dir, c)
	for i := range 20 {
		c.ms = int64(i) * 100
		var hs []Hash
		for j := range 1000 {
			hs = append(hs, Sum(fmt.Append(nil, i, j)))
		}
		mustLease(t, s, c.ms+100, hs...)
	}
	fi, err := os.Stat(filepath.Join(dir, "leases"))
	if limit := int64(2 * leaseSlack * leaseBlock); err != nil || fi.Size() > limit {
		t.Errorf("%d bytes, want at most %d; %v", fi.Size(), limit, err)
	}
	if len(s.leases.ends) > 10_000 {
		t.Errorf("%d leases in memory", len(s.leases.ends))
	}
}

func FuzzParseLease(f *testing.F) {
	f.Add(appendLease(nil, Hash{1}, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, end, ok := parseLease(b)
		if ok && !slices.Equal(appendLease(nil, h, end), b) {
			t.Errorf("%x: another encoding of %v until %d", b, h, end)
		}
	})
}
