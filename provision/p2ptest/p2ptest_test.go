package p2ptest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

const echoProtocol = "/test/echo/1"

func echo(_ context.Context, _ ident.BoxID, s p2p.Stream) { io.Copy(s, s); s.CloseWrite() }

// boxConfig names a box by a seed.
func boxConfig(t testing.TB, seed byte) p2p.Config {
	t.Helper()
	key, err := ident.KeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	cfg := p2p.Config{Key: key}
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("at", key.BoxID().Short())
	}
	return cfg
}

// box starts a host with an echo on the spot, in a bubble of synctest.
func box(t testing.TB, at *Spot, seed byte) *Box {
	t.Helper()
	b := boxOn(t, at, seed, "")
	synctest.Wait() // it serves now
	return b
}

// boxOn is box with a folder for its address book; it may not serve yet.
func boxOn(t testing.TB, at *Spot, seed byte, dir string) *Box {
	t.Helper()
	cfg := boxConfig(t, seed)
	cfg.Dir = dir
	h, err := p2p.New(at.Config(cfg))
	if err != nil {
		t.Fatal(err)
	}
	h.Handle(echoProtocol, p2p.Members, echo)
	return Run(t, h)
}

func talk(t testing.TB, a, b *Box) {
	t.Helper()
	a.Wait(t, "a link", 10*time.Second, func() bool { return a.State(b) != p2p.None })
	s, err := a.Open(t.Context(), b.Self(), echoProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	want := bytes.Repeat([]byte("cluck "), 50_000) // more than a default relay lets through
	go func() { s.Write(want); s.CloseWrite() }()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
		t.Errorf("echo of %d bytes: got %d, %v", len(want), len(got), err)
	}
}

func TestBothPublic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 25 * time.Millisecond})
		a, b := box(t, n.Spot(), 1), box(t, n.Spot(), 2)
		Circle(t, a, b)
		d := a.Wait(t, "direct", 10*time.Second, func() bool { return a.State(b) == p2p.Direct })
		t.Logf("direct after %v", d)
		talk(t, a, b)
		a.Wait(t, "a beat", 10*time.Second, func() bool { return a.Links()[0].RTT > 0 })
		if rtt := a.Links()[0].RTT; rtt < 50*time.Millisecond || rtt > 60*time.Millisecond {
			t.Errorf("round trip %v, want 50 ms", rtt)
		}
	})
}

// home starts a circle of a public box and two in homes behind the NATs.
func homes(t testing.TB, n *Net, x, y NAT) (relay, a, b *Box, ra, rb *Router) {
	t.Helper()
	ra, rb = n.Router(x), n.Router(y)
	relay, a, b = box(t, n.Spot(), 1), box(t, ra.Spot(), 2), box(t, rb.Spot(), 3)
	Circle(t, relay, a, b)
	return relay, a, b, ra, rb
}

func via(a, b *Box) ident.BoxID {
	for _, l := range a.Links() {
		if l.Box == b.Self() {
			return l.Via
		}
	}
	return ""
}

// The largest circle that the tests know: one public box, eight homes of every kind.
func TestNineHousesAllReachEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond, Loss: 0.005})
		boxes := []*Box{box(t, n.Spot(), 1)}
		for i := range 8 {
			boxes = append(boxes, box(t, n.Router(NAT(i%4)).Spot(), byte(i+2)))
		}
		Circle(t, boxes...)
		for _, b := range boxes {
			b.Wait(t, "eight links", time.Minute, func() bool {
				for _, l := range b.Links() {
					if l.State == p2p.None {
						return false
					}
				}
				return len(b.Links()) == 8
			})
		}
		time.Sleep(90 * time.Second) // a relayed link has tried to become direct four times
		count := map[p2p.State]int{}
		for _, b := range boxes {
			for _, l := range b.Links() {
				count[l.State]++
			}
		}
		t.Logf("directed links: %v", count)
		if count[p2p.None] > 0 || count[p2p.Direct] < 50 {
			t.Errorf("directed links: %v", count)
		}
	})
}
