package raftlog

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/raftnode/vfs/vfstest"
)

// missing counts the entries that a log has and Salvage does not return.
func missing(t *testing.T, d *vfstest.Disk, m model) (n int) {
	t.Helper()
	got, err := Salvage(testConfig(d))
	must(t, err)
	for shard, list := range got {
		if !slices.IsSortedFunc(list, func(a, b *raftpb.Entry) int { return int(int64(a.GetIndex()) - int64(b.GetIndex())) }) {
			t.Errorf("shard %s: not in order", shard)
		}
	}
	for shard, s := range m {
		for _, e := range s.entries {
			if !slices.ContainsFunc(got[shard], func(g *raftpb.Entry) bool { return proto.Equal(g, e) }) {
				n++
			}
		}
	}
	return n
}

// Of a log all can be read, and of a damaged one all but what stands in the bad batch.
func TestSalvage(t *testing.T) {
	for seed := range seeds(4) {
		d, w := damagedDisk(t, seed, true)
		if n := missing(t, d, w.want); n > 0 {
			t.Fatalf("seed %d: %d entries are missing of a log that is whole", seed, n)
		}
		lost, all := 0, 0
		for _, s := range w.want {
			all += len(s.entries)
		}
		for _, p := range needed(t, d) {
			c := d.Clone(1)
			must(t, c.Flip("state/raftlog/"+p.file, p.from+headerSize+recordHead, 3))
			n := missing(t, c, w.want)
			if lost += n; n == all {
				t.Errorf("seed %d: %+v costs everything", seed, p)
			}
		}
		if lost == 0 {
			t.Errorf("seed %d: no damage costs anything", seed)
		}
	}
	d := vfstest.New(1)
	must(t, d.MkdirAll("state/raftlog"))
	if got, err := Salvage(testConfig(d)); err != nil || len(got) > 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	if got, err := Salvage(testConfig(vfstest.New(2))); err != nil || len(got) > 0 {
		t.Errorf("of no directory: %v, %v", got, err)
	}
}
