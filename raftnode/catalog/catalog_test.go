package catalog

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// start is 12 November 2026, noon.
const start = int64(1794484800000)

// space is a catalog under test, and two houses that write into it: ann at Oak
// Street, bob at Mill Lane.
type space struct {
	t     testing.TB
	state *kv.Layer
	index uint64
	now   int64
	seq   map[ident.AccountID]uint64
}

func newSpace(t testing.TB) *space {
	return &space{t: t, state: kv.NewLayer(kv.Empty{}), now: start, seq: map[ident.AccountID]uint64{}}
}

const (
	ann ident.AccountID = "ann"
	bob ident.AccountID = "bob"
)

func (s *space) view() View { return View{s.state} }

// write makes a write without applying it.
func (s *space) write(by ident.AccountID, op Op) Write {
	s.seq[by]++
	where := map[ident.AccountID]string{ann: "Oak Street", bob: "Mill Lane"}[by]
	return Write{ID: WriteID{ident.BoxID("box-" + by), 7, s.seq[by]}, Author: by, Time: s.now, Where: where, Op: op}
}

func (s *space) apply(w Write) Outcome {
	s.t.Helper()
	if _, err := EncodeWrite(w); err != nil {
		s.t.Fatal(err)
	}
	s.index++
	out, err := Apply(s.state, s.index, w, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *space) do(by ident.AccountID, op Op) Outcome {
	s.t.Helper()
	return s.apply(s.write(by, op))
}

// done is do for what must go as meant.
func (s *space) done(by ident.AccountID, op Op) Outcome {
	s.t.Helper()
	out := s.do(by, op)
	if out.Status != Done {
		s.t.Fatalf("%v %s: %v", op.Kind, op.Name, out.Status)
	}
	return out
}

func (s *space) stat(path string) Entry {
	s.t.Helper()
	e, err := s.view().Stat(path)
	if err != nil {
		s.t.Fatalf("stat %s: %v", path, err)
	}
	return e
}

func text(c string) *manifest.Content {
	return &manifest.Content{Size: int64(len(c)), Inline: []byte(c)}
}

// dirOf returns the directory and name of a path.
func (s *space) dirOf(path string) (NodeID, string) {
	s.t.Helper()
	i := strings.LastIndexByte(path, '/')
	return s.stat(path[:max(i, 0)]).Node, path[i+1:]
}

// putOp is what a door makes of "save these bytes at the path", as things stand.
func (s *space) putOp(path, bytes string) Op {
	s.t.Helper()
	dir, name := s.dirOf(path)
	op := Op{Kind: Put, Dir: dir, Name: name, Content: text(bytes), ModTime: s.now}
	if e, ok := s.view().Lookup(dir, name); ok {
		op.Node, op.Base = e.Node, e.Version
	}
	return op
}

func (s *space) mkdirOp(path string) Op {
	s.t.Helper()
	dir, name := s.dirOf(path)
	return Op{Kind: Mkdir, Dir: dir, Name: name}
}

func (s *space) removeOp(path string) Op {
	s.t.Helper()
	e := s.stat(path)
	return Op{Kind: Remove, Dir: e.Dir, Name: e.Name, Node: e.Node, Base: e.Version}
}

func (s *space) moveOp(from, to string) Op {
	s.t.Helper()
	e := s.stat(from)
	dir, name := s.dirOf(to)
	return Op{Kind: Move, Dir: e.Dir, Name: e.Name, Node: e.Node, Base: e.Placed, ToDir: dir, ToName: name}
}

func (s *space) propsOp(path, value string) Op {
	s.t.Helper()
	e := s.stat(path)
	return Op{Kind: SetProps, Dir: e.Dir, Name: e.Name, Node: e.Node, Base: e.Version, Props: map[string][]byte{"p": []byte(value)}}
}

func (s *space) lockOp(path, token string, deep bool) Op {
	s.t.Helper()
	e := s.stat(path)
	return Op{Kind: SetLock, Dir: e.Dir, Name: e.Name, Node: e.Node, Lock: &Lock{Token: token, Depth0: !deep, Expires: s.now + day/24}}
}

func (s *space) put(path, bytes string) Outcome {
	s.t.Helper()
	return s.done(ann, s.putOp(path, bytes))
}

func (s *space) mkdir(path string) Outcome {
	s.t.Helper()
	return s.done(ann, s.mkdirOp(path))
}

// tree returns everything in the space: path to content, a directory without bytes as "dir".
func (s *space) tree() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	var walk func(dir NodeID, path string)
	walk = func(dir NodeID, path string) {
		for _, e := range s.view().List(dir, "", 1<<20) {
			p := path + "/" + e.Name
			if got := s.stat(p); got.Node != e.Node {
				s.t.Fatalf("%s: list has node %v, stat %v", p, e.Node, got.Node)
			}
			if got, _ := s.view().Path(e.Node); got != p {
				s.t.Fatalf("path of %s is %s", p, got)
			}
			if e.IsDir {
				all[p] = "dir"
				walk(e.Node, p)
			} else {
				all[p] = string(s.stat(p).Content.Inline)
			}
		}
	}
	walk(Root, "")
	return all
}

