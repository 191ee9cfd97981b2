package raftnode_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

// TestWhatWaitsIsNoGarbage: what only a journal names, or only an entry of the log
// that is not applied, stays, however long it waits.
func TestWhatWaitsIsNoGarbage(t *testing.T) {
	t.Run("journal", func(t *testing.T) { inSweeper(t, 5, func(w *sweeper) { w.waitsInAJournal() }) })
	t.Run("log", func(t *testing.T) { inSweeper(t, 6, func(w *sweeper) { w.waitsInALog() }) })
}

// waitsInAJournal has box a keep a write that it does not even offer, because another
// is before it and its house is away. (Offering a write rescues its chunks.)
func (w *sweeper) waitsInAJournal() {
	a, c := w.c.Box("a"), w.c.Box("c")
	if _, err := a.Stat(w.ctx, w.solo, ""); err != nil {
		w.Fatal(err) // it must know where the space lies
	}
	data := noise(200, 50_000)
	content, err := a.Node.Space(w.solo).Upload(w.ctx, bytes.NewReader(data))
	if err != nil {
		w.Fatal(err)
	}
	first, err := a.Node.Space(w.solo).Upload(w.ctx, strings.NewReader("small"))
	if err != nil {
		w.Fatal(err)
	}
	w.c.Mesh.Partition([]ident.BoxID{c.Key.BoxID()})
	keep := func(op catalog.Op) catalog.WriteID {
		out, kept, err := a.Node.Space(w.solo).Write(w.ctx, a.Account, op, 0)
		if err != nil || kept != 1 {
			w.Fatalf("kept in %d houses, %v", kept, err)
		}
		return out.Version
	}
	id := keep(catalog.Op{Kind: catalog.Put, Name: "waits", Content: &first})
	keep(catalog.Op{Kind: catalog.Put, Name: "waits", Node: catalog.NodeOf(id), Base: id, Content: &content})
	time.Sleep(sweepWait)
	a.CutPower()
	if err := a.Start(); err != nil {
		w.Fatal(err)
	}
	time.Sleep(sweepWait)
	if !here(a, chunk.Sum(data)) {
		w.Error("what waits in the journal is gone")
	}
	w.c.Mesh.Heal()
	w.settle()
	mustGet(w.T, w.ctx, c, w.solo, "waits", data)
}

// waitsInALog has a box that does not lead be slow to apply what it has in its log, longer than the lease
// lasts that it gave for the bytes.
func (w *sweeper) waitsInALog() {
	a := leaderOf(w.T, w.ctx, w.c, w.files)
	others := slices.DeleteFunc(slices.Clone(w.c.All()), func(o *raftnodetest.Box) bool { return o == a })
	b, away := others[0], others[1]
	data := noise(201, 50_000)
	goOn := sync.OnceFunc(b.Node.StallApply(w.files))
	defer goOn()
	w.c.Mesh.Partition([]ident.BoxID{away.Key.BoxID()}) // a write is only brought to as many as decide it
	mustPut(w.T, w.ctx, a, w.files, "slow", data)
	w.c.Mesh.Heal()
	if !here(b, chunk.Sum(data)) {
		w.Fatal("the bytes are not there")
	}
	w.letPass(20 * day)
	time.Sleep(sweepWait)
	if !here(b, chunk.Sum(data)) {
		w.Error("what waits in the log is gone")
	}
	goOn()
	w.settle()
	w.c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()})
	mustGet(w.T, w.ctx, b, w.files, "slow", data)
}

// sends reports whether a box sent a snapshot of a space.
func sends(c *raftnodetest.Circle, b *raftnodetest.Box, space ident.ShardID) bool {
	return slices.ContainsFunc(c.Said.Of(b.Name, "sending snapshot"), func(l raftnodetest.Line) bool {
		return strings.Contains(l.Attrs, space.String())
	})
}

// TestNothingGoesMeanwhile: no sweep while a snapshot is on its way from here or to
// here, nor while this box owes chunks.
func TestNothingGoesMeanwhile(t *testing.T) {
	cfg := raftnodetest.Config{KeepEntries: 4, CutEntries: 8}
	inThree(t, cfg, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		late := c.Box("c")
		late.Crash()
		for i := range 60 {
			mustPut(t, ctx, c.Box("a"), space, fmt.Sprint("f", i), noise(byte(i), 40_000))
		}
		time.Sleep(10 * time.Second) // the log is cut
		c.Said.Forget()
		c.Mesh.SetLinks(transport.Link{Latency: 300 * time.Millisecond})
		if err := late.Start(); err != nil {
			t.Fatal(err)
		}
		offered, owed := 0, 0
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			for _, b := range c.All() {
				why := b.Node.Sweep(ctx)
				switch {
				case why != nil && strings.Contains(why.Error(), "snapshot"):
					offered++
				case why != nil && strings.Contains(why.Error(), "owes chunks"):
					owed++
				case why == nil && shardAt(t, ctx, b, space).Owes:
					t.Errorf("%s swept and owes chunks", b.Name)
				case why == nil && shardAt(t, ctx, late, space).Applied < 60 && sends(c, b, space):
					t.Errorf("%s swept while its snapshot was on its way", b.Name)
				}
			}
		}
		if offered == 0 || owed == 0 {
			t.Errorf("refused %d times for a snapshot, %d times for debt", offered, owed)
		}
	})
}
