// Package p2ptest is a simulated internet under unmodified p2p hosts: latency, loss,
// bandwidth, routers with NATs of every type, addresses that change, cables that are cut.
//
// It is for tests inside a testing/synctest bubble: minutes pass in milliseconds.
// It carries UDP and TCP; there is no multicast.
//
//	synctest.Test(t, func(t *testing.T) {
//		net := p2ptest.New(p2ptest.Config{Latency: 20 * time.Millisecond})
//		a := p2ptest.Start(t, net.Router(p2ptest.PortRestricted).Spot(), p2p.Config{Key: key})
//		…
//	})
package p2ptest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"

	"redhen/provision/p2p"
)

// Port is where every host on the simulated internet listens.
const Port = 4717

// Config says how the simulated internet behaves. Zero: no delay, no loss.
type Config struct {
	Latency time.Duration // one way, between any two routers or public spots
	Loss    float64       // share of packets lost on that way, 0 to 1
	Seed    uint64        // of losses and of ports that NATs choose
}

// Net is one simulated internet.
type Net struct {
	cfg       Config
	strangers []peer.AddrInfo // whom boxes ask first; set before boxes start

	dice sync.Mutex // guards rand; no lock is taken while it is held
	rand *rand.Rand

	mu      sync.Mutex                 // taken before that of a router
	public  map[netip.AddrPort]*socket // sockets with a public address
	routers map[netip.Addr]*Router     // by public address
	tcp     map[tcpKey]*tcpListener
	last    uint32 // last public address given out
}

// packet is one UDP datagram under way.
type packet struct {
	src, dst netip.AddrPort
	body     []byte
}

// New makes an empty internet.
func New(cfg Config) *Net {
	return &Net{
		cfg:     cfg,
		rand:    rand.New(rand.NewPCG(cfg.Seed, 1)),
		public:  map[netip.AddrPort]*socket{},
		routers: map[netip.Addr]*Router{},
		tcp:     map[tcpKey]*tcpListener{},
	}
}

// nextAddr gives out public addresses, 8.0.0.1 and on. Only globally routable ones
// are punched towards. Callers hold n.mu.
func (n *Net) nextAddr() netip.Addr {
	n.last++
	return netip.AddrFrom4([4]byte{8, byte(n.last >> 16), byte(n.last >> 8), byte(n.last)})
}

// route carries a packet over the public part to whoever has the address on arrival.
func (n *Net) route(p packet) {
	if n.lost() {
		return
	}
	after(n.cfg.Latency, func() {
		n.mu.Lock()
		s, r := n.public[p.dst], n.routers[p.dst.Addr()]
		n.mu.Unlock()
		switch {
		case s != nil:
			s.receive(p)
		case r != nil:
			r.inbound(p)
		}
	})
}

// lost draws whether a packet is lost.
func (n *Net) lost() bool {
	n.dice.Lock()
	defer n.dice.Unlock()
	return n.rand.Float64() < n.cfg.Loss
}

// port draws a high port.
func (n *Net) port() uint16 {
	n.dice.Lock()
	defer n.dice.Unlock()
	return uint16(20000 + n.rand.IntN(40000))
}

func after(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	time.AfterFunc(d, f)
}

// Spot is a place to plug one box in. A box restarted on it keeps its address.
type Spot struct {
	net    *Net
	router *Router // nil: the spot has a public address itself
	addr   netip.Addr
	cut    atomic.Bool
}

// Cut pulls the box's own cable, or puts it back: nothing leaves the spot and
// nothing arrives, also within the home.
func (s *Spot) Cut(cut bool) { s.cut.Store(cut) }

// Spot returns a new place with a public address of its own.
func (n *Net) Spot() *Spot {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &Spot{net: n, addr: n.nextAddr()}
}

// Addr returns the address that a box on the spot gives itself.
func (s *Spot) Addr() netip.AddrPort { return netip.AddrPortFrom(s.addr, Port) }

// Config completes cfg for a box on this spot.
func (s *Spot) Config(cfg p2p.Config) p2p.Config {
	cfg.ListenIP, cfg.Port, cfg.MDNS, cfg.PortMap = s.addr, Port, false, true
	cfg.FindRouter = s.findRouter
	cfg.Strangers, cfg.Bootstrap = len(s.net.strangers) > 0, s.net.strangers
	cfg.Underlay = s.underlay()
	return cfg
}

// underlay has a libp2p host send from the spot.
func (s *Spot) underlay() []libp2p.Option {
	return []libp2p.Option{
		libp2p.QUICReuse(connManager,
			quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source(s.addr.AsSlice()), nil }),
			quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
				return s.listen(uint16(a.Port))
			})),
		libp2p.Transport(s.tcpTransport),
	}
}

func connManager(l fx.Lifecycle, key quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
	cm, err := quicreuse.NewConnManager(key, token, opts...)
	if err == nil {
		l.Append(fx.StopHook(cm.Close))
	}
	return cm, err
}

// source is the address from which the box sends, whatever the destination.
type source net.IP

// PreferredSourceIPForDestination returns the address of the spot.
func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) { return net.IP(s), nil }

// Box is a running host.
type Box struct {
	*p2p.Host
	stop func()
}

// Stop ends the host and waits until it has. It may be called again.
func (b *Box) Stop() { b.stop() }

// Start runs a host on the spot until Stop, or until the test ends.
func Start(t testing.TB, at *Spot, cfg p2p.Config) *Box {
	t.Helper()
	h, err := p2p.New(at.Config(cfg))
	if err != nil {
		t.Fatal(err)
	}
	return Run(t, h)
}

// Run runs a host that was made already, so that handlers can be set before.
func Run(t testing.TB, h *p2p.Host) *Box {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	b := &Box{Host: h, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})}
	t.Cleanup(b.stop)
	return b
}

// Circle makes the boxes members of one circle, each knowing only what the others'
// Addrs say at this moment.
func Circle(t testing.TB, boxes ...*Box) {
	t.Helper()
	var members []p2p.Member
	for i, b := range boxes {
		members = append(members, p2p.Member{Box: b.Self(), Name: fmt.Sprint("box ", i+1)})
	}
	for _, b := range boxes {
		for _, other := range boxes {
			b.Learn(other.Self(), other.Addrs()...)
		}
		if err := b.SetMembers(members); err != nil {
			t.Fatal(err)
		}
	}
}

// State returns how a box reaches another.
func (b *Box) State(to *Box) p2p.State {
	for _, l := range b.Links() {
		if l.Box == to.Self() {
			return l.State
		}
	}
	return p2p.None
}

// Wait waits until cond holds, looking at every change and every 50 ms, and returns
// how long that took. It ends the test after max.
func (b *Box) Wait(t testing.TB, what string, max time.Duration, cond func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !cond() {
		if time.Since(begun) > max {
			t.Fatalf("not within %v: %s; links %+v", max, what, b.Links())
		}
		tick := time.NewTimer(50 * time.Millisecond)
		select {
		case <-b.Changed():
		case <-tick.C:
		}
		tick.Stop()
	}
	return time.Since(begun)
}
