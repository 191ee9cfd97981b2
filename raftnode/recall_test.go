package raftnode_test

import (
	"context"
	"testing"
	"time"

	"redhen/raftnode/directory"
	"redhen/raftnode/raftnodetest"
)

// knowsKeeper looks for an account at a box.
func knowsKeeper(t *testing.T, b *raftnodetest.Box, keeper string) (known bool) {
	t.Helper()
	err := b.Node.Directory(func(v directory.View) error {
		_, known = v.AccountByName("keeper-" + keeper)
		return v.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// An account that was made just before a power cut is known again before anybody is
// told that there is none.
func TestABoxRecallsWhomItKnew(t *testing.T) {
	inCircle(t, []string{"a"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		a := c.Box("a")
		a.CutPower()
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		if knowsKeeper(t, a, "a") {
			t.Error("the state was written at once: this test shows nothing")
		}
		ctx, end := context.WithTimeout(ctx, time.Minute)
		defer end()
		if err := a.Node.Recall(ctx); err != nil {
			t.Fatal(err)
		}
		if !knowsKeeper(t, a, "a") {
			t.Error("the box recalled, and does not know its keeper")
		}
	})
}
