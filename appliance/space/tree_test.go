package space_test

import (
	"strings"
	"testing"
	"time"

	"redhen/appliance/space"
	"redhen/appliance/space/spacetest"
	"redhen/raftnode/catalog"
)

func (x *tester) move(from, to string, overwrite bool) (space.Answer, error) {
	return x.Move(x.t.Context(), from, to, space.MoveOptions{Overwrite: overwrite})
}

func (x *tester) copy(from, to string, overwrite bool) (space.Answer, error) {
	return x.Copy(x.t.Context(), from, to, space.CopyOptions{Overwrite: overwrite})
}

func TestMove(t *testing.T) {
	x := newSpace(t)
	x.mkdir("/a")
	x.mkdir("/a/sub")
	x.put("/a/sub/f", "one")
	before, _ := x.Stat(t.Context(), "/a/sub/f")
	if a, err := x.move("/a/sub", "/b", false); err != nil || !a.Created || a.Info.Path != "/b" {
		t.Fatalf("got %+v, %v", a, err)
	}
	x.wantTree("/a/", "/b/", "/b/f")
	after, err := x.Stat(t.Context(), "/b/f")
	if err != nil || after.Node != before.Node || after.ETag() != before.ETag() {
		t.Errorf("got %+v, %v; was %+v", after, err, before)
	}
	x.put("/g", "two")
	_, err = x.move("/g", "/b/f", false)
	wantErr(t, "taken", err, space.ErrExists)
	if a, err := x.move("/g", "/b/f", true); err != nil || a.Created {
		t.Errorf("got %+v, %v", a, err)
	}
	if got := x.read("/b/f"); got != "two" {
		t.Errorf("got %q", got)
	}
	_, err = x.move("/b", "/b/c", false)
	wantErr(t, "into itself", err, space.ErrCycle)
	_, err = x.move("/b/f", "/b", true)
	wantErr(t, "onto its own directory", err, space.ErrCycle)
	_, err = x.move("/b", "/b", true)
	wantErr(t, "onto itself", err, space.ErrExists)
	_, err = x.move("/none", "/c", false)
	wantErr(t, "nothing", err, space.ErrNotFound)
	_, err = x.move("/b", "/none/c", false)
	wantErr(t, "to nowhere", err, space.ErrNoParent)
	if _, err := x.move("/b/f", "/b/F", false); err != nil {
		t.Errorf("another case: %v", err)
	}
	x.wantTree("/a/", "/b/", "/b/F")
}

func TestAnEditFollowsItsFile(t *testing.T) {
	x := newSpace(t)
	x.mkdir("/away")
	x.put("/plan.txt", "old")
	body := &slowReader{strings.NewReader("new"), func() {
		if _, err := view(t, x.store, ben).move("/plan.txt", "/away/plan.txt", false); err != nil {
			t.Error(err)
		}
	}}
	a, err := x.Put(t.Context(), "/plan.txt", body, space.PutOptions{})
	if err != nil || a.Info.Path != "/away/plan.txt" {
		t.Errorf("got %+v, %v", a, err)
	}
	x.wantTree("/away/", "/away/plan.txt")
	if got := x.read("/away/plan.txt"); got != "new" {
		t.Errorf("got %q", got)
	}
}

