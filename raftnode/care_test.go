package raftnode_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/chunk"
	"redhen/raftnode/raftnodetest"
)

// noise returns n bytes that repeat nothing, drawn from a seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// A scrub finds what has rotted and what is missing, and both are fetched from
// another house, although nobody has read them.
func TestAScrubMends(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		mustPut(t, ctx, c.Box("a"), space, "photo", noise(1, 5<<20))
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		b := c.Box("b")
		files := b.ChunkFiles()
		if len(files) < 5 {
			t.Fatalf("%d chunks", len(files))
		}
		if err := errors.Join(b.Disk.Flip(files[1], 7, 0), b.Disk.Remove(files[3])); err != nil {
			t.Fatal(err)
		}
		round, err := b.Node.Scrub(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if round.Bad != 1 || round.Left != 0 || round.Lists != 2 || round.BadLists != 0 {
			t.Errorf("got %+v", round)
		}
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()})
		mustGet(t, ctx, b, space, "photo", noise(1, 5<<20))
		st, err := b.Node.Status(ctx)
		if err != nil || st.Care.Scrub.Last != round {
			t.Errorf("status: %+v, %v", st.Care.Scrub, err)
		}
		if sh := shardAt(t, ctx, b, space); sh.Mended != 1 || sh.Owes {
			t.Errorf("mended %d, owes %v", sh.Mended, sh.Owes)
		}
	})
}

// What no other house has is told, and owed until one has it.
func TestAScrubOfABoxThatIsAlone(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		mustPut(t, ctx, c.Box("a"), space, "photo", noise(1, 3<<20))
		wait(t, ctx, "complete", func() (bool, error) { return c.Complete(ctx, space) })
		b := c.Box("b")
		c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()})
		flipChunks(t, b)
		round, err := b.Node.Scrub(ctx, nil)
		if err != nil || round.Bad != 3 || round.Left != 3 {
			t.Fatalf("got %+v, %v", round, err)
		}
		if sh := shardAt(t, ctx, b, space); !sh.Owes {
			t.Error("it counts as a copy")
		}
		c.Mesh.Heal()
		until(t, ctx, "b owes nothing", func() bool { return !shardAt(t, ctx, b, space).Owes })
		if round, err = b.Node.Scrub(ctx, nil); err != nil || round.Bad != 0 || round.Left != 0 {
			t.Errorf("again: %+v, %v", round, err)
		}
	})
}

// A state file that rots while it is used is fetched again, at the next scrub; while
// no other house is in reach it is used as far as it goes.
func TestAScrubFindsARottenState(t *testing.T) {
	burning(t, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		b := c.Box("b")
		time.Sleep(10 * time.Second) // it is flushed
		c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()})
		time.Sleep(10 * time.Second)
		flip(t, filepath.Join(b.Dir(), "shards", space.String()+"-*.db"))
		round, err := b.Node.Scrub(ctx, nil)
		if err != nil || round.BadLists != 1 || round.Lists != 2 {
			t.Fatalf("alone: %+v, %v", round, err)
		}
		if sh := shardAt(t, ctx, b, space); sh.Failed != "" || !strings.Contains(sh.Trouble, raftnode.ErrStateRotten.Error()) {
			t.Errorf("alone: stopped %q, trouble %q", sh.Failed, sh.Trouble)
		}
		c.Mesh.Heal()
		time.Sleep(10 * time.Second)
		if round, err = b.Node.Scrub(ctx, nil); err != nil || round.BadLists > 1 {
			t.Fatalf("together: %+v, %v", round, err)
		}
		until(t, ctx, "the list is fetched again", func() bool {
			sh := shardAt(t, ctx, b, space)
			return sh.Rebuilt == 1 && sh.Failed == ""
		})
	})
}

// here reports whether a chunk lies on a box's disk.
func here(b *raftnodetest.Box, h chunk.Hash) bool {
	f, err := b.Disk.OpenFile(filepath.Join(b.Dir(), "chunks", h.String()[:2], h.String()), os.O_RDONLY)
	if err == nil {
		f.Close()
	}
	return err == nil
}
