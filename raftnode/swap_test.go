package raftnode_test

import (
	"bytes"
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
	"redhen/raftnode/directory"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

// refuse has the keeper of a box host an account no longer: its spaces move away
// from a box that lives.
func refuse(t *testing.T, ctx context.Context, b *raftnodetest.Box, account ident.AccountID) {
	t.Helper()
	out, err := b.Node.Command(ctx, directory.Command{SetBox: &directory.SetBox{
		Settings: directory.BoxSettings{Refuses: []ident.AccountID{account}},
	}})
	if err != nil || out.Code != directory.Done {
		t.Fatalf("refuse an account at %s: %v %v", b.Name, out.Code, err)
	}
}

func wantCopies(t *testing.T, ctx context.Context, b *raftnodetest.Box, space ident.ShardID, copies int) {
	t.Helper()
	var want directory.Space
	if err := b.Node.Directory(func(v directory.View) error {
		want, _ = v.Space(space)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	change := directory.PutSpace{Space: want, If: want.Version}
	change.Space.Copies = copies
	if out, err := b.Node.Command(ctx, directory.Command{PutSpace: &change}); err != nil || out.Code != directory.Done {
		t.Fatalf("want %d copies: %v %v", copies, out.Code, err)
	}
}

// A voter that lives is to leave, and is one of the two that have a file: it stays
// until another one has it.
func TestAVoterStaysWhileItIsNeeded(t *testing.T) {
	inThree(t, raftnodetest.Config{}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a, b := c.Box("a"), c.Box("b")
		d, err := c.Add(ctx, "d", "d house")
		if err != nil {
			t.Fatal(err)
		}
		wantCopies(t, ctx, a, space, 4)
		wait(t, ctx, "d learns", func() (bool, error) { return c.Complete(ctx, space) })
		until(t, ctx, "d holds a replica", func() bool { return shardAt(t, ctx, d, space).Applied > 1 })
		b.Disk.SetFull(true)
		d.Disk.SetFull(true)
		data := pattern(100_000)
		if kept := mustPut(t, ctx, a, space, "x", data); kept < 2 {
			t.Fatalf("kept in %d houses", kept)
		}
		refuse(t, ctx, c.Box("c"), a.Account)
		wantCopies(t, ctx, a, space, 3)
		time.Sleep(2 * time.Minute)
		if ok, err := c.Voters(ctx, space, "a", "b", "c"); !ok || err != nil {
			t.Fatalf("c left, and with it one of two copies (%v)", err)
		}
		b.Disk.SetFull(false)
		d.Disk.SetFull(false)
		wait(t, ctx, "d votes instead of c", func() (bool, error) { return c.Voters(ctx, space, "a", "b", "d") })
		a.Crash()
		c.Box("c").Crash()
		mustGet(t, ctx, b, space, "x", data)
	})
}

// A voter leaves although people write all the time, and what they were told is
// kept in two houses is so at the very moment when its vote ends: from then on the
// other two get nothing more, and the writer's house burns.
func TestNothingIsLostWhenAVoterLeavesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *raftnodetest.Circle
		var space atomic.Value
		var left atomic.Bool
		heard := func(line string) {
			id, ok := space.Load().(ident.ShardID)
			if ok && strings.HasPrefix(line, "conf change proposed shard="+id.String()) && strings.Contains(line, "change=v4 ") {
				left.Store(true)
				c.Box("b").Disk.SetFull(true)
				c.Box("d").Disk.SetFull(true)
			}
		}
		c = raftnodetest.New(t, raftnodetest.Config{Seed: 3, Logger: slog.New(listener{heard: heard})})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		for _, name := range []string{"a", "b", "c"} {
			if _, err := c.Add(ctx, name, name+" house"); err != nil {
				t.Fatal(err)
			}
		}
		a := c.Box("a")
		sp := newSpace(t, ctx, c, 3)
		c.Mesh.SetUpload(a.Key.BoxID(), 20<<20)
		c.Mesh.SetUpload(c.Box("c").Key.BoxID(), 20<<20)
		if _, err := c.Add(ctx, "d", "d house"); err != nil {
			t.Fatal(err)
		}
		// The nearest voter gets a large file first: that is c; b and d are far from everybody.
		c.Mesh.SetLinks(transport.Link{Latency: 150 * time.Millisecond})
		c.Mesh.SetLink(a.Key.BoxID(), c.Box("c").Key.BoxID(), transport.Link{Latency: 5 * time.Millisecond})
		c.Mesh.SetLink(c.Box("c").Key.BoxID(), a.Key.BoxID(), transport.Link{Latency: 5 * time.Millisecond})
		var mu sync.Mutex
		kept := map[string][]byte{}
		began := time.Now()
		var writers sync.WaitGroup
		for i := range 2 {
			writers.Go(func() {
				for k := 0; !left.Load() && time.Since(began) < 3*time.Minute; k++ {
					time.Sleep(time.Second) // the lines between the houses can carry it
					name := fmt.Sprintf("%d-%d", i, k)
					data := bytes.Repeat([]byte(name+" "), (5<<20)/len(name))
					if _, houses, err := a.Put(ctx, sp, name, data); err != nil {
						t.Errorf("put %s: %v", name, err)
						return
					} else if houses >= 2 {
						mu.Lock()
						kept[name] = data
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(5 * time.Second)
		space.Store(sp)
		refuse(t, ctx, c.Box("c"), a.Account)
		wait(t, ctx, "d votes instead of c", func() (bool, error) { return c.Voters(ctx, sp, "a", "b", "d") })
		writers.Wait()
		t.Logf("c left after %v of writing", time.Since(began))
		a.Crash()
		c.Box("c").Crash()
		for name, data := range kept {
			mustGet(t, ctx, c.Box("d"), sp, name, data)
		}
		if len(kept) < 8 {
			t.Errorf("%d files kept in two houses: too few to tell", len(kept))
		}
		c.Close()
	})
}

// The box that is to vote is cut off for a while, just when another one was about to
// leave for it. Nobody had to wait for that, so once it is back it votes within seconds.
func TestASwapThatWasBrokenOffGoesOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *raftnodetest.Circle
		var space atomic.Value
		cut := make(chan struct{})
		var once sync.Once
		heard := func(line string) {
			id, ok := space.Load().(ident.ShardID)
			if ok && strings.HasPrefix(line, "a voter is to leave shard="+id.String()) {
				once.Do(func() {
					c.Mesh.Partition([]ident.BoxID{c.Box("d").Key.BoxID()})
					close(cut)
				})
			}
		}
		c = raftnodetest.New(t, raftnodetest.Config{Seed: 4, Logger: slog.New(listener{heard: heard})})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		for _, name := range []string{"a", "b", "c"} {
			if _, err := c.Add(ctx, name, name+" house"); err != nil {
				t.Fatal(err)
			}
		}
		sp := newSpace(t, ctx, c, 3)
		mustPut(t, ctx, c.Box("a"), sp, "x", pattern(100_000))
		if _, err := c.Add(ctx, "d", "d house"); err != nil {
			t.Fatal(err)
		}
		var writer sync.WaitGroup
		writing, stop := context.WithCancel(ctx)
		writer.Go(func() { // or the box that is cut off would lack nothing
			for i := 0; writing.Err() == nil; i++ {
				if _, _, err := c.Box("a").Put(ctx, sp, fmt.Sprint("note ", i), pattern(100)); err != nil {
					t.Errorf("put note %d: %v", i, err)
					return
				}
				time.Sleep(100 * time.Millisecond) // simulated
			}
		})
		space.Store(sp)
		refuse(t, ctx, c.Box("c"), c.Box("a").Account)
		<-cut
		time.Sleep(8 * time.Second) // simulated; the brake has let go
		c.Mesh.Heal()
		began := time.Now()
		wait(t, ctx, "d votes instead of c", func() (bool, error) { return c.Voters(ctx, sp, "a", "b", "d") })
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("d voted %v after it was back", took)
		}
		stop()
		writer.Wait()
		c.Close()
	})
}
