package raftlog

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

const steps = 30

// seeds returns n, or n times what REDHEN_TORTURE says.
func seeds(n uint64) uint64 {
	if testing.Short() {
		return 1
	}
	if more, err := strconv.ParseUint(os.Getenv("REDHEN_TORTURE"), 10, 16); err == nil {
		return n * more
	}
	return n
}

// stride is from one operation at which a fault happens to the next.
func stride() int {
	if testing.Short() {
		return 7
	}
	return 1
}

// life opens the log and works until something fails; nil after all steps.
// It returns what the log must say afterwards, and the other thing it may say.
func life(d *vfstest.Disk, seed uint64, want model, check bool) (*work, error) {
	w := newWork(seed, nil, want)
	w.next, w.big = want, seed%2 == 0
	l, err := Open(testConfig(d))
	if err != nil {
		return w, err
	}
	w.log = l
	if check {
		if err := want.same(l); err != nil {
			return w, err
		}
	}
	for range steps {
		if err := w.step(); err != nil {
			return w, err
		}
	}
	return w, nil
}

// recovered opens the log after a crash and says which of the two it has kept.
func recovered(t *testing.T, d *vfstest.Disk, w *work) model {
	t.Helper()
	l, err := Open(testConfig(d))
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	defer l.Close()
	if one, two := w.want.same(l), w.next.same(l); one != nil && two != nil {
		t.Fatalf("lost something: %v; and with the last batch: %v", one, two)
	}
	return adopt(t, l)
}

func operations(t *testing.T, seed uint64) int {
	d := vfstest.New(seed)
	w, err := life(d, seed, model{}, true)
	must(t, err)
	must(t, w.log.Close())
	return d.Operations()
}

// TestCrashAnywhere cuts the power at every operation of a life, then at an operation of the
// recovery, then of the life after that, and looks each time for what was acknowledged.
func TestCrashAnywhere(t *testing.T) {
	for seed := range seeds(2) {
		total := operations(t, seed)
		for n := 1; n <= total; n += stride() {
			t.Run(fmt.Sprintf("%d/%d", seed, n), func(t *testing.T) {
				d := vfstest.New(seed<<32 + uint64(n))
				d.Garbage(n%2 == 0)
				d.CutAt(n)
				want := model{}
				for again := 1; again <= 4; again++ {
					w, err := life(d, seed+uint64(again-1), want, true)
					if err != nil && !errors.Is(err, vfstest.ErrPowerCut) {
						t.Fatal(err)
					}
					d.Restart()
					d.CutAt(1 + (n+again*again)%5) // during the recovery
					if _, err := Open(testConfig(d)); err != nil && !errors.Is(err, vfstest.ErrPowerCut) {
						t.Fatal(err)
					}
					d.Restart()
					want = recovered(t, d, w)
					d.CutAt(1 + (n*again)%total)
				}
			})
		}
	}
}

// TestFailAnywhere lets every operation fail once, goes on as a restarted program
// does, which still reads what the kernel shows, and then cuts the power: nothing that was
// acknowledged by either may be lost, and the disk must not be tried again after a failure.
func TestFailAnywhere(t *testing.T) {
	for _, failure := range []error{syscall.ENOSPC, syscall.EIO} {
		for seed := range seeds(1) {
			total := operations(t, seed)
			for n := 1; n <= total; n += stride() {
				t.Run(fmt.Sprintf("%v/%d/%d", failure, seed, n), func(t *testing.T) {
					d := vfstest.New(seed<<32 + uint64(n))
					d.FailAt(n, failure)
					w, err := life(d, seed, model{}, true)
					if err != nil && !errors.Is(err, failure) {
						t.Fatal(err)
					}
					if failure == syscall.ENOSPC && err != nil && !vfs.ErrFull(err) {
						t.Fatalf("not told that the disk is full: %v", err)
					}
					want := recovered(t, d, w)
					if n%3 == 0 {
						d.Restart() // at once: what recovery showed must stay
						want = recovered(t, d, &work{want: want, next: want})
					}
					w, err = life(d, seed+9, want, true)
					must(t, err)
					d.Restart()
					recovered(t, d, w)
				})
			}
		}
	}
}

// TestDiskFull fills the disk so that no file can grow, at sizes from nothing to plenty.
func TestDiskFull(t *testing.T) {
	const seed = 2 // with batches that are larger than a segment
	d := vfstest.New(seed)
	w, err := life(d, seed, model{}, true)
	must(t, err)
	must(t, w.log.Close())
	refused := 0
	for room := int64(0); room <= d.Used()+8*page; room += page {
		d := vfstest.New(seed)
		d.SetCapacity(room + 1)
		w, err := life(d, seed, model{}, true)
		if err != nil {
			refused++
			if !vfs.ErrFull(err) {
				t.Fatalf("room %d: %v", room, err)
			}
		}
		d.SetCapacity(0)
		want := recovered(t, d, w)
		w, err = life(d, seed, want, true)
		must(t, err)
		d.Restart()
		recovered(t, d, w)
	}
	if refused == 0 {
		t.Error("the disk was never full")
	}
}

// TestFullDiskStillOpens guards that a box on a full disk can restart for ever:
// recovery takes turns among the files it has.
func TestFullDiskStillOpens(t *testing.T) {
	d := vfstest.New(1)
	w, err := life(d, 1, model{}, true)
	must(t, err)
	for _, id := range w.log.Shards() {
		must(t, w.log.Compact(id, w.want[id].last())) // so that everything can be carried
	}
	must(t, w.log.rotate(position{w.log.cur.seq, w.log.cur.end}))
	must(t, w.log.Close())
	d.SetCapacity(1)
	for i := range 20 {
		d.Restart()
		l, err := Open(testConfig(d))
		if err != nil {
			t.Fatalf("restart %d: %v", i, err)
		}
		must(t, l.Close())
	}
}
