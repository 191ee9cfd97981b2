package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// full is a valid write of each kind with every field that it may have.
func full() map[Kind]Write {
	id := WriteID{"12D3KooWbox", 0xfeed, 9}
	base := WriteID{"12D3KooWother", 1, 2}
	write := func(op Op) Write {
		return Write{ID: id, Author: "0123456789abcdef", Time: start, Where: "Oak Street", After: []WriteID{{id.Box, id.Inc, 8}}, Floor: 7, Op: op}
	}
	props := map[string][]byte{"DAV:x": []byte("<x/>"), "a": nil}
	return map[Kind]Write{
		Put:      write(Op{Kind: Put, Dir: NodeID{1}, Name: "f.txt", Node: NodeID{2}, Base: base, Content: text("hen"), ModTime: 5, Props: props, If: Condition{Match: &base, Absent: true}}),
		Mkdir:    write(Op{Kind: Mkdir, Dir: NodeID{1}, Name: "d", Props: props}),
		Move:     write(Op{Kind: Move, Dir: NodeID{1}, Name: "a", Node: NodeID{2}, Base: base, ToDir: NodeID{3}, ToName: "b", Overwrite: true}),
		Remove:   write(Op{Kind: Remove, Dir: NodeID{1}, Name: "a", Node: NodeID{2}, Base: base}),
		Restore:  write(Op{Kind: Restore, Node: NodeID{2}, ToDir: NodeID{3}, ToName: "b", Version: base}),
		SetProps: write(Op{Kind: SetProps, Props: props}),
		SetLock:  write(Op{Kind: SetLock, Node: NodeID{2}, Lock: &Lock{Token: "urn:uuid:1", Owner: "<o/>", Depth0: true, Expires: 9}}),
		Unlock:   write(Op{Kind: Unlock, Node: NodeID{2}, Lock: &Lock{Token: "urn:uuid:1"}}),
	}
}

func TestWritesGoThereAndBack(t *testing.T) {
	for kind, w := range full() {
		b, err := EncodeWrite(w)
		if err != nil {
			t.Fatalf("kind %d: %v", kind, err)
		}
		got, err := DecodeWrite(b)
		if err != nil {
			t.Fatalf("kind %d: %v", kind, err)
		}
		again, err := EncodeWrite(got)
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("kind %d: another encoding the second time (%v)", kind, err)
		}
		delete(w.Op.Props, "a") // an empty value may come back as nil or empty
		delete(got.Op.Props, "a")
		if d := cmp.Diff(w, got); d != "" {
			t.Errorf("kind %d: %s", kind, d)
		}
	}
}

