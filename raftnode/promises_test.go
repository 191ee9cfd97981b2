package raftnode_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/manifest"
	"redhen/raftnode/raftnodetest"
)

// check holds a run to its promises, after everything has healed.
func (w *world) check() {
	for _, what := range []struct {
		name string
		ok   func() (bool, error)
	}{
		{"every write settled", func() (bool, error) { return w.c.Settled(w.ctx, w.space) }},
		{"every replica complete", func() (bool, error) { return w.c.Complete(w.ctx, w.space) }},
		{"every catalog the same", func() (bool, error) { return w.c.Same(w.space) }},
		{"every directory the same", func() (bool, error) { return w.c.Same(ident.CircleShard) }},
	} {
		if !w.eventually(what.name, what.ok) {
			return
		}
	}
	far := 0
	for _, k := range w.kept {
		if k.kept > 1 {
			far++
		}
	}
	w.Logf("%d boxes, %d calls, %d writes kept, %d of them in 2 houses or more, %d register calls, %d leaders, %d snapshots, burnt: %v",
		len(w.c.All()), w.calls, len(w.kept), far, len(w.hist.ops), len(w.c.Said.Of("", "leader")),
		len(w.c.Said.Of("", "sending snapshot")), w.burnt)
	w.hist.check(w.T)
	oneLeaderATerm(w.T, w.c)
	w.restoreAll()
	if w.eventually("every catalog the same", func() (bool, error) { return w.c.Same(w.space) }) {
		for _, b := range w.standing() {
			w.everythingIsAt(b)
		}
	}
}

// holds looks for what must hold at any moment.
func (w *world) holds() {
	for _, shard := range []ident.ShardID{ident.CircleShard, w.space} {
		if _, err := w.c.Same(shard); err != nil {
			w.Error(err)
		}
		w.votersStandApart(shard)
	}
	w.bytesInTwoHouses()
}

// votersStandApart guards that no house has two votes, by the word of any leader.
func (w *world) votersStandApart(shard ident.ShardID) {
	for _, b := range w.c.Up() {
		st, err := b.Node.Status(w.ctx)
		if err != nil {
			continue // it is going down
		}
		for _, sh := range st.Shards {
			if sh.Shard != shard || !sh.Leads {
				continue
			}
			votes := map[string]string{}
			for _, m := range sh.Members {
				name := w.c.Named(m.Box)
				if house := w.c.Box(name).House; m.Voter {
					if other := votes[house]; other != "" {
						w.Errorf("shard %s: %s and %s both vote, and both stand in %s", shard, name, other, house)
					}
					votes[house] = name
				}
			}
		}
	}
}

// bytesInTwoHouses guards that the bytes of what is kept in two houses lie on the disks
// of two, whether their boxes are up or not: any one house may burn in this moment.
func (w *world) bytesInTwoHouses() {
	w.mu.Lock()
	kept := slices.Clone(w.kept)
	w.mu.Unlock()
	standing := w.standing()
	for _, k := range kept {
		if k.kept < 2 || len(k.text) <= manifest.InlineMax {
			continue
		}
		houses := map[string]bool{}
		for _, b := range standing {
			if here(b, chunk.Sum([]byte(k.text))) {
				houses[b.House] = true
			}
		}
		if len(houses) < 2 {
			w.Errorf("%s, accepted at %s, is kept in %d houses, and its bytes are in %d", k.id, k.box, k.kept, len(houses))
		}
	}
}

func (w *world) eventually(name string, ok func() (bool, error)) bool {
	var err error
	for range 600 {
		var good bool
		if good, err = ok(); good && err == nil {
			return true
		}
		time.Sleep(time.Second)
	}
	w.Errorf("not within ten minutes of peace: %s: %v", name, err)
	for _, b := range w.c.Up() {
		st, err := b.Node.Status(w.ctx)
		if err != nil {
			continue
		}
		for _, sh := range st.Shards {
			w.Logf("%s: %s (leads %v, leader %s, term %d, applied %d, asleep %v)", b.Name, w.c.Sentence(sh), sh.Leads,
				w.c.Named(sh.Leader), sh.Term, sh.Applied, sh.Asleep)
		}
	}
	return false
}

