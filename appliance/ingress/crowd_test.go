package ingress

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

// pair is two linked boxes on loopback: the door is at the first, the second serves.
type pair struct{ mill, oak *p2p.Host }

func newPair(t *testing.T) pair {
	t.Helper()
	var hosts []*p2p.Host
	var members []p2p.Member
	for n := range byte(2) {
		h, err := p2p.New(p2p.Config{Key: boxKey(t, n+1), ListenIP: netip.MustParseAddr("127.0.0.1")})
		if err != nil {
			t.Fatal(err)
		}
		hosts, members = append(hosts, h), append(members, p2p.Member{Box: h.Self()})
	}
	p := pair{hosts[0], hosts[1]}
	ctx, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { end(); wg.Wait() })
	p.mill.Learn(p.oak.Self(), p.oak.Addrs()...)
	for _, h := range hosts {
		if err := h.SetMembers(members); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { h.Run(ctx) })
	}
	p.await(t, "links with beats", func() bool {
		a, b := p.links()
		return a.State == p2p.Direct && b.State == p2p.Direct && a.RTT > 0 && b.RTT > 0
	})
	return p
}

func (p pair) links() (mill, oak p2p.Link) { return p.mill.Links()[0], p.oak.Links()[0] }

func (p pair) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for begun := time.Now(); !cond(); time.Sleep(20 * time.Millisecond) { // real sockets
		if time.Since(begun) > 2*time.Minute {
			a, b := p.links()
			t.Fatalf("not within two minutes: %s; links %+v, %+v", what, a, b)
		}
	}
}

// door opens the door of the first box, whose address it returns; the second one serves hens.test.
func (p pair) door(t *testing.T, told func(Flood)) (at string) {
	t.Helper()
	here := NewListener(func(name string, _ bool) bool { return name == "hens.test" })
	srv := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, marker) }),
		ErrorLog: log.New(io.Discard, "", 0), // of those who leave amid a greeting
	}
	certificate := certificate(t, "hens.test")
	go srv.Serve(tls.NewListener(here, &tls.Config{Certificates: []tls.Certificate{certificate}})) // ends with Close
	t.Cleanup(func() { srv.Close() })
	p.oak.Handle(Protocol, p2p.Doors, here.Receive)
	p.mill.Handle(Protocol, p2p.Doors, NewListener(func(string, bool) bool { return false }).Receive)
	d, err := NewDoor(Config{Key: boxKey(t, 1), Open: p.mill.Open, Flooded: told, Route: func(name string) Route {
		return Route{Known: name == "hens.test", Boxes: []ident.BoxID{p.oak.Self()}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, l) }()
	t.Cleanup(func() { end(); <-done })
	return l.Addr().String()
}

// stranger comes from an address of its own to the door.
func stranger(ctx context.Context, at string, from netip.Addr) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	c, err := d.DialContext(ctx, "tcp", at)
	if err == nil {
		context.AfterFunc(ctx, func() { c.Close() })
	}
	return c, err
}

// visitPage reads the page and stays on the connection until the door hangs up.
func visitPage(c net.Conn, name string) (page string, err error) {
	secure := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if _, err := fmt.Fprintf(secure, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name); err != nil {
		return "", err
	}
	head := make([]byte, 4096)
	n, err := secure.Read(head)
	return string(head[:n]), err
}

// Rule: whatever strangers do at the door, and a member at the box, the links of the box
// keep their time, whoever is served stays served, and the circle is told once.
func TestACrowdHoldsNobodyUp(t *testing.T) {
	if testing.Short() {
		t.Skip("left out when -short: it takes all of the machine for five seconds")
	}
	if from := netip.MustParseAddr("127.9.9.9"); !mayCallFrom(from) {
		t.Skip("this machine has no addresses but one on loopback")
	}
	p := newPair(t)
	floods := make(chan Flood, 100)
	at := p.door(t, func(f Flood) { floods <- f })
	mill, oak := p.links()

	ctx, end := context.WithCancel(t.Context())
	defer end()
	var arriving, wg sync.WaitGroup
	var served atomic.Int32
	crowd := func(net byte, n int, talk func(net.Conn)) {
		for i := range n {
			arriving.Add(1)
			wg.Go(func() {
				c, err := stranger(ctx, at, netip.AddrFrom4([4]byte{127, 1, net, byte(1 + i/50)}))
				arriving.Done()
				if err != nil {
					return // turned away at once
				}
				talk(c)
				io.Copy(io.Discard, c) // until the door hangs up, or the end
			})
		}
	}
	crowd(1, 200, func(c net.Conn) { // visitors
		if _, err := visitPage(c, "hens.test"); err == nil {
			served.Add(1)
		}
	})
	crowd(2, 400, func(c net.Conn) { // slowly
		for hello := []byte{22, 3, 1, 2, 0, 1, 0, 1, 252}; ctx.Err() == nil; hello = []byte{0} {
			if _, err := c.Write(hello); err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	crowd(3, 300, func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: hens.test\r\n\r\n") })
	crowd(4, 100, func(c net.Conn) { visitPage(c, "foxes.test") })
	arriving.Wait()
	wg.Go(func() { // one address that comes again and again
		for ctx.Err() == nil {
			if c, err := stranger(ctx, at, netip.MustParseAddr("127.1.5.1")); err == nil {
				c.Close()
			}
		}
	})
	wg.Go(func() { // a member that says what nobody understands
		for ctx.Err() == nil {
			if s, err := p.oak.Open(ctx, p.mill.Self(), Protocol); err == nil {
				s.Write(make([]byte, 32<<10))
				s.Reset()
			}
		}
	})
	time.Sleep(5 * time.Second) // a link is given up after three beats of one second
	p.await(t, "visitors are served", func() bool { return served.Load() > 0 })
	p.await(t, "the circle is told", func() bool { return len(floods) > 0 })
	millAfter, oakAfter := p.links()
	if millAfter.State != p2p.Direct || oakAfter.State != p2p.Direct || !millAfter.Since.Equal(mill.Since) || !oakAfter.Since.Equal(oak.Since) {
		t.Errorf("a link went down:\n%+v\n%+v\nwas\n%+v\n%+v", millAfter, oakAfter, mill, oak)
	}
	end()
	wg.Wait()
	p.await(t, "a visitor is served afterwards", func() bool {
		ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
		defer done()
		c, err := stranger(ctx, at, netip.MustParseAddr("127.9.9.9"))
		if err != nil {
			return false
		}
		defer c.Close()
		_, err = visitPage(c, "hens.test")
		return err == nil
	})
	if f := <-floods; f.Refused < floodIs || len(floods) > 0 {
		t.Errorf("told of %d, and %d times more", f.Refused, len(floods))
	}
	t.Logf("%d visitors were served in the crowd; answers of the link took %v", served.Load(), millAfter.RTT)
}

// mayCallFrom reports whether the machine has an address.
func mayCallFrom(a netip.Addr) bool {
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		return false
	}
	l.Close()
	return true
}
