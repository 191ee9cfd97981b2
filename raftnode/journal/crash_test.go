package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"redhen/raftnode/vfs/vfstest"
)

// book is what a journal has confirmed.
type book struct {
	next      uint64
	confirmed []uint64        // not resolved, in order
	resolved  map[uint64]bool // these may come back
	tried     map[uint64]bool // these were refused or cut, and may be there after a cut
}

func newBook() *book {
	return &book{next: 1, resolved: map[uint64]bool{}, tried: map[uint64]bool{}}
}

// work does n random things with j; it ends with the first error.
func (b *book) work(j *Journal, rng *rand.Rand, n int) error {
	for range n {
		if rng.IntN(3) == 0 && len(b.confirmed) > 0 {
			i := rng.IntN(len(b.confirmed))
			if rng.IntN(5) == 0 {
				i = 0
			}
			n := b.confirmed[i]
			b.confirmed = slices.Delete(b.confirmed, i, i+1)
			b.resolved[n] = true
			if err := j.Resolve(id(n)); err != nil {
				return err
			}
			continue
		}
		var ns []uint64
		for range 1 + rng.IntN(40) {
			ns = append(ns, b.next)
			b.tried[b.next] = true
			b.next++
		}
		if err := j.Append(writes(ns...)...); err != nil {
			return err
		}
		for _, n := range ns {
			delete(b.tried, n)
		}
		b.confirmed = append(b.confirmed, ns...)
	}
	return nil
}

