package raftnode_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/raftnodetest"
)

// inOne runs a test in a circle of one box, whose state files have "old" and whose log alone has ten
// notes behind it; then it is off.
func inOne(t *testing.T, test func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID)) {
	inCircle(t, []string{"a"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		a := c.Box("a")
		space := newSpace(t, ctx, c, 1)
		mustPut(t, ctx, a, space, "old", pattern(100_000))
		time.Sleep(10 * time.Second) // the states are on the disk
		for i := range 10 {
			mustPut(t, ctx, a, space, fmt.Sprintf("n%d", i), note(i))
		}
		a.Crash()
		test(t, ctx, c, space)
		for _, shard := range []ident.ShardID{ident.CircleShard, space} {
			until(t, ctx, "the replica is healed", func() bool { return failedAt(t, ctx, a, shard) == "" })
		}
		mustGet(t, ctx, a, space, "old", pattern(100_000))
		until(t, ctx, "it decides again", func() bool { return shardAt(t, ctx, a, space).Leads })
		mustPut(t, ctx, a, space, "new", []byte("goes on"))
		mustGet(t, ctx, a, space, "new", []byte("goes on"))
		if sh := shardAt(t, ctx, a, space); sh.Salvaged != 1 || sh.Renumbered != 1 {
			t.Errorf("status: salvaged %d, renumbered %d", sh.Salvaged, sh.Renumbered)
		}
		if _, err := c.Add(ctx, "b", "b house"); err != nil {
			t.Fatal(err)
		}
		waitVoters(t, ctx, c, ident.CircleShard, 2)
		waitVoters(t, ctx, c, space, 2)
		mustGet(t, ctx, c.Box("b"), space, "old", pattern(100_000))
	})
}

func note(i int) []byte { return []byte(strings.Repeat(fmt.Sprintf("<note %d>", i), 20)) }

// The only box of a circle finds its log damaged in the middle: all that can be read of it is there
// again, before the damage and behind it, and the box goes on.
func TestTheOnlyBoxSalvagesItsLog(t *testing.T) {
	inOne(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a := c.Box("a")
		if n, err := a.FlipInLog("<note 6>"); n == 0 || err != nil {
			t.Fatalf("note 6 stands in the log %d times, %v", n, err)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		if len(c.Said.Of("a", "raft log damaged")) == 0 {
			t.Fatal("the log is not damaged")
		}
		for i := range 10 {
			name := fmt.Sprintf("n%d", i)
			if i == 6 {
				continue
			}
			until(t, ctx, name+" is there", func() bool {
				got, err := a.Get(ctx, space, name)
				return err == nil && string(got) == string(note(i))
			})
		}
		if got, err := a.Get(ctx, space, "n6"); err == nil {
			t.Errorf("note 6 cannot be read in the log, and is there: %q", got)
		}
	})
}

// The log of the only box is gone altogether: the box goes on with what its states have.
func TestTheOnlyBoxGoesOnWithoutItsLog(t *testing.T) {
	inOne(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a := c.Box("a")
		if err := a.LoseLog(); err != nil {
			t.Fatal(err)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	})
}

// The power goes in the middle of it, again and again.
func TestSalvageOutlivesPowerCuts(t *testing.T) {
	inOne(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a := c.Box("a")
		if _, err := a.FlipInLog("<note 6>"); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			if err := a.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i) * 300 * time.Millisecond)
			if failedAt(t, ctx, a, ident.CircleShard) == "" && failedAt(t, ctx, a, space) == "" {
				break
			}
			a.CutPower()
		}
		for i := range 6 {
			mustGet(t, ctx, a, space, fmt.Sprintf("n%d", i), note(i))
		}
	})
}
