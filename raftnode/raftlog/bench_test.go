package raftlog

import (
	"fmt"
	"sync/atomic"
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/vfs"
)

// counted counts what reaches the operating system.
type counted struct {
	vfs.OS
	bytes, syncs atomic.Int64
}

type countedFile struct {
	vfs.File
	c *counted
}

func (c *counted) OpenFile(name string, flag int) (vfs.File, error) {
	f, err := c.OS.OpenFile(name, flag)
	return countedFile{f, c}, err
}

func (f countedFile) WriteAt(b []byte, off int64) (int, error) {
	f.c.bytes.Add(int64(len(b)))
	return f.File.WriteAt(b, off)
}

func (f countedFile) Sync() error {
	f.c.syncs.Add(1)
	return f.File.Sync()
}

// BenchmarkCommit prints flushes and bytes beside the floor that a prototype without checkpoints reached: 1 flush and
// 4.4 KB of device writes for one entry of 256 bytes, 0.32 KB in groups of 64.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		group, shards int
		floor         float64
	}{{1, 1, 4400}, {64, 1, 320}, {16, 16, 8200.0 / 16}} {
		b.Run(fmt.Sprintf("group=%d/shards=%d", c.group, c.shards), func(b *testing.B) {
			fs := &counted{}
			l := open(b, Config{FS: fs, Dir: b.TempDir()})
			stop := run(b, l)
			ids := make([]uint64, c.shards)
			bytes, syncs := fs.bytes.Load(), fs.syncs.Load()
			b.ResetTimer()
			for range b.N {
				ws := make([]Write, c.shards)
				for s := range ws {
					n := uint64(c.group / c.shards)
					ws[s] = Write{Shard: ident.ShardID(s + 1), Entries: entries(ids[s]+1, n, 1, 256), HardState: hard(1, 1, ids[s])}
					if ids[s] += n; ids[s]%512 == 0 {
						must(b, l.Compact(ws[s].Shard, ids[s]-256))
					}
				}
				must(b, submit(l, ws...))
			}
			b.StopTimer()
			n := float64(b.N)
			b.ReportMetric(float64(fs.syncs.Load()-syncs)/n, "flushes/commit")
			b.ReportMetric(float64(fs.bytes.Load()-bytes)/n/float64(c.group), "B/entry")
			b.ReportMetric(c.floor, "floorB/entry")
			stop()
		})
	}
}

// BenchmarkEntries reads from files what is no longer in memory.
func BenchmarkEntries(b *testing.B) {
	l := open(b, Config{Dir: b.TempDir(), CacheBytes: 1})
	stop := run(b, l)
	defer stop()
	must(b, submit(l, Write{Shard: 1, Entries: entries(1, 2000, 1, 256)}))
	s := l.Shard(1)
	for i := range b.N {
		lo := 1 + uint64(i)%1900
		if _, err := s.Entries(lo, lo+100, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100, "entries/op")
}

// BenchmarkOpen recovers a log with 10,000 live entries.
func BenchmarkOpen(b *testing.B) {
	cfg := Config{Dir: b.TempDir()}
	l := open(b, cfg)
	stop := run(b, l)
	must(b, submit(l, Write{Shard: 1, Entries: entries(1, 10000, 1, 256)}))
	stop()
	for range b.N {
		l := open(b, cfg)
		must(b, l.Close())
	}
}
