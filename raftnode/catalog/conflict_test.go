package catalog

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seen makes an op from what its author saw.
type seen func(*space) Op

func put(path, bytes string) seen   { return func(s *space) Op { return s.putOp(path, bytes) } }
func mkdir(path string) seen        { return func(s *space) Op { return s.mkdirOp(path) } }
func remove(path string) seen       { return func(s *space) Op { return s.removeOp(path) } }
func move(from, to string) seen     { return func(s *space) Op { return s.moveOp(from, to) } }
func props(path, value string) seen { return func(s *space) Op { return s.propsOp(path, value) } }

func over(from, to string) seen {
	return func(s *space) Op {
		op := s.moveOp(from, to)
		op.Overwrite = true
		return op
	}
}

func ifMatch(o seen) seen {
	return func(s *space) Op {
		op := o(s)
		op.If.Match = &op.Base
		return op
	}
}

func ifAbsent(o seen) seen {
	return func(s *space) Op {
		op := o(s)
		op.If.Absent = true
		return op
	}
}

func restore(path string) seen {
	return func(s *space) Op {
		for _, r := range s.view().Removed("", 100) {
			if r.Path == path {
				return Op{Kind: Restore, Node: r.Entry.Node}
			}
		}
		s.t.Fatalf("%s is not among the removed", path)
		return Op{}
	}
}

func lock(path, token string, deep bool) seen {
	return func(s *space) Op { return s.lockOp(path, token, deep) }
}

