package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

// meshHost is a Host over a Mesh.
type meshHost struct {
	net Network
	mu  sync.Mutex
	// opened counts the frame streams; changed is Host's.
	opened  int
	changed chan struct{}
}

var _ Host = (*meshHost)(nil)

func (h *meshHost) Open(ctx context.Context, to ident.BoxID, protocol string) (p2p.Stream, error) {
	s, err := h.net.Dial(ctx, to, protocol)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", p2p.ErrNoLink, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if protocol == protocolOf(frameService) {
		h.opened++
	}
	return s, nil
}

func (h *meshHost) Handle(protocol string, who p2p.Access, fn func(context.Context, ident.BoxID, p2p.Stream)) {
	if who != p2p.Members {
		panic("our services are for members")
	}
	h.net.Handle(protocol, func(ctx context.Context, from ident.BoxID, s Stream) { fn(ctx, from, s) })
}

func (h *meshHost) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// change says that links have changed.
func (h *meshHost) change() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// runPeers runs Peers over any Host until stop is called.
func runPeers(t *testing.T, h Host) (p *Peers, stop func()) {
	t.Helper()
	p, err := New(Config{Host: h, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	return p, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func testPeers(t *testing.T, m *Mesh, box ident.BoxID) (p *Peers, stop func()) {
	return runPeers(t, newMeshHost(m, box))
}

func newMeshHost(m *Mesh, box ident.BoxID) *meshHost {
	return &meshHost{net: m.Join(box), changed: make(chan struct{})}
}

func TestPeersNeedsAHost(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("accepted")
	}
}

func TestPeersIsANetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLinks(Link{Latency: 30 * time.Millisecond})
		a, stopA := testPeers(t, m, annas)
		b, stopB := testPeers(t, m, berts)
		testNetwork(t, a, annas, b, berts)
		m.Close()
		stopA()
		stopB()
	})
}

// Frames share one stream, in order, and it is opened anew after a cut.
func TestFramesReturnAfterACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLinks(Link{Latency: 10 * time.Millisecond})
		ha, hb := newMeshHost(m, annas), newMeshHost(m, berts)
		a, stopA := runPeers(t, ha)
		b, stopB := runPeers(t, hb)
		in := collect(b)
		var want []string
		send := func(n int, arrives bool) {
			for i := range n {
				frame := fmt.Sprintf("%v %d", time.Now().UnixMilli(), i)
				a.Send(berts, []byte(frame))
				if arrives {
					want = append(want, "box-anna "+frame)
				}
			}
			pass(time.Second)
		}
		send(100, true)
		m.Cut(annas, berts)
		send(1, false)     // breaks the stream
		send(1, false)     // waits
		pass(2 * queueAge) // too old to be of use
		send(3, true)      // not yet too old
		m.Heal()
		ha.change()
		send(10, true)
		if got := in.got(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if ha.opened != 2 {
			t.Errorf("%d streams were opened, want 2", ha.opened)
		}
		m.Close()
		stopA()
		stopB()
	})
}

// A box that is off must not cost memory; what is kept is the newest.
func TestTheQueueDropsTheOldest(t *testing.T) {
	l := &line{ready: make(chan struct{}, 1)}
	for i := range queueFrames + 5 {
		l.put([]byte{byte(i), byte(i >> 8)})
	}
	if frame, ok := l.take(); !ok || frame[0] != 5 || len(l.frames) != queueFrames-1 {
		t.Errorf("got frame %v of %d, want the sixth", frame, len(l.frames))
	}
	for range 10 {
		l.put(make([]byte, MaxFrame))
	}
	if l.bytes > queueBytes || len(l.frames) != queueBytes/MaxFrame {
		t.Errorf("%d frames of %d bytes wait", len(l.frames), l.bytes)
	}
	for range len(l.frames) {
		l.take()
	}
	if _, ok := l.take(); ok || l.bytes != 0 {
		t.Errorf("an empty queue has %d bytes", l.bytes)
	}
}

func TestAFrameTooLargeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		a, stopA := testPeers(t, m, annas)
		b, stopB := testPeers(t, m, berts)
		in := collect(b)
		a.Send(berts, make([]byte, MaxFrame+1))
		a.Send(berts, []byte("small"))
		pass(time.Second)
		if got, want := in.got(), []string{"box-anna small"}; !slices.Equal(got, want) {
			t.Errorf("got %d frames", len(got))
		}
		m.Close()
		stopA()
		stopB()
	})
}

// Frames that are sent before Run wait for it.
func TestFramesBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		b, stopB := testPeers(t, m, berts)
		in := collect(b)
		a, err := New(Config{Host: newMeshHost(m, annas)})
		if err != nil {
			t.Fatal(err)
		}
		a.Send(berts, []byte("early"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
		a.Send(berts, []byte("late"))
		a.Send(carls, []byte("late"))
		pass(time.Second)
		if got, want := in.got(), []string{"box-anna early"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		m.Close()
		stopB()
	})
}

// The newest frame stream of a box is the one that counts, and there is no second.
func TestANewFrameStreamReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		raw := m.Join(annas)
		b, stopB := testPeers(t, m, berts)
		in := collect(b)
		first := dial(t, raw, berts, protocolOf(frameService))
		first.Write([]byte("\x00\x00\x00\x01a"))
		pass(time.Second)
		second := dial(t, raw, berts, protocolOf(frameService))
		second.Write([]byte("\x00\x00\x00\x01b\xff\xff\xff\xff"))
		pass(time.Second)
		if got, want := in.got(), []string{"box-anna a", "box-anna b"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		for name, s := range map[string]Stream{"replaced": first, "with a frame over the limit": second} {
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrReset) {
				t.Errorf("stream %s: %v", name, err)
			}
		}
		m.Close()
		stopB()
	})
}

// realHost is a libp2p host on loopback that runs until the test ends.
func realHost(t *testing.T) *p2p.Host {
	t.Helper()
	key, err := ident.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.New(p2p.Config{Key: key, ListenIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func runHost(t *testing.T, h *p2p.Host) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// befriend makes members of the hosts and waits until they are linked.
func befriend(t *testing.T, a, b *p2p.Host) {
	t.Helper()
	for _, h := range []*p2p.Host{a, b} {
		a.Learn(h.Self(), h.Addrs()...)
		b.Learn(h.Self(), h.Addrs()...)
	}
	for _, h := range []*p2p.Host{a, b} {
		if err := h.SetMembers([]p2p.Member{{Box: a.Self()}, {Box: b.Self()}}); err != nil {
			t.Fatal(err)
		}
	}
	late := time.After(2 * time.Minute)
	for {
		changed := a.Changed()
		if slices.ContainsFunc(a.Links(), func(l p2p.Link) bool { return l.State == p2p.Direct }) {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no link: %+v", a.Links())
		}
	}
}

func TestPeersOverRealHosts(t *testing.T) {
	ha, hb := realHost(t), realHost(t)
	a, stopA := runPeers(t, ha)
	b, stopB := runPeers(t, hb)
	defer stopA()
	defer stopB()
	runHost(t, ha)
	runHost(t, hb)
	if _, err := a.Dial(t.Context(), hb.Self(), "echo"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("before they know each other: got %v, want ErrUnreachable", err)
	}
	befriend(t, ha, hb)
	testNetwork(t, a, ha.Self(), b, hb.Self())

	s, err := a.Dial(t.Context(), hb.Self(), "no such")
	if err == nil {
		_, err = s.Read(make([]byte, 1))
	}
	t.Logf("a service that is not offered: %v", err)
	if err == nil || err == io.EOF || !strings.Contains(err.Error(), "not") {
		t.Errorf("a service that is not offered: got %v", err)
	}
}
