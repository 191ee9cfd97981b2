package catalog

import (
	"errors"
	"fmt"
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/kv"
)

func TestEachWriteCountsOnce(t *testing.T) {
	s := newSpace(t)
	w := s.write(ann, Op{Kind: Put, Dir: Root, Name: "f", Content: text("one")})
	first := s.apply(w)
	s.done(ann, s.putOp("/f", "two"))
	before := kv.Hash(s.state)
	if again := s.apply(w); again != first {
		t.Errorf("got %+v, want %+v", again, first)
	}
	if kv.Hash(s.state) != before {
		t.Error("a repeat changed something")
	}
	s.want("/f", "two")
}

func TestUnresolvedAndHoldersDoNotUseTheIDUp(t *testing.T) {
	s := newSpace(t)
	first := s.write(ann, Op{Kind: Mkdir, Name: "d"})
	second := s.write(ann, Op{Kind: Put, Dir: NodeOf(first.ID), Name: "f", Content: chunked()})
	second.After = []WriteID{first.ID}
	before := kv.Hash(s.state)
	s.wantStatus(s.apply(second), Unresolved)
	if kv.Hash(s.state) != before {
		t.Error("an unresolved write changed something")
	}
	s.wantStatus(s.apply(first), Done)
	before = kv.Hash(s.state)
	out, err := Apply(s.state, 9, second, func() bool { return false })
	if err != nil || out.Status != NoHolders || kv.Hash(s.state) != before {
		t.Errorf("got %v, %v", out, err)
	}
	out, err = Apply(s.state, 10, second, func() bool { return true })
	if err != nil || out.Status != Done || out.Index != 10 {
		t.Errorf("got %v, %v", out, err)
	}
	small := s.write(ann, Op{Kind: Put, Name: "g", Content: text("x")})
	if out, err := Apply(s.state, 11, small, func() bool { return false }); err != nil || out.Status != Done {
		t.Errorf("inline bytes need no holders: got %v, %v", out, err)
	}
}

func TestOutcomesAreForgottenBelowTheFloor(t *testing.T) {
	s := newSpace(t)
	var first Write
	for i := range 3 * forgetSteps {
		w := s.write(ann, Op{Kind: SetProps})
		if i == 0 {
			first = w
		}
		s.apply(w)
	}
	other := s.write(bob, Op{Kind: SetProps})
	s.apply(other)
	for range 4 {
		w := s.write(ann, Op{Kind: SetProps})
		w.Floor = w.ID.Seq
		s.wantStatus(s.apply(w), Done)
		if out, ok := s.view().Outcome(w.ID); !ok || out.Status != Done {
			t.Errorf("its own outcome: %v, %v", out, ok)
		}
	}
	s.wantStatus(s.apply(first), Stale)
	s.wantStatus(s.apply(other), Done)
	if !s.view().Decided(first.ID) || !s.view().Decided(other.ID) || s.view().Decided(WriteID{"box-ann", 8, 1}) {
		t.Error("Decided")
	}
}

// A floor that would forget too much at once waits; until then nothing is forgotten wrongly.
func TestForgettingIsBounded(t *testing.T) {
	s := newSpace(t)
	for range 2 * forgetSteps {
		s.done(ann, Op{Kind: SetProps})
	}
	w := s.write(ann, Op{Kind: SetProps})
	w.Floor = w.ID.Seq
	s.apply(w)
	n := 0
	for range s.state.Scan([]byte{tableOutcomes}, nil) {
		n++
	}
	if n == 0 || n > 2*forgetSteps+1 {
		t.Errorf("%d outcomes", n)
	}
	if !s.view().Decided(WriteID{"box-ann", 7, 1}) || !s.view().Decided(WriteID{"box-ann", 7, 2 * forgetSteps}) {
		t.Error("a decided write is thought undecided")
	}
}