// oneLeaderATerm looks through what every box ever said of leaders.
func oneLeaderATerm(t *testing.T, c *raftnodetest.Circle) {
	t.Helper()
	leader := map[string]string{}
	for _, l := range c.Said.Of("", "leader") {
		attrs := map[string]string{}
		for _, a := range strings.Fields(l.Attrs) {
			k, v, _ := strings.Cut(a, "=")
			attrs[k] = v
		}
		if attrs["replica"] == "0" {
			continue
		}
		term := attrs["shard"] + " " + attrs["term"]
		if other, ok := leader[term]; ok && other != attrs["replica"] {
			t.Errorf("shard and term %s: replicas %s and %s led", term, other, attrs["replica"])
		}
		leader[term] = attrs["replica"]
	}
}

// restoreAll brings back what was removed.
func (w *world) restoreAll() {
	b := w.standing()[0]
	s := b.Node.Space(w.space)
	for from := ""; ; {
		rows, err := s.Removed(w.ctx, from, 100)
		if err != nil {
			w.Errorf("removed files: %v", err)
			return
		}
		if len(rows) == 0 {
			return
		}
		for _, r := range rows {
			out, _, err := s.Write(w.ctx, b.Account, catalog.Op{
				Kind: catalog.Restore, Node: r.Entry.Node, ToName: fmt.Sprintf("restored-%s", r.Entry.Node),
			}, 0)
			if err != nil || out.Status != catalog.Done && out.Status != catalog.Beside {
				w.Errorf("restore %s: %v, %v", r.Path, out.Status, err)
			}
		}
		from = rows[len(rows)-1].Cursor
	}
}

// everythingIsAt looks for every kept write at a box, and reads its bytes there.
func (w *world) everythingIsAt(b *raftnodetest.Box) {
	s := b.Node.Space(w.space)
	found := map[catalog.WriteID]catalog.Version{}
	at := map[catalog.WriteID]string{}
	for after := ""; ; {
		list, err := s.List(w.ctx, "", after, 1000)
		if err != nil {
			w.Errorf("list at %s: %v", b.Name, err)
			return
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			versions, err := s.Versions(w.ctx, e.Name)
			if err != nil {
				w.Errorf("versions of %s at %s: %v", e.Name, b.Name, err)
			}
			for _, v := range versions {
				if other, twice := at[v.ID]; twice {
					w.Errorf("at %s: %s is there twice, as %s and as %s", b.Name, v.ID, other, e.Name)
				}
				found[v.ID], at[v.ID] = v, e.Name
			}
		}
		after = list[len(list)-1].Name
	}
	lost := 0
	for _, k := range w.kept {
		v, ok := found[k.id]
		switch {
		case !ok && k.kept < 2 && (w.burnt[k.box] || k.life <= w.lost[k.box]):
			// its only house burned, or that house's disk is to blame
		case !ok:
			if lost++; lost < 5 {
				w.Errorf("at %s: %s, accepted at %s and kept in %d houses, is lost", b.Name, k.id, k.box, k.kept)
			}
		default:
			w.reads(b, v, k)
		}
	}
}

func (w *world) reads(b *raftnodetest.Box, v catalog.Version, k keptWrite) {
	r := b.Node.Space(w.space).Open(w.ctx, v.Content)
	defer r.Close()
	got := make([]byte, len(k.text))
	if _, err := r.ReadAt(got, 0); err != nil || string(got) != k.text || r.Size() != int64(len(k.text)) {
		w.Errorf("read %s at %s: %v, want %d bytes %.10q, got %.10q", k.id, b.Name, err, len(k.text), k.text, got)
	}
}
