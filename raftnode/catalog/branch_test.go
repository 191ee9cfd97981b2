package catalog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/raftnode/kv"
)

// fork returns a second space that goes on from the state of the first.
func (s *space) fork() *space {
	f := *s
	f.state, f.seq = s.state.Over(kv.Empty{}), maps.Clone(s.seq)
	return &f
}

func hand() Hand {
	return Hand{Box: "box-home", Inc: 99, Now: start, House: func(box ident.BoxID) string {
		return map[ident.BoxID]string{"box-ann": "Oak Street"}[box] + map[ident.BoxID]string{"box-bob": "Mill Lane", "box-home": "Mill Lane"}[box]
	}}
}

// comeHome applies what a branch has to the state until nothing is left.
func (s *space) comeHome(from *space) {
	s.t.Helper()
	for round := 1; ; round++ {
		var ws []Write
		Branch(from.view(), s.view(), hand(), func(w Write) bool { ws = append(ws, w); return true })
		if len(ws) == 0 {
			break
		}
		for _, w := range ws {
			if out := s.apply(w); out.Status == Unresolved {
				s.t.Errorf("%v stands before what it builds on: %v", w.ID, w.After)
			}
		}
		if round > 8 {
			s.t.Fatalf("it does not end: %+v", ws[0])
		}
	}
	checkInvariants(s.t, s.view())
}

// What a branch decides otherwise than a write that was only late: which of two
// changes of a place came first cannot be told from states, and a file is kept.
var branchRows = map[string]struct{ tree, removed string }{
	"edit, edit under If-Match: refused, bytes among the removed":    {"/f=A /f (kept at Mill Lane, 12 Nov)=B", ""},
	"new, new under If-None-Match: refused, bytes among the removed": {"/f=A /f (kept at Mill Lane, 12 Nov)=B", ""},
	"removal, edit under If-Match: refused, bytes among the removed": {"/f=B", ""},
	"removal, move: stays removed":                                   {"/g=1 /h=0", ""},
	"move, removal: removed where it is":                             {"/d=dir /d/f=0", ""},
	"directory removed, move out of it: stays removed":               {"/f=0", "/d"},
	"directory removed, move into it: refused, stays":                {"/f=0", "/d"},
	"edit, replacing move over it: the edit is among the removed":    {"/f=A /f (kept at Mill Lane, 12 Nov)=1", ""},
	"restore, restore: once":                                         {"/f=0", ""},
}

// The table of conflicts holds for what comes home as a branch, too: ann's write is
// done on one side and bob's on the other, and then bob's comes to ann's.
func TestABranchObeysTheTable(t *testing.T) {
	for _, tt := range conflicts {
		t.Run(tt.rule, func(t *testing.T) {
			if strings.Contains(tt.rule, "lock") {
				t.Skip("locks are left behind")
			}
			s := newSpace(t)
			s.script(tt.setup)
			first, second := s.write(ann, tt.ann(s)), s.write(bob, tt.bob(s))
			other := s.fork()
			s.wantStatus(s.apply(first), Done)
			other.apply(second)
			s.comeHome(other)
			if row, ok := branchRows[tt.rule]; ok {
				tt.tree, tt.removed = row.tree, row.removed
			}
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
		})
	}
}

// What only one side did after the fork comes to the other as it is, also where names
// were given to others meanwhile.
func TestABranchComesHomeAsItIs(t *testing.T) {
	for _, tt := range []struct {
		name, setup string
		ops         []seen
	}{
		{"a file of several versions", "", []seen{put("/f", "1"), put("/f", "2"), put("/f", "3")}},
		{"a file that was empty first", "", []seen{put("/f", ""), put("/f", "2")}},
		{"an emptied file that is written again", "f=0 f=", []seen{put("/f", "1")}},
		{"directories in directories", "", []seen{mkdir("/a"), mkdir("/a/b"), put("/a/b/f", "1"), mkdir("/a/c")}},
		{"saved as editors do", "f=0", []seen{put("/f.tmp", "1"), over("/f.tmp", "/f")}},
		{"removed and made again", "f=0", []seen{remove("/f"), put("/f", "1")}},
		{"a directory removed and made again", "d/ d/f=0", []seen{remove("/d"), mkdir("/d"), put("/d/f", "1")}},
		{"moved and another in its place", "f=0", []seen{move("/f", "/g"), put("/f", "1")}},
		{"a chain of moves", "a=0 b=1", []seen{move("/b", "/c"), move("/a", "/b"), put("/a", "2")}},
		{"edited and moved", "d/ f=0", []seen{put("/f", "1"), move("/f", "/d/g"), put("/d/g", "2")}},
		{"moved into a new directory", "f=0", []seen{mkdir("/d"), move("/f", "/d/f")}},
		{"a directory moved, and a file put into it", "d/ d/f=0", []seen{move("/d", "/e"), put("/e/g", "1")}},
		{"restored", "f=0 g=1 -f", []seen{restore("/f")}},
		{"edited and removed", "f=0", []seen{put("/f", "1"), remove("/f")}},
		{"edited in a directory that was removed", "d/ d/f=0 d/g=1", []seen{put("/d/f", "1"), put("/d/g", "2"), remove("/d")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpace(t)
			s.script(tt.setup)
			other := s.fork()
			for _, o := range tt.ops {
				other.done(bob, o(other))
			}
			s.comeHome(other)
			if d := cmp.Diff(other.tree(), s.tree()); d != "" {
				t.Errorf("tree (-there +here):\n%s", d)
			}
			for path, bytes := range other.tree() {
				if bytes == "dir" {
					continue
				}
				// An empty version is not kept by anybody.
				if got, want := len(s.view().Versions(s.stat(path).Node)), len(other.view().Versions(other.stat(path).Node)); got != want {
					t.Errorf("%s has %d versions here, %d there", path, got, want)
				}
			}
		})
	}
}

