package space_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redhen/appliance/space"
	"redhen/appliance/space/spacetest"
	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
)

const anna, ben = ident.AccountID("00000000000000aa"), ident.AccountID("00000000000000bb")

// A tester is one account's view, and the test that looks through it.
type tester struct {
	*space.FS
	t     *testing.T
	store *spacetest.Store
}

func newSpace(t *testing.T) *tester {
	t.Helper()
	return view(t, spacetest.New(t), anna)
}

func view(t *testing.T, store *spacetest.Store, account ident.AccountID) *tester {
	return &tester{space.New(space.Config{Store: store, Account: account, Now: store.Now}), t, store}
}

func (x *tester) put(p, content string) space.Answer {
	x.t.Helper()
	a, err := x.Put(x.t.Context(), p, strings.NewReader(content), space.PutOptions{})
	if err != nil {
		x.t.Fatalf("put %s: %v", p, err)
	}
	return a
}

func (x *tester) mkdir(p string) space.Answer {
	x.t.Helper()
	a, err := x.Mkdir(x.t.Context(), p, space.WriteOptions{})
	if err != nil {
		x.t.Fatalf("mkdir %s: %v", p, err)
	}
	return a
}

func (x *tester) read(p string) string {
	x.t.Helper()
	f, err := x.Open(x.t.Context(), p)
	if err != nil {
		x.t.Fatalf("open %s: %v", p, err)
	}
	return x.all(f)
}

func (x *tester) all(f *space.File) string {
	x.t.Helper()
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		x.t.Fatalf("read %s: %v", f.Info().Path, err)
	}
	return string(b)
}

// tree lists all paths; directories end with a slash.
func (x *tester) tree(dir string) []string {
	x.t.Helper()
	infos, err := x.List(x.t.Context(), dir)
	if err != nil {
		x.t.Fatalf("list %s: %v", dir, err)
	}
	var all []string
	for _, i := range infos {
		if i.Dir {
			all = append(append(all, i.Path+"/"), x.tree(i.Path)...)
		} else {
			all = append(all, i.Path)
		}
	}
	return all
}

