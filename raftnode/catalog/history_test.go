package catalog

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/kv"
)

// checkInvariants checks that the tables agree with each other.
func checkInvariants(t testing.TB, v View) {
	t.Helper()
	var got Stats
	names := map[NodeID]bool{}
	for k, b := range v.Reader.Scan([]byte{tableNames}, nil) {
		var e Entry
		decode(k, b, &e)
		if len(k) == 17 {
			continue // the root's own
		}
		at, ok := v.node(e.Node)
		if !ok || at.Removed != 0 || at.Dir != e.Dir || at.Name != e.Name || at.IsDir != e.IsDir || names[e.Node] {
			t.Fatalf("%s: entry %+v, node %+v", e.Name, e, at)
		}
		names[e.Node] = true
		if e.IsDir {
			got.Dirs++
			continue
		}
		got.Files++
		got.Bytes += e.Size
		if c := v.content(e); c.Size != e.Size {
			t.Fatalf("%s: size %d, content %d", e.Name, e.Size, c.Size)
		}
	}
	for k, b := range v.Reader.Scan([]byte{tableRemoved}, nil) {
		var r Removed
		decode(k, b, &r)
		got.Kept += r.Entry.Size
		if at, ok := v.node(r.Entry.Node); !ok || at.Removed != r.Time {
			t.Fatalf("removed %+v, node %+v", r, at)
		}
	}
	for k, b := range v.Reader.Scan([]byte{tableVersions}, nil) {
		var old Version
		decode(k, b, &old)
		got.Kept += old.Content.Size
	}
	if got != v.Stats() {
		t.Fatalf("counted %+v, stats say %+v", got, v.Stats())
	}
	locks := int64(0)
	for k, b := range v.Reader.Scan([]byte{tableLocks}, nil) {
		var l Lock
		decode(k, b, &l)
		if n := v.Reader.Get(tokenKey(l.Token)); len(n) != 16 || NodeID(n) != l.Node {
			t.Fatalf("lock %+v has no token", l)
		}
		locks++
	}
	if m := v.meta(); m.Locks != locks {
		t.Fatalf("%d locks, meta says %d", locks, m.Locks)
	}
	checkTree(t, v)
}

// checkTree checks that every node leads to the root or to something removed.
func checkTree(t testing.TB, v View) {
	for k := range v.Reader.Scan([]byte{tableNodes}, nil) {
		n := NodeID(k[1:])
		for steps := 0; n != Root; steps++ {
			at, ok := v.node(n)
			if !ok || steps > 1000 {
				t.Fatalf("node %x leads nowhere (%d steps)", k[1:], steps)
			}
			if at.Removed != 0 {
				break
			}
			n = at.Dir
		}
	}
}

// house is a box that is apart: it sees what was applied when it looked last, and
// its own writes above that.
type house struct {
	who     ident.AccountID
	box     ident.BoxID
	seq     uint64
	base    *kv.Layer // what it has seen applied
	seen    *kv.Layer // and its own writes above
	journal []Write
}

func (h *house) look(applied *kv.Layer) {
	h.base = applied.Over(kv.Empty{})
	h.seen = h.base.Over(kv.Empty{})
	for i, w := range h.journal {
		if _, err := Apply(h.seen, uint64(i), w, nil); err != nil {
			panic(err)
		}
	}
}

// act makes one random write from what the house sees.
func (h *house) act(rnd *rand.Rand, now int64) Write {
	h.seq++
	w := Write{ID: WriteID{h.box, 1, h.seq}, Author: h.who, Time: now, Where: "house of " + string(h.who), Op: h.op(rnd)}
	w.Floor = w.ID.Seq
	for _, p := range h.journal {
		w.Floor = min(w.Floor, p.ID.Seq)
		if len(w.After) < MaxAfter && p.Op.Shares(p.ID, w.Op) {
			w.After = append(w.After, p.ID)
		}
	}
	if _, err := Apply(h.seen, 0, w, nil); err != nil {
		panic(err)
	}
	h.journal = append(h.journal, w)
	return w
}

func (h *house) op(rnd *rand.Rand) Op {
	v := View{h.seen}
	dirs, all := []Entry{{IsDir: true}}, []Entry{}
	for i := 0; i < len(dirs); i++ {
		for _, e := range v.List(dirs[i].Node, "", 100) {
			all = append(all, e)
			if e.IsDir {
				dirs = append(dirs, e)
			}
		}
	}
	dir, name := dirs[rnd.IntN(len(dirs))].Node, fmt.Sprintf("%c", "abcABC"[rnd.IntN(6)])
	content := text(fmt.Sprintf("%s %d", h.box, h.seq))
	if len(all) == 0 || rnd.IntN(4) == 0 {
		if rnd.IntN(3) == 0 {
			return Op{Kind: Mkdir, Dir: dir, Name: name}
		}
		return Op{Kind: Put, Dir: dir, Name: name, Content: content}
	}
	e := all[rnd.IntN(len(all))]
	op := Op{Kind: Put, Dir: e.Dir, Name: e.Name, Node: e.Node, Base: e.Version, Content: content}
	switch k := rnd.IntN(12); {
	case k < 2:
		op.Kind, op.Content = Remove, nil
	case k < 5:
		op.Kind, op.Content, op.Base, op.ToDir, op.ToName, op.Overwrite = Move, nil, e.Placed, dir, name, rnd.IntN(3) == 0
	case k == 5:
		op.Kind, op.Content, op.Lock = SetLock, nil, &Lock{Token: fmt.Sprint(h.box, h.seq), Expires: rnd.Int64N(3 * Keep)}
	case k == 6:
		op.Kind, op.Content, op.Props = SetProps, nil, map[string][]byte{"x": []byte(h.box)}
	case k == 7:
		if gone := v.Removed("", 5); len(gone) > 0 {
			return Op{Kind: Restore, Node: gone[rnd.IntN(len(gone))].Entry.Node}
		}
		fallthrough
	default:
		if e.IsDir {
			return Op{Kind: Put, Dir: e.Node, Name: name, Content: content}
		}
		if rnd.IntN(4) == 0 {
			op.If.Match = &e.Version
		}
	}
	return op
}