// Two names that were exchanged block each other: both files stay, one under a name beside.
func TestABranchThatExchangedNames(t *testing.T) {
	s := newSpace(t)
	s.script("a=0 b=1")
	other := s.fork()
	for _, o := range []seen{move("/a", "/t"), move("/b", "/a"), move("/t", "/b")} {
		other.done(bob, o(other))
	}
	s.comeHome(other)
	if got := slices.Sorted(maps.Values(s.tree())); !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("files %v", s.tree())
	}
}

// What was made and removed again on the branch can be restored afterwards.
func TestABranchBringsWhatWasRemoved(t *testing.T) {
	s := newSpace(t)
	other := s.fork()
	other.done(bob, other.putOp("/f", "bytes"))
	other.done(bob, other.removeOp("/f"))
	s.comeHome(other)
	s.want()
	rows := s.view().Removed("", 10)
	if len(rows) != 1 || rows[0].Path != "/f" {
		t.Fatalf("removed: %+v", rows)
	}
	s.done(ann, Op{Kind: Restore, Node: rows[0].Entry.Node})
	s.want("/f", "bytes")
}

// An edit that brought its file back on the branch, where the others removed it too: both the
// place and the bytes are of one write, and the bytes must not be taken for brought with the place.
func TestABranchBringsTheBytesOfWhatBroughtAFileBack(t *testing.T) {
	s := newSpace(t)
	s.script("f=0")
	other := s.fork()
	edit := other.putOp("/f", "1")
	other.done(bob, other.removeOp("/f"))
	other.done(bob, edit)
	other.done(bob, other.putOp("/f", "2"))
	s.done(ann, s.removeOp("/f"))
	s.done(ann, s.putOp("/f", "of ann"))
	want := contents(other.view())
	s.comeHome(other)
	for c := range want {
		if !contents(s.view())[c] {
			t.Errorf("%q is lost: %v", c, s.tree())
		}
	}
}

// A branch may come home in parts, to a state that goes on meanwhile, and from two
// boxes of it: nothing is doubled.
func TestABranchComesHomeOnce(t *testing.T) {
	s := newSpace(t)
	s.script("f=0 d/ d/x=0 d/y=0")
	other := s.fork()
	other.script("f=1 new=1 e/ e/f=2 -d/x")
	for part := 1; ; part++ {
		var ws []Write
		Branch(other.view(), s.view(), hand(), func(w Write) bool {
			ws = append(ws, w)
			return len(ws) < 1
		})
		if len(ws) == 0 {
			break
		}
		s.apply(ws[0])
		s.done(bob, s.putOp(fmt.Sprint("/meanwhile", part), "x"))
		if part > 20 {
			t.Fatal("it does not end")
		}
	}
	s.comeHome(other)
	tree := s.tree()
	maps.DeleteFunc(tree, func(path, _ string) bool { return strings.HasPrefix(path, "/meanwhile") })
	if d := cmp.Diff(map[string]string{"/f": "1", "/new": "1", "/d": "dir", "/d/y": "0", "/e": "dir", "/e/f": "2"}, tree); d != "" {
		t.Errorf("tree (-want +got):\n%s", d)
	}
}

// Random histories on both sides: whatever the branch put is there afterwards, as a
// file, an older version or among the removed.
func TestNoBytesOfABranchAreLost(t *testing.T) {
	for seed := range uint64(20) {
		both := history(t, seed, 40, 1000)
		s := newSpace(t)
		rnd := rand.New(rand.NewPCG(seed, 5))
		for _, w := range both {
			s.apply(w)
		}
		other := s.fork()
		for i, side := range []*space{s, other} {
			for range 40 {
				side.randomly(rnd, []ident.AccountID{ann, bob}[i])
			}
		}
		want := contents(other.view())
		s.comeHome(other)
		got := contents(s.view())
		for c := range want {
			if !got[c] {
				t.Fatalf("seed %d: %q is lost", seed, c)
			}
		}
	}
}

// randomly does one thing to one of a few names.
func (s *space) randomly(rnd *rand.Rand, by ident.AccountID) {
	s.now += 1000
	tree := s.tree()
	paths := slices.Sorted(maps.Keys(tree))
	dirs := []string{""}
	for _, p := range paths {
		if tree[p] == "dir" {
			dirs = append(dirs, p)
		}
	}
	pick := func(list []string) string { return list[rnd.IntN(len(list))] }
	fresh := pick(dirs) + "/" + string(rune('a'+rnd.IntN(6)))
	kind := rnd.IntN(7)
	if len(paths) == 0 {
		kind = 0
	}
	switch kind {
	case 0, 1:
		s.do(by, s.putOp(fresh, fmt.Sprint(by, s.now, rnd.Uint64())))
	case 2:
		s.do(by, s.mkdirOp(fresh))
	case 3:
		s.do(by, s.removeOp(pick(paths)))
	case 4:
		s.do(by, s.moveOp(pick(paths), fresh))
	case 5:
		op := s.moveOp(pick(paths), fresh)
		op.Overwrite = true
		s.do(by, op)
	case 6:
		if rows := s.view().Removed("", 10); len(rows) > 0 {
			s.do(by, Op{Kind: Restore, Node: rows[rnd.IntN(len(rows))].Entry.Node})
		}
	}
}

// contents are the bytes that a state has anywhere.
func contents(v View) map[string]bool {
	all := map[string]bool{}
	for c := range v.Contents() {
		all[string(c.Inline)] = true
	}
	return all
}