// conflicts is the table of DESIGN.md: after the setup ann and bob both
// see the same, and each does one thing. Ann's stands first in the log.
var conflicts = []struct {
	rule     string
	setup    string // of ann: words as in script
	ann, bob seen
	status   Status // of bob's; ann's is done
	tree     string // "path=content path=content"
	removed  string // "path path"; refused ones as "path!status"
}{
	{"an edit of an unchanged file goes as meant", "f=0 g=0", put("/f", "A"), put("/g", "B"), Done, "/f=A /g=B", ""},
	{"edit, edit: the later stands beside", "f.txt=0", put("/f.txt", "A"), put("/f.txt", "B"), Beside,
		"/f.txt=A /f (kept at Mill Lane, 12 Nov).txt=B", ""},
	{"edit, the same edit: one version", "f=0", put("/f", "A"), put("/f", "A"), Done, "/f=A", ""},
	{"edit, edit under If-Match: refused, bytes among the removed", "f=0", put("/f", "A"), ifMatch(put("/f", "B")), Precondition, "/f=A", "/f!precondition"},
	{"new, new of one name: the later stands beside", "", put("/f", "A"), put("/f", "B"), Beside, "/f=A /f (kept at Mill Lane, 12 Nov)=B", ""},
	{"new, new with the same bytes: one file", "", put("/f", "A"), put("/f", "A"), Done, "/f=A", ""},
	{"new, new of a name that looks alike: two names", "", put("/Read.me", "A"), put("/READ.ME", "A"), Beside,
		"/Read.me=A /READ (kept at Mill Lane, 12 Nov).ME=A", ""},
	{"new, new under If-None-Match: refused, bytes among the removed", "", put("/f", "A"), ifAbsent(put("/f", "B")), Precondition, "/f=A", "/f!precondition"},
	{"new file, new directory: beside", "", put("/x", "A"), mkdir("/x"), Beside, "/x=A /x (kept at Mill Lane, 12 Nov)=dir", ""},
	{"new directory, new file: beside", "", mkdir("/x"), put("/x", "B"), Beside, "/x=dir /x (kept at Mill Lane, 12 Nov)=B", ""},
	{"new directory, new directory: one directory", "", mkdir("/x"), mkdir("/x"), Done, "/x=dir", ""},
	{"new directory, one that looks alike: two names", "", mkdir("/x"), mkdir("/X"), Beside, "/x=dir /X (kept at Mill Lane, 12 Nov)=dir", ""},
	{"new directory, new under a condition: refused", "", mkdir("/x"), ifAbsent(mkdir("/x")), Precondition, "/x=dir", ""},

	{"removal, edit: the file comes back", "f=0", remove("/f"), put("/f", "B"), Done, "/f=B", ""},
	{"edit, removal: the file stays", "f=0", put("/f", "A"), remove("/f"), Precondition, "/f=A", ""},
	{"removal, edit under If-Match: refused, bytes among the removed", "f=0", remove("/f"), ifMatch(put("/f", "B")), Precondition, "", "/f /f!precondition"},
	{"removal, removal: both are done", "f=0", remove("/f"), remove("/f"), Done, "", "/f"},
	{"removal, move: stays removed", "f=0 g=1", remove("/f"), move("/f", "/h"), NotFound, "/g=1", "/f"},
	{"move, removal: removed where it is", "d/ f=0", move("/f", "/d/f"), remove("/f"), Done, "/d=dir", "/d/f"},
	{"removal, properties: refused", "f=0", remove("/f"), props("/f", "x"), NotFound, "", "/f"},
	{"properties, removal: removed", "f=0", props("/f", "x"), remove("/f"), Done, "", "/f"},
	{"properties, edit: both", "f=0", props("/f", "x"), put("/f", "B"), Done, "/f=B", ""},
	{"edit, properties: both", "f=0", put("/f", "A"), props("/f", "x"), Done, "/f=A", ""},

	{"move, edit: the edit follows", "d/ f=0", move("/f", "/d/g"), put("/f", "B"), Done, "/d=dir /d/g=B", ""},
	{"edit, move: the move takes the edit along", "d/ f=0", put("/f", "A"), move("/f", "/d/g"), Done, "/d=dir /d/g=A", ""},
	{"move, move elsewhere: the first stands", "f=0", move("/f", "/a"), move("/f", "/b"), Precondition, "/a=0", ""},
	{"move, the same move: once", "f=0", move("/f", "/a"), move("/f", "/a"), Done, "/a=0", ""},
	{"move, move of another to one name: beside", "f=0 g=1", move("/f", "/x"), move("/g", "/x"), Beside, "/x=0 /x (kept at Mill Lane, 12 Nov)=1", ""},
	{"new, move to its name: beside", "g=1", put("/x", "A"), move("/g", "/x"), Beside, "/x=A /x (kept at Mill Lane, 12 Nov)=1", ""},
	{"move, new of its new name: beside", "g=1", move("/g", "/x"), put("/x", "B"), Beside, "/x=1 /x (kept at Mill Lane, 12 Nov)=B", ""},
	{"edit, replacing move over it: the edit is among the removed", "f=0 g=1", put("/f", "A"), over("/g", "/f"), Done, "/f=1", "/f"},
	{"replacing move, edit of what it replaced: comes back beside", "f=0 g=1", over("/g", "/f"), put("/f", "B"), Beside,
		"/f=1 /f (kept at Mill Lane, 12 Nov)=B", ""},
	{"directories into each other: the second is refused", "a/ b/ b/f=0", move("/a", "/b/a"), move("/b", "/a/b"), Cycle,
		"/b=dir /b/f=0 /b/a=dir", ""},
	{"directory over the directory that it was moved out of", "a/ a/b/ a/b/f=0", move("/a/b", "/b"), over("/a/b", "/a"), Precondition,
		"/a=dir /b=dir /b/f=0", ""},
	{"replacing a directory above itself: refused", "a/ a/b/", put("/x", "A"), over("/a/b", "/a"), Cycle, "/a=dir /a/b=dir /x=A", ""},

	{"directory moved, new file in it: follows", "d/", move("/d", "/e"), put("/d/f", "B"), Done, "/e=dir /e/f=B", ""},
	{"directory removed, new file in it: made again for it", "d/ d/old=0", remove("/d"), put("/d/f", "B"), Done, "/d=dir /d/f=B", "/d"},
	{"directory removed, edit in it: the file comes back alone", "d/ d/f=0 d/g=0", remove("/d"), put("/d/f", "B"), Done, "/d=dir /d/f=B", "/d"},
	{"directories removed, edit deep in it: they are made again", "d/ d/e/ d/e/f=0", remove("/d"), put("/d/e/f", "B"), Done,
		"/d=dir /d/e=dir /d/e/f=B", "/d"},
	{"directory removed, new directory in it: made again", "d/", remove("/d"), mkdir("/d/e"), Done, "/d=dir /d/e=dir", "/d"},
	{"directory removed, move into it: refused, stays", "d/ f=0", remove("/d"), move("/f", "/d/f"), NotFound, "/f=0", "/d"},
	{"move into a directory, its removal: goes with it", "d/ f=0", move("/f", "/d/f"), remove("/d"), Done, "", "/d"},
	{"new file in a directory, its removal: goes with it", "d/", put("/d/f", "A"), remove("/d"), Done, "", "/d"},
	{"directory removed, removal in it: both are done", "d/ d/f=0", remove("/d"), remove("/d/f"), Done, "", "/d"},
	{"directory removed, move out of it: stays removed", "d/ d/f=0", remove("/d"), move("/d/f", "/f"), NotFound, "", "/d"},
	{"move out of a directory, its removal: the file stays", "d/ d/f=0", move("/d/f", "/f"), remove("/d"), Done, "/f=0", "/d"},
	{"directory replaced by a file, new file in it: as near as can be", "d/ g=1", over("/g", "/d"), put("/d/f", "B"), Beside, "/d=1 /f=B", "/d"},

	{"restore, restore: once", "f=0 -f", restore("/f"), restore("/f"), Done, "/f=0", ""},
	{"new, restore to its name: beside", "f=0 -f", put("/f", "A"), restore("/f"), Beside, "/f=A /f (kept at Mill Lane, 12 Nov)=0", ""},
	{"restore, new of its name: beside", "f=0 -f", restore("/f"), put("/f", "B"), Beside, "/f=0 /f (kept at Mill Lane, 12 Nov)=B", ""},
	{"restore of a directory made again meanwhile: beside", "d/ d/f=0 -d", put("/d2", "A"), restore("/d"), Done, "/d=dir /d/f=0 /d2=A", ""},

	{"lock, edit by another: refused, bytes among the removed", "f=0", lock("/f", "t1", false), put("/f", "B"), Locked, "/f=0", "/f!locked"},
	{"lock, lock by another: refused", "f=0", lock("/f", "t1", false), lock("/f", "t2", false), Locked, "/f=0", ""},
	{"lock, move by another: refused", "f=0", lock("/f", "t1", false), move("/f", "/g"), Locked, "/f=0", ""},
	{"lock, removal by another: refused", "f=0", lock("/f", "t1", false), remove("/f"), Locked, "/f=0", ""},
	{"lock, properties by another: refused", "f=0", lock("/f", "t1", false), props("/f", "x"), Locked, "/f=0", ""},
	{"deep lock, new file below by another: refused", "d/ d/e/", lock("/d", "t1", true), put("/d/e/f", "B"), Locked, "/d=dir /d/e=dir", "/d/e/f!locked"},
	{"flat lock, new name in it by another: refused", "d/", lock("/d", "t1", false), mkdir("/d/e"), Locked, "/d=dir", ""},
	{"flat lock, new file two below by another: done", "d/ d/e/", lock("/d", "t1", false), put("/d/e/f", "B"), Done, "/d=dir /d/e=dir /d/e/f=B", ""},
	{"lock, removal of the directory around by another: refused", "d/ d/f=0", lock("/d/f", "t1", false), remove("/d"), Locked, "/d=dir /d/f=0", ""},
	{"lock, deep lock around by another: refused", "d/ d/f=0", lock("/d/f", "t1", false), lock("/d", "t2", true), Locked, "/d=dir /d/f=0", ""},
	{"edit, lock: both", "f=0", put("/f", "A"), lock("/f", "t1", false), Done, "/f=A", ""},
	{"removal, lock: refused", "f=0", remove("/f"), lock("/f", "t1", false), NotFound, "", "/f"},
}

