package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/raftnode/chunk"
	"redhen/raftnode/transport"
)

// nest is a file that bert offers.
type nest struct {
	*bench
	data     []byte
	src, dst string
}

func fileTest(t *testing.T, size int, fn func(t *testing.T, n *nest)) {
	t.Helper()
	dir := t.TempDir()
	run(t, []ident.BoxID{annas, berts}, func(t *testing.T, b *bench) {
		n := &nest{bench: b, src: filepath.Join(dir, "src"), dst: filepath.Join(dir, "dst")}
		n.data = bytes.Repeat([]byte("redhen"), size/6+1)[:size]
		n.write(n.src, n.data)
		b.x[berts].Offer("nest", n.src)
		fn(t, n)
	})
}

func (n *nest) write(path string, b []byte) {
	n.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *nest) fetch() error {
	return n.x[annas].FetchFile(n.t.Context(), berts, "nest", n.dst, int64(len(n.data)), sha256.Sum256(n.data))
}

// arrived fails the test unless dst is the file.
func (n *nest) arrived(t *testing.T) {
	t.Helper()
	if got, err := os.ReadFile(n.dst); err != nil || !bytes.Equal(got, n.data) {
		t.Errorf("dst has %d of %d bytes, or other ones (%v)", len(got), len(n.data), err)
	}
}

func (n *nest) sent() int64 { return n.Traffic(berts, annas).StreamBytes }

func TestFetchFile(t *testing.T) {
	for _, size := range []int{0, 1, piece, 3*piece + 5, 5 << 20} {
		fileTest(t, size, func(t *testing.T, n *nest) {
			if err := n.fetch(); err != nil {
				t.Fatal(err)
			}
			n.arrived(t)
			before := n.sent()
			if err := n.fetch(); err != nil || n.sent() != before {
				t.Errorf("a complete file was fetched again: %d bytes, %v", n.sent()-before, err)
			}
		})
	}
}

func TestFetchFileResumesAfterABreak(t *testing.T) {
	fileTest(t, 5<<20, func(t *testing.T, n *nest) {
		n.SetUpload(berts, 1<<20)
		for i := range time.Duration(3) {
			time.AfterFunc((2*i+1)*time.Second, func() { n.Cut(annas, berts) })
			time.AfterFunc((2*i+2)*time.Second, n.Heal)
		}
		if err := n.fetch(); err != nil {
			t.Fatal(err)
		}
		n.arrived(t)
		if n.sent() > 9<<20 { // what was in the windows at each of three cuts is sent again
			t.Errorf("%d bytes were sent for %d", n.sent(), len(n.data))
		}
	})
}

func TestFetchFileContinuesAPart(t *testing.T) {
	fileTest(t, 1<<20, func(t *testing.T, n *nest) {
		n.write(n.dst, n.data[:1_000_000])
		if err := n.fetch(); err != nil {
			t.Fatal(err)
		}
		n.arrived(t)
		if n.sent() > 50_000 {
			t.Errorf("%d bytes were sent for the last 48,576", n.sent())
		}
	})
}

func TestFetchFileKeepsItsPartAfterAnError(t *testing.T) {
	fileTest(t, 4<<20, func(t *testing.T, n *nest) {
		n.SetUpload(berts, 1<<20)
		time.AfterFunc(2*time.Second, func() { n.Cut(annas, berts) })
		if err := n.fetch(); !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("got %v, want ErrUnreachable", err)
		}
		info, err := os.Stat(n.dst)
		if err != nil || info.Size() < 1<<20 {
			t.Fatalf("after 2 s at 1 MiB/s: %v, %v", info.Size(), err)
		}
		n.Heal()
		if err := n.fetch(); err != nil {
			t.Fatal(err)
		}
		n.arrived(t)
	})
}

// A part may be of an older file, or a crash may have spoilt it.
func TestFetchFileBeginsAnewWhenThePartIsBad(t *testing.T) {
	for name, part := range map[string][]byte{
		"other bytes": make([]byte, 500_000),
		"whole":       make([]byte, 1<<20),
		"too long":    make([]byte, 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			fileTest(t, 1<<20, func(t *testing.T, n *nest) {
				n.write(n.dst, part)
				if err := n.fetch(); err != nil {
					t.Fatal(err)
				}
				n.arrived(t)
			})
		})
	}
}

