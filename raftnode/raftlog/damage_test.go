package raftlog

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/vfs/vfstest"
)

// TestKillAnywhere kills the program, not the power, at every operation. What the next one reads was perhaps never synced;
// what it has shown must survive a power cut at any time after.
func TestKillAnywhere(t *testing.T) {
	for seed := range seeds(1) {
		total := operations(t, seed)
		for n := 1; n <= total; n += stride() {
			t.Run(fmt.Sprintf("%d/%d", seed, n), func(t *testing.T) {
				d := vfstest.New(seed<<32 + uint64(n))
				d.CutAt(n)
				w, err := life(d, seed, model{}, true)
				if err != nil && !errors.Is(err, vfstest.ErrPowerCut) {
					t.Fatal(err)
				}
				d.Resume()
				want := recovered(t, d, w)
				d.Restart()
				recovered(t, d, &work{want: want, next: want})
			})
		}
	}
}

// TestFailThenCut lets each operation fail, then cuts the power at each of the first
// operations of the recovery that follows: it must not write over what it may still need.
func TestFailThenCut(t *testing.T) {
	for seed := range seeds(1) {
		total := operations(t, seed)
		for n := 1; n <= total; n += stride() {
			for cut := 1; cut <= 4; cut++ {
				d := vfstest.New(seed<<32 + uint64(n))
				d.FailAt(n, os.ErrInvalid)
				w, err := life(d, seed, model{}, true)
				if err == nil {
					break // nothing of it was needed
				}
				d.CutAt(cut)
				if l, err := Open(testConfig(d)); err == nil {
					l.Close()
				}
				d.Restart()
				recovered(t, d, w)
			}
		}
	}
}

// part is a stretch of a file and what its damage must be called.
type part struct {
	file     string
	seq      uint64
	from, to int64
	tail     bool // the last batch, of which nobody knows that it was synced
}

// needed returns every byte that the log on the disk needs.
func needed(t *testing.T, d *vfstest.Disk) []part {
	t.Helper()
	l, err := Open(testConfig(d.Clone(1)))
	must(t, err)
	must(t, l.Close())
	probe := &Log{cfg: testConfig(d), shards: map[ident.ShardID]*Storage{}}
	must(t, probe.openFiles())
	newest, err := probe.findNewest()
	must(t, err)
	must(t, probe.replay(newest))
	var parts []part
	for _, s := range append(slices.Clone(probe.old), newest.segment) {
		sc, err := probe.scan(s)
		must(t, err)
		for i, b := range sc.batches {
			if b.follows && b.pos < s.end {
				parts = append(parts, part{s.name, s.seq, b.pos, b.pos + headerSize + b.size, s == newest.segment && i == len(newest.batches)-1})
			}
		}
	}
	return parts
}

// damagedDisk returns a disk with a log of several needed segments, and what it must say.
// Without a clean end the last batch is stated by nobody.
func damagedDisk(t *testing.T, seed uint64, clean bool) (*vfstest.Disk, *work) {
	t.Helper()
	d := vfstest.New(seed)
	w, err := life(d, seed, model{}, true)
	must(t, err)
	for range 100 {
		must(t, w.step())
		if l := w.log; len(l.old) > 0 && l.cur.end > 3*page {
			break
		}
	}
	w.next = w.want
	if clean {
		must(t, w.log.state())
	}
	must(t, w.log.Close())
	return d, w
}

// TestFlips inverts bits everywhere: in what is needed it is damage, except in the very last
// batch, and whatever Open accepts has all that was acknowledged before that batch.
func TestFlips(t *testing.T) {
	for _, clean := range []bool{true, false} {
		d, w := damagedDisk(t, 3, clean)
		for _, p := range needed(t, d) {
			step := 1 + (p.to-p.from)/40
			for off := p.from; off < p.to; off++ {
				if off-p.from > headerSize+recordHead && (off-p.from)%step != 0 {
					continue
				}
				c := d.Clone(uint64(off))
				must(t, c.Flip("state/raftlog/"+p.file, off, uint(off)%8))
				l, err := Open(testConfig(c))
				switch {
				case p.tail && err != nil:
					t.Errorf("%v: byte %d of the torn tail: %v", clean, off, err)
				case p.tail && clean:
					must(t, w.want.same(l))
				case !p.tail && !errors.Is(err, ErrDamaged):
					t.Errorf("%+v: byte %d: %v, want damage", p, off, err)
				}
				if l != nil {
					l.Close()
				}
			}
		}
	}
}