// script does ann's setup: "d/" makes a directory, "f=0" puts, "-f" removes.
func (s *space) script(words string) {
	s.t.Helper()
	for word := range strings.FieldsSeq(words) {
		path, bytes, isFile := strings.Cut(word, "=")
		switch {
		case isFile:
			s.put("/"+path, bytes)
		case path[0] == '-':
			s.done(ann, s.removeOp("/"+path[1:]))
		default:
			s.mkdir("/" + strings.TrimSuffix(path, "/"))
		}
	}
}

// TestTheTableIsInTheDesign compares DESIGN.md with the table above.
func TestTheTableIsInTheDesign(t *testing.T) {
	b, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, tt := range conflicts {
		want = append(want, fmt.Sprintf("| %s | %v |", tt.rule, tt.status))
	}
	var got []string
	_, table, _ := strings.Cut(string(b), "|---|---|\n")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		got = append(got, strings.TrimSpace(line))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("table (-tested +written):\n%s", d)
	}
}

func TestConflicts(t *testing.T) {
	for _, tt := range conflicts {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSpace(t)
			s.script(tt.setup)
			first, second := s.write(ann, tt.ann(s)), s.write(bob, tt.bob(s))
			s.wantStatus(s.apply(first), Done)
			out := s.apply(second)
			s.wantStatus(out, tt.status)
			want := map[string]string{}
			for pair := range strings.SplitSeq(tt.tree, " /") {
				if path, bytes, ok := strings.Cut(strings.TrimPrefix(pair, "/"), "="); ok {
					want["/"+path] = bytes
				}
			}
			if d := cmp.Diff(want, s.tree()); d != "" {
				t.Errorf("tree (-want +got):\n%s", d)
			}
			s.wantRemoved(tt.removed)
			if e, ok := s.view().Node(out.Node); (out.Status == Done || out.Status == Beside) && second.Op.Kind != Remove &&
				(!ok || e.Dir != out.Dir || e.Name != out.Name) {
				t.Errorf("outcome %+v, but there is %+v", out, e)
			}
			checkInvariants(t, s.view())
		})
	}
}

