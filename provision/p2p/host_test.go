package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
)

// A new box knows its inviter only; the others it learns from it.
func TestAddressesTravelThroughAThirdBox(t *testing.T) {
	a, b, c := testHost(t, Config{}), testHost(t, Config{}), testHost(t, Config{})
	a.Learn(b.Self(), b.Addrs()...)
	c.Learn(b.Self(), b.Addrs()...)
	for _, h := range []*Host{a, b, c} {
		if err := h.SetMembers(members(a, b, c)); err != nil {
			t.Fatal(err)
		}
		run(t, h)
	}
	waitDirect(t, a, c)
	waitDirect(t, c, a)
}

// Tunnels need many streams at once; libp2p's defaults stop at 64 or 256.
func TestManyStreamsAtOnce(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	b.Handle("/test/echo/1", Members, echoHandler)
	circle(t, a, b)
	run(t, a)
	run(t, b)
	waitDirect(t, a, b)
	const n = 400
	var streams []Stream
	for range n {
		s, err := a.Open(t.Context(), b.Self(), "/test/echo/1")
		if err != nil {
			t.Fatalf("stream %d: %v", len(streams), err)
		}
		if _, err := io.WriteString(s, "x"); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for i, s := range streams {
		s.SetDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		s.Reset()
	}
}

func TestLargeTransfersBothWaysAtOnce(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	for _, h := range []*Host{a, b} {
		h.Handle("/test/count/1", Members, func(_ context.Context, _ ident.BoxID, s Stream) {
			n, _ := io.Copy(io.Discard, s)
			fmt.Fprint(s, n)
			s.CloseWrite()
		})
	}
	circle(t, a, b)
	run(t, a)
	run(t, b)
	waitDirect(t, a, b)
	waitDirect(t, b, a)
	const size = 64 << 20
	var wg sync.WaitGroup
	for _, d := range [][2]*Host{{a, b}, {b, a}} {
		wg.Go(func() {
			s, err := d[0].Open(t.Context(), d[1].Self(), "/test/count/1")
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for range size >> 20 {
				if _, err := s.Write(make([]byte, 1<<20)); err != nil {
					t.Error(err)
					return
				}
			}
			s.CloseWrite()
			if got, err := io.ReadAll(s); err != nil || string(got) != fmt.Sprint(size) {
				t.Errorf("%s bytes, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestHandlersEndWithRun(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	entered, ended := make(chan struct{}), make(chan struct{})
	b.Handle("/test/wait/1", Members, func(ctx context.Context, _ ident.BoxID, _ Stream) {
		close(entered)
		<-ctx.Done()
		close(ended)
	})
	circle(t, a, b)
	run(t, a)
	stop := run(t, b)
	waitDirect(t, a, b)
	s, err := a.Open(t.Context(), b.Self(), "/test/wait/1")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "x")
	<-entered
	stop()
	select {
	case <-ended:
	default:
		t.Error("Run returned before its handler")
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the stream outlived its host")
	}
}

func TestAHandlerSetWhileRunningServes(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	circle(t, a, b)
	run(t, a)
	run(t, b)
	waitDirect(t, a, b)
	b.Handle("/test/late/1", Members, echoHandler)
	if got, err := ask(t, a, b.Self(), "/test/late/1", "late"); err != nil || got != "late" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := ask(t, a, b.Self(), "/test/none/1", "none"); err == nil {
		t.Errorf("a protocol without handler answered %q", got)
	}
}

func TestSetMembersRefuses(t *testing.T) {
	h := testHost(t, Config{})
	if err := h.SetMembers([]Member{{Box: "x"}}); !errors.Is(err, ident.ErrBadBoxID) {
		t.Errorf("bad name: got %v", err)
	}
	if err := h.SetMembers(make([]Member, MaxMembers+1)); err == nil {
		t.Error("too many taken")
	}
}

func TestConnectRefuses(t *testing.T) {
	h := testHost(t, Config{})
	box, _ := testPeer(t)
	for name, to := range map[string]Target{
		"no name":   {Addrs: addrs("127.0.0.1:1")},
		"no way":    {Box: box},
		"bad relay": {Box: box, Relay: "x/y", At: addrs("127.0.0.1:1")[0]},
		"nobody":    {Box: box, Addrs: addrs("127.0.0.1:1")},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := h.Connect(ctx, to); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
}

// Three missed beats end a connection, whatever the transport thinks of it.
func TestAHostThatStopsAnsweringIsLeft(t *testing.T) {
	a, b := testHost(t, Config{Beat: 20 * time.Millisecond}), testHost(t, Config{})
	circle(t, a, b)
	run(t, a)
	run(t, b)
	wait(t, a, "a beat", func() bool { return a.Links()[0].RTT > 0 })
	b.Handle(beatProtocol, Members, func(ctx context.Context, _ ident.BoxID, _ Stream) { <-ctx.Done() })
	for _, c := range a.h.Network().Conns() {
		c.Close()
	}
	mute := func() bool { l := a.Links()[0]; return l.State == Direct && l.RTT == 0 }
	wait(t, a, "a connection without beats", mute)
	first := a.Links()[0].Since
	wait(t, a, "another connection", func() bool { return !a.Links()[0].Since.Equal(first) })
}

func TestStopWhileBusy(t *testing.T) {
	var stops []func()
	hosts := []*Host{testHost(t, Config{}), testHost(t, Config{}), testHost(t, Config{})}
	circle(t, hosts...)
	for _, h := range hosts {
		stops = append(stops, run(t, h))
	}
	for _, stop := range stops { // while they dial each other
		stop()
	}
}

func BenchmarkOpen(b *testing.B) {
	x, y := testHost(b, Config{}), testHost(b, Config{})
	y.Handle("/test/echo/1", Members, echoHandler)
	circle(b, x, y)
	run(b, x)
	run(b, y)
	waitDirect(b, x, y)
	for b.Loop() {
		if got, err := ask(b, x, y.Self(), "/test/echo/1", "x"); err != nil || got != "x" {
			b.Fatal(got, err)
		}
	}
}
