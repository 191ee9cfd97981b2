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
	"redhen/raftnode/directory"
	"redhen/raftnode/raftnodetest"
)

// era is how often a shard went on without a majority, by the directory at a box.
func era(t *testing.T, b *raftnodetest.Box, shard ident.ShardID) (n uint64) {
	t.Helper()
	if err := b.Node.Directory(func(v directory.View) error {
		p, _ := v.Placement(shard)
		n = p.Era
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestATakeoverIsRefused(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a, b, d := c.Box("a"), c.Box("b"), c.Box("c")
		refused := func(at *raftnodetest.Box, want error, lost ...ident.BoxID) {
			t.Helper()
			if err := at.TakeOver(ctx, lost...); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		refused(a, raftnode.ErrNotLost, b.Key.BoxID(), d.Key.BoxID()) // both can be heard
		b.Crash()
		time.Sleep(10 * time.Second)
		refused(a, raftnode.ErrEnoughLeft, b.Key.BoxID()) // the other two decide
		d.Crash()
		time.Sleep(10 * time.Second)
		var away *raftnode.SurvivorError
		if err := a.TakeOver(ctx, b.Key.BoxID()); !errors.Is(err, raftnode.ErrEnoughLeft) {
			t.Errorf("one of two that are away is given up: %v", err)
		}
		mustPut(t, ctx, a, space, "x", []byte("kept here"))
		if era(t, a, ident.CircleShard) != 0 || era(t, a, space) != 0 {
			t.Error("something has begun")
		}
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "two of three decide", func() bool {
			ok, err := c.Settled(ctx, space)
			return ok && err == nil
		})
		if errors.As(a.TakeOver(ctx, b.Key.BoxID()), &away) {
			t.Error("not asked: enough are left")
		}
	})
}

// Of several houses that are left, one that has more begins, and all that are left
// must be in reach.
func TestATakeoverAsksThoseThatAreLeft(t *testing.T) {
	inCircle(t, []string{"a", "b", "c", "d", "e"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitAllVote(t, ctx, c.All(), ident.CircleShard)
		a, b := c.Box("a"), c.Box("b")
		var lost []ident.BoxID
		for _, name := range []string{"c", "d", "e"} {
			lost = append(lost, c.Box(name).Key.BoxID())
		}
		// a hears nothing of what the others decide.
		c.Mesh.Partition([]ident.BoxID{a.Key.BoxID()})
		time.Sleep(10 * time.Second)
		if _, err := b.NewSpace(ctx, "made-without-a"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"c", "d", "e"} {
			if err := c.Box(name).Burn(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		var other *raftnode.SurvivorError
		if err := b.TakeOver(ctx, lost...); !errors.As(err, &other) || other.Ahead || other.Box != a.Key.BoxID() {
			t.Errorf("a is not in reach: %v", err)
		}
		c.Mesh.Heal()
		time.Sleep(5 * time.Second)
		if err := a.TakeOver(ctx, lost...); !errors.As(err, &other) || !other.Ahead || other.Box != b.Key.BoxID() {
			t.Errorf("b has more: %v", err)
		}
		if err := b.TakeOver(ctx, lost...); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "b decides", func() bool { return shardAt(t, ctx, b, ident.CircleShard).Leads })
		if err := b.Node.Directory(func(v directory.View) error {
			if _, ok := v.SpaceByName("made-without-a"); !ok {
				t.Error("what was decided is lost")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// The power goes in the middle of a takeover, after any of its steps: the box goes on
// with it when it starts again.
func TestATakeoverOutlivesAPowerCut(t *testing.T) {
	for steps, all := 0, 1; steps <= all; steps++ {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			inCircle(t, []string{"a", "b"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
				waitVoters(t, ctx, c, ident.CircleShard, 2)
				a, b := c.Box("a"), c.Box("b")
				space := newSpace(t, ctx, c, 2)
				mustPut(t, ctx, b, space, "x", pattern(100_000))
				if err := b.Burn(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				lost := b.Key.BoxID()
				var err error
				all, err = a.Node.InterruptTakeover(ctx, []ident.BoxID{lost}, a.SignTakeover(lost), steps)
				if err != nil {
					t.Fatal(err)
				}
				a.Crash()
				if err := a.Start(); err != nil {
					t.Fatal(err)
				}
				waitVoters(t, ctx, c, ident.CircleShard, 1)
				waitVoters(t, ctx, c, space, 1)
				mustGet(t, ctx, a, space, "x", pattern(100_000))
				if got := era(t, a, ident.CircleShard); got != 1 {
					t.Errorf("era %d, want 1", got)
				}
				if left, _ := filepath.Glob(filepath.Join(a.Dir(), "shards", "*.era")); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
}

// Two of a space's three houses burn; the circle, of five, still decides. Their
// keepers say that they are gone, and the space goes on by itself.
func TestASpaceGoesOnWhereTheCircleDecides(t *testing.T) {
	inCircle(t, []string{"a", "b", "c", "d", "e"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 5)
		space := newSpace(t, ctx, c, 3)
		var holders, others []*raftnodetest.Box
		for _, b := range c.All() {
			if replicaAt(t, ctx, b, space) != 0 {
				holders = append(holders, b)
			} else {
				others = append(others, b)
			}
		}
		if len(holders) != 3 {
			t.Fatalf("%d holders", len(holders))
		}
		data := pattern(300_000)
		mustPut(t, ctx, others[0], space, "x", data)
		until(t, ctx, "complete", func() bool { ok, err := c.Complete(ctx, space); return ok && err == nil })
		for _, b := range holders[:2] {
			if err := b.Burn(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		if kept := mustPut(t, ctx, others[0], space, "y", []byte("kept at one that holds nothing")); kept != 1 {
			t.Errorf("kept in %d houses without a majority", kept)
		}
		for _, b := range holders[:2] {
			if err := c.Gone(ctx, b.Name, ""); err != nil {
				t.Fatal(err)
			}
		}
		waitVoters(t, ctx, c, space, 3)
		until(t, ctx, "settled and whole", func() bool {
			settled, err := c.Settled(ctx, space)
			whole, err2 := c.Complete(ctx, space)
			return settled && whole && errors.Join(err, err2) == nil
		})
		for _, b := range append(others, holders[2]) {
			mustGet(t, ctx, b, space, "x", data)
			mustGet(t, ctx, b, space, "y", []byte("kept at one that holds nothing"))
		}
		if got := era(t, others[0], space); got != 1 {
			t.Errorf("era %d, want 1", got)
		}
		if got := era(t, others[0], ident.CircleShard); got != 0 {
			t.Errorf("the circle's own era is %d, it never lost its majority", got)
		}
	})
}

// What stood in one log alone when the space went on there counts, and is not said to be kept
// in two houses: it never was.
func TestWhatGoesOnAloneIsKeptInOneHouse(t *testing.T) {
	inCircle(t, []string{"a", "b", "d"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		space, err := c.Box("a").NewSpaceOf(ctx, "files", 2)
		if err != nil {
			t.Fatal(err)
		}
		waitVoters(t, ctx, c, space, 2)
		var here, other *raftnodetest.Box
		for _, b := range c.All() {
			switch sh := shardAt(t, ctx, b, space); {
			case sh.Leads:
				here = b
			case sh.Replica != 0:
				other = b
			}
		}
		if here == nil || other == nil {
			t.Fatal("the space has no leader, or stands in one house")
		}
		other.Stop() // what it leads of the circle goes to another
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		mustPut(t, ctx, here, space, "before", []byte("kept"))
		c.Mesh.Partition([]ident.BoxID{other.Key.BoxID()})
		kept := make(chan int, 1)
		go func() {
			_, n, err := here.Put(ctx, space, "alone", []byte("in one house"))
			if err != nil {
				t.Errorf("put: %v", err)
			}
			kept <- n
		}()
		time.Sleep(100 * time.Millisecond)
		if err := c.Gone(ctx, other.Name, ""); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "the circle decides", func() bool { // also where others stand now
			return here.Node.OfferEra(ctx, space, []ident.BoxID{here.Key.BoxID(), other.Key.BoxID()}) == nil
		})
		c.Mesh.Partition([]ident.BoxID{here.Key.BoxID()}) // before the third house has a copy
		if got := <-kept; got != 1 {
			t.Errorf("said to be kept in %d houses, want 1", got)
		}
		mustGet(t, ctx, here, space, "alone", []byte("in one house"))
	})
}

// TestTogetherWithout: who asks is not counted, nor is who was not heard yet.
func TestTogetherWithout(t *testing.T) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitAllVote(t, ctx, c.All(), ident.CircleShard)
		a, b := c.Box("a"), c.Box("b")
		if !a.Node.TogetherWithout(c.Box("c").Key.BoxID()) {
			t.Error("a and b are two of three")
		}
		c.Mesh.Partition([]ident.BoxID{c.Box("c").Key.BoxID()})
		time.Sleep(10 * time.Second)
		until(t, ctx, "a and b are together", func() bool { return !a.Node.Apart() })
		if a.Node.TogetherWithout(b.Key.BoxID()) {
			t.Error("a alone is most of the circle")
		}
	})
}