// want compares the whole tree with pairs of path and content.
func (s *space) want(pairs ...string) {
	s.t.Helper()
	want := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		want[pairs[i]] = pairs[i+1]
	}
	if d := cmp.Diff(want, s.tree()); d != "" {
		s.t.Errorf("tree (-want +got):\n%s", d)
	}
}

func (s *space) wantStatus(got Outcome, want Status) {
	s.t.Helper()
	if got.Status != want {
		s.t.Errorf("got %v, want %v", got.Status, want)
	}
}

func TestFirstSteps(t *testing.T) {
	s := newSpace(t)
	s.mkdir("/photos")
	made := s.put("/photos/hen.jpg", "cluck")
	s.want("/photos", "dir", "/photos/hen.jpg", "cluck")
	e := s.stat("photos/hen.jpg/")
	if e.Node != made.Node || e.Version != made.Version || e.Placed != made.Version || e.Author != ann ||
		e.Size != 5 || e.Created != start || e.Changed != start || e.Dir != s.stat("/photos").Node {
		t.Errorf("got %+v after %+v", e, made)
	}
	s.now += 1000
	second := s.done(bob, s.putOp("/photos/hen.jpg", "cluck cluck"))
	e = s.stat("/photos/hen.jpg")
	if e.Node != made.Node || e.Version != second.Version || e.Placed != made.Version || e.Author != bob ||
		e.Created != start || e.Changed != start+1000 {
		t.Errorf("after the edit: %+v", e)
	}
	versions := s.view().Versions(e.Node)
	if len(versions) != 2 || string(versions[0].Content.Inline) != "cluck cluck" || string(versions[1].Content.Inline) != "cluck" ||
		versions[1].ID != made.Version || versions[1].Author != ann || versions[1].Until != start+1000+Keep {
		t.Errorf("versions %+v", versions)
	}
	if d := cmp.Diff(Stats{Files: 1, Dirs: 1, Bytes: 11, Kept: 5}, s.view().Stats()); d != "" {
		t.Error(d)
	}
}

func TestStatRefuses(t *testing.T) {
	s := newSpace(t)
	s.put("/file", "x")
	for path, want := range map[string]error{
		"/nothing":  ErrNotFound,
		"/FILE":     ErrNotFound,
		"/file/x":   ErrNotDirectory,
		"/../file":  ErrBadName,
		"/a\x00":    ErrBadName,
		"/nothing/": ErrNotFound,
	} {
		if _, err := s.view().Stat(path); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", path, err, want)
		}
	}
	if e := s.stat("/"); !e.IsDir || e.Node != Root {
		t.Errorf("root: %+v", e)
	}
	s.put("/caf\u00e9", "x")
	s.stat("/cafe\u0301")
}

