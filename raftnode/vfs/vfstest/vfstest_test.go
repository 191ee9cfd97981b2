package vfstest_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

func create(t *testing.T, d vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, f vfs.File, off int64, b []byte) {
	t.Helper()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, d vfs.FS, name string) []byte {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testFS is what the simulated disk and the operating system have to do alike.
func testFS(t *testing.T, d vfs.FS, dir string) {
	must(t, d.MkdirAll(dir+"/a/b"))
	f := create(t, d, dir+"/a/b/one")
	write(t, f, 1000, []byte("hello"))
	if n, err := f.Size(); n != 1005 || err != nil {
		t.Errorf("size %d, %v: want 1005", n, err)
	}
	b := make([]byte, 10)
	if n, err := f.ReadAt(b, 1000); n != 5 || err != io.EOF || string(b[:5]) != "hello" {
		t.Errorf("read across the end: %d %v %q", n, err, b[:5])
	}
	must(t, f.Truncate(1002))
	must(t, f.Sync())
	must(t, f.Close())
	must(t, d.Rename(dir+"/a/b/one", dir+"/a/b/two"))
	must(t, d.SyncDir(dir+"/a/b"))
	if got := read(t, d, dir+"/a/b/two"); !bytes.Equal(got, append(make([]byte, 1000), "he"...)) {
		t.Errorf("content of %d bytes after rename", len(got))
	}
	create(t, d, dir+"/a/b/alpha").Close()
	names, err := d.ReadDir(dir + "/a/b")
	if len(names) != 2 || names[0] != "alpha" || names[1] != "two" || err != nil {
		t.Errorf("read dir: %q, %v", names, err)
	}
	if _, err := d.OpenFile(dir+"/a/b/two", os.O_RDWR|os.O_CREATE|os.O_EXCL); !errors.Is(err, fs.ErrExist) {
		t.Errorf("exclusive create: %v", err)
	}
	must(t, d.Remove(dir+"/a/b/two"))
	for _, err := range []error{d.Remove(dir + "/a/b/two"), d.Rename(dir+"/x", dir+"/y"), open(d, dir+"/a/b/two"), open(d, dir+"/no/such")} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing file: %v", err)
		}
	}
}

func open(d vfs.FS, name string) error {
	_, err := d.OpenFile(name, os.O_RDWR)
	return err
}

func TestConformance(t *testing.T) {
	t.Run("disk", func(t *testing.T) { testFS(t, vfstest.New(1), "state") })
	t.Run("os", func(t *testing.T) { testFS(t, vfs.OS{}, filepath.ToSlash(t.TempDir())) })
}

func TestSyncedSurvives(t *testing.T) {
	for seed := range uint64(100) {
		d := vfstest.New(seed)
		f := create(t, d, "f")
		want := bytes.Repeat([]byte("x"), 5000)
		write(t, f, 0, want)
		must(t, f.Sync())
		must(t, d.SyncDir("."))
		d.Restart()
		if got := read(t, d, "f"); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %d bytes", seed, len(got))
		}
		if _, err := f.WriteAt(want, 0); !errors.Is(err, vfstest.ErrPowerCut) {
			t.Fatalf("old handle: %v", err)
		}
	}
}

// TestUnsyncedIsSubset checks that all outcomes happen: sectors old, new and mixed, a file that never was.
func TestUnsyncedIsSubset(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		d := vfstest.New(seed)
		f := create(t, d, "f")
		write(t, f, 0, bytes.Repeat([]byte("o"), 3*vfstest.Sector))
		must(t, f.Sync())
		must(t, d.SyncDir("."))
		write(t, f, 0, bytes.Repeat([]byte("n"), 3*vfstest.Sector))
		create(t, d, "g").Close()
		d.Restart()
		got := read(t, d, "f")
		var key []byte
		for s := range 3 {
			sector := got[s*vfstest.Sector:][:vfstest.Sector]
			if !bytes.Equal(sector, bytes.Repeat(sector[:1], vfstest.Sector)) {
				t.Fatalf("seed %d: a sector is torn", seed)
			}
			key = append(key, sector[0])
		}
		seen[string(key)] = true
		_, err := d.OpenFile("g", os.O_RDONLY)
		seen["g:"+map[bool]string{true: "kept", false: "lost"}[err == nil]] = true
	}
	for _, k := range []string{"ooo", "nnn", "ono", "non", "g:kept", "g:lost"} {
		if !seen[k] {
			t.Errorf("never seen: %s (of %v)", k, seen)
		}
	}
}

func TestRenameIsAtomicAndMayBeLost(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(100) {
		d := vfstest.New(seed)
		for _, name := range []string{"old", "new"} {
			f := create(t, d, name)
			write(t, f, 0, []byte(name))
			must(t, f.Sync())
		}
		must(t, d.SyncDir("."))
		must(t, d.Rename("new", "old"))
		d.Restart()
		seen[string(read(t, d, "old"))+"/"+string(read(t, d, "new"))] = true
	}
	if len(seen) != 2 || !seen["old/new"] || !seen["new/"] {
		t.Errorf("outcomes of a rename: %v", seen)
	}
}

