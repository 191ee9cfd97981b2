package raftnode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/catalog"
	"redhen/raftnode/directory"
	"redhen/raftnode/raftnodetest"
)

func logger() *slog.Logger {
	if os.Getenv("REDHEN_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// inCircle runs a test in simulated time with boxes of the given names, one house each.
func inCircle(t *testing.T, names []string, fn func(t *testing.T, ctx context.Context, c *raftnodetest.Circle)) {
	inCircleOf(t, raftnodetest.Config{}, names, fn)
}

func inCircleOf(t *testing.T, cfg raftnodetest.Config, names []string, fn func(t *testing.T, ctx context.Context, c *raftnodetest.Circle)) {
	cfg.Seed, cfg.Logger = 1, logger()
	synctest.Test(t, func(t *testing.T) {
		c := raftnodetest.New(t, cfg)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		for _, name := range names {
			if _, err := c.Add(ctx, name, name+" house"); err != nil {
				t.Fatalf("add %s: %v", name, err)
			}
		}
		fn(t, ctx, c)
		c.Close()
	})
}

// newSpace makes a space and waits until every box that should vote does.
func newSpace(t *testing.T, ctx context.Context, c *raftnodetest.Circle, voters int) ident.ShardID {
	t.Helper()
	space, err := c.All()[0].NewSpace(ctx, "files")
	if err != nil {
		t.Fatal(err)
	}
	waitVoters(t, ctx, c, space, voters)
	return space
}

func waitVoters(t *testing.T, ctx context.Context, c *raftnodetest.Circle, shard ident.ShardID, voters int) {
	t.Helper()
	until(t, ctx, fmt.Sprintf("%d voters of %s", voters, shard), func() bool {
		for _, b := range c.All() {
			if b.Node == nil {
				continue
			}
			st, err := b.Node.Status(ctx)
			if err != nil {
				return false
			}
			for _, sh := range st.Shards {
				n := 0
				for _, m := range sh.Members {
					if m.Voter {
						n++
					}
				}
				if sh.Shard == shard && sh.Leads && n == voters {
					return true
				}
			}
		}
		return false
	})
}

// waitAllVote waits until each of these boxes knows that all of them vote, that nobody else
// does (none that burnt), and that no others are needed. Of one voter that becomes several the first alone
// decides that: one that is cut off at that moment leaves behind who does not know that he votes.
func waitAllVote(t *testing.T, ctx context.Context, boxes []*raftnodetest.Box, shard ident.ShardID) {
	t.Helper()
	all := map[ident.BoxID]bool{}
	for _, b := range boxes {
		all[b.Key.BoxID()] = true
	}
	until(t, ctx, fmt.Sprintf("all %d know that they vote in %s", len(boxes), shard), func() bool {
		return !slices.ContainsFunc(boxes, func(b *raftnodetest.Box) bool {
			return !maps.Equal(votersAt(ctx, b, shard), all) || b.Node.Between(shard)
		})
	})
}

// votersAt are the boxes that vote as far as a box knows; none when it cannot tell. One that has
// a new number, and still the members of before, does not vote under that.
func votersAt(ctx context.Context, b *raftnodetest.Box, shard ident.ShardID) map[ident.BoxID]bool {
	n, err := b.Running()
	if err != nil {
		return nil
	}
	st, err := n.Status(ctx)
	if err != nil {
		return nil
	}
	voters := map[ident.BoxID]bool{}
	for _, sh := range st.Shards {
		for _, m := range sh.Members {
			if sh.Shard == shard && m.Voter && (m.Box != b.Key.BoxID() || m.Replica == sh.Replica) {
				voters[m.Box] = true
			}
		}
	}
	return voters
}

func until(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(end) || ctx.Err() != nil {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(200 * time.Millisecond) // simulated
	}
}

func mustPut(t *testing.T, ctx context.Context, b *raftnodetest.Box, space ident.ShardID, name string, data []byte) int {
	t.Helper()
	out, kept, err := b.Put(ctx, space, name, data)
	if err != nil {
		t.Fatalf("put %s at %s: %v", name, b.Name, err)
	}
	if out.Status != catalog.Done {
		t.Fatalf("put %s at %s: %v", name, b.Name, out.Status)
	}
	return kept
}

func mustGet(t *testing.T, ctx context.Context, b *raftnodetest.Box, space ident.ShardID, name string, want []byte) {
	t.Helper()
	var got []byte
	var err error
	until(t, ctx, fmt.Sprintf("%s at %s", name, b.Name), func() bool {
		got, err = b.Get(ctx, space, name)
		return err == nil
	})
	if !bytes.Equal(got, want) {
		t.Fatalf("%s at %s: got %d bytes, want %d", name, b.Name, len(got), len(want))
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>10)
	}
	return b
}

func TestOneBoxKeepsFiles(t *testing.T) {
	inCircle(t, []string{"a"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		space := newSpace(t, ctx, c, 1)
		a := c.Box("a")
		if kept := mustPut(t, ctx, a, space, "small", []byte("hen")); kept != 1 {
			t.Errorf("kept in %d houses, want 1: there is only one", kept)
		}
		mustPut(t, ctx, a, space, "large", pattern(3<<20+17))
		a.Stop()
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		mustGet(t, ctx, a, space, "small", []byte("hen"))
		mustGet(t, ctx, a, space, "large", pattern(3<<20+17))
	})
}

func TestACircleGrowsByItself(t *testing.T) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		space := newSpace(t, ctx, c, 3)
		for i, b := range c.All() {
			name := fmt.Sprintf("from %s", b.Name)
			if kept := mustPut(t, ctx, b, space, name, pattern(i*700_000+1)); kept < 2 {
				t.Errorf("%s: kept in %d houses, want 2 or more", name, kept)
			}
		}
		for i, from := range c.All() {
			for _, at := range c.All() {
				mustGet(t, ctx, at, space, fmt.Sprintf("from %s", from.Name), pattern(i*700_000+1))
			}
		}
	})
}

