package p2ptest

import (
	"net/netip"
	"sync"
	"time"
)

// NAT is how a router maps ports and whom it lets in (RFC 4787).
type NAT int

const (
	// FullCone keeps one public port per box and lets anybody in on it.
	FullCone NAT = iota
	// Restricted lets those in whose address was written to.
	Restricted
	// PortRestricted lets those in whose address and port were written to: most homes.
	PortRestricted
	// Symmetric is PortRestricted with another public port for every destination.
	Symmetric
)

// String returns the usual name.
func (n NAT) String() string {
	return [...]string{"full cone", "restricted", "port-restricted", "symmetric"}[n]
}

// mapping is one public port of a router, given to a box.
type mapping struct {
	inside netip.AddrPort
	port   uint16
	used   time.Time
	sent   map[netip.AddrPort]time.Time // to whom, as coarse as the filter is
}

// mappingKey finds the mapping of outgoing packets.
type mappingKey struct{ inside, dst netip.AddrPort }

// mappingLife is how long a router remembers an idle mapping. RFC 4787 asks for
// 2 minutes; homes have 30 s to 60 s.
const mappingLife = 30 * time.Second

// Router joins a home to the internet, or to the network of another router. All homes
// use the addresses 192.168.1.2 and on.
type Router struct {
	net   *Net
	nat   NAT
	upper *Router // nil: the internet

	// Guarded by net.mu.
	forwards map[uint16]*Spot // ports passed through to boxes
	hairpin  bool
	mapping  Mapping

	mu       sync.Mutex
	wan      netip.Addr
	cut      bool
	up, down *pipe
	out      map[mappingKey]*mapping
	in       map[uint16]*mapping
	lan      map[netip.AddrPort]*socket
	inner    map[netip.Addr]*Router // routers behind this one
	noUDP    bool
	boxes    byte
}

// Router adds a home with a NAT of the given type.
func (n *Net) Router(nat NAT) *Router {
	return newRouter(n, nil, nat)
}

// Router adds a router with a home of its own behind this one, as a provider's NAT
// does: the inner one gets an address of the shared space 100.64/10.
func (r *Router) Router(nat NAT) *Router { return newRouter(r.net, r, nat) }

func newRouter(n *Net, upper *Router, nat NAT) *Router {
	r := &Router{
		net: n, nat: nat, upper: upper, forwards: map[uint16]*Spot{},
		lan: map[netip.AddrPort]*socket{}, inner: map[netip.Addr]*Router{},
	}
	r.Move()
	return r
}

// chain is the routers from this one to the internet, none for nil.
func (r *Router) chain() (list []*Router) {
	for ; r != nil; r = r.upper {
		list = append(list, r)
	}
	return list
}

// Hairpin says whether boxes of the home reach each other by the home's public address.
func (r *Router) Hairpin(on bool) {
	r.net.mu.Lock()
	r.hairpin = on
	r.net.mu.Unlock()
}

// BlockUDP lets only TCP pass, as some offices and hotels do.
func (r *Router) BlockUDP(on bool) {
	r.mu.Lock()
	r.noUDP = on
	r.mu.Unlock()
}

// Forward passes the port through to the box on the spot, for UDP and TCP, and
// returns where that is on the outside of the router now.
func (r *Router) Forward(s *Spot) netip.AddrPort {
	r.net.mu.Lock()
	defer r.net.mu.Unlock()
	r.forwards[Port] = s
	return netip.AddrPortFrom(r.wan, Port)
}

// Wan returns the address of the router on its outside.
func (r *Router) Wan() netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wan
}

// Spot returns a new place inside the home.
func (r *Router) Spot() *Spot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.boxes++
	return &Spot{net: r.net, router: r, addr: netip.AddrFrom4([4]byte{192, 168, 1, 1 + r.boxes})}
}

// Move gives the home a new public address and forgets all mappings, as a nightly
// reconnect does.
func (r *Router) Move() netip.Addr {
	r.net.mu.Lock()
	defer r.net.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upper != nil {
		r.upper.mu.Lock()
		defer r.upper.mu.Unlock()
		delete(r.upper.inner, r.wan)
		r.upper.boxes++
		r.wan = netip.AddrFrom4([4]byte{100, 64, 1, r.upper.boxes})
		r.upper.inner[r.wan] = r
	} else {
		delete(r.net.routers, r.wan)
		r.wan = r.net.nextAddr()
		r.net.routers[r.wan] = r
	}
	r.out = map[mappingKey]*mapping{}
	r.in = map[uint16]*mapping{}
	return r.wan
}

// Cut pulls the cable to the internet, or puts it back.
func (r *Router) Cut(cut bool) {
	r.mu.Lock()
	r.cut = cut
	r.mu.Unlock()
}

// Shape bounds the home's line: bits per second up and down (0 = no bound), and the
// bytes that queue before it.
func (r *Router) Shape(up, down float64, queue int) {
	r.mu.Lock()
	r.up, r.down = newPipe(up, queue), newPipe(down, queue)
	r.mu.Unlock()
}

