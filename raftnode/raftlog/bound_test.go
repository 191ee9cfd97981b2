package raftlog

import (
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/vfs/vfstest"
)

// TestBounds guards the invariant of the package comment: a shard that never compacts
// blows neither the checkpoint up nor the disk nor the bytes written.
func TestBounds(t *testing.T) {
	for name, quiet := range map[string]int{
		"never compacts, rarely writes": 40, "never compacts, writes a lot": 2, "all compact": 0,
	} {
		t.Run(name, func(t *testing.T) { testBounds(t, quiet) })
	}
}

func testBounds(t *testing.T, quiet int) {
	d := vfstest.New(1)
	cfg := testConfig(d)
	cfg.SegmentBytes = 16 * page
	l := open(t, cfg)
	defer l.Close()
	started := d.Stats().Bytes
	var peak, asked int64
	last := map[ident.ShardID]uint64{}
	for i := range 3000 {
		shard := ident.ShardID(2 + i%3)
		if quiet > 0 && i%quiet == 0 {
			shard = 1
		}
		last[shard]++
		before := l.seq
		must(t, l.commit([]Write{{Shard: shard, Entries: entries(last[shard], 1, 1, 300), HardState: hard(1, 1, 0)}}))
		asked += page
		if shard > 1 && last[shard]%20 == 0 {
			must(t, l.Compact(shard, last[shard]-3))
		}
		var live int64
		for s := range l.segments() {
			live += s.live
		}
		peak = max(peak, live)
		if l.seq == before {
			continue
		}
		files := int64(len(l.old) + len(l.spare) + 1)
		if most := 4*peak/cfg.SegmentBytes + 4; files > most {
			t.Fatalf("step %d: %d files for %d live bytes at most, want %d", i, files, peak, most)
		}
		if l.cur.end > cfg.SegmentBytes/4+2*page+page {
			t.Fatalf("step %d: checkpoint and one batch of %d bytes", i, l.cur.end)
		}
	}
	files := int64(len(l.old) + len(l.spare) + 1)
	written := d.Stats().Bytes - started - files*cfg.SegmentBytes
	if written > asked*3/2 {
		t.Errorf("%d bytes written for %d", written, asked)
	}
	t.Logf("%d files of %d bytes for %d live; %d bytes written for %d", files, cfg.SegmentBytes, peak, written, asked)
	must(t, adopt(t, l).same(l))
}

// TestFilesShrink guards that room taken by a long tail is given back.
func TestFilesShrink(t *testing.T) {
	d := vfstest.New(1)
	l := open(t, testConfig(d))
	defer l.Close()
	fill := func(shard ident.ShardID) {
		for i := range uint64(100) {
			must(t, l.commit([]Write{{Shard: shard, Entries: entries(1+i, 1, 1, 2500)}}))
		}
	}
	fill(1)
	most := d.Used()
	must(t, l.Compact(1, 100))
	must(t, l.rotate(position{l.cur.seq, l.cur.end}))
	if d.Used() > most/2 || d.Used() > 4*6*page {
		t.Errorf("%d bytes used, %d at most", d.Used(), most)
	}
	fill(2)
	must(t, adopt(t, l).same(l))
}