func (x *tester) wantTree(want ...string) {
	x.t.Helper()
	if d := cmp.Diff(want, x.tree("/")); d != "" {
		x.t.Error(d)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestPutAndRead(t *testing.T) {
	x := newSpace(t)
	x.store.Houses = 2
	mod := time.UnixMilli(1_234_567_890_123)
	a, err := x.Put(t.Context(), "/hen.txt", strings.NewReader("cluck"), space.PutOptions{ModTime: mod})
	if err != nil || !a.Created || a.Beside || a.Kept != 2 {
		t.Fatalf("got %+v, %v", a, err)
	}
	got, err := x.Stat(t.Context(), "hen.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "hen.txt" || got.Path != "/hen.txt" || got.Size != 5 || !got.ModTime.Equal(mod) || got.Author != anna || got.Dir {
		t.Errorf("got %+v", got)
	}
	if a.Info.ETag() == "" || a.Info.ETag() != got.ETag() || a.Info.Node != got.Node || a.Info.Path != got.Path || a.Info.Size != 5 {
		t.Errorf("answered %+v, is %+v", a.Info, got)
	}
	b := x.put("/hen.txt", "cluck cluck")
	if b.Created || b.Info.ETag() == a.Info.ETag() || b.Info.Node != a.Info.Node {
		t.Errorf("got %+v after %+v", b.Info, a.Info)
	}
	if got := x.read("/hen.txt"); got != "cluck cluck" {
		t.Errorf("got %q", got)
	}
}

func TestBigFilesGoInChunks(t *testing.T) {
	x := newSpace(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 5<<15)
	if _, err := x.Put(t.Context(), "/big", bytes.NewReader(big), space.PutOptions{Size: int64(len(big))}); err != nil {
		t.Fatal(err)
	}
	f, err := x.Open(t.Context(), "/big")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(-16, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "0123456789abcdef" {
		t.Errorf("got %q, %v", b, err)
	}
	part := make([]byte, 32)
	if _, err := f.ReadAt(part, 1<<20-16); err != nil || !bytes.Equal(part, big[:32]) {
		t.Errorf("got %q, %v", part, err)
	}
}

func TestWhatCannotBeDoneSaysWhy(t *testing.T) {
	x := newSpace(t)
	x.mkdir("/dir")
	x.put("/file", "x")
	ctx := t.Context()
	put := func(p string) error {
		_, err := x.Put(ctx, p, strings.NewReader("x"), space.PutOptions{})
		return err
	}
	wantErr(t, "no parent", put("/none/a"), space.ErrNoParent)
	wantErr(t, "file as parent", put("/file/a"), space.ErrNotDirectory)
	wantErr(t, "onto a directory", put("/dir"), space.ErrIsDirectory)
	wantErr(t, "onto the root", put("/"), space.ErrIsDirectory)
	wantErr(t, "bad name", put("/a\x00"), space.ErrBadName)
	_, err := x.Mkdir(ctx, "/file", space.WriteOptions{})
	wantErr(t, "mkdir over a file", err, space.ErrExists)
	_, err = x.Open(ctx, "/dir")
	wantErr(t, "open a directory", err, space.ErrIsDirectory)
	_, err = x.Open(ctx, "/none")
	wantErr(t, "open nothing", err, space.ErrNotFound)
	_, err = x.Stat(ctx, "/none/none")
	wantErr(t, "stat nothing", err, space.ErrNotFound)
	_, err = x.List(ctx, "/file")
	wantErr(t, "list a file", err, space.ErrNotDirectory)
	_, err = x.Remove(ctx, "/none/none", space.WriteOptions{})
	wantErr(t, "remove nothing", err, space.ErrNotFound)
	_, err = x.Remove(ctx, "/", space.WriteOptions{})
	wantErr(t, "remove the root", err, space.ErrIsDirectory)
	_, err = x.SetProps(ctx, "/file", map[string][]byte{"a": make([]byte, 65<<10)}, space.WriteOptions{})
	wantErr(t, "too many properties", err, space.ErrTooMany)
	x.wantTree("/dir/", "/file")
}

func TestReadOnly(t *testing.T) {
	x := newSpace(t)
	x.put("/a", "x")
	ro := space.New(space.Config{Store: x.store, Account: ben, ReadOnly: true})
	ctx := t.Context()
	_, err := ro.Put(ctx, "/a", strings.NewReader("y"), space.PutOptions{})
	wantErr(t, "put", err, space.ErrReadOnly)
	_, err = ro.Remove(ctx, "/a", space.WriteOptions{})
	wantErr(t, "remove", err, space.ErrReadOnly)
	_, err = ro.Undo(ctx, catalog.NodeID{1}, space.WriteOptions{})
	wantErr(t, "undo", err, space.ErrReadOnly)
	_, _, err = ro.Lock(ctx, "/a", space.LockOptions{For: time.Minute})
	wantErr(t, "lock", err, space.ErrReadOnly)
	_, err = ro.SetProps(ctx, "/", nil, space.WriteOptions{})
	wantErr(t, "props", err, space.ErrReadOnly)
	if _, err := ro.Stat(ctx, "/a"); err != nil {
		t.Error(err)
	}
}

func TestConditions(t *testing.T) {
	x := newSpace(t)
	put := func(content string, match, none []string) (space.Answer, error) {
		return x.Put(t.Context(), "/a", strings.NewReader(content),
			space.PutOptions{WriteOptions: space.WriteOptions{IfMatch: match}, IfNoneMatch: none})
	}
	_, err := put("x", []string{"*"}, nil)
	wantErr(t, "match without a file", err, space.ErrPrecondition)
	one, err := put("one", nil, []string{"*"})
	wantErr(t, "absent", err, nil)
	_, err = put("x", nil, []string{"*"})
	wantErr(t, "absent, but there", err, space.ErrPrecondition)
	two, err := put("two", []string{one.Info.ETag()}, nil)
	wantErr(t, "the newest", err, nil)
	uploads := x.store.Uploads()
	_, err = put("x", []string{one.Info.ETag()}, nil)
	wantErr(t, "an old one", err, space.ErrPrecondition)
	_, err = put("x", []string{`"junk"`, "junk", ""}, nil)
	wantErr(t, "junk", err, space.ErrPrecondition)
	_, err = put("x", nil, []string{two.Info.ETag()})
	wantErr(t, "none match", err, space.ErrPrecondition)
	if n := x.store.Uploads() - uploads; n != 0 {
		t.Errorf("%d bodies were read for nothing", n)
	}
	_, err = put("three", []string{`"other"`, two.Info.ETag()}, nil)
	wantErr(t, "one of two", err, nil)
	// A version that this box has not heard of yet is judged where the write is applied.
	_, err = put("x", []string{`"12D3KooWelsewhere.1.7"`}, nil)
	wantErr(t, "a version from elsewhere", err, space.ErrPrecondition)
	if n := x.store.Uploads() - uploads; n != 2 {
		t.Errorf("%d bodies were read, want 2", n)
	}
	_, err = x.Remove(t.Context(), "/a", space.WriteOptions{IfMatch: []string{one.Info.ETag()}})
	wantErr(t, "remove an old one", err, space.ErrPrecondition)
	if got := x.read("/a"); got != "three" {
		t.Errorf("got %q", got)
	}
}

// slowReader lets something happen while the bytes arrive.
type slowReader struct {
	r         io.Reader
	meanwhile func()
}

func (s *slowReader) Read(b []byte) (int, error) {
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
	return s.r.Read(b)
}

func TestAnEditWhileTheBytesArriveKeepsBoth(t *testing.T) {
	x := newSpace(t)
	x.put("/plan.txt", "old")
	body := &slowReader{strings.NewReader("mine"), func() { view(t, x.store, ben).put("/plan.txt", "theirs") }}
	a, err := x.Put(t.Context(), "/plan.txt", body, space.PutOptions{})
	if err != nil || !a.Beside {
		t.Fatalf("got %+v, %v", a, err)
	}
	if x.read("/plan.txt") != "theirs" || x.read(a.Info.Path) != "mine" || !strings.Contains(a.Info.Name, "kept at "+spacetest.House) {
		t.Errorf("beside is %q, tree %v", a.Info.Path, x.tree("/"))
	}
}

func TestInsistAndFull(t *testing.T) {
	x := newSpace(t)
	_, err := x.Put(t.Context(), "/a", strings.NewReader("x"), space.PutOptions{WriteOptions: space.WriteOptions{Insist: 2}})
	wantErr(t, "insist", err, space.ErrNeedsHouse)
	x.store.Fail(fmt.Errorf("put chunk: %w", chunk.ErrFull))
	_, err = x.Put(t.Context(), "/a", strings.NewReader("x"), space.PutOptions{})
	wantErr(t, "full", err, space.ErrFull)
	x.store.Fail(nil)
	x.wantTree()
}

func TestABodyThatBreaksOffChangesNothing(t *testing.T) {
	x := newSpace(t)
	_, err := x.Put(t.Context(), "/a", io.MultiReader(strings.NewReader("x"), brokenReader{}), space.PutOptions{})
	wantErr(t, "broken", err, space.ErrCut)
	_, err = x.Put(t.Context(), "/a", strings.NewReader("x"), space.PutOptions{Size: 2})
	wantErr(t, "short", err, space.ErrCut)
	x.wantTree()
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBytesOutOfReach(t *testing.T) {
	x := newSpace(t)
	x.put("/big", strings.Repeat("x", 1<<20))
	x.store.LoseBytes()
	f, err := x.Open(t.Context(), "/big")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = io.ReadAll(f)
	wantErr(t, "read", err, space.ErrOwed)
}

func TestAListOfManyPages(t *testing.T) {
	x := newSpace(t)
	var want []string
	for i := range 1203 {
		want = append(want, fmt.Sprintf("/%05d", i))
		x.put(want[i], "x")
	}
	x.wantTree(want...)
}

func TestUsageUnknown(t *testing.T) {
	if u, err := newSpace(t).Usage(context.Background()); err != nil || u.Known {
		t.Errorf("got %+v, %v", u, err)
	}
}
