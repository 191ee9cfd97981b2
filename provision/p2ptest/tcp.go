package p2ptest

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// tcp is libp2p's TCP transport with the simulated internet below: libp2p's own
// upgrade to TLS and yamux runs over it. There is no simultaneous open, so that
// nobody passes a NAT from outside but by a forwarded port.
type tcp struct {
	spot     *Spot
	upgrader transport.Upgrader
	limits   network.ResourceManager
}

var _ transport.Transport = (*tcp)(nil)

func (s *Spot) tcpTransport(u transport.Upgrader, r network.ResourceManager) (*tcp, error) {
	return &tcp{s, u, r}, nil
}

// Dial connects and agrees on encryption.
func (t *tcp) Dial(ctx context.Context, to ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	scope, err := t.limits.OpenConnection(network.DirOutbound, true, to)
	if err != nil {
		return nil, err
	}
	c, err := t.dial(ctx, to, p, scope)
	if err != nil {
		scope.Done()
		return nil, err
	}
	return c, nil
}

func (t *tcp) dial(ctx context.Context, to ma.Multiaddr, p peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	if err := scope.SetPeer(p); err != nil {
		return nil, err
	}
	_, text, err := manet.DialArgs(to)
	if err != nil {
		return nil, err
	}
	dst, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, err
	}
	c, err := t.spot.dialTCP(ctx, dst)
	if err != nil {
		return nil, err
	}
	wrapped, err := manet.WrapNetConn(c)
	if err != nil {
		c.Close()
		return nil, err
	}
	return t.upgrader.Upgrade(ctx, t, wrapped, network.DirOutbound, p, scope)
}

// CanDial reports whether it is an address of TCP.
func (t *tcp) CanDial(a ma.Multiaddr) bool {
	n, _, err := manet.DialArgs(a)
	return err == nil && strings.HasPrefix(n, "tcp")
}

// Listen waits for connections on the spot.
func (t *tcp) Listen(a ma.Multiaddr) (transport.Listener, error) {
	at, err := manet.ToNetAddr(a)
	if err != nil {
		return nil, err
	}
	l, err := t.spot.listenTCP(at.(*net.TCPAddr).AddrPort())
	if err != nil {
		return nil, err
	}
	wrapped, err := manet.WrapNetListener(l)
	if err != nil {
		return nil, err
	}
	return t.upgrader.UpgradeGatedMaListener(t, t.upgrader.GateMaListener(wrapped)), nil
}

// Protocols returns TCP.
func (t *tcp) Protocols() []int { return []int{ma.P_TCP} }

// Proxy is false.
func (t *tcp) Proxy() bool { return false }

// tcpListener is a listening socket of a box.
type tcpListener struct {
	spot  *Spot
	local netip.AddrPort
	queue chan net.Conn
	done  chan struct{}
	close func()
}

func (s *Spot) listenTCP(at netip.AddrPort) (*tcpListener, error) {
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	key := tcpKey{s.router, at}
	if s.net.tcp[key] != nil {
		return nil, syscall.EADDRINUSE
	}
	l := &tcpListener{spot: s, local: at, queue: make(chan net.Conn, 128), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() {
		close(l.done)
		s.net.mu.Lock()
		delete(s.net.tcp, key)
		s.net.mu.Unlock()
	})
	s.net.tcp[key] = l
	return l, nil
}

// tcpKey finds a listener: by the router of its home (nil: the internet) and its address there.
type tcpKey struct {
	home *Router
	at   netip.AddrPort
}

// Accept waits for a connection.
func (l *tcpListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends listening.
func (l *tcpListener) Close() error {
	l.close()
	return nil
}

// Addr returns where it listens.
func (l *tcpListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local) }

// dialTCP connects to whoever listens at dst, as far as routers let it through. What
// nobody answers waits for ctx.
func (s *Spot) dialTCP(ctx context.Context, dst netip.AddrPort) (net.Conn, error) {
	l, seenAs, p := s.lookTCP(dst)
	if l == nil && p != nil {
		if !wait(ctx, 2*p.latency()) {
			return nil, ctx.Err()
		}
		return nil, syscall.ECONNREFUSED
	}
	if l == nil || !p.open() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	local := netip.AddrPortFrom(s.addr, s.net.port())
	there, back := newFlow(p, false), newFlow(p, true)
	if !wait(ctx, p.latency()) {
		return nil, ctx.Err()
	}
	server := &tcpConn{local: l.local, remote: seenAs, in: there, out: back}
	select {
	case l.queue <- server:
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	default: // the backlog is full
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client := &tcpConn{local: local, remote: dst, in: back, out: there}
	if !wait(ctx, p.latency()) {
		client.Close()
		return nil, ctx.Err()
	}
	return client, nil
}

// lookTCP finds the listener, how it sees the caller, and the way between them. A
// way without a listener refuses; no way at all is silence.
func (s *Spot) lookTCP(dst netip.AddrPort) (*tcpListener, netip.AddrPort, *path) {
	n := s.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.router != nil && dst.Addr().IsPrivate() {
		l := n.tcp[tcpKey{s.router, dst}]
		if l == nil {
			return nil, netip.AddrPort{}, nil
		}
		return l, netip.AddrPortFrom(s.addr, n.port()), &path{net: n, near: true, from: s, to: l.spot}
	}
	out := s.router.chain()
	seen := s.addr
	if len(out) > 0 {
		seen = out[len(out)-1].wan
	}
	p := &path{net: n, from: s, out: out}
	seenAs := netip.AddrPortFrom(seen, n.port())
	if r := n.routers[dst.Addr()]; r != nil {
		spot := r.forwards[dst.Port()]
		if spot == nil || len(out) > 0 && out[len(out)-1] == r && !r.hairpin {
			return nil, seenAs, nil
		}
		p.in = []*Router{r}
		p.to = spot
		p.note()
		return n.tcp[tcpKey{r, spot.Addr()}], seenAs, p
	}
	l := n.tcp[tcpKey{nil, dst}]
	if l == nil {
		return nil, seenAs, nil
	}
	p.to = l.spot
	p.note()
	return l, seenAs, p
}

// wait sleeps; it reports false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