// TestGoldenEncoding guards what lies in logs and journals.
func TestGoldenEncoding(t *testing.T) {
	const want = "a701a3016b313244334b6f6f57626f780219feed0309027030313233343536373839616263646566031b000001a1cfa10a00046a4f616b2053747265" +
		"65740581a3016b313244334b6f6f57626f780219feed0308060707a50104025001000000000000000000000000000000036161045002000000000000" +
		"00000000000000000005a3016d313244334b6f6f576f7468657202010302"
	b, err := EncodeWrite(full()[Remove])
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	bad := func(kind Kind, change func(*Write)) Write {
		w := full()[kind]
		change(&w)
		return w
	}
	long := strings.Repeat("x", MaxName+1)
	invalid := map[string]Write{
		"no box":             bad(Put, func(w *Write) { w.ID.Box = "" }),
		"long box":           bad(Put, func(w *Write) { w.ID.Box = ident.BoxID(strings.Repeat("x", 65)) }),
		"dot in box":         bad(Put, func(w *Write) { w.ID.Box = "a.b" }),
		"number zero":        bad(Put, func(w *Write) { w.ID.Seq = 0 }),
		"floor above":        bad(Put, func(w *Write) { w.Floor = 10 }),
		"negative time":      bad(Put, func(w *Write) { w.Time = -1 }),
		"long author":        bad(Put, func(w *Write) { w.Author = ident.AccountID(long) }),
		"long house":         bad(Put, func(w *Write) { w.Where = strings.Repeat("x", 65) }),
		"many predecessors":  bad(Put, func(w *Write) { w.After = slices.Repeat(w.After, MaxAfter+1) }),
		"zero predecessor":   bad(Put, func(w *Write) { w.After = []WriteID{{}} }),
		"bad base":           bad(Put, func(w *Write) { w.Op.Base = WriteID{Seq: 1} }),
		"bad match":          bad(Put, func(w *Write) { w.Op.If.Match = &WriteID{} }),
		"no content":         bad(Put, func(w *Write) { w.Op.Content = nil }),
		"content of a list":  bad(Put, func(w *Write) { w.Op.Content = &manifest.Content{Size: 5} }),
		"negative mtime":     bad(Put, func(w *Write) { w.Op.ModTime = -1 }),
		"large properties":   bad(SetProps, func(w *Write) { w.Op.Props = map[string][]byte{"x": make([]byte, MaxProps)} }),
		"content of mkdir":   bad(Mkdir, func(w *Write) { w.Op.Content = text("x") }),
		"lock of mkdir":      bad(Mkdir, func(w *Write) { w.Op.Lock = &Lock{Token: "t"} }),
		"no lock":            bad(SetLock, func(w *Write) { w.Op.Lock = nil }),
		"no token":           bad(Unlock, func(w *Write) { w.Op.Lock = &Lock{} }),
		"long token":         bad(SetLock, func(w *Write) { w.Op.Lock.Token = long + long }),
		"long owner":         bad(SetLock, func(w *Write) { w.Op.Lock.Owner = strings.Repeat("x", MaxOwner+1) }),
		"restore of nothing": bad(Restore, func(w *Write) { w.Op.Node = Root }),
		"kind zero":          bad(Mkdir, func(w *Write) { w.Op.Kind = 0 }),
		"unknown kind":       bad(Mkdir, func(w *Write) { w.Op.Kind = 77 }),
	}
	for name, w := range invalid {
		if _, err := EncodeWrite(w); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
		if _, err := DecodeWrite(wire.MustMarshal(w)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, decoded: got %v, want ErrInvalid", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\x00", "a\nb", "\x7f", long} {
		for _, w := range []Write{bad(Put, func(w *Write) { w.Op.Name = name }), bad(Move, func(w *Write) { w.Op.ToName = name })} {
			if _, err := EncodeWrite(w); !errors.Is(err, ErrBadName) {
				t.Errorf("name %q: got %v, want ErrBadName", name, err)
			}
		}
	}
	if _, err := EncodeWrite(bad(Put, func(w *Write) { w.Op.Name = "cafe\u0301" })); !errors.Is(err, ErrBadName) {
		t.Errorf("not in normal form: got %v, want ErrBadName", err)
	}
	if _, err := DecodeWrite(make([]byte, MaxWrite+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("too long: got %v", err)
	}
	if _, err := DecodeWrite([]byte("junk")); !errors.Is(err, ErrInvalid) {
		t.Errorf("junk: got %v", err)
	}
}

func TestShares(t *testing.T) {
	id := WriteID{"box", 1, 1}
	d, e, f := NodeID{1}, NodeID{2}, NodeID{3}
	for _, tt := range []struct {
		name  string
		first Op
		later Op
		want  bool
	}{
		{"two files of one directory", Op{Kind: Put, Dir: d, Name: "a"}, Op{Kind: Put, Dir: d, Name: "b"}, false},
		{"two files of the root", Op{Kind: Put, Name: "a"}, Op{Kind: Put, Name: "b"}, false},
		{"one name", Op{Kind: Put, Dir: d, Name: "a"}, Op{Kind: Put, Dir: d, Name: "A"}, true},
		{"one name in two directories", Op{Kind: Put, Dir: d, Name: "a"}, Op{Kind: Put, Dir: e, Name: "a"}, false},
		{"one file", Op{Kind: Put, Node: f, Name: "a"}, Op{Kind: Put, Node: f, Name: "z"}, true},
		{"the file it made", Op{Kind: Put, Name: "a"}, Op{Kind: Put, Node: NodeOf(id), Name: "z"}, true},
		{"the version it made", Op{Kind: Put, Node: f, Name: "a"}, Op{Kind: Put, Base: id, Name: "z"}, true},
		{"in the directory it made", Op{Kind: Mkdir, Name: "d"}, Op{Kind: Put, Dir: NodeOf(id), Name: "z"}, true},
		{"into the directory it moved", Op{Kind: Move, Node: d, Name: "d", ToName: "e"}, Op{Kind: Move, Node: f, ToDir: d, ToName: "z"}, true},
		{"the name it freed", Op{Kind: Move, Node: f, Name: "a", ToName: "b"}, Op{Kind: Put, Name: "a"}, true},
		{"removal of the directory it filled", Op{Kind: Put, Dir: d, Name: "a"}, Op{Kind: Remove, Node: d, Name: "d"}, true},
		{"properties of the directory it filled", Op{Kind: Put, Dir: d, Name: "a"}, Op{Kind: SetProps, Node: d, Name: "d"}, false},
	} {
		if got := tt.first.Shares(id, tt.later); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func FuzzDecodeWrite(f *testing.F) {
	for _, w := range full() {
		b, err := EncodeWrite(w)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := DecodeWrite(b)
		if err != nil {
			return
		}
		again, err := DecodeWrite(wire.MustMarshal(w))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := wire.MustMarshal(w), wire.MustMarshal(again); !bytes.Equal(a, b) {
			t.Fatalf("%x, then %x", a, b)
		}
		if _, err := Apply(kv.NewLayer(kv.Empty{}), 1, w, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzApply applies whatever bytes say to a small tree and checks the tables.
func FuzzApply(f *testing.F) {
	f.Add([]byte("put some bytes, move them, remove them"))
	f.Add([]byte{3, 1, 2, 3, 4, 5, 6, 7, 4, 9, 9, 9, 9, 9, 9, 9, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newSpace(t)
		s.script("d/ d/e/ d/f=0 a=1")
		nodes := []NodeID{Root, s.stat("/d").Node, s.stat("/d/e").Node, s.stat("/d/f").Node, s.stat("/a").Node, {9}}
		versions := []WriteID{{}, s.stat("/a").Version, s.stat("/d/f").Version, s.stat("/d").Version}
		pick := func(c byte) NodeID { return nodes[int(c)%len(nodes)] }
		for c := range slices.Chunk(b[:min(len(b), 1600)], 8) {
			if len(c) < 8 {
				break
			}
			s.now += int64(c[7]) * day / 16
			op := Op{Kind: Kind(c[0]%8 + 1), Dir: pick(c[1]), Node: pick(c[2]), Name: string('a' + rune(c[3]%8)), ToDir: pick(c[4]), ToName: string('A' + rune(c[5]%8)),
				Base: versions[int(c[6])%len(versions)], Overwrite: c[5] > 127, If: Condition{Absent: c[3] > 200}}
			switch op.Kind {
			case Put:
				op.Content = text(fmt.Sprint(c[6] % 16))
			case SetLock, Unlock:
				op.Lock = &Lock{Token: fmt.Sprint(c[6] % 4), Depth0: c[5] > 127, Expires: s.now + int64(c[4])*day/16}
			case Restore:
				op.Version = versions[int(c[5])%len(versions)]
				if op.Node == Root {
					continue
				}
			}
			who := ann
			if c[7]&1 == 1 {
				who = bob
			}
			out := s.do(who, op)
			if out.Node != Root {
				nodes, versions = append(nodes, out.Node), append(versions, out.Version)
			}
			checkInvariants(t, s.view())
		}
		s.tree()
	})
}
