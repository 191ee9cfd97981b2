package p2p

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"redhen/provision/p2p/netaddr"
)

// directDialTimeout bounds each step of a hole punch: a try to dial straight, then
// up to three punches. A friend who can be dialled answers well within it.
const directDialTimeout = 1500 * time.Millisecond

// listen makes the libp2p host and has it listen on one port for TCP and QUIC.
func (h *Host) listen() error {
	port := uint16(h.cfg.Port)
	for try := 0; ; try++ {
		var err error
		if h.cfg.Port == 0 || h.cfg.Underlay == nil {
			if port, err = freePort(h.cfg.ListenIP, uint16(h.cfg.Port)); err != nil {
				return err
			}
		}
		if h.h, err = h.start(port); err == nil {
			h.port = port
			return nil
		}
		if h.cfg.Port != 0 || try == 5 {
			return fmt.Errorf("listen on port %d: %w", port, err)
		}
	}
}

// freePort checks that port is free for TCP and UDP, or finds one that is when it
// is 0. libp2p shares TCP ports (SO_REUSEPORT), so that without this check two
// boxes on one port would silently take each other's connections.
func freePort(ip netip.Addr, port uint16) (uint16, error) {
	host := ""
	if ip.IsValid() {
		host = ip.String()
	}
	for range 20 {
		at := net.JoinHostPort(host, fmt.Sprint(port))
		l, err := net.Listen("tcp", at)
		if err != nil {
			return 0, portError("TCP", at, err)
		}
		got := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", net.JoinHostPort(host, fmt.Sprint(got)))
		l.Close()
		if err == nil {
			u.Close()
			return uint16(got), nil
		}
		if port != 0 {
			return 0, portError("UDP", at, err)
		}
	}
	return 0, errors.New("listen: no port is free for both TCP and UDP")
}

func portError(proto, at string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s %s: %w", proto, at, ErrPortTaken)
	}
	return fmt.Errorf("listen on %s %s: %w", proto, at, err)
}

// start makes a libp2p host on the port. Every address must listen, except that
// IPv6 may be missing on a machine.
func (h *Host) start(port uint16) (host.Host, error) {
	opts, err := h.options()
	if err != nil {
		return nil, err
	}
	lh, err := libp2p.New(opts...)
	if err != nil {
		return nil, err
	}
	ips := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	if h.cfg.ListenIP.IsValid() {
		ips = []netip.Addr{h.cfg.ListenIP}
	}
	for i, ip := range ips {
		for _, a := range netaddr.Both(netip.AddrPortFrom(ip, port)) {
			if err := lh.Network().Listen(a); err != nil && i == 0 {
				lh.Close()
				return nil, err
			}
		}
	}
	return lh, nil
}

// options are libp2p's settings, away from those made for a huge public network.
func (h *Host) options() ([]libp2p.Option, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(h.cfg.Key.Seed()))
	if err != nil {
		return nil, fmt.Errorf("use box key: %w", err)
	}
	store, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, fmt.Errorf("make peerstore: %w", err)
	}
	limits, err := newLimits()
	if err != nil {
		return nil, fmt.Errorf("set limits: %w", err)
	}
	published := &publisher{}
	opts := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.Peerstore(store),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(&connmgr.NullConnMgr{}),
		libp2p.ConnectionGater(h.guests),
		libp2p.NoListenAddrs, // start listens, so that a refused port is an error
		libp2p.EnableRelay(),
		libp2p.ForceReachabilityPrivate(), // no AutoNAT: it asks strangers
		libp2p.DisableMetrics(),
		libp2p.UserAgent("redhen"),
		libp2p.SwarmOpts(swarm.WithDialRanker(rank)),
		libp2p.AddrsFactory(published.filter),
		// The black-hole detectors take friends who are off for a dead network.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.Transport(h.newQUIC),
	}
	h.published = published
	if h.guests.rent != nil {
		opts = append(opts, libp2p.BandwidthReporter(passed{h.guests.rent}))
	}
	if h.cfg.Underlay != nil {
		return append(opts, h.cfg.Underlay...), nil
	}
	return append(opts, libp2p.Transport(tcp.NewTCPTransport)), nil
}