// TestFlipsOutside inverts bits of everything that is not needed: nobody may notice.
func TestFlipsOutside(t *testing.T) {
	d, w := damagedDisk(t, 3, false)
	parts := needed(t, d)
	names, err := d.ReadDir("state/raftlog")
	must(t, err)
	for _, name := range names {
		for off := int64(0); off < 6*page; off += int64(97 * stride()) {
			if slices.ContainsFunc(parts, func(p part) bool { return p.file == name && p.from <= off && off < p.to }) {
				continue
			}
			c := d.Clone(1)
			if c.Flip("state/raftlog/"+name, off, 3) != nil {
				continue
			}
			l, err := Open(testConfig(c))
			if err != nil {
				t.Fatalf("%s byte %d: %v", name, off, err)
			}
			must(t, w.want.same(l))
			must(t, l.Close())
		}
	}
}

// TestMissingSegment removes, empties and exchanges each file that is needed.
func TestMissingSegment(t *testing.T) {
	d, w := damagedDisk(t, 3, true)
	newest := w.log.seq // nothing can state it when its file is gone
	seen := map[string]bool{}
	for _, p := range needed(t, d) {
		if seen[p.file] {
			continue
		}
		seen[p.file] = true
		for what, do := range map[string]func(*vfstest.Disk, string) error{
			"removed": func(c *vfstest.Disk, name string) error { return c.Remove(name) },
			"zeros":   func(c *vfstest.Disk, name string) error { return c.Alter(name, func(b []byte) { clear(b[:page]) }) },
			"zero pages": func(c *vfstest.Disk, name string) error {
				return c.Alter(name, func(b []byte) { clear(b[page : 2*page]) })
			},
		} {
			c := d.Clone(1)
			must(t, do(c, "state/raftlog/"+p.file))
			_, err := Open(testConfig(c))
			if !errors.Is(err, ErrDamaged) && !(what == "removed" && p.seq == newest) {
				t.Errorf("%s %s: %v", p.file, what, err)
			}
		}
	}
	if len(seen) < 2 {
		t.Errorf("only %d segments were needed", len(seen))
	}
}

// TestDamageNamesShards guards that the damage of an old segment does not take shards along that have nothing there.
func TestDamageNamesShards(t *testing.T) {
	d := vfstest.New(1)
	l := open(t, testConfig(d))
	for i := range uint64(12) { // shard 1 fills the first segments and is never compacted
		must(t, l.commit([]Write{{Shard: 1, Entries: entries(1+i, 1, 1, 3500), HardState: hard(1, 1, 0)}}))
	}
	file, end := l.old[0].name, l.old[0].end
	must(t, l.commit([]Write{{Shard: 2, Entries: entries(1, 3, 1, 9), HardState: hard(1, 1, 0)}}))
	must(t, l.rotate(position{l.cur.seq, l.cur.end}))
	must(t, l.Close())
	must(t, d.Flip("state/raftlog/"+file, end-page+100, 1))
	_, err := Open(testConfig(d))
	damaged, ok := errors.AsType[*DamagedError](err)
	if !ok || damaged.File != file || !slices.Equal(damaged.Shards, []ident.ShardID{1}) {
		t.Errorf("%v: %+v", err, damaged)
	}
}

// TestLostCheckpointMayTouchAll guards that a newest segment without checkpoint is
// damage, and not taken for a younger log that ends earlier.
func TestLostCheckpointMayTouchAll(t *testing.T) {
	d, w := damagedDisk(t, 3, false)
	must(t, d.Flip("state/raftlog/"+needed(t, d)[len(needed(t, d))-1].file, 70, 1))
	_, err := Open(testConfig(d))
	damaged, ok := errors.AsType[*DamagedError](err)
	if !ok || damaged.Shards != nil {
		t.Errorf("%v: %+v, shards are %v", err, damaged, w.want)
	}
}

// TestRotAfterOpen guards that an entry is verified each time it is read from a file.
func TestRotAfterOpen(t *testing.T) {
	d := vfstest.New(1)
	l := open(t, testConfig(d))
	defer l.Close()
	for i := range uint64(4) {
		must(t, l.commit([]Write{{Shard: 1, Entries: entries(1+i, 1, 1, 400)}}))
	}
	at := l.shards[1].slots[0]
	if at.entry != nil {
		t.Fatal("still in memory")
	}
	must(t, d.Flip("state/raftlog/"+at.seg.name, int64(at.off)+50, 0))
	_, err := l.Shard(1).Entries(1, 2, 0)
	if damaged, ok := errors.AsType[*DamagedError](err); !ok || damaged.Shards[0] != 1 {
		t.Errorf("read a rotten entry: %v", err)
	}
}