func (s *space) wantRemoved(want string) {
	s.t.Helper()
	got, wanted := map[string]int{}, map[string]int{}
	for _, r := range s.view().Removed("", 100) {
		row := r.Path
		if r.Refused != 0 {
			row += "!" + r.Refused.String()
		}
		got[row]++
	}
	for row := range strings.FieldsSeq(want) {
		wanted[row]++
	}
	if !maps.Equal(got, wanted) {
		s.t.Errorf("removed: got %v, want %v", got, wanted)
	}
}

// TestEditsFollowTheirBase: bob, apart, saves a file three times. His first lands
// beside ann's; the others follow it, and stay out of ann's way.
func TestEditsFollowTheirBase(t *testing.T) {
	s := newSpace(t)
	s.script("f=0")
	annsOp := s.putOp("/f", "A")
	first := s.write(bob, s.putOp("/f", "B1"))
	second, third, last := first, first, first
	for i, w := range []*Write{&second, &third, &last} {
		w.ID.Seq += uint64(i) + 1
		w.Op.Base = WriteID{w.ID.Box, w.ID.Inc, w.ID.Seq - 1}
		w.Op.Content = text("B" + string(rune('2'+i)))
	}
	last.Op.If.Match = &last.Op.Base
	s.done(ann, annsOp)
	for _, w := range []Write{first, second, third, last} {
		s.wantStatus(s.apply(w), Beside)
	}
	s.want("/f", "A", "/f (kept at Mill Lane, 12 Nov)", "B4")
	if n := len(s.view().Versions(s.stat("/f (kept at Mill Lane, 12 Nov)").Node)); n != 4 {
		t.Errorf("got %d versions, want 4", n)
	}
	rm := Op{Kind: Remove, Dir: last.Op.Dir, Name: "f", Node: last.Op.Node, Base: last.ID}
	s.seq[bob] = last.ID.Seq
	s.done(bob, rm)
	s.want("/f", "A")
}

// TestSameBytesThenEdit: bob, apart, makes the very file that ann made, and goes on
// from there: there is nothing to keep beside.
func TestSameBytesThenEdit(t *testing.T) {
	for _, setup := range []string{"", "f=0"} {
		s := newSpace(t)
		s.script(setup)
		annsOp := s.putOp("/f", "A")
		first := s.write(bob, s.putOp("/f", "A"))
		second := s.write(bob, Op{Kind: Put, Dir: Root, Name: "f", Node: NodeOf(first.ID), Base: first.ID, Content: text("B")})
		if first.Op.Node != Root {
			second.Op.Node = first.Op.Node
		}
		s.done(ann, annsOp)
		s.wantStatus(s.apply(first), Done)
		s.wantStatus(s.apply(second), Done)
		s.want("/f", "B")
	}
}

// TestDirectoryMadeTwice: what bob puts into the directory that he thinks he made
// goes into the one that ann made.
func TestDirectoryMadeTwice(t *testing.T) {
	s := newSpace(t)
	annsOp := s.mkdirOp("/d")
	bobs := s.write(bob, s.mkdirOp("/d"))
	inside := s.write(bob, Op{Kind: Put, Dir: NodeOf(bobs.ID), Name: "f", Content: text("B")})
	made := s.done(ann, annsOp)
	if out := s.apply(bobs); out.Status != Done || out.Node != made.Node {
		t.Errorf("got %+v, want node %v", out, made.Node)
	}
	s.wantStatus(s.apply(inside), Done)
	s.want("/d", "dir", "/d/f", "B")
}

// TestRefusedDirectory: if a directory could not be made, the bytes that were to go
// into it are kept all the same.
func TestRefusedDirectory(t *testing.T) {
	s := newSpace(t)
	s.script("d/")
	bobs := s.write(bob, s.mkdirOp("/d/e"))
	inside := s.write(bob, Op{Kind: Put, Dir: NodeOf(bobs.ID), Name: "f", Content: text("B")})
	s.done(ann, s.lockOp("/d", "t", true))
	s.wantStatus(s.apply(bobs), Locked)
	out := s.apply(inside)
	s.wantStatus(out, NotFound)
	s.wantStatus(s.do(ann, Op{Kind: Restore, Node: out.Node}), Beside)
	s.want("/d", "dir", "/f", "B")
}

func TestBesideNamesAreNumbered(t *testing.T) {
	s := newSpace(t)
	s.script("f.txt=0")
	w := s.putOp("/f.txt", "")
	s.put("/f.txt", "A")
	for _, bytes := range []string{"B", "C", "D", "C"} {
		w.Content = text(bytes)
		s.wantStatus(s.do(bob, w), Beside)
	}
	s.want("/f.txt", "A", "/f (kept at Mill Lane, 12 Nov).txt", "B",
		"/f (kept at Mill Lane, 12 Nov, 2).txt", "C", "/f (kept at Mill Lane, 12 Nov, 3).txt", "D")
}