func TestAHouseBurnsAndIsReplaced(t *testing.T) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		space := newSpace(t, ctx, c, 3)
		a, b := c.Box("a"), c.Box("b")
		for i := range 20 {
			if kept := mustPut(t, ctx, a, space, fmt.Sprintf("f%d", i), pattern(i*60_000+1)); kept < 2 {
				t.Fatalf("f%d: kept in %d houses", i, kept)
			}
		}
		if err := a.Burn(); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			mustGet(t, ctx, b, space, fmt.Sprintf("f%d", i), pattern(i*60_000+1))
		}
		mustPut(t, ctx, b, space, "after the fire", []byte("still here"))
		d, err := c.Add(ctx, "d", "d house")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Gone(ctx, "a", d.Key.BoxID()); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "d holds everything", func() bool { return complete(t, ctx, c, space, d) })
		waitVoters(t, ctx, c, space, 3)
		mustGet(t, ctx, d, space, "after the fire", []byte("still here"))
		mustGet(t, ctx, d, space, "f19", pattern(19*60_000+1))
	})
}

// complete reports whether the leader of a shard says that a box has every entry and chunk.
func complete(t *testing.T, ctx context.Context, c *raftnodetest.Circle, shard ident.ShardID, box *raftnodetest.Box) bool {
	t.Helper()
	for _, b := range c.All() {
		if b.Node == nil {
			continue
		}
		st, err := b.Node.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, sh := range st.Shards {
			for _, m := range sh.Members {
				if sh.Shard == shard && sh.Leads && m.Box == box.Key.BoxID() && m.Voter && m.Complete() {
					return true
				}
			}
		}
	}
	return false
}

func TestReadsAfterABarrierAreTheNewest(t *testing.T) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		space := newSpace(t, ctx, c, 3)
		for i := range 5 {
			mustPut(t, ctx, c.Box("a"), space, "x", fmt.Appendf(nil, "%d", i))
			for _, at := range c.All() {
				if err := at.Node.Space(space).Barrier(ctx); err != nil {
					t.Fatal(err)
				}
				got, err := at.Get(ctx, space, "x")
				if err != nil || string(got) != fmt.Sprint(i) {
					t.Fatalf("at %s: got %q, %v; want %d", at.Name, got, err, i)
				}
			}
		}
	})
}

func TestAWriteWithoutAQuorumIsKeptHereAndArrivesLater(t *testing.T) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		space := newSpace(t, ctx, c, 3)
		mustPut(t, ctx, c.Box("a"), space, "before", []byte("1"))
		a := c.Box("a")
		c.Mesh.Partition([]ident.BoxID{a.Key.BoxID()})
		began := time.Now()
		if kept := mustPut(t, ctx, a, space, "apart", []byte("2")); kept != 1 {
			t.Errorf("kept in %d houses, want 1", kept)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("answered after %v, want at most 11 s", took)
		}
		mustGet(t, ctx, a, space, "apart", []byte("2"))
		if _, _, err := a.Node.Space(space).Write(ctx, a.Account, mkdir("insists"), 2); !errors.Is(err, raftnode.ErrNeedsHouse) {
			t.Errorf("a write that insists on two houses: got %v, want ErrNeedsHouse", err)
		}
		a.Crash()
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		mustGet(t, ctx, a, space, "apart", []byte("2"))
		c.Mesh.Heal()
		mustGet(t, ctx, c.Box("b"), space, "apart", []byte("2"))
		until(t, ctx, "the journal is empty", func() bool {
			st, err := a.Node.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, sh := range st.Shards {
				if sh.Pending > 0 {
					return false
				}
			}
			return true
		})
	})
}

func mkdir(name string) catalog.Op {
	return catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: name}
}

func TestIdleShardsSleep(t *testing.T) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		space := newSpace(t, ctx, c, 3)
		mustPut(t, ctx, c.Box("a"), space, "x", []byte("1"))
		until(t, ctx, "every shard sleeps at every box", func() bool {
			for _, b := range c.All() {
				st, err := b.Node.Status(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, sh := range st.Shards {
					if !sh.Asleep {
						return false
					}
				}
			}
			return true
		})
		mustPut(t, ctx, c.Box("b"), space, "y", []byte("2"))
		mustGet(t, ctx, c.Box("c"), space, "y", []byte("2"))
	})
}

func TestDirectoryIsTheSameEverywhere(t *testing.T) {
	inCircle(t, []string{"a", "b"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		for _, b := range c.All() {
			until(t, ctx, "both boxes in the roster at "+b.Name, func() bool {
				n := 0
				err := b.Node.Directory(func(v directory.View) error {
					if r := v.Roster(); r != nil {
						n = len(r.Members())
					}
					return nil
				})
				return err == nil && n == 2
			})
		}
	})
}