func TestRestoreRemoved(t *testing.T) {
	s := newSpace(t)
	s.mkdir("/d")
	s.put("/d/f", "one")
	s.done(ann, s.removeOp("/d"))
	s.want()
	rows := s.view().Removed("", 10)
	if len(rows) != 1 || rows[0].Path != "/d" || rows[0].By != ann || rows[0].Time != start || !rows[0].Entry.IsDir {
		t.Fatalf("removed: %+v", rows)
	}
	s.done(bob, Op{Kind: Restore, Node: rows[0].Entry.Node})
	s.want("/d", "dir", "/d/f", "one")
	if len(s.view().Removed("", 10)) != 0 {
		t.Error("it is still among the removed")
	}
	s.wantStatus(s.do(bob, Op{Kind: Restore, Node: rows[0].Entry.Node}), Done) // is there
	s.wantStatus(s.do(bob, Op{Kind: Restore, Node: NodeID{1}}), NotFound)
}

func TestRestoreBesideAndElsewhere(t *testing.T) {
	s := newSpace(t)
	first := s.put("/f", "one")
	s.done(ann, s.removeOp("/f"))
	s.put("/f", "two")
	out := s.do(ann, Op{Kind: Restore, Node: first.Node})
	s.wantStatus(out, Beside)
	s.want("/f", "two", "/f (kept at Oak Street, 12 Nov)", "one")
	s.done(ann, s.removeOp("/f"))
	s.mkdir("/d")
	gone := s.view().Removed("", 1)[0].Entry
	s.done(ann, Op{Kind: Restore, Node: gone.Node, ToDir: s.stat("/d").Node, ToName: "back"})
	s.want("/d", "dir", "/d/back", "two", "/f (kept at Oak Street, 12 Nov)", "one")
}

func TestRestoreFromInsideARemovedDirectory(t *testing.T) {
	s := newSpace(t)
	s.mkdir("/d")
	f := s.put("/d/f", "one")
	s.put("/d/g", "two")
	s.done(ann, s.removeOp("/d"))
	s.done(ann, Op{Kind: Restore, Node: f.Node})
	s.want("/d", "dir", "/d/f", "one")
	s.done(ann, Op{Kind: Restore, Node: s.view().Removed("", 1)[0].Entry.Node, ToName: "old d"})
	s.want("/d", "dir", "/d/f", "one", "/old d", "dir", "/old d/g", "two")
}

func TestRestoreVersion(t *testing.T) {
	s := newSpace(t)
	one := s.put("/f", "one")
	s.put("/f", "two")
	s.done(ann, Op{Kind: Restore, Node: one.Node, Version: one.Version})
	s.want("/f", "one")
	var kept []string
	for _, v := range s.view().Versions(one.Node) {
		kept = append(kept, string(v.Content.Inline))
	}
	if d := cmp.Diff([]string{"one", "two", "one"}, kept); d != "" {
		t.Error(d)
	}
	s.wantStatus(s.do(ann, Op{Kind: Restore, Node: one.Node, Version: WriteID{"x", 1, 1}}), NotFound)
	s.done(ann, s.removeOp("/f"))
	s.done(ann, Op{Kind: Restore, Node: one.Node, Version: one.Version})
	s.want("/f", "one")
	d := s.mkdir("/d")
	s.wantStatus(s.do(ann, Op{Kind: Restore, Node: d.Node, Version: d.Version}), IsDirectory)
}

func TestPropsAndRoot(t *testing.T) {
	s := newSpace(t)
	s.put("/f", "one")
	s.done(ann, s.propsOp("/f", "red"))
	version := s.stat("/f").Version
	s.done(ann, s.putOp("/f", "two"))
	if e := s.stat("/f"); string(e.Props["p"]) != "red" || e.Version == version {
		t.Errorf("a put dropped the properties: %+v", e)
	}
	s.done(ann, Op{Kind: SetProps, Props: map[string][]byte{"p": []byte("blue")}})
	if e := s.stat("/"); string(e.Props["p"]) != "blue" || !e.IsDir {
		t.Errorf("root: %+v", e)
	}
	s.want("/f", "two") // the root's own record is not in its list
	s.done(ann, Op{Kind: SetProps, Name: "f"})
	if e := s.stat("/f"); len(e.Props) != 0 {
		t.Errorf("cleared by name: %+v", e)
	}
}