// check compares a reopened journal with the book, and takes over what it has.
func (b *book) check(t *testing.T, j *Journal) {
	t.Helper()
	got := pending(t, j)
	var confirmed []uint64
	for _, n := range got {
		switch {
		case b.resolved[n], b.tried[n]:
			b.tried[n] = true
			delete(b.resolved, n)
		default:
			confirmed = append(confirmed, n)
		}
	}
	if !slices.Equal(confirmed, b.confirmed) {
		t.Errorf("pending %v, confirmed %v", confirmed, b.confirmed)
	}
	if !slices.IsSorted(got) {
		t.Errorf("out of order: %v", got)
	}
	b.confirmed = got
	for _, n := range got {
		delete(b.tried, n)
	}
	b.tried = map[uint64]bool{} // what is not here now never comes
	maps.DeleteFunc(b.resolved, func(uint64, bool) bool { return true })
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func crash(t *testing.T, seed uint64, rounds int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	d, b := vfstest.New(seed), newBook()
	must(t, d.MkdirAll("journal"))
	d.Garbage(seed%2 == 0)
	for round := range rounds {
		d.CutAt(1 + rng.IntN(40))
		j, err := OpenOn(d, testPath, quiet())
		if err == nil {
			b.check(t, j)
			err = b.work(j, rng, 20)
		}
		if err != nil && !errors.Is(err, vfstest.ErrPowerCut) {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		d.Restart()
		if j, err = OpenOn(d, testPath, quiet()); err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		b.check(t, j)
		if rng.IntN(2) == 0 {
			if err := b.work(j, rng, 5); err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
			must(t, j.Close())
		}
		if t.Failed() {
			t.Fatalf("seed %d, round %d: %v", seed, round, d)
		}
	}
}

// What was confirmed and not resolved is pending after a power cut at any
// operation, in its order; what was lost once never comes back.
func TestConfirmedWritesSurvivePowerCuts(t *testing.T) {
	seeds := uint64(25)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		crash(t, seed, 8)
	}
}

// Files that have been written anew, too.
func TestPowerCutsWhileTheFileIsWrittenAnew(t *testing.T) {
	for cut := 1; cut < 30; cut++ {
		d := vfstest.New(uint64(cut))
		j, err := OpenOn(d, testPath, quiet())
		must(t, err)
		var want []uint64
		for n := range uint64(300) {
			must(t, j.Append(write(n+1)))
			if n%7 == 0 {
				want = append(want, n+1)
			} else {
				must(t, j.Resolve(id(n+1)))
			}
		}
		j.file.fresh = 0 // so that it is due
		d.CutAt(cut)
		err = j.Append(write(1000))
		if err == nil {
			want = append(want, 1000)
		}
		d.Restart()
		j = openTest(t, d, testPath)
		got := slices.DeleteFunc(pending(t, j), func(n uint64) bool { return !slices.Contains(want, n) })
		if !slices.Equal(got, want) {
			t.Errorf("cut at %d: pending %v, want %v", cut, got, want)
		}
	}
}

func TestTheCrashTestCanFail(t *testing.T) {
	lost := 0
	for seed := range uint64(20) {
		d := vfstest.New(seed)
		j, err := OpenOn(d, testPath, quiet())
		must(t, err)
		must(t, j.Append(write(1)))
		d.LyingSync(true)
		must(t, j.Append(write(2)))
		d.Restart()
		if j, err = OpenOn(d, testPath, quiet()); err != nil || j.Len() != 2 {
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing was lost on a lying disk")
	}
}

// What lies behind a hole was never confirmed. It is left out, and stays out when
// the hole is filled by a write of the same length.
func TestWhatLiesBehindATornEndNeverComesBack(t *testing.T) {
	d := vfstest.New(1)
	j := openTest(t, d, testPath)
	must(t, j.Append(write(1)))
	hole := j.file.end
	must(t, j.Append(write(2)))
	j.file.synced-- // as if the power went before the sync of both
	must(t, j.Append(write(3)))
	must(t, d.Alter(testPath, func(b []byte) { clear(b[hole : hole+block]) }))

	j = openTest(t, d, testPath)
	wantPending(t, j, 1)
	must(t, j.Append(write(4)))
	wantPending(t, openTest(t, d, testPath), 1, 4)
}

func TestEveryOperationMayFail(t *testing.T) {
	for n := 1; n < 50; n++ {
		d, b := vfstest.New(uint64(n)), newBook()
		j, err := OpenOn(d, testPath, quiet())
		must(t, err)
		d.FailAt(n, syscall.EIO)
		rng := rand.New(rand.NewPCG(uint64(n), 2))
		failed := 0
		for range 50 {
			if err := b.work(j, rng, 1); err != nil {
				if failed++; !errors.Is(err, ErrStopped) {
					t.Errorf("operation %d: %v", n, err)
				}
			}
		}
		if failed == 0 {
			t.Errorf("operation %d: nothing failed", n)
		}
		d.Restart()
		b.check(t, openTest(t, d, testPath))
	}
}

func TestAFullDiskRefusesAndForgetsNothing(t *testing.T) {
	step := int64(vfstest.Sector)
	if testing.Short() {
		step *= 9
	}
	for room := int64(0); room < 40*vfstest.Sector; room += step {
		d, b := vfstest.New(uint64(room)), newBook()
		j, err := OpenOn(d, testPath, quiet())
		must(t, err)
		rng := rand.New(rand.NewPCG(uint64(room), 3))
		must(t, b.work(j, rng, 3))
		d.SetCapacity(d.Used() + room)
		refused := 0
		for range 120 {
			if err := b.work(j, rng, 1); err != nil {
				if refused++; !errors.Is(err, ErrFull) {
					t.Fatalf("%d bytes of room: %v", room, err)
				}
			}
		}
		if refused == 0 {
			t.Errorf("%d bytes of room: never full", room)
		}
		b.tried = map[uint64]bool{} // refused, and so not even after a restart
		d.SetCapacity(1)
		j = openTest(t, d, testPath)
		b.check(t, j)
		if err := j.Append(write(b.next)); err != nil && !errors.Is(err, ErrFull) {
			t.Errorf("%d bytes of room: after the restart: %v", room, err)
		}
		d.SetCapacity(0)
		must(t, b.work(j, rng, 10))
		b.tried = map[uint64]bool{}
		b.check(t, openTest(t, d, testPath))
	}
}

// A bit that flips in what was confirmed is damage, unless it is in the last
// batch, which cannot be told from a torn end, or in padding.
func TestRotIsDamage(t *testing.T) {
	d := vfstest.New(1)
	j := openTest(t, d, testPath)
	for n := range uint64(4) {
		must(t, j.Append(writes(10*n+1, 10*n+2)...))
	}
	end := j.file.end
	must(t, j.Close())
	damaged := 0
	for at := int64(0); at < end; at += 7 {
		d := d.Clone(uint64(at))
		must(t, d.Flip(testPath, at, uint(at)))
		before := content(t, d)
		j, err := OpenOn(d, testPath, quiet())
		switch {
		case errors.Is(err, ErrDamaged):
			damaged++
			if !bytes.Equal(before, content(t, d)) {
				t.Errorf("byte %d: the damaged file was changed", at)
			}
		case err != nil:
			t.Errorf("byte %d: %v", at, err)
		case j.Len() < 6 || j.Len() < 8 && at < end-block:
			t.Errorf("byte %d: %d writes, and no word of it", at, j.Len())
		}
	}
	if damaged < 20 {
		t.Errorf("damage was found %d times only", damaged)
	}
	for name, b := range map[string][]byte{"empty": {}, "nonsense": []byte(strings.Repeat("x", 5000))} {
		path := filepath.Join(t.TempDir(), "space.db")
		must(t, os.WriteFile(path, b, 0o600))
		if _, err := Open(path, quiet()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s file: %v", name, err)
		}
	}
}

func content(t *testing.T, d *vfstest.Disk) []byte {
	t.Helper()
	f, err := d.OpenFile(testPath, os.O_RDONLY)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		t.Fatal(err)
	}
	return b
}

// TestKillNine lets another process append and say so, and kills it.
func TestKillNine(t *testing.T) {
	const key = "REDHEN_JOURNAL_UNDER_TEST"
	if path := os.Getenv(key); path != "" {
		appendForEver(path)
	}
	path := filepath.Join(t.TempDir(), testPath)
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillNine$")
		cmd.Env = append(os.Environ(), key+"="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		var last uint64
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if last, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			if last%uint64(50+round) == 49 {
				must(t, cmd.Process.Kill())
			}
		}
		cmd.Wait()
		j, err := Open(path, quiet())
		must(t, err)
		got := pending(t, j)
		if uint64(len(got)) < last || got[last-1] != last {
			t.Fatalf("%d writes, %d were confirmed", len(got), last)
		}
		must(t, j.Close())
	}
}

// appendForEver appends one write after the other and prints those confirmed.
func appendForEver(path string) {
	j, err := Open(path, quiet())
	if err != nil {
		panic(err)
	}
	for n := uint64(j.Len()) + 1; ; n++ {
		if err := j.Append(write(n)); err != nil {
			panic(err)
		}
		fmt.Println(n)
	}
}
