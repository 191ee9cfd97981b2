package p2ptest

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// socket is a UDP socket of a box.
type socket struct {
	spot  *Spot
	local netip.AddrPort
	queue chan packet
	done  chan struct{}
	close func()

	mu       sync.Mutex
	deadline time.Time
	moved    chan struct{} // closed when the deadline changes
}

var _ net.PacketConn = (*socket)(nil)

// listen opens a socket on the spot; port 0 means any.
func (s *Spot) listen(port uint16) (*socket, error) {
	var taken map[netip.AddrPort]*socket
	var mu *sync.Mutex
	if s.router != nil {
		taken, mu = s.router.lan, &s.router.mu
	} else {
		taken, mu = s.net.public, &s.net.mu
	}
	mu.Lock()
	defer mu.Unlock()
	if port == 0 {
		for port = 50000; taken[netip.AddrPortFrom(s.addr, port)] != nil; port++ {
		}
	}
	local := netip.AddrPortFrom(s.addr, port)
	if taken[local] != nil {
		return nil, syscall.EADDRINUSE
	}
	k := &socket{
		spot: s, local: local,
		queue: make(chan packet, 4096), done: make(chan struct{}), moved: make(chan struct{}),
	}
	k.close = sync.OnceFunc(func() {
		close(k.done)
		mu.Lock()
		delete(taken, local)
		mu.Unlock()
	})
	taken[local] = k
	return k, nil
}

func (k *socket) receive(p packet) {
	if k.spot.cut.Load() {
		return
	}
	select {
	case k.queue <- p:
	default: // a full buffer loses packets
	}
}

// WriteTo sends one datagram: within the home, to the router, or to the internet.
func (k *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-k.done:
		return 0, net.ErrClosed
	default:
	}
	if k.spot.cut.Load() {
		return len(b), nil
	}
	dst := to.(*net.UDPAddr).AddrPort()
	p := packet{k.local, netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port()), slices.Clone(b)}
	r := k.spot.router
	switch {
	case r == nil:
		k.spot.net.route(p)
	case p.dst.Addr().IsPrivate():
		r.mu.Lock()
		neighbour := r.lan[p.dst]
		r.mu.Unlock()
		if neighbour != nil {
			neighbour.receive(p)
		}
	default:
		r.outbound(p)
	}
	return len(b), nil
}

// ReadFrom waits for one datagram.
func (k *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		k.mu.Lock()
		deadline, moved := k.deadline, k.moved
		k.mu.Unlock()
		var late <-chan time.Time
		if !deadline.IsZero() {
			t := time.NewTimer(time.Until(deadline))
			defer t.Stop()
			late = t.C
		}
		select {
		case p := <-k.queue:
			return copy(b, p.body), net.UDPAddrFromAddrPort(p.src), nil
		case <-k.done:
			return 0, nil, net.ErrClosed
		case <-late:
			return 0, nil, os.ErrDeadlineExceeded
		case <-moved:
		}
	}
}

// SetReadDeadline bounds ReadFrom.
func (k *socket) SetReadDeadline(t time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deadline = t
	close(k.moved)
	k.moved = make(chan struct{})
	return nil
}

// SetDeadline bounds ReadFrom; WriteTo never waits.
func (k *socket) SetDeadline(t time.Time) error { return k.SetReadDeadline(t) }

// SetWriteDeadline does nothing: WriteTo never waits.
func (k *socket) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer keeps quic-go from complaining.
func (k *socket) SetReadBuffer(int) error { return nil }

// SetWriteBuffer keeps quic-go from complaining.
func (k *socket) SetWriteBuffer(int) error { return nil }

// LocalAddr returns the address on the spot.
func (k *socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(k.local) }

// Close ends the socket.
func (k *socket) Close() error {
	k.close()
	return nil
}
