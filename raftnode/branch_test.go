package raftnode_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/raftnodetest"
)

// inTwoBranches runs a test in a circle of two houses that gave each other up: each has
// a file of the other's name, and one of its own.
func inTwoBranches(t *testing.T, test func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID)) {
	t.Helper()
	inTwoBranchesAfter(t, func(*testing.T, context.Context, *raftnodetest.Circle) {}, test)
}

// inTwoBranchesAfter has something happen while the two are together.
func inTwoBranchesAfter(t *testing.T, before func(t *testing.T, ctx context.Context, c *raftnodetest.Circle),
	test func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID)) {
	t.Helper()
	inCircle(t, []string{"a", "b"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 2)
		a, b := c.Box("a"), c.Box("b")
		space := newSpace(t, ctx, c, 2)
		mustPut(t, ctx, a, space, "both", []byte("before"))
		before(t, ctx, c)
		c.Mesh.Partition([]ident.BoxID{a.Key.BoxID()})
		time.Sleep(10 * time.Second)
		for i, one := range []*raftnodetest.Box{a, b} {
			other := []*raftnodetest.Box{b, a}[i]
			if err := one.TakeOver(ctx, other.Key.BoxID()); err != nil {
				t.Fatal(err)
			}
			until(t, ctx, one.Name+" decides alone", func() bool { return shardAt(t, ctx, one, space).Leads })
			mustPut(t, ctx, one, space, "both", []byte("of "+one.Name))
			mustPut(t, ctx, one, space, "only-"+one.Name, pattern(100_000+i))
		}
		c.Mesh.Heal()
		test(t, ctx, c, space)
	})
}

// branchesAt are the branches that wait at a box.
func branchesAt(t *testing.T, b *raftnodetest.Box) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(b.Dir(), "shards", "*.branch"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// together waits until all is decided and everywhere, and checks the two branches' files.
func together(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
	t.Helper()
	waitVoters(t, ctx, c, ident.CircleShard, 2)
	waitVoters(t, ctx, c, space, 2)
	until(t, ctx, "all is home", func() bool {
		settled, err := c.Settled(ctx, space)
		whole, err2 := c.Complete(ctx, space)
		same, err3 := c.Same(space)
		return settled && whole && same && errors.Join(err, err2, err3) == nil && len(branchesAt(t, c.Box("a")))+len(branchesAt(t, c.Box("b"))) == 0
	})
	for _, b := range c.Up() {
		mustGet(t, ctx, b, space, "only-a", pattern(100_000))
		mustGet(t, ctx, b, space, "only-b", pattern(100_001))
		mustGet(t, ctx, b, space, "both", []byte("of b"))
		mustGet(t, ctx, b, space, "both (kept at a house, 1 Jan)", []byte("of a"))
		if list, err := b.Node.Space(space).List(ctx, "", "", 100); err != nil || len(list) != 4 {
			t.Errorf("%s: %d files, %v", b.Name, len(list), err)
		}
	}
}

// The power goes while a box gives way, after any of its steps: it goes on with it when
// it starts again.
func TestGivingWayOutlivesAPowerCut(t *testing.T) {
	each := 1
	if testing.Short() || raceEnabled {
		each = 3
	}
	for steps, all := 0, 1; steps <= all; steps += each {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			inTwoBranches(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
				a, cut := c.Box("a"), errors.New("the power is cut")
				a.Before = func(cfg raftnode.Config) (err error) {
					a.Before = nil
					if all, err = raftnode.InterruptWay(cfg, steps); err != nil {
						t.Error(err)
					}
					return cut
				}
				if err := c.GiveWay(ctx, "a"); !errors.Is(err, cut) {
					t.Fatal(err)
				}
				if err := a.Start(); err != nil {
					t.Fatal(err)
				}
				// All that it accepted is to be read there, before anything else has come.
				mustGet(t, ctx, a, space, "only-a", pattern(100_000))
				together(t, ctx, c, space)
			})
		})
	}
}

// Until it is home, a branch's chunks are needed.
func TestABranchKeepsItsChunks(t *testing.T) {
	inTwoBranches(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a := c.Box("a")
		// What is only among the older versions comes home with the rest; take a file of
		// chunks that the journal does not name, for it was removed.
		mustPut(t, ctx, a, space, "gone", pattern(300_000))
		if _, _, err := a.Remove(ctx, space, "gone"); err != nil {
			t.Fatal(err)
		}
		before, err := a.Node.Needed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.GiveWay(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		a.Node.Forget("journals")
		after, err := a.Node.NeededNow(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var lost []chunk.Hash
		for h := range before {
			if !after[h] {
				lost = append(lost, h)
			}
		}
		if len(lost) > 0 {
			t.Errorf("%d of %d chunks may be removed", len(lost), len(before))
		}
		together(t, ctx, c, space)
	})
}

// What a branch decided about people and spaces comes home, too.
func TestRecordsOfABranchComeHome(t *testing.T) {
	inTwoBranches(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a, b := c.Box("a"), c.Box("b")
		made, err := a.NewSpace(ctx, "made-at-a")
		if err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "the new space is there", func() bool { return shardAt(t, ctx, a, made).Leads })
		mustPut(t, ctx, a, made, "f", []byte("alone"))
		if err := c.GiveWay(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		together(t, ctx, c, space)
		waitVoters(t, ctx, c, made, 2)
		mustGet(t, ctx, b, made, "f", []byte("alone"))
		if err := b.Node.Directory(func(v directory.View) error {
			if s, ok := v.SpaceByName("made-at-a"); !ok || s.ID != made {
				t.Errorf("%+v", s)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// Nothing is given up before those who go on count this box.
func TestNobodyGivesWayToStrangers(t *testing.T) {
	inTwoBranches(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a, b := c.Box("a"), c.Box("b")
		if err := a.Node.GiveWay(ctx, 77, []ident.BoxID{b.Key.BoxID()}); err == nil {
			t.Error("given way without a place")
		}
		time.Sleep(time.Second)
		if a.Ended() != nil || !shardAt(t, ctx, a, space).Leads {
			t.Error("it went on all the same")
		}
		if err := c.GiveWay(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		together(t, ctx, c, space)
	})
}