// history lets three houses act apart and come together at random, and returns the
// writes in the order of the log. During it time does not pass unless step is set.
func history(t testing.TB, seed uint64, writes int, step int64) []Write {
	rnd := rand.New(rand.NewPCG(seed, 1))
	applied := kv.NewLayer(kv.Empty{})
	var log []Write
	houses := []*house{{who: ann, box: "box-a"}, {who: bob, box: "box-b"}, {who: ann, box: "box-c"}}
	for _, h := range houses {
		h.look(applied)
	}
	now := start
	for len(log) < writes {
		h := houses[rnd.IntN(len(houses))]
		now += step
		switch rnd.IntN(5) {
		case 0: // some of the journal is decided
			n := rnd.IntN(len(h.journal) + 1)
			for _, w := range h.journal[:n] {
				out, err := Apply(applied, uint64(len(log)+1), w, nil)
				if err != nil || out.Status == Unresolved || out.Status == Stale {
					t.Fatalf("seed %d: write %v: %v, %v", seed, w.ID, out.Status, err)
				}
				log = append(log, w)
			}
			h.journal = append([]Write(nil), h.journal[n:]...)
			h.look(applied)
		case 1: // a look at what others did
			h.look(applied)
		default:
			h.act(rnd, now)
		}
	}
	return log
}

// TestNoBytesAreLost: whatever three houses do apart, every content that one of
// them accepted is a version of a file or among the removed.
func TestNoBytesAreLost(t *testing.T) {
	for seed := range uint64(60) {
		log := history(t, seed, 150, 1000)
		state := kv.NewLayer(kv.Empty{})
		for i, w := range log {
			if _, err := Apply(state, uint64(i+1), w, nil); err != nil {
				t.Fatal(err)
			}
		}
		checkInvariants(t, View{state})
		kept := map[string]bool{}
		for c := range (View{state}).Contents() {
			kept[string(c.Inline)] = true
		}
		for _, w := range log {
			if c := w.Op.Content; c != nil && !kept[string(c.Inline)] {
				t.Errorf("seed %d: %q of %v is nowhere", seed, c.Inline, w.ID)
			}
		}
	}
}

// TestBatchesDoNotMatter: the same writes give the same state, whether they are
// applied at once, over a stack of layers, from their encodings, or each twice.
func TestBatchesDoNotMatter(t *testing.T) {
	for seed := range uint64(20) {
		log := history(t, seed, 120, 8*day/100)
		want := kv.NewLayer(kv.Empty{})
		apply := func(tx kv.Writer, i int, w Write) {
			b, err := EncodeWrite(w)
			if err != nil {
				t.Fatal(err)
			}
			if w, err = DecodeWrite(b); err != nil {
				t.Fatal(err)
			}
			if _, err := Apply(tx, uint64(i+1), w, nil); err != nil {
				t.Fatal(err)
			}
		}
		for i, w := range log {
			apply(want, i, w)
		}
		for _, size := range []int{1, 7} {
			var got kv.Reader = kv.Empty{}
			for i := 0; i < len(log); i += size {
				layer := kv.NewLayer(got)
				for j := i; j < min(i+size, len(log)); j++ {
					apply(layer, j, log[j])
					if seed%2 == 0 {
						apply(layer, 1<<30, log[j])
					}
				}
				got = layer
			}
			if kv.Hash(got) != kv.Hash(want) {
				t.Errorf("seed %d: batches of %d give another state", seed, size)
			}
		}
	}
}

// TestEverythingIsPurged: a year on, only what is there is left.
func TestEverythingIsPurged(t *testing.T) {
	for seed := range uint64(10) {
		s := newSpace(t)
		for i, w := range history(t, seed, 150, 1000) {
			if _, err := Apply(s.state, uint64(i+1), w, nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 365 {
			s.now += day
			s.done(ann, Op{Kind: SetProps})
			checkInvariants(t, s.view())
		}
		v := s.view()
		for table, name := range map[byte]string{tableVersions: "version", tableRemoved: "removed", tableExpiry: "expiry", tableLanded: "landed",
			tableAlias: "alias", tableLocks: "lock", tableTokens: "token", tableDoomed: "doomed"} {
			for k := range v.Reader.Scan([]byte{table}, nil) {
				t.Fatalf("seed %d: %s left: %x", seed, name, k)
			}
		}
		nodes := int64(0)
		for range v.Reader.Scan([]byte{tableNodes}, nil) {
			nodes++
		}
		contents := int64(0)
		for range v.Contents() {
			contents++
		}
		if st := v.Stats(); nodes != st.Files+st.Dirs || contents != st.Files || st.Kept != 0 {
			t.Errorf("seed %d: %d nodes, %d contents, %+v", seed, nodes, contents, st)
		}
	}
}
