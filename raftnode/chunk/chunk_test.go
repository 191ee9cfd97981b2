package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"redhen/raftnode/vfs"
)

func testConfig(t *testing.T, dir string) Config {
	return Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func openTest(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustPut(t *testing.T, s *Store, b []byte) Hash {
	t.Helper()
	h, err := s.Put(b)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// onDisk returns where the chunk's file is.
func onDisk(dir string, h Hash) string { return filepath.Join(dir, h.String()[:2], h.String()) }

func TestPutAndGet(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, testConfig(t, dir))
	for _, want := range [][]byte{[]byte("a"), bytes.Repeat([]byte("x"), Size)} {
		h := mustPut(t, s, want)
		if h != Sum(want) {
			t.Errorf("named %v, want %v", h, Sum(want))
		}
		mustPut(t, s, want) // twice is once
		s := openTest(t, testConfig(t, dir))
		if got, err := s.Get(h); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		plain, err := os.ReadFile(onDisk(dir, h))
		if err != nil || !bytes.Equal(plain, want) {
			t.Errorf("the file is not plain: %d bytes, %v", len(plain), err)
		}
	}
	if n, size := s.Usage(); n != 2 || size != 1+Size {
		t.Errorf("usage: %d chunks, %d bytes", n, size)
	}
}

func TestPutRefusesWhatIsNoChunk(t *testing.T) {
	s := openTest(t, testConfig(t, t.TempDir()))
	for _, b := range [][]byte{nil, make([]byte, Size+1)} {
		if _, err := s.Put(b); !errors.Is(err, ErrContent) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	if err := s.PutNamed(Sum([]byte("a")), []byte("b")); !errors.Is(err, ErrContent) {
		t.Errorf("wrong name: %v", err)
	}
	if err := s.PutNamed(Sum([]byte("a")), []byte("a")); err != nil {
		t.Error(err)
	}
	if n, _ := s.Usage(); n != 1 {
		t.Errorf("%d chunks are here", n)
	}
}

func TestMissing(t *testing.T) {
	s := openTest(t, testConfig(t, t.TempDir()))
	h := Sum([]byte("never put"))
	if _, err := s.Get(h); !errors.Is(err, ErrMissing) {
		t.Errorf("get: %v", err)
	}
	if s.Has(h) {
		t.Error("has it")
	}
	if err := remove(s, h); err != nil {
		t.Errorf("remove: %v", err)
	}
}

// A rotten chunk is reported once, kept for a look, and may be put again.
func TestADamagedChunkIsSetAside(t *testing.T) {
	want := []byte("what was written")
	for name, bad := range map[string][]byte{"flipped": []byte("what was writteN"), "short": want[:5], "empty": {}, "long": make([]byte, Size+1)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, testConfig(t, dir))
			h := mustPut(t, s, want)
			if err := os.WriteFile(onDisk(dir, h), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s.Usage() // from here on it is counted
			if _, err := s.Get(h); !errors.Is(err, ErrDamaged) {
				t.Fatalf("get: %v", err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "damaged", h.String())); err != nil || !bytes.Equal(got, bad) {
				t.Errorf("set aside: %q, %v", got, err)
			}
			if _, err := s.Get(h); !errors.Is(err, ErrMissing) || s.Has(h) {
				t.Errorf("afterwards: %v", err)
			}
			if n, _ := s.Usage(); n != 0 {
				t.Errorf("%d chunks counted", n)
			}
			mustPut(t, s, want)
			if got, err := s.Get(h); err != nil || !bytes.Equal(got, want) {
				t.Errorf("put again: %q, %v", got, err)
			}
			if n, size := s.Usage(); n != 1 || size != int64(len(want)) {
				t.Errorf("usage: %d chunks, %d bytes", n, size)
			}
		})
	}
}

// Put must not confirm bytes on the strength of a file that rotted unnoticed.
func TestPutHealsARottenChunk(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, testConfig(t, dir))
	want := []byte("what was written")
	h := mustPut(t, s, want)
	if err := os.WriteFile(onDisk(dir, h), []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, want)
	if got, err := s.Get(h); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRemoveAndAll(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, testConfig(t, dir))
	var want []Hash
	for i := range 50 {
		want = append(want, mustPut(t, s, fmt.Append(nil, "chunk ", i)))
	}
	if err := remove(s, want[7]); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 7, 8)
	slices.SortFunc(want, Hash.Compare)
	if err := os.WriteFile(filepath.Join(dir, want[0].String()[:2], "note.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(s.All()); !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", len(got), len(want))
	}
	for range s.All() {
		break // a visit may end early
	}
	if n, _ := s.Usage(); n != len(want) {
		t.Errorf("%d chunks counted, want %d", n, len(want))
	}
}

func TestConcurrentPuts(t *testing.T) {
	s := openTest(t, testConfig(t, t.TempDir()))
	s.Usage()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				want := fmt.Append(nil, "chunk ", i)
				h, err := s.Put(want)
				if err != nil {
					t.Error(err)
				}
				if got, err := s.Get(h); err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if n, _ := s.Usage(); n != 50 {
		t.Errorf("%d chunks, want 50", n)
	}
}

// countingFS counts folder syncs, and fails them when told to.
type countingFS struct {
	vfs.OS
	mu    sync.Mutex
	syncs int
	err   error
}

func (c *countingFS) SyncDir(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.syncs++
	if c.err != nil {
		return c.err
	}
	return c.OS.SyncDir(name)
}

// A name that a killed program left unsynced must be synced before it is confirmed.
func TestANameFoundAtOpenIsSyncedBeforeItCounts(t *testing.T) {
	dir := t.TempDir()
	h := mustPut(t, openTest(t, testConfig(t, dir)), []byte("a"))
	for name, confirm := range map[string]func(*Store) error{
		"put":   func(s *Store) error { _, err := s.Put([]byte("a")); return err },
		"lease": func(s *Store) error { _, err := s.Lease([]Hash{h}, time.Now().UnixMilli()-1); return err },
	} {
		cfg, fsys := testConfig(t, dir), &countingFS{}
		cfg.FS = fsys
		s := openTest(t, cfg)
		before := fsys.syncs
		if err := confirm(s); err != nil {
			t.Fatal(err)
		}
		if fsys.syncs == before {
			t.Errorf("%s: confirmed without a sync", name)
		}
		before = fsys.syncs
		if err := confirm(s); err != nil || fsys.syncs != before {
			t.Errorf("%s: %d syncs more the second time, %v", name, fsys.syncs-before, err)
		}
	}
}

// After a failed sync of a folder, a later good one proves nothing.
func TestAFailedFolderSyncStopsTheStore(t *testing.T) {
	cfg, fsys := testConfig(t, t.TempDir()), &countingFS{}
	cfg.FS = fsys
	s := openTest(t, cfg)
	kept := mustPut(t, s, []byte("kept"))
	fsys.err = errors.New("card is gone")
	if _, err := s.Put([]byte("a")); !errors.Is(err, ErrStopped) || !errors.Is(err, fsys.err) {
		t.Errorf("put: %v", err)
	}
	fsys.err = nil
	if _, err := s.Put([]byte("a")); !errors.Is(err, ErrStopped) {
		t.Errorf("second put: %v", err)
	}
	if _, err := s.Lease([]Hash{kept}, 1); !errors.Is(err, ErrStopped) {
		t.Errorf("lease: %v", err)
	}
	if _, err := s.Get(kept); err != nil {
		t.Errorf("get: %v", err)
	}
}
