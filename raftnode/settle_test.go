package raftnode_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/raftnodetest"
)

// A box numbers the writes of each space for themselves: the first of one space is not
// settled because the first of another is.
func TestEachSpaceSettlesItsOwnWrites(t *testing.T) {
	inCircle(t, []string{"a", "b", "c"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 3)
		files := newSpace(t, ctx, c, 3)
		a, b := c.Box("a"), c.Box("b")
		solo, err := a.NewSpaceOf(ctx, "solo", 1)
		if err != nil {
			t.Fatal(err)
		}
		waitVoters(t, ctx, c, solo, 1)
		c.Mesh.Partition([]ident.BoxID{a.Key.BoxID()})
		time.Sleep(10 * time.Second) // it knows
		for i := range 5 {
			if kept := mustPut(t, ctx, a, files, fmt.Sprint("f", i), []byte("files")); kept != 1 {
				t.Fatalf("kept in %d houses", kept)
			}
		}
		for i := range 5 {
			time.Sleep(time.Second)
			mustPut(t, ctx, a, solo, fmt.Sprint("s", i), []byte("solo"))
		}
		c.Mesh.Heal()
		for i := range 5 {
			mustGet(t, ctx, b, files, fmt.Sprint("f", i), []byte("files"))
			mustGet(t, ctx, b, solo, fmt.Sprint("s", i), []byte("solo"))
		}
	})
}