func TestCutAtEveryOperation(t *testing.T) {
	run := func(d *vfstest.Disk) error {
		f, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE)
		if err != nil {
			return err
		}
		for i := range 5 {
			if _, err := f.WriteAt([]byte{byte(i)}, int64(i)); err != nil {
				return err
			}
		}
		return errors.Join(f.Sync(), d.SyncDir("."))
	}
	d := vfstest.New(1)
	must(t, run(d))
	total := d.Operations()
	if total != 8 {
		t.Fatalf("%d operations, want 8", total)
	}
	for n := 1; n <= total; n++ {
		d := vfstest.New(1)
		d.CutAt(n)
		if err := run(d); !errors.Is(err, vfstest.ErrPowerCut) {
			t.Errorf("cut at %d: %v", n, err)
		}
		if _, err := d.ReadDir("."); !errors.Is(err, vfstest.ErrPowerCut) {
			t.Errorf("disk without power answers: %v", err)
		}
		d.Restart()
		must(t, run(d))
	}
}

func TestFull(t *testing.T) {
	d := vfstest.New(1)
	d.SetCapacity(4 * vfstest.Sector)
	f := create(t, d, "f")
	write(t, f, 0, make([]byte, 3*vfstest.Sector))
	n, err := f.WriteAt(make([]byte, 3*vfstest.Sector), 2*vfstest.Sector)
	if !vfs.ErrFull(err) || n != 2*vfstest.Sector {
		t.Errorf("write over the limit: %d, %v", n, err)
	}
	write(t, f, 0, make([]byte, 4*vfstest.Sector)) // in place needs no room
	if _, err := d.OpenFile("g", os.O_RDWR|os.O_CREATE); !vfs.ErrFull(err) {
		t.Errorf("create on a full disk: %v", err)
	}
	must(t, d.Remove("f"))
	if d.Used() != 0 {
		t.Errorf("%d bytes used by nothing", d.Used())
	}
	write(t, create(t, d, "g"), 0, make([]byte, vfstest.Sector))
}

// TestFailedSync guards the trap of Linux: after a failed sync the next one
// succeeds, the content reads well, and is gone after the power cut.
func TestFailedSync(t *testing.T) {
	lost := 0
	for seed := range uint64(50) {
		d := vfstest.New(seed)
		f := create(t, d, "f")
		must(t, d.SyncDir("."))
		write(t, f, 0, make([]byte, vfstest.Sector))
		must(t, f.Sync())
		write(t, f, 0, bytes.Repeat([]byte("n"), vfstest.Sector))
		d.FailAt(1, syscall.EIO)
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		must(t, f.Sync())
		if read(t, d, "f")[0] != 'n' {
			t.Fatal("the cache forgot")
		}
		d.Restart()
		if read(t, d, "f")[0] != 'n' {
			lost++
		}
	}
	if lost == 0 || lost == 50 {
		t.Errorf("lost %d of 50", lost)
	}
}

func TestFlipAndClone(t *testing.T) {
	d := vfstest.New(1)
	f := create(t, d, "f")
	write(t, f, 0, []byte{0, 0})
	c := d.Clone(2)
	must(t, d.Flip("f", 1, 3))
	if got := read(t, d, "f"); got[1] != 8 {
		t.Errorf("flipped: %v", got)
	}
	if got := read(t, c, "f"); got[1] != 0 {
		t.Errorf("the clone changed: %v", got)
	}
	if err := d.Flip("g", 0, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("flip in no file: %v", err)
	}
}

func TestLyingSync(t *testing.T) {
	lost := false
	for seed := range uint64(20) {
		d := vfstest.New(seed)
		d.LyingSync(true)
		f := create(t, d, "f")
		write(t, f, 0, []byte("x"))
		must(t, f.Sync())
		must(t, d.SyncDir("."))
		d.Restart()
		lost = lost || len(read(t, d, "f")) == 0
	}
	if !lost {
		t.Error("a lying sync never lost anything")
	}
}

// TestResume guards that a killed program loses nothing, and that the next power cut still may.
func TestResume(t *testing.T) {
	lost := false
	for seed := range uint64(20) {
		d := vfstest.New(seed)
		f := create(t, d, "f")
		write(t, f, 0, []byte("x"))
		d.Cut()
		d.Resume()
		if got := read(t, d, "f"); string(got) != "x" {
			t.Fatalf("after the kill: %q", got)
		}
		if err := f.Sync(); !errors.Is(err, vfstest.ErrPowerCut) {
			t.Fatalf("handle of the killed program: %v", err)
		}
		d.Restart()
		lost = lost || len(read(t, d, "f")) == 0
	}
	if !lost {
		t.Error("a power cut after a kill never lost anything")
	}
}