func TestCopy(t *testing.T) {
	x := newSpace(t)
	x.mkdir("/a")
	x.mkdir("/a/sub")
	x.put("/a/sub/big", strings.Repeat("x", 2<<20))
	props := map[string][]byte{"{u}color": []byte("red")}
	mod := time.UnixMilli(1_234_567_890_123)
	if _, err := x.Put(t.Context(), "/a/f", strings.NewReader("one"), space.PutOptions{ModTime: mod, Props: props}); err != nil {
		t.Fatal(err)
	}
	uploads := x.store.Uploads()
	a, err := x.copy("/a", "/b", false)
	if err != nil || !a.Created || a.Kept != 1 {
		t.Fatalf("got %+v, %v", a, err)
	}
	x.wantTree("/a/", "/a/f", "/a/sub/", "/a/sub/big", "/b/", "/b/f", "/b/sub/", "/b/sub/big")
	if n := x.store.Uploads() - uploads; n != 0 {
		t.Errorf("%d uploads", n)
	}
	got, err := x.Stat(t.Context(), "/b/f")
	if err != nil || !got.ModTime.Equal(mod) || string(got.Props["{u}color"]) != "red" {
		t.Errorf("got %+v, %v", got, err)
	}
	x.put("/b/f", "changed")
	if x.read("/a/f") != "one" {
		t.Error("the copy and the original are one file")
	}
	_, err = x.copy("/a/f", "/b/f", false)
	wantErr(t, "taken", err, space.ErrExists)
	if a, err := x.copy("/a/f", "/b/f", true); err != nil || a.Created || x.read("/b/f") != "one" {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := x.copy("/a/f", "/b", true); err != nil || x.read("/b") != "one" {
		t.Errorf("over a directory: %v", err)
	}
	_, err = x.copy("/a", "/a/sub/a", false)
	wantErr(t, "into itself", err, space.ErrCycle)
	shallow := space.CopyOptions{Shallow: true}
	if _, err := x.Copy(t.Context(), "/a", "/empty", shallow); err != nil || len(x.tree("/empty")) != 0 {
		t.Errorf("shallow: %v, %v", x.tree("/empty"), err)
	}
}

func TestHistoryOfAFile(t *testing.T) {
	x := newSpace(t)
	one := x.put("/a", "one")
	two := x.put("/a", "two")
	versions, err := x.Versions(t.Context(), "/a")
	if err != nil || len(versions) != 2 || versions[0].Version != two.Info.Version || versions[1].Version != one.Info.Version {
		t.Fatalf("got %+v, %v", versions, err)
	}
	f, err := x.OpenVersion(t.Context(), "/a", one.Info.Version)
	if err != nil || x.all(f) != "one" {
		t.Errorf("got %v", err)
	}
	_, err = x.OpenVersion(t.Context(), "/a", catalog.WriteID{Box: spacetest.Box, Inc: 9, Seq: 9})
	wantErr(t, "a version that never was", err, space.ErrNotFound)
	if _, err := x.Restore(t.Context(), "/a", one.Info.Version, space.WriteOptions{}); err != nil || x.read("/a") != "one" {
		t.Errorf("restored %q, %v", x.read("/a"), err)
	}
	if versions, err = x.Versions(t.Context(), "/a"); err != nil || len(versions) < 2 {
		t.Errorf("got %+v, %v", versions, err)
	}
}

func TestWhatIsRemovedCanComeBack(t *testing.T) {
	x := newSpace(t)
	x.mkdir("/dir")
	x.put("/dir/f", "one")
	x.put("/g", "two")
	for _, p := range []string{"/dir", "/g"} {
		if _, err := x.Remove(t.Context(), p, space.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	x.wantTree()
	var all []space.Gone
	for cursor := ""; ; {
		page, next, err := x.Removed(t.Context(), cursor, 1)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if cursor = next; next == "" {
			break
		}
	}
	if len(all) != 2 {
		t.Fatalf("got %+v", all)
	}
	for _, g := range all {
		if g.By != anna || g.At.IsZero() || g.Refused || g.Path != "/dir" && g.Path != "/g" {
			t.Errorf("got %+v", g)
		}
		if a, err := x.Undo(t.Context(), g.Node, space.WriteOptions{}); err != nil || a.Info.Path != g.Path {
			t.Errorf("undo %s: got %+v, %v", g.Path, a, err)
		}
	}
	x.wantTree("/dir/", "/dir/f", "/g")
	if got := x.read("/dir/f"); got != "one" {
		t.Errorf("got %q", got)
	}
}

func TestProps(t *testing.T) {
	x := newSpace(t)
	x.put("/a", "x")
	for _, p := range []string{"/a", "/"} {
		if _, err := x.SetProps(t.Context(), p, map[string][]byte{"k": []byte("v")}, space.WriteOptions{}); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		if got, err := x.Stat(t.Context(), p); err != nil || string(got.Props["k"]) != "v" {
			t.Errorf("%s: got %+v, %v", p, got, err)
		}
	}
	x.put("/a", "y")
	if got, _ := x.Stat(t.Context(), "/a"); string(got.Props["k"]) != "v" {
		t.Errorf("a put lost the properties: %+v", got)
	}
	if _, err := x.SetProps(t.Context(), "/a", nil, space.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := x.Stat(t.Context(), "/a"); len(got.Props) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestSearch(t *testing.T) {
	x := newSpace(t)
	x.mkdir("/Holiday")
	x.put("/Holiday/beach.jpg", "x")
	found, err := x.Search(t.Context(), "BEACH", 10)
	if err != nil || len(found) != 1 || found[0].Path != "/Holiday/beach.jpg" || found[0].Name != "beach.jpg" {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestChangedTellsOfAWrite(t *testing.T) {
	x := newSpace(t)
	ch := x.Changed()
	x.put("/a", "x")
	select {
	case <-ch:
	default:
		t.Error("nothing was told")
	}
}

func TestLocks(t *testing.T) {
	x := newSpace(t)
	other := view(t, x.store, ben)
	x.mkdir("/dir")
	x.put("/dir/f", "x")
	l, a, err := x.Lock(t.Context(), "/dir", space.LockOptions{Deep: true, Owner: "an editor", For: time.Minute})
	if err != nil || a.Kept != 1 || !strings.HasPrefix(l.Token, "urn:uuid:") {
		t.Fatalf("got %+v, %+v, %v", l, a, err)
	}
	locks, err := x.Locks(t.Context())
	if err != nil || len(locks) != 1 || locks[0] != l || !l.Covers("/dir/f") || l.Covers("/") {
		t.Errorf("got %+v, %v; want %+v", locks, err, l)
	}
	_, err = other.Put(t.Context(), "/dir/f", strings.NewReader("y"), space.PutOptions{})
	wantErr(t, "another account", err, space.ErrLocked)
	_, _, err = other.Lock(t.Context(), "/dir/f", space.LockOptions{For: time.Minute})
	wantErr(t, "a second lock", err, space.ErrLocked)
	x.store.Advance(50 * time.Second)
	if l, _, err = x.Refresh(t.Context(), l, time.Minute); err != nil {
		t.Fatal(err)
	}
	x.store.Advance(50 * time.Second)
	if locks, _ := x.Locks(t.Context()); len(locks) != 1 {
		t.Errorf("refreshed, but got %v", locks)
	}
	x.store.Advance(11 * time.Second)
	if locks, _ := x.Locks(t.Context()); len(locks) != 0 {
		t.Errorf("got %v", locks)
	}
	other.put("/dir/f", "y")
}

func TestUnlock(t *testing.T) {
	x := newSpace(t)
	x.put("/f", "x")
	l, _, err := x.Lock(t.Context(), "/f", space.LockOptions{For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Unlock(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if locks, err := x.Locks(t.Context()); err != nil || len(locks) != 0 {
		t.Errorf("got %v, %v", locks, err)
	}
	if _, err := x.Remove(t.Context(), "/f", space.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = x.Unlock(t.Context(), l)
	wantErr(t, "its file is gone", err, space.ErrNoLock)
	_, _, err = x.Lock(t.Context(), "/f", space.LockOptions{For: time.Minute})
	wantErr(t, "lock nothing", err, space.ErrNotFound)
}
