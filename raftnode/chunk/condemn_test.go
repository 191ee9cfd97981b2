package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"

	"redhen/raftnode/vfs/vfstest"
)

// remove condemns a chunk and removes it.
func remove(s *Store, h Hash) error {
	if err := s.Condemn([]Hash{h}, 1); err != nil {
		return err
	}
	return s.Remove(h, 1)
}

func mustCondemn(t *testing.T, s *Store, now int64, hs ...Hash) {
	t.Helper()
	if err := s.Condemn(hs, now); err != nil {
		t.Fatal(err)
	}
}

// Whoever finds a condemned chunk relies on it: it is rescued, also after a restart.
func TestWhoReliesOnACondemnedChunkRescuesIt(t *testing.T) {
	body := []byte("eggs")
	h := Sum(body)
	for name, rely := range map[string]func(*Store) error{
		"put":       func(s *Store) error { _, err := s.Put(body); return err },
		"put named": func(s *Store) error { return s.PutNamed(h, body) },
		"has":       func(s *Store) error { s.Has(h); return nil },
		"lease":     func(s *Store) error { _, err := s.Lease([]Hash{h}, 5); return err },
		"rescue":    func(s *Store) error { return s.Rescue(h) },
	} {
		dir, c := t.TempDir(), &clock{1}
		s := openLeased(t, dir, c)
		mustPut(t, s, body)
		mustCondemn(t, s, 10, h)
		if err := rely(s); err != nil {
			t.Fatal(err)
		}
		c.ms = 100 // no lease is left
		for range 2 {
			if err := s.Remove(h, 1000); !errors.Is(err, ErrRescued) {
				t.Errorf("%s: %v", name, err)
			}
			s = openLeased(t, dir, c)
		}
		if _, err := s.Get(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What nobody asks for goes when it has been condemned for long enough; looking at
// it to verify or to send it is no reliance.
func TestACondemnedChunkGoes(t *testing.T) {
	dir, c := t.TempDir(), &clock{1}
	s := openLeased(t, dir, c)
	h := mustPut(t, s, []byte("eggs"))
	mustCondemn(t, s, 10, h)
	mustCondemn(t, s, 20, h) // it stays so since 10
	s = openLeased(t, dir, c)
	if _, err := s.Verify(h); err != nil {
		t.Fatal(err)
	}
	if got := s.Condemned(h); got != 10 {
		t.Errorf("condemned since %d, want 10", got)
	}
	if err := s.Remove(h, 9); !errors.Is(err, ErrRescued) {
		t.Errorf("removed before its time: %v", err)
	}
	if err := s.Remove(h, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(); err != nil || s.Condemned(h) != 0 {
		t.Errorf("forget: %v", err)
	}
	if s.Has(h) {
		t.Error("it is still there")
	}
}

// A list that is damaged anywhere may have lost a rescue: it counts for nothing.
func TestADamagedListOfTheCondemnedIsForgotten(t *testing.T) {
	d, c := vfstest.New(1), &clock{1}
	open := func() *Store {
		s, err := Open(diskConfig(d, c))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	a, b := mustPut(t, s, []byte("a")), mustPut(t, s, []byte("b"))
	mustCondemn(t, s, 10, a, b)
	if err := s.Rescue(a); err != nil {
		t.Fatal(err)
	}
	raw, err := readFile(d, s.condemned.name)
	if err != nil || len(raw) < 2*leaseBlock {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	find := func(list []byte, what string) {
		f, err := d.OpenFile(s.condemned.name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		if err == nil {
			err = errors.Join(writeSynced(f, list, 0), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		if open().Condemned(a) != 0 {
			t.Fatalf("%s: a rescue is lost", what)
		}
	}
	find(raw, "whole")
	for _, block := range []int{0, len(raw) - leaseBlock} {
		for at := range 2 * leaseSize {
			bad := bytes.Clone(raw)
			bad[block+at] ^= 4
			find(bad, fmt.Sprintf("byte %d", block+at))
		}
	}
	for cut := leaseSize; cut < 2*leaseSize; cut++ {
		find(raw[:len(raw)-leaseBlock+cut], fmt.Sprintf("cut at %d", cut))
	}
}

// However the power goes: what was relied on since it was condemned is not condemned,
// and is there.
func TestRescuesSurvivePowerCuts(t *testing.T) {
	for seed := range uint64(150) {
		d, c, rng := vfstest.New(seed), &clock{1}, rand.New(rand.NewPCG(seed, 9))
		d.Garbage(seed%2 == 0)
		relied := map[Hash]bool{}
		now := int64(1)
		for round := range 4 {
			s, err := Open(diskConfig(d, c))
			if err != nil {
				t.Fatal(err)
			}
			for h := range relied {
				if s.Condemned(h) != 0 || !s.there(h) {
					t.Fatalf("seed %d, round %d: condemned since %d", seed, round, s.Condemned(h))
				}
			}
			switch {
			case seed%3 == 0:
				d.FailAt(1+rng.IntN(60), syscall.EIO)
			default:
				d.CutAt(1 + rng.IntN(60))
			}
			for range 40 {
				now++
				err = relyOrCondemn(s, rng, now, relied)
				if errors.Is(err, vfstest.ErrPowerCut) {
					break
				}
			}
			d.Restart()
		}
	}
}

// relyOrCondemn does one thing to one of ten chunks, and notes who may be relied on.
func relyOrCondemn(s *Store, rng *rand.Rand, now int64, relied map[Hash]bool) error {
	body := fmt.Appendf(nil, "chunk %d", rng.IntN(10))
	h := Sum(body)
	switch rng.IntN(5) {
	case 0, 1:
		delete(relied, h)
		return s.Condemn([]Hash{h}, now)
	case 2:
		delete(relied, h)
		if err := s.Condemn([]Hash{h}, now); err != nil {
			return err
		}
		return s.Remove(h, now)
	case 3:
		if s.Has(h) && s.syncFolder(s.folder(h)) == nil {
			relied[h] = true
		}
		return nil
	}
	_, err := s.Put(body)
	if err == nil {
		relied[h] = true
	}
	return err
}

// A full disk keeps nobody from relying on a chunk.
func TestARescueOnAFullDisk(t *testing.T) {
	d, c := vfstest.New(1), &clock{1}
	s, err := Open(diskConfig(d, c))
	if err != nil {
		t.Fatal(err)
	}
	h, other := mustPut(t, s, []byte("eggs")), mustPut(t, s, []byte("hay"))
	mustCondemn(t, s, 10, h, other)
	d.SetCapacity(d.Used())
	if !s.Has(h) {
		t.Fatal("cannot be relied on")
	}
	d.Restart()
	if s, err = Open(diskConfig(d, c)); err != nil {
		t.Fatal(err)
	}
	if s.Condemned(h) != 0 {
		t.Error("the rescue is lost")
	}
}

func TestVerifyTellsOfLosses(t *testing.T) {
	d, c := vfstest.New(1), &clock{1}
	s, err := Open(diskConfig(d, c))
	if err != nil {
		t.Fatal(err)
	}
	var hs []Hash
	for i := range 20 {
		hs = append(hs, mustPut(t, s, fmt.Append(nil, "chunk ", i)))
	}
	slices.SortFunc(hs, Hash.Compare)
	for _, h := range []Hash{hs[3], hs[11]} {
		if err := d.Flip(s.folder(h).name(h), 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Reads()
	var visited []Hash
	for h := range s.After(hs[2]) {
		visited = append(visited, h)
		if _, err := s.Verify(h); errors.Is(err, ErrDamaged) != (h == hs[3] || h == hs[11]) {
			t.Errorf("verify: %v", err)
		}
	}
	if !slices.Equal(visited, hs[3:]) {
		t.Errorf("visited %d, want %d", len(visited), len(hs)-3)
	}
	<-s.Lost()
	if got := s.TakeLost(); !slices.Equal(got, []Hash{hs[3], hs[11]}) {
		t.Errorf("lost %v", got)
	}
	if s.Reads() != before {
		t.Error("verifying counts as people's reading")
	}
	if _, err := s.Verify(hs[3]); !errors.Is(err, ErrMissing) {
		t.Errorf("verify again: %v", err)
	}
}
