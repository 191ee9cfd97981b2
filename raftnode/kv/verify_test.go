package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// filled returns the bytes of a state file of a few hundred pages with branches
// and overflow pages, and what Hash says of it.
func filled(t testing.TB) ([]byte, [32]byte) {
	t.Helper()
	s := newStore(t)
	for i := range 60 {
		var pairs []string
		for j := range 40 {
			pairs = append(pairs, fmt.Sprintf("%04d=%s", (i*977+j*131)%3000, strings.Repeat("x", (i*j)%600)))
		}
		pairs = append(pairs, fmt.Sprintf("big%d=%s", i%3, strings.Repeat("y", 9000)))
		apply(t, s, uint64(i+1), pairs...)
		if i%7 == 0 {
			flush(t, s)
		}
	}
	flush(t, s)
	var sum [32]byte
	if err := s.View(func(r Reader) error { sum = Hash(r); return nil }); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return b, sum
}

// TestFlippedBitsAreFoundOrHarmless flips bits all over a file: Open says
// ErrDamaged, or everything in it is as it was.
func TestFlippedBitsAreFoundOrHarmless(t *testing.T) {
	b, want := filled(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	found := 0
	const flips = 300
	for range flips {
		at := rnd.IntN(len(b))
		if rnd.IntN(2) == 0 {
			at = at/pageSize*pageSize + rnd.IntN(80) // heads of pages
		}
		bit := byte(1) << rnd.IntN(8)
		b[at] ^= bit
		sum, err := load(t, b)
		b[at] ^= bit
		switch {
		case errors.Is(err, ErrDamaged):
			found++
		case err != nil:
			t.Fatalf("bit %x at %d: %v", bit, at, err)
		case sum != want && at >= 2*pageSize: // a bad meta page falls back to the flush before
			t.Fatalf("bit %x at %d went unnoticed", bit, at)
		}
	}
	if found < flips/4 {
		t.Errorf("only %d of %d flips found", found, flips)
	}
}

func load(t testing.TB, b []byte) (sum [32]byte, err error) {
	path := filepath.Join(t.TempDir(), "flipped.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		return sum, err
	}
	defer s.Close()
	return sum, s.View(func(r Reader) error { sum = Hash(r); return nil })
}

func TestCutFilesAreDamaged(t *testing.T) {
	b, _ := filled(t)
	for _, n := range []int{0, 1, 4096, 8192, 16384, len(b) / 2, len(b) - 1} {
		if _, err := load(t, b[:n]); !errors.Is(err, ErrDamaged) && n != len(b)-1 {
			t.Errorf("cut to %d bytes: got %v, want ErrDamaged", n, err)
		}
	}
}

func TestDamageWhileRunning(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, "needle=value", "other=fine")
	flush(t, s)
	b, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := 0; at < len(b); at++ { // in every copy of the page
		if strings.HasPrefix(string(b[at:min(at+11, len(b))]), "needlevalue") {
			if _, err := f.WriteAt([]byte{'V'}, int64(at+6)); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(key string) error {
		return s.View(func(r Reader) error { r.Get([]byte(key)); return nil })
	}
	if err := read("needle"); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
	if err := read("other"); err != nil {
		t.Errorf("a good key: %v", err)
	}
	_, copied := s.Copy(filepath.Join(t.TempDir(), "copy"))
	if !errors.Is(copied, ErrDamaged) {
		t.Errorf("copy: got %v, want ErrDamaged", copied)
	}
}

func TestFileCutWhileRunning(t *testing.T) {
	s := newStore(t)
	for i := range uint64(50) {
		apply(t, s, i+1, fmt.Sprintf("key%d=%s", i, strings.Repeat("z", 3000)))
	}
	flush(t, s)
	if err := os.Truncate(s.path, 8192); err != nil {
		t.Fatal(err)
	}
	err := s.View(func(r Reader) error { Hash(r); return nil })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

func TestUnknownFormatIsRefused(t *testing.T) {
	s := newStore(t)
	err := s.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, seal(formatKey, []byte{9}))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(s.path); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "format 09") {
		t.Errorf("got %v", err)
	}
}

// FuzzVerify reads files of any bytes, and good ones with some bytes changed.
func FuzzVerify(f *testing.F) {
	s := newStore(f)
	for i := range uint64(3) {
		apply(f, s, i+1, fmt.Sprintf("key%d=%s", i, strings.Repeat("v", 2000)))
		flush(f, s)
	}
	good, err := os.ReadFile(s.path)
	if err != nil {
		f.Fatal(err)
	}
	good = good[:16*pageSize]
	f.Add(uint32(3*pageSize+9), []byte{1, 0, 1, 0})
	f.Add(uint32(0), good[:2*pageSize])
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		b := bytes.Clone(good)
		at %= uint32(len(b))
		copy(b[at:], change)
		// The sum of a meta page that was changed is made right again, or nothing else is looked at.
		for meta := range 2 {
			m := b[meta*pageSize+headSize:][:64]
			h := fnv.New64a()
			h.Write(m[:56])
			binary.LittleEndian.PutUint64(m[56:], h.Sum64())
		}
		if err := verify(bytes.NewReader(b)); err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
}

func TestPutRefusesWhatTheFileCannotHold(t *testing.T) {
	for name, put := range map[string]func(*Layer){
		"empty key":   func(l *Layer) { l.Put(nil, nil) },
		"long key":    func(l *Layer) { l.Put(make([]byte, MaxKey+1), nil) },
		"large value": func(l *Layer) { l.Put([]byte{1}, make([]byte, MaxValue+1)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			put(NewLayer(Empty{}))
		}()
	}
	s := newStore(t)
	err := s.Apply(1, 1, func(w Writer) error {
		w.Put(make([]byte, MaxKey), make([]byte, MaxValue))
		w.Put(append(make([]byte, MaxKey-1), 1), make([]byte, MaxValue))
		return nil
	})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	openStore(t, s.path)
}