func TestUnknownKindStops(t *testing.T) {
	s := newSpace(t)
	w := s.write(ann, Op{Kind: 99})
	if _, err := Apply(s.state, 1, w, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestTimeGoesAtMostADayAhead(t *testing.T) {
	s := newSpace(t)
	s.put("/f", "one")
	s.now += 400 * day
	s.put("/f", "two")
	if got := s.view().Time(); got != start+day {
		t.Errorf("got %d days ahead, want 1", (got-start)/day)
	}
	s.now = start - 400*day // a box whose clock is behind
	s.put("/f", "three")
	if got := s.view().Time(); got != start+day {
		t.Errorf("time went back to %d", got)
	}
	if e := s.stat("/f"); e.Changed != start-400*day || len(s.view().Versions(e.Node)) != 3 {
		t.Errorf("got %+v", e)
	}
}

func TestVersionsLiveThirtyDays(t *testing.T) {
	s := newSpace(t)
	out := s.put("/f", "0")
	for i := 1; i <= 40; i++ {
		s.now += day
		s.put("/f", fmt.Sprint(i))
	}
	versions := s.view().Versions(out.Node)
	if len(versions) != 31 || string(versions[30].Content.Inline) != "10" { // replaced on day 11: 29 days ago
		t.Errorf("%d versions, the oldest %q", len(versions), versions[len(versions)-1].Content.Inline)
	}
	checkInvariants(t, s.view())
}

// A directory of many files that was removed is purged in steps, and what is
// written meanwhile waits for no more than one.
func TestLargeDirectoryIsPurgedInSteps(t *testing.T) {
	s := newSpace(t)
	s.mkdir("/d")
	s.mkdir("/d/sub")
	const files = 10 * purgeSteps
	for i := range files {
		s.put(fmt.Sprintf("/d/f%d", i), "x")
	}
	late := s.putOp("/d/f7", "late") // somebody who was away for very long
	lateNew := s.putOp("/d/sub/new", "late too")
	s.done(ann, s.removeOp("/d"))
	for range 30 {
		s.now += day
		s.done(ann, Op{Kind: SetProps})
	}
	left := func() int64 { return s.view().Stats().Files }
	for last := left(); left() > 0; last = left() {
		s.now += day / 24
		s.done(ann, Op{Kind: SetProps})
		if last-left() > purgeSteps || last == left() {
			t.Fatalf("%d files, then %d", last, left())
		}
		checkInvariants(t, s.view())
	}
	s.do(bob, late)
	s.do(bob, lateNew)
	kept := map[string]bool{}
	for c := range s.view().Contents() {
		kept[string(c.Inline)] = true
	}
	if !kept["late"] || !kept["late too"] {
		t.Errorf("late bytes are lost: %v", kept)
	}
}

func TestEditDuringPurge(t *testing.T) {
	s := newSpace(t)
	s.mkdir("/d")
	for i := range 3 * purgeSteps {
		s.put(fmt.Sprintf("/d/f%03d", i), "x")
	}
	late := s.putOp(fmt.Sprintf("/d/f%03d", 3*purgeSteps-1), "late")
	s.done(ann, s.removeOp("/d"))
	for range 31 {
		s.now += day
		s.done(ann, Op{Kind: SetProps})
	}
	if m := s.view().meta(); m.Doomed != 1 || m.Stats.Files == 0 {
		t.Fatalf("not half-way: %+v", m)
	}
	s.wantStatus(s.do(bob, late), Done)
	if got := s.stat(fmt.Sprintf("/d/f%03d", 3*purgeSteps-1)); got.Size != 4 {
		t.Errorf("got %+v", got)
	}
	for range 20 {
		s.done(ann, Op{Kind: SetProps})
	}
	checkInvariants(t, s.view())
	if st := s.view().Stats(); st.Files != 1 || st.Dirs != 1 {
		t.Errorf("got %+v", st)
	}
}

func TestLocks(t *testing.T) {
	s := newSpace(t)
	s.script("d/ d/f=0 g=0")
	s.done(ann, s.lockOp("/d", "one", true))
	s.done(ann, s.putOp("/d/f", "mine")) // which program of the account may, the door judges
	s.wantStatus(s.do(ann, s.lockOp("/d/f", "two", false)), Locked)
	s.wantStatus(s.do(ann, s.lockOp("/g", "one", false)), Exists)
	s.wantStatus(s.do(bob, Op{Kind: Unlock, Lock: &Lock{Token: "one"}}), Locked)
	s.wantStatus(s.do(bob, Op{Kind: Unlock, Lock: &Lock{Token: "none"}}), NotFound)
	s.now += day / 48
	s.done(ann, s.lockOp("/d", "one", true)) // refreshed
	s.done(ann, s.moveOp("/d", "/e"))
	locks := s.view().Locks()
	if len(locks) != 1 || locks[0].Path != "/e" || locks[0].Author != ann || locks[0].Expires != s.now+day/24 {
		t.Errorf("locks %+v", locks)
	}
	s.now += day / 24
	s.done(bob, s.putOp("/e/f", "expired"))
	if locks := s.view().Locks(); len(locks) != 0 {
		t.Errorf("expired, but %+v", locks)
	}
	checkInvariants(t, s.view())
	s.done(bob, s.lockOp("/", "root", false))
	s.wantStatus(s.do(ann, s.mkdirOp("/new")), Locked)
	s.done(bob, Op{Kind: Unlock, Lock: &Lock{Token: "root"}})
	s.done(ann, s.mkdirOp("/new"))
	s.done(bob, s.lockOp("/new", "three", false))
	s.done(bob, s.removeOp("/new"))
	s.done(ann, s.mkdirOp("/new"))
	s.done(ann, s.removeOp("/new"))
	checkInvariants(t, s.view())
}

func TestLocksAreBounded(t *testing.T) {
	s := newSpace(t)
	for i := range MaxLocks {
		path := fmt.Sprintf("/f%d", i)
		s.put(path, "")
		s.done(ann, s.lockOp(path, fmt.Sprint("t", i), false))
	}
	s.put("/more", "")
	s.wantStatus(s.do(ann, s.lockOp("/more", "more", false)), TooMany)
	s.done(ann, s.lockOp("/f0", "t0", false)) // a refresh is always possible
	s.now += day
	for range 2 * MaxLocks / purgeSteps {
		s.done(ann, Op{Kind: SetProps})
	}
	s.done(ann, s.lockOp("/more", "more", false))
}

func TestDepthIsBounded(t *testing.T) {
	s := newSpace(t)
	dir := Root
	for range MaxDepth {
		dir = s.done(ann, Op{Kind: Mkdir, Dir: dir, Name: "d"}).Node
	}
	s.wantStatus(s.do(ann, Op{Kind: Mkdir, Dir: dir, Name: "d"}), TooMany)
	out := s.do(ann, Op{Kind: Put, Dir: dir, Name: "f", Content: text("deep")})
	s.wantStatus(out, TooMany)
	s.put("/f", "x")
	op := s.moveOp("/f", "/g")
	op.ToDir = dir
	s.wantStatus(s.do(ann, op), TooMany)
	s.done(ann, Op{Kind: Restore, Node: out.Node, ToDir: Root, ToName: "deep"})
	s.want2("/deep", "deep")
}

// want2 looks at one path only.
func (s *space) want2(path, bytes string) {
	s.t.Helper()
	if got := string(s.stat(path).Content.Inline); got != bytes {
		s.t.Errorf("%s: got %q, want %q", path, got, bytes)
	}
}

func TestPlainRefusals(t *testing.T) {
	s := newSpace(t)
	s.script("d/ f=0")
	f, d := s.stat("/f"), s.stat("/d")
	none := NodeID{9}
	for i, tt := range []struct {
		op   Op
		want Status
	}{
		{Op{Kind: Put, Dir: none, Name: "x", Content: text("x")}, NotFound},
		{Op{Kind: Put, Dir: f.Node, Name: "x", Content: text("x")}, NotDirectory},
		{Op{Kind: Put, Name: "d", Node: d.Node, Base: d.Version, Content: text("x")}, IsDirectory},
		{Op{Kind: Put, Name: "new", Content: text("x"), If: Condition{Match: &f.Version}}, Precondition},
		{Op{Kind: Mkdir, Dir: f.Node, Name: "x"}, NotDirectory},
		{Op{Kind: Move, Node: none, ToName: "x"}, NotFound},
		{Op{Kind: Move, Name: "nothing", ToName: "x"}, NotFound},
		{Op{Kind: Move, Name: "f", ToDir: f.Node, ToName: "x"}, NotDirectory},
		{Op{Kind: Move, Name: "d", ToDir: d.Node, ToName: "x"}, Cycle},
		{Op{Kind: Move, Name: "f", ToName: "d", If: Condition{Absent: true}}, Precondition},
		{Op{Kind: Remove, Name: "nothing"}, NotFound},
		{Op{Kind: Remove, Name: "F"}, NotFound},
		{Op{Kind: Restore, Node: none}, NotFound},
		{Op{Kind: SetProps, Node: none}, NotFound},
		{Op{Kind: SetLock, Node: none, Lock: &Lock{Token: "t"}}, NotFound},
	} {
		if out := s.do(ann, tt.op); out.Status != tt.want {
			t.Errorf("%d: got %v, want %v", i, out.Status, tt.want)
		}
		checkInvariants(t, s.view())
	}
	s.want("/d", "dir", "/f", "0")
}

func TestRenameOfCaseOnly(t *testing.T) {
	s := newSpace(t)
	s.script("f=0 g=1")
	s.done(ann, s.moveOp("/f", "/F"))
	s.want("/F", "0", "/g", "1")
	s.wantStatus(s.do(ann, s.moveOp("/g", "/f")), Beside)
	s.want("/F", "0", "/f (kept at Oak Street, 12 Nov)", "1")
	checkInvariants(t, s.view())
	op := s.moveOp("/f (kept at Oak Street, 12 Nov)", "/F")
	op.Overwrite, op.ToName = true, "f" // which is not the name of what stands there
	s.wantStatus(s.do(ann, op), Beside)
}

// filled is a state with a directory of n files, over which writes are applied.
func filled(t testing.TB, n int) *space {
	s := newSpace(t)
	dir := s.mkdir("/d").Node
	for i := range n {
		w := s.write(ann, Op{Kind: Put, Dir: dir, Name: fmt.Sprintf("file number %d.jpg", i), Content: chunked(), ModTime: s.now})
		w.Floor = w.ID.Seq
		s.apply(w)
	}
	return s
}

func BenchmarkPut(b *testing.B) {
	s := filled(b, 10000)
	dir := s.stat("/d").Node
	layer := kv.NewLayer(s.state)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w := Write{ID: WriteID{"12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo", 7, uint64(i + 1)}, Author: ann, Time: start, Floor: uint64(i + 1),
			Op: Op{Kind: Put, Dir: dir, Name: fmt.Sprintf("new %d", i), Content: chunked(), ModTime: start}}
		if out, err := Apply(layer, uint64(i), w, nil); err != nil || out.Status != Done {
			b.Fatal(out, err)
		}
	}
}

func BenchmarkEdit(b *testing.B) {
	s := filled(b, 10000)
	e, _ := s.view().Stat("/d/file number 77.jpg")
	layer := kv.NewLayer(s.state)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := *chunked()
		c.Size += int64(i % 1000)
		w := Write{ID: WriteID{ident.BoxID("12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"), 7, uint64(i + 1)}, Author: ann, Time: start,
			Floor: uint64(i + 1), Op: Op{Kind: Put, Dir: e.Dir, Name: e.Name, Node: e.Node, Base: e.Version, Content: &c, ModTime: start}}
		out, err := Apply(layer, uint64(i), w, nil)
		if err != nil || out.Status != Done {
			b.Fatal(out, err)
		}
		e.Version = out.Version
	}
}

func BenchmarkList10000(b *testing.B) {
	s := filled(b, 10000)
	dir := s.stat("/d").Node
	b.ReportAllocs()
	for b.Loop() {
		if n := len(s.view().List(dir, "", 20000)); n != 10000 {
			b.Fatal(n)
		}
	}
}