// scout makes a host that listens nowhere, under a fresh name, for dials that must
// not come from our own port or bear our own name.
func (h *Host) scout(more ...libp2p.Option) (host.Host, error) {
	limits, err := newLimits()
	if err != nil {
		return nil, fmt.Errorf("set limits of a scout: %w", err)
	}
	opts := []libp2p.Option{
		libp2p.RandomIdentity,
		libp2p.NoListenAddrs,
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.ConnectionManager(&connmgr.NullConnMgr{}),
		libp2p.ResourceManager(limits),
		libp2p.UserAgent("redhen"),
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.Transport(libp2pquic.NewTransport),
	}
	if h.cfg.Underlay != nil {
		opts = append(opts, h.cfg.Underlay...)
	} else {
		opts = append(opts, libp2p.Transport(tcp.NewTCPTransport))
	}
	s, err := libp2p.New(append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("make a scout: %w", err)
	}
	return s, nil
}

// publisher keeps guessed public addresses out of what identify tells others: a
// peer that knows one dials it in vain before it punches. Guesses travel in signed records.
type publisher struct {
	net atomic.Pointer[network.Network]
}

func (p *publisher) filter(addrs []ma.Multiaddr) []ma.Multiaddr {
	n := p.net.Load()
	if n == nil {
		return addrs
	}
	own, err := (*n).InterfaceListenAddresses()
	if err != nil {
		return addrs
	}
	return ma.FilterAddrs(addrs, func(a ma.Multiaddr) bool {
		return !manet.IsPublicAddr(a) || ma.Contains(own, a)
	})
}

// newLimits bounds what peers can make a board of 512 MB spend. The memory is that
// of full windows, which QUIC and yamux reserve before they are used: a stream over
// TCP counts 256 KiB at once, so one member gets about 500.
func newLimits() (network.ResourceManager, error) {
	const many = 8192
	cfg := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Streams: many, StreamsInbound: many, StreamsOutbound: many,
			Conns: 512, ConnsInbound: 512, ConnsOutbound: 512, FD: 512, Memory: 256 << 20,
		},
		Transient: rcmgr.ResourceLimits{
			Streams: 512, StreamsInbound: 512, StreamsOutbound: 512,
			Conns: 128, ConnsInbound: 128, ConnsOutbound: 128, FD: 128, Memory: 16 << 20,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Streams: 2048, StreamsInbound: 1024, StreamsOutbound: 1024,
			Conns: 16, ConnsInbound: 16, ConnsOutbound: 16, FD: 16, Memory: 128 << 20,
		},
	}
	perIP := []rcmgr.ConnLimitPerSubnet{{ConnCount: 256, PrefixLength: 32}}
	perNet := []rcmgr.ConnLimitPerSubnet{{ConnCount: 256, PrefixLength: 56}}
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(cfg.Build(rcmgr.InfiniteLimits)),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(perIP, perNet))
}

// addServices starts relaying for members and hole punching.
func (h *Host) addServices() error {
	n := h.h.Network()
	h.published.net.Store(&n)
	own, ok := h.h.(interface{ IDService() identify.IDService })
	if !ok {
		return errors.New("libp2p host without identify service")
	}
	h.ids = own.IDService()
	res := relay.DefaultResources()
	res.Limit = nil // raft and files pass through: no end after 128 KiB
	res.BufferSize = 64 << 10
	res.MaxReservations = 2 * MaxMembers
	res.MaxReservationsPerIP = 2 * MaxMembers
	res.MaxReservationsPerASN = 2 * MaxMembers
	res.MaxCircuits = MaxMembers
	var err error
	if h.relay, err = relay.New(h.h, relay.WithResources(res), relay.WithACL(h.guests)); err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	return nil
}

// beginPunching starts hole punching once we know a public address of ours: started
// before, libp2p's service looks for one every 5 s only. It is called by one goroutine.
func (h *Host) beginPunching() {
	if h.puncher() != nil || len(h.publicAddrs()) == 0 {
		return
	}
	s, err := holepunch.NewService(h.h, h.ids, h.publicAddrs, holepunch.DirectDialTimeout(directDialTimeout))
	if err != nil {
		h.log.Warn("no hole punching", "err", err)
		return
	}
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.punch = s
	}
	h.mu.Unlock()
	if closed {
		s.Close()
		return
	}
	for _, l := range h.Links() {
		if l.State == Relayed {
			h.newWay(l.Box)
		}
	}
}

// puncher returns the service of hole punching, nil before we know an address.
func (h *Host) puncher() *holepunch.Service {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.punch
}
