package raftnode_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/raftnodetest"
)

// flip turns one bit in each 512 bytes of every file that matches, behind the first two pages.
func flip(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := 8192 + 100; i < len(b); i += 512 {
			b[i] ^= 0x40
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func burning(t *testing.T, fn func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID)) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		space := newSpace(t, ctx, c, 3)
		for i := range 30 {
			mustPut(t, ctx, c.Box("a"), space, fmt.Sprintf("f%d", i), pattern(i*3_000+1))
		}
		fn(t, ctx, c, space)
		mustPut(t, ctx, c.Box("b"), space, "after", []byte("whole again"))
		mustGet(t, ctx, c.Box("b"), space, "after", []byte("whole again"))
		mustGet(t, ctx, c.Box("b"), space, "f29", pattern(29*3_000+1))
		waitVoters(t, ctx, c, space, 3)
		until(t, ctx, "b is complete", func() bool { return complete(t, ctx, c, space, c.Box("b")) })
	})
}

func failedAt(t *testing.T, ctx context.Context, b *raftnodetest.Box, shard ident.ShardID) string {
	t.Helper()
	st, err := b.Node.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range st.Shards {
		if sh.Shard == shard {
			return sh.Failed
		}
	}
	return "no such shard"
}

func TestADamagedStateIsFetchedFromAnotherHouse(t *testing.T) {
	for _, circle := range []bool{false, true} {
		t.Run(map[bool]string{false: "space", true: "circle"}[circle], func(t *testing.T) {
			burning(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
				shard := space
				if circle {
					shard = ident.CircleShard
				}
				b := c.Box("b")
				b.Stop()
				flip(t, filepath.Join(b.Dir(), "shards", shard.String()+"-*.db"))
				c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()})
				if err := b.Start(); err != nil {
					t.Fatal(err)
				}
				if got := failedAt(t, ctx, b, shard); !strings.Contains(got, "damaged") {
					t.Errorf("status says %q, want that the state is damaged", got)
				}
				c.Mesh.Heal()
				until(t, ctx, "the state is healed", func() bool { return failedAt(t, ctx, b, shard) == "" })
			})
		})
	}
}

func TestALostLogCostsTheReplicaItsNumber(t *testing.T) {
	burning(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		b := c.Box("b")
		before := replicaAt(t, ctx, b, space)
		b.Stop()
		if err := b.LoseLog(); err != nil {
			t.Fatal(err)
		}
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		for _, shard := range []ident.ShardID{ident.CircleShard, space} {
			until(t, ctx, "the replica is healed", func() bool { return failedAt(t, ctx, b, shard) == "" })
		}
		if after := replicaAt(t, ctx, b, space); after == before {
			t.Errorf("the replica still has number %d: its votes are lost", after)
		}
	})
}

// A disk that acknowledged the end of the log and lost it leaves a log that looks
// whole. The leader knows better: the replica gives its number up, and goes on.
func TestALogThatLostItsEndCostsTheReplicaItsNumber(t *testing.T) {
	burning(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		b := c.Box("b")
		until(t, ctx, "all is quiet", func() bool { return complete(t, ctx, c, space, b) })
		time.Sleep(10 * time.Second) // the states are on the disk
		before := replicaAt(t, ctx, b, space)
		if err := b.Disk.Lie(); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			mustPut(t, ctx, c.Box("a"), space, fmt.Sprintf("l%d", i), []byte("acknowledged"))
			mustPut(t, ctx, b, space, fmt.Sprintf("m%d", i), []byte("its own"))
		}
		b.CutPower() // before a state file has them
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "the replica is healed", func() bool {
			return failedAt(t, ctx, b, space) == "" && replicaAt(t, ctx, b, space) != before
		})
		waitVoters(t, ctx, c, space, 3)
		mustGet(t, ctx, b, space, "m2", []byte("its own"))
	})
}

func replicaAt(t *testing.T, ctx context.Context, b *raftnodetest.Box, shard ident.ShardID) ident.ReplicaID {
	t.Helper()
	st, err := b.Node.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range st.Shards {
		if sh.Shard == shard {
			return sh.Replica
		}
	}
	return 0
}