func TestListInPages(t *testing.T) {
	s := newSpace(t)
	s.mkdir("/d")
	var want []string
	for i := range 57 {
		name := fmt.Sprintf("F%03d", i)
		s.put("/d/"+name, "x")
		want = append(want, name)
	}
	dir := s.stat("/d").Node
	var got []string
	for after := ""; ; {
		page := s.view().List(dir, after, 10)
		for _, e := range page {
			got = append(got, e.Name)
			if e.Content.Inline != nil || e.Content.Size != 1 {
				t.Errorf("content in a list: %+v", e.Content)
			}
		}
		if len(page) < 10 {
			break
		}
		after = page[9].Name
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRemovedInPages(t *testing.T) {
	s := newSpace(t)
	want := map[string]bool{}
	for i := range 25 {
		s.now += 10
		path := fmt.Sprintf("/f%02d", i)
		s.put(path, "x")
		s.done(ann, s.removeOp(path))
		want[path] = true
	}
	got, cursor, last := map[string]bool{}, "", s.now+1
	for {
		page := s.view().Removed(cursor, 7)
		for _, r := range page {
			if r.Time > last {
				t.Error("not the latest first")
			}
			got[r.Path], last = true, r.Time
		}
		if len(page) < 7 {
			break
		}
		cursor = page[6].Cursor
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %d rows, want %d", len(got), len(want))
	}
}

func TestSearch(t *testing.T) {
	s := newSpace(t)
	s.mkdir("/Hens")
	s.put("/Hens/Brown HEN.jpg", "x")
	s.put("/cow", "x")
	s.mkdir("/gone")
	s.put("/gone/hen", "x")
	s.done(ann, s.removeOp("/gone"))
	got := map[string]bool{}
	for _, f := range s.view().Search("hEn", 10) {
		got[f.Path] = true
	}
	if !maps.Equal(got, map[string]bool{"/Hens": true, "/Hens/Brown HEN.jpg": true}) {
		t.Errorf("got %v", got)
	}
	if len(s.view().Search("", 10)) != 0 || len(s.view().Search("hen", 1)) != 1 {
		t.Error("empty text or limit")
	}
}

func TestContentsAreAllThatMustStay(t *testing.T) {
	s := newSpace(t)
	s.put("/f", "one")
	s.put("/f", "two")
	s.put("/g", "three")
	s.done(ann, s.removeOp("/g"))
	s.mkdir("/d")
	s.put("/d/h", "four")
	s.put("/d/empty", "")
	s.done(ann, s.removeOp("/d"))
	got := map[string]bool{}
	for c := range s.view().Contents() {
		got[string(c.Inline)] = true
	}
	if !maps.Equal(got, map[string]bool{"one": true, "two": true, "three": true, "four": true}) {
		t.Errorf("got %v", got)
	}
	for range s.view().Contents() {
		break
	}
}

// chunked is a content that has chunks.
func chunked() *manifest.Content {
	return &manifest.Content{Size: manifest.InlineMax + 1, Chunks: []chunk.Hash{{1}}}
}

func TestIDs(t *testing.T) {
	id := WriteID{"12D3KooWabc", 0xfeed, 17}
	if got, err := ParseWriteID(id.String()); err != nil || got != id || id.String() != "12D3KooWabc.feed.11" {
		t.Errorf("got %v, %v from %q", got, err, id)
	}
	for _, s := range []string{"", "a", "a.b", "a.1", "a.1.", ".1.1", "a.1.0", "a.01.1", "a.1.1.1", "a.1.G", "a.-1.1"} {
		if got, err := ParseWriteID(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	if (WriteID{}).String() != "" || !(WriteID{}).IsZero() {
		t.Error("the zero ID")
	}
	if (WriteID{"a", 1, 2}).Compare(WriteID{"a", 1, 3}) >= 0 || (WriteID{"b", 0, 0}).Compare(WriteID{"a", 9, 9}) <= 0 {
		t.Error("order")
	}
	if NodeOf(WriteID{"a", 1, 2}) == NodeOf(WriteID{"a", 2, 1}) || NodeOf(WriteID{"a", 1, 2}) == Root {
		t.Error("node IDs clash")
	}
	if Cycle.String() != "cycle" || Status(99).String() != "status 99" || len(NodeID{}.String()) != 32 {
		t.Error("texts")
	}
}