func TestFetchFileRefusesAnotherFile(t *testing.T) {
	fileTest(t, 1<<20, func(t *testing.T, n *nest) {
		other := bytes.Clone(n.data)
		other[77] ^= 1
		for name, b := range map[string][]byte{"same size": other, "longer": append(other, 1), "shorter": other[1:]} {
			n.write(n.src, b)
			if err := n.fetch(); !errors.Is(err, ErrContent) {
				t.Errorf("%s: got %v, want ErrContent", name, err)
			}
		}
		n.write(n.src, other)
		os.Remove(n.dst)
		n.fetch()
		if _, err := os.Stat(n.dst); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("wrong bytes were left under the name: %v", err)
		}
	})
}

func TestFetchFileThatIsNotOffered(t *testing.T) {
	fileTest(t, 1<<20, func(t *testing.T, n *nest) {
		n.x[berts].Withdraw("nest")
		begin := time.Now()
		if err := n.fetch(); !errors.Is(err, ErrNotOffered) || time.Since(begin) > time.Second {
			t.Errorf("withdrawn: got %v after %v", err, time.Since(begin))
		}
		n.x[berts].Offer("nest", n.src)
		os.Remove(n.src)
		if err := n.fetch(); !errors.Is(err, ErrNotOffered) {
			t.Errorf("removed: got %v", err)
		}
		if err := n.x[annas].FetchFile(t.Context(), berts, "", n.dst, 1, [32]byte{}); err == nil {
			t.Error("no name: accepted")
		}
		if err := n.x[annas].FetchFile(t.Context(), berts, "nest", n.dst, -1, [32]byte{}); err == nil {
			t.Error("negative size: accepted")
		}
		if err := n.x[annas].FetchFile(t.Context(), berts, "nest", filepath.Dir(n.dst), 1, [32]byte{}); err == nil {
			t.Error("dst is a directory: accepted")
		}
	})
}

// realStore is a chunk store on disk.
func realStore(t *testing.T) *chunk.Store {
	t.Helper()
	s, err := chunk.Open(chunk.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// From one disk to the others, in real time.
func testRealStores(t *testing.T, boxes []ident.BoxID, nets []transport.Network) {
	t.Helper()
	var stores []*chunk.Store
	var xs []*Exchange
	for i := range boxes {
		stores = append(stores, realStore(t))
		x, err := New(Config{Net: nets[i], Chunks: stores[i]})
		if err != nil {
			t.Fatal(err)
		}
		xs = append(xs, x)
	}
	bs, hs := someChunks(12, chunk.Size)
	for _, b := range bs {
		if _, err := stores[0].Put(b); err != nil {
			t.Fatal(err)
		}
	}
	last := len(boxes) - 1
	begin := time.Now()
	if err := xs[0].Push(t.Context(), boxes[1], hs[:6]); err != nil {
		t.Fatal(err)
	}
	if err := xs[last].Fetch(t.Context(), boxes[:last], hs, nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("18 MiB to disk in %v", time.Since(begin))
	for i, h := range hs {
		if _, err := stores[last].Get(h); err != nil {
			t.Error(err)
		}
		if _, err := stores[1].Get(h); i < 6 && err != nil {
			t.Error(err)
		}
	}
	if !stores[1].Leased(hs[0]) {
		t.Error("a pushed chunk is not leased")
	}
}

func TestWithRealStores(t *testing.T) {
	m := transport.NewMesh(1)
	defer m.Close()
	boxes := []ident.BoxID{annas, berts, carls}
	var nets []transport.Network
	for _, box := range boxes {
		nets = append(nets, m.Join(box))
	}
	testRealStores(t, boxes, nets)
}

func TestOverRealHosts(t *testing.T) {
	var boxes []ident.BoxID
	var nets []transport.Network
	var members []p2p.Member
	var hosts []*p2p.Host
	for range 2 {
		key, err := ident.NewKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := p2p.New(p2p.Config{Key: key, ListenIP: netip.MustParseAddr("127.0.0.1")})
		if err != nil {
			t.Fatal(err)
		}
		p, err := transport.New(transport.Config{Host: h})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
		hosts, boxes, nets = append(hosts, h), append(boxes, h.Self()), append(nets, p)
		members = append(members, p2p.Member{Box: h.Self()})
	}
	for _, h := range hosts {
		for _, other := range hosts {
			h.Learn(other.Self(), other.Addrs()...)
		}
		if err := h.SetMembers(members); err != nil {
			t.Fatal(err)
		}
	}
	for linked := false; !linked; {
		for _, h := range hosts {
			changed := h.Changed()
			if linked = slices.ContainsFunc(h.Links(), func(l p2p.Link) bool { return l.State == p2p.Direct }); !linked {
				<-changed
			}
		}
	}
	testRealStores(t, boxes, nets)
}