// mapTo is the part of a destination by which mappings differ.
func (r *Router) mapTo(dst netip.AddrPort) netip.AddrPort {
	if r.nat == Symmetric {
		return dst
	}
	return netip.AddrPort{}
}

// filterBy is the part of a remote address that the filter looks at.
func (r *Router) filterBy(a netip.AddrPort) netip.AddrPort {
	switch r.nat {
	case FullCone:
		return netip.AddrPort{}
	case Restricted:
		return netip.AddrPortFrom(a.Addr(), 0)
	}
	return a
}

// outbound sends a packet of a box in the home to the internet, or back into the
// home when it is for the home's own public address and the router does hairpin.
func (r *Router) outbound(p packet) {
	r.net.mu.Lock()
	hairpin, forwarded := r.hairpin, r.forwards[p.src.Port()]
	r.net.mu.Unlock()
	r.mu.Lock()
	delay, ok := r.up.delay(len(p.body))
	back := p.dst.Addr() == r.wan
	if r.cut && !back || !ok || r.noUDP || back && !hairpin {
		r.mu.Unlock()
		return
	}
	now := time.Now()
	m := r.mappingOf(p, now, forwarded)
	m.used = now
	m.sent[r.filterBy(p.dst)] = now
	p.src = netip.AddrPortFrom(r.wan, m.port)
	r.mu.Unlock()
	switch {
	case back:
		r.inbound(p)
	case r.upper != nil:
		after(delay, func() { r.upper.outbound(p) })
	default:
		after(delay, func() { r.net.route(p) })
	}
}

// mappingOf finds or makes the public port for a packet: a forwarded one keeps its own.
// Callers hold r.mu.
func (r *Router) mappingOf(p packet, now time.Time, forwarded *Spot) *mapping {
	if forwarded != nil && forwarded.Addr() == p.src {
		return &mapping{inside: p.src, port: p.src.Port(), sent: map[netip.AddrPort]time.Time{}}
	}
	key := mappingKey{p.src, r.mapTo(p.dst)}
	if m := r.out[key]; m != nil && now.Sub(m.used) <= mappingLife {
		return m
	}
	m := &mapping{inside: p.src, port: r.freePort(), sent: map[netip.AddrPort]time.Time{}}
	r.out[key], r.in[m.port] = m, m
	return m
}

func (r *Router) freePort() uint16 {
	for {
		port := r.net.port()
		if r.in[port] == nil {
			return port
		}
	}
}

// inbound lets a packet from the internet in, if the NAT does or the port is forwarded.
func (r *Router) inbound(p packet) {
	r.net.mu.Lock()
	forwarded := r.forwards[p.dst.Port()]
	r.net.mu.Unlock()
	r.mu.Lock()
	if forwarded != nil {
		p.dst = forwarded.Addr()
	} else if inside, ok := r.letIn(p); ok {
		p.dst = inside
	} else {
		r.mu.Unlock()
		return
	}
	delay, ok := r.down.delay(len(p.body))
	s, inner := r.lan[p.dst], r.inner[p.dst.Addr()]
	shut := r.cut || r.noUDP
	r.mu.Unlock()
	switch {
	case !ok || shut:
	case s != nil:
		after(delay, func() { s.receive(p) })
	case inner != nil:
		after(delay, func() { inner.inbound(p) })
	}
}

// letIn finds whom the NAT gives a packet to. Callers hold r.mu.
func (r *Router) letIn(p packet) (inside netip.AddrPort, ok bool) {
	now := time.Now()
	m := r.in[p.dst.Port()]
	if m == nil || now.Sub(m.used) > mappingLife {
		return inside, false
	}
	if at, ok := m.sent[r.filterBy(p.src)]; r.nat != FullCone && (!ok || now.Sub(at) > mappingLife) {
		return inside, false
	}
	return m.inside, true
}

// pipe is a line with a first-in first-out queue.
type pipe struct {
	rate  float64 // bits per second
	queue int     // bytes
	busy  time.Time
}

func newPipe(rate float64, queue int) *pipe {
	if rate <= 0 {
		return nil
	}
	return &pipe{rate: rate, queue: queue}
}

// delay returns when a packet has passed, false when the queue is full. Callers
// hold the router's lock.
func (p *pipe) delay(size int) (time.Duration, bool) {
	if p == nil {
		return 0, true
	}
	const header = 28 // IP and UDP
	now := time.Now()
	if p.busy.Before(now) {
		p.busy = now
	}
	if p.busy.Sub(now).Seconds()*p.rate/8 > float64(p.queue) {
		return 0, false
	}
	p.busy = p.busy.Add(time.Duration(float64((size+header)*8) / p.rate * float64(time.Second)))
	return p.busy.Sub(now), true
}

// Unforward ends what Forward began.
func (r *Router) Unforward() {
	r.net.mu.Lock()
	clear(r.forwards)
	r.net.mu.Unlock()
}
