package raftnode_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

// listener calls a function with everything that is logged.
type listener struct {
	slog.Handler
	heard func(line string)
}

func (l listener) Enabled(context.Context, slog.Level) bool { return true }
func (l listener) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l listener) WithGroup(string) slog.Handler            { return l }
func (l listener) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	l.heard(line)
	return nil
}

// The second house is cut off at the very moment when it begins to vote: what was
// on its way then is in one house, and no answer may say two.
func TestNothingIsKeptTwiceBecauseAHouseBeginsToVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *raftnodetest.Circle
		var other, space atomic.Value
		var cut atomic.Bool
		heard := func(line string) {
			if sp, ok := space.Load().(string); ok && strings.HasPrefix(line, "conf change proposed") &&
				strings.Contains(line, "shard="+sp) && strings.Contains(line, "change=v") {
				cut.Store(true)
				c.Mesh.Partition([]ident.BoxID{other.Load().(ident.BoxID)})
			}
		}
		c = raftnodetest.New(t, raftnodetest.Config{Seed: 1, PromoteAfter: 20 * time.Second, Logger: slog.New(listener{heard: heard})})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		a, err := c.Add(ctx, "a", "a house")
		if err != nil {
			t.Fatal(err)
		}
		sp := newSpace(t, ctx, c, 1)
		b, err := c.Add(ctx, "b", "b house")
		if err != nil {
			t.Fatal(err)
		}
		other.Store(b.Key.BoxID())
		space.Store(sp.String())
		end := time.Now().Add(30 * time.Second)
		var wg sync.WaitGroup
		var writes atomic.Int64
		for i := range 16 {
			wg.Go(func() {
				for k := 0; time.Now().Before(end); k++ {
					op := catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: fmt.Sprintf("%d-%d", i, k)}
					out, kept, err := a.Node.Space(sp).Write(ctx, a.Account, op, 0)
					if err != nil || kept > 1 {
						t.Errorf("write %s: kept in %d houses (%v), index %d", op.Name, kept, err, out.Index)
						return
					}
					writes.Add(1)
					if k%3 == 2 { // all at once, when the boxes beat: then members change
						time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
					}
				}
			})
		}
		wg.Wait()
		if !cut.Load() || writes.Load() < 100 {
			t.Errorf("the second house began to vote: %v; %d writes", cut.Load(), writes.Load())
		}
		c.Close()
	})
}

// A house becomes a voter although people write hundreds of times a second: there
// is never a moment in which it has every entry.
func TestAHouseBeginsToVoteUnderLoad(t *testing.T) {
	inCircleOf(t, raftnodetest.Config{Seed: 2}, []string{"a", "b"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		waitVoters(t, ctx, c, ident.CircleShard, 2)
		sp := newSpace(t, ctx, c, 2)
		c.Mesh.SetLinks(transport.Link{Latency: 60 * time.Millisecond})
		var stop atomic.Bool
		var writes atomic.Int64
		var wg sync.WaitGroup
		a := c.Box("a")
		for i := range 64 {
			wg.Go(func() {
				for k := 0; !stop.Load() && ctx.Err() == nil; k++ {
					op := catalog.Op{Kind: catalog.Mkdir, Dir: catalog.Root, Name: fmt.Sprintf("%d-%d", i, k)}
					if _, _, err := a.Node.Space(sp).Write(ctx, a.Account, op, 0); err != nil {
						t.Errorf("write %s: %v", op.Name, err)
						return
					}
					writes.Add(1)
				}
			})
		}
		began := time.Now()
		if _, err := c.Add(ctx, "c", "c house"); err != nil {
			t.Fatal(err)
		}
		waitVoters(t, ctx, c, sp, 3)
		rate := float64(writes.Load()) / time.Since(began).Seconds()
		t.Logf("voted after %v, under %.0f writes a second", time.Since(began), rate)
		stop.Store(true)
		wg.Wait()
		if rate < 3*64 {
			t.Errorf("%.0f writes a second: too few to tell", rate)
		}
	})
}
