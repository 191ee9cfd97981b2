package journal

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"redhen/raftnode/catalog"
	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

const testPath = "journal/space.db"

// write is the n-th write of a test.
func write(n uint64) catalog.Write {
	return catalog.Write{
		ID: catalog.WriteID{Box: "box", Inc: 7, Seq: n}, Time: int64(n),
		Op: catalog.Op{Kind: catalog.Mkdir, Name: strings.Repeat("d", 1+int(n%200))},
	}
}

func writes(ns ...uint64) (ws []catalog.Write) {
	for _, n := range ns {
		ws = append(ws, write(n))
	}
	return ws
}

func openTest(t *testing.T, d vfs.FS, path string) *Journal {
	t.Helper()
	j, err := OpenOn(d, path, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pending returns the sequence numbers, and checks that the writes are whole.
func pending(t *testing.T, j *Journal) []uint64 {
	t.Helper()
	ns := []uint64{}
	for _, w := range j.Pending() {
		if want := write(w.ID.Seq); w.ID != want.ID || w.Time != want.Time || w.Op.Name != want.Op.Name {
			t.Errorf("got %v, want %v", w, want)
		}
		ns = append(ns, w.ID.Seq)
	}
	if j.Len() != len(ns) {
		t.Errorf("length %d, want %d", j.Len(), len(ns))
	}
	return ns
}

func wantPending(t *testing.T, j *Journal, want ...uint64) {
	t.Helper()
	if got := pending(t, j); !slices.Equal(got, want) {
		t.Errorf("pending %v, want %v", got, want)
	}
}

func id(n uint64) catalog.WriteID { return write(n).ID }

func TestWritesStayInOrderUntilResolved(t *testing.T) {
	path := filepath.Join(t.TempDir(), testPath)
	j := openTest(t, vfs.OS{}, path)
	wantPending(t, j)
	must(t, j.Append(writes(5, 3)...))
	must(t, j.Append())
	must(t, j.Append(writes(4)...))
	wantPending(t, j, 5, 3, 4)
	must(t, j.Resolve(id(3), id(99)))
	must(t, j.Append(writes(1, 5)...)) // 5 keeps its place
	wantPending(t, j, 5, 4, 1)

	again := openTest(t, vfs.OS{}, path) // as after kill -9
	wantPending(t, again, 5, 4, 1)
	must(t, again.Resolve(id(5), id(4), id(1)))
	wantPending(t, again)
	must(t, again.Close())
	wantPending(t, openTest(t, vfs.OS{}, path))
}

func TestOpenOnTheOperatingSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), testPath)
	j, err := Open(path, nil)
	must(t, err)
	must(t, j.Append(writes(1)...))
	must(t, j.Close())
	must(t, j.Close())
	if err := j.Append(writes(2)...); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := j.Resolve(id(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("resolve: %v", err)
	}
	if j, err = Open(path, nil); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	wantPending(t, j, 1)
}

// A write that was resolved may be accepted anew: then it is pending again.
func TestAResolvedWriteMayComeAgain(t *testing.T) {
	d := vfstest.New(1)
	j := openTest(t, d, testPath)
	must(t, j.Append(writes(1, 2)...))
	must(t, j.Resolve(id(1))) // not said in the file yet
	must(t, j.Append(writes(1)...))
	wantPending(t, j, 2, 1)
	must(t, j.Close())
	wantPending(t, openTest(t, d, testPath), 2, 1)
}

func TestAppendRefusesWhatCannotBeEncoded(t *testing.T) {
	j := openTest(t, vfstest.New(1), testPath)
	bad := write(2)
	bad.Op.Name = "a/b"
	if err := j.Append(write(1), bad); !errors.Is(err, catalog.ErrBadName) {
		t.Error(err)
	}
	wantPending(t, j)
}

// slowDisk lets a sync of a file wait, and counts.
type slowDisk struct {
	vfs.FS
	gate  chan struct{}
	mu    sync.Mutex
	syncs int
}

type slowFile struct {
	vfs.File
	d *slowDisk
}

func (d *slowDisk) OpenFile(name string, flag int) (vfs.File, error) {
	f, err := d.FS.OpenFile(name, flag)
	return slowFile{f, d}, err
}

func (f slowFile) Sync() error {
	f.d.mu.Lock()
	f.d.syncs++
	gate := f.d.gate
	f.d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return f.File.Sync()
}

// Whoever comes during a sync shares the next one; Resolve waits for none.
func TestConcurrentAppendsShareASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{FS: vfstest.New(1)}
		j := openTest(t, d, testPath)
		must(t, j.Append(writes(1)...))
		gate := make(chan struct{})
		d.gate, d.syncs = gate, 0
		var wg sync.WaitGroup
		for n := range uint64(20) {
			wg.Go(func() {
				if err := j.Append(write(2 + n)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if j.Len() != 1 {
			t.Errorf("%d writes are pending before the sync", j.Len())
		}
		must(t, j.Resolve(id(1)))
		close(gate)
		wg.Wait()
		if d.syncs != 2 {
			t.Errorf("%d syncs for the first and the 19 who came during it, want 2", d.syncs)
		}
		want := make([]uint64, 20)
		for i := range want {
			want[i] = uint64(i) + 2
		}
		wantPending(t, j, want...)
	})
}

// One small write is one block and one sync; and a file whose writes are settled stays small.
func TestTheFileStaysSmall(t *testing.T) {
	d := vfstest.New(1)
	j := openTest(t, d, testPath)
	before := d.Stats()
	for n := range uint64(2000) {
		must(t, j.Append(write(n+1)))
		if n >= 3 {
			must(t, j.Resolve(id(n-1)))
		}
	}
	after := d.Stats()
	if syncs := after.Syncs - before.Syncs; syncs > 2000+20 {
		t.Errorf("%d syncs for 2000 writes", syncs)
	}
	if bytes := (after.Bytes - before.Bytes) / 2000; bytes > 3*block {
		t.Errorf("%d bytes to the disk for each write", bytes)
	}
	if d.Used() > 2*slack {
		t.Errorf("file of %d bytes", d.Used())
	}
	wantPending(t, j, 1, 1999, 2000)
}

func TestADrainedJournalIsEmptyAfterAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), testPath)
	j := openTest(t, vfs.OS{}, path)
	must(t, j.Append(writes(1, 2)...))
	must(t, j.Resolve(id(1)))
	must(t, j.Resolve(id(2)))
	wantPending(t, openTest(t, vfs.OS{}, path))
}

func TestALargeJournalIsReadBack(t *testing.T) {
	d := vfstest.New(1)
	j := openTest(t, d, testPath)
	var all, want []uint64
	for n := range uint64(5000) {
		all = append(all, n+1)
		if n%2 == 1 {
			want = append(want, n+1)
		}
	}
	must(t, j.Append(writes(all...)...))
	for _, n := range all {
		if n%2 == 1 {
			must(t, j.Resolve(id(n)))
		}
	}
	must(t, j.Close())
	j = openTest(t, d, testPath)
	wantPending(t, j, want...)
	j.file.stale = true // as after a torn end: all go to a new file
	must(t, j.Append(writes(9999)...))
	wantPending(t, openTest(t, d, testPath), append(want, 9999)...)
}

func TestOpenFailsWhereItCannotBe(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "journal"), nil, 0o600))
	if _, err := Open(filepath.Join(dir, testPath), nil); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("in a file: %v", err)
	}
}
