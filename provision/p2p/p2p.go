// Package p2p is the libp2p host of a box: who may connect, how the boxes of a
// circle find and reach each other, and streams between them that come back by themselves.
package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"

	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/p2p/portmap"
	"redhen/provision/p2p/rental"
)

// MaxMembers is the largest number of boxes in a circle.
const MaxMembers = 64

var (
	// ErrNoLink says that the box is not connected at this moment. The host keeps
	// trying by itself; Changed tells when it is worth trying again.
	ErrNoLink = errors.New("no link to the box")
	// ErrNotMember says that the box is neither a member nor a box we are pairing with.
	ErrNotMember = errors.New("not a member of the circle")
	// ErrPortTaken says that another program listens on the port.
	ErrPortTaken = errors.New("port is used by another program")
	// ErrClosed says that the host has ended.
	ErrClosed = errors.New("host is closed")
)

// Config says how a box meets others. Zero values mean the default.
type Config struct {
	Key      ident.Key     // the box's key; needed
	Port     int           // TCP and UDP port; 0 = any free one (the same for both)
	ListenIP netip.Addr    // the one address to listen on; zero = all of the machine
	Loopback bool          // tell others the loopback address: circles on one machine (implied by a loopback ListenIP)
	Dir      string        // where the address book is kept; "" = in memory only
	MDNS     bool          // find members on the local network
	PortMap  bool          // ask the router for a port
	MapTCP   []int         // more ports to ask the router for, of other doors on this machine
	Beat     time.Duration // time between two beats on a connection; 0 = 1 s. Three missed ones close it.
	Logger   *slog.Logger  // nil = none

	// FindRouter finds the router to ask; nil = by UPnP and NAT-PMP on the local network.
	FindRouter func(context.Context) (portmap.Mapper, error)

	// Strangers lets strangers help while no member can be reached from outside, or an
	// invite is out (SetStrangers changes it); Bootstrap is whom to ask first, nil =
	// the public DHT's own.
	Strangers bool
	Bootstrap []peer.AddrInfo

	// RelayFor makes the host a rented relay for these circles: it belongs to none.
	// Nil = a box.
	RelayFor []ident.CircleID
	// RelayDaily is how many bytes a rented relay passes on for each circle in a day; 0 =
	// no bound.
	RelayDaily int64

	// Underlay replaces the operating system's sockets, for QUIC and for TCP: a
	// simulated internet (package p2ptest).
	Underlay []libp2p.Option
}

func (c *Config) validate() error {
	if c.Key.IsZero() {
		return errors.New("p2p: no key")
	}
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("p2p: port %d: want 0 to 65535", c.Port)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Beat == 0 {
		c.Beat = time.Second
	}
	if c.FindRouter == nil {
		c.FindRouter = portmap.Find
	}
	if c.ListenIP.IsLoopback() {
		c.Loopback = true
	}
	return nil
}

// Stream is one ordered, encrypted, two-way stream of bytes to another box. Close
// ends the writing side and frees the stream; Reset throws it away on both sides.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	Reset() error
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

var _ Stream = network.Stream(nil)

// Access says who may open streams of a protocol.
type Access int

const (
	// Members are the boxes given to SetMembers, and nobody else.
	Members Access = iota
	// Anyone includes strangers while the door is open, and the boxes we pair with.
	Anyone
	// tenants are the boxes of the circles that a relay serves, all is everybody who
	// has connected to it.
	tenants
	all
	// Departed are the members and the boxes given to SetDeparted.
	Departed
	// Doors are the members and the rented relays that we know: they bring visitors.
	Doors
)

// Host is the one libp2p host of a box. Its methods may be called from any
// goroutine, before, during and after Run.
type Host struct {
	cfg       Config
	log       *slog.Logger
	self      ident.BoxID
	port      uint16
	h         host.Host
	ids       identify.IDService
	relay     *relay.Relay
	guests    *guests
	strangers strangers
	callers   callers
	published *publisher
	book      *addrbook.Book

	mu       sync.Mutex
	handlers map[string]handler               // by protocol
	install  func(handler)                    // nil before Run
	conns    map[network.Conn]*conn           // watched connections
	links    map[ident.BoxID]*link            // one per member
	hints    map[ident.BoxID][]netip.AddrPort // unsigned: from pairing and mDNS
	relays   map[ident.BoxID]time.Time        // where we hold a reservation, until when
	seen     map[netip.AddrPort]int           // our public QUIC addresses, as counted connections see them
	router   portmap.Says
	mapped   []netip.AddrPort // our port on the outside of the router
	verdict  verdict
	punch    *holepunch.Service // nil before we know a public address of ours
	rung     rung
	rents    rents
	changed  chan struct{} // closed at the next change
	closed   bool

	reconcile chan struct{} // capacity 1: the members changed
	republish chan struct{} // capacity 1: our own addresses may have changed
	outside   chan struct{} // capacity 1: whether we are reached from outside may have changed
}

type handler struct {
	protocol string
	who      Access
	fn       func(context.Context, ident.BoxID, Stream)
}

// New listens and is then ready to Run. A taken port gives ErrPortTaken.
func New(cfg Config) (*Host, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h := &Host{
		cfg: cfg, log: cfg.Logger, self: cfg.Key.BoxID(),
		handlers: map[string]handler{},
		conns:    map[network.Conn]*conn{},
		links:    map[ident.BoxID]*link{},
		hints:    map[ident.BoxID][]netip.AddrPort{},
		relays:   map[ident.BoxID]time.Time{},
		seen:     map[netip.AddrPort]int{},
		changed:  make(chan struct{}),

		reconcile: make(chan struct{}, 1),
		republish: make(chan struct{}, 1),
		outside:   make(chan struct{}, 1),
	}
	h.guests, h.rung = newGuests(h.self), newRung(cfg.Strangers)
	h.rents = rents{held: map[addrbook.Rented]time.Time{}, next: map[addrbook.Rented]time.Time{}, told: map[addrbook.Rented]string{}, news: make(chan struct{}, 1)}
	if cfg.RelayFor != nil {
		h.guests.rent = rental.New(cfg.RelayFor, cfg.RelayDaily)
	}
	var err error
	if h.book, err = addrbook.Open(cfg.Dir, cfg.Key, cfg.Logger); err != nil {
		return nil, err
	}
	h.guests.doors, h.guests.turnedAway = h.book.Door, func(b ident.BoxID) { h.turnAway(b, "a connection") }
	if err := h.listen(); err != nil {
		return nil, err
	}
	if err := h.addServices(); err != nil {
		h.h.Close()
		return nil, err
	}
	return h, nil
}

// Self returns the name of this box.
func (h *Host) Self() ident.BoxID { return h.self }

// Port returns the port on which the host listens, for both TCP and QUIC.
func (h *Host) Port() int { return int(h.port) }

// Run keeps the links of the circle until ctx ends, then closes the host and
// returns nil. Handlers serve only while it runs. It is called once.
func (h *Host) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	h.serve(ctx, &wg)
	h.watch(ctx, &wg)
	wg.Go(func() { h.supervise(ctx, &wg) })
	wg.Go(func() { h.keepRecord(ctx) })
	wg.Go(func() { h.watchOutside(ctx) })
	wg.Go(func() { h.climb(ctx) })
	wg.Go(func() { h.keepRented(ctx) })
	if h.cfg.RelayFor != nil {
		wg.Go(func() { h.turnOut(ctx) })
	}
	if h.cfg.PortMap {
		wg.Go(func() { h.mapPorts(ctx) })
	}
	if h.cfg.MDNS {
		wg.Go(func() { h.discover(ctx) })
	}
	<-ctx.Done()
	err := h.Close()
	wg.Wait()
	return err
}

// Close ends the host. It is for a host that never ran; Run closes by itself.
func (h *Host) Close() error {
	h.mu.Lock()
	closed := h.closed
	h.closed = true
	h.mu.Unlock()
	if closed {
		return nil
	}
	if p := h.puncher(); p != nil {
		p.Close()
	}
	h.relay.Close()
	if err := h.h.Close(); err != nil {
		return fmt.Errorf("close p2p host: %w", err)
	}
	return nil
}

// Handle serves the streams that other boxes open with the protocol. fn runs in
// its own goroutine; when it returns the stream is closed. ctx ends with Run.
func (h *Host) Handle(protocol string, who Access, fn func(ctx context.Context, from ident.BoxID, s Stream)) {
	hd := handler{protocol, who, fn}
	h.mu.Lock()
	h.handlers[protocol] = hd
	install := h.install
	h.mu.Unlock()
	if install != nil {
		install(hd)
	}
}

// serve installs the handlers: those known now and those that follow.
func (h *Host) serve(ctx context.Context, wg *sync.WaitGroup) {
	h.Handle(beatProtocol, Members, h.answerBeats)
	h.Handle(bookProtocol, Members, h.receiveBook)
	h.Handle(callProtocol, Members, h.answerCall)
	if h.cfg.RelayFor != nil {
		h.Handle(beatProtocol, tenants, h.answerBeats)
		h.Handle(chainProtocol, all, h.readChain)
		h.Handle(namesProtocol, tenants, h.readNames)
	}
	install := func(hd handler) {
		h.h.SetStreamHandler(protocol.ID(hd.protocol), func(s network.Stream) {
			from := boxID(s.Conn().RemotePeer())
			if !h.guests.mayOpen(from, hd.who) {
				h.turnAway(from, hd.protocol)
				s.Reset()
				return
			}
			if !h.enter(wg) {
				s.Reset()
				return
			}
			defer wg.Done()
			defer s.Close()
			hd.fn(ctx, from, s)
		})
	}
	h.mu.Lock()
	h.install = install
	now := make([]handler, 0, len(h.handlers))
	for _, hd := range h.handlers {
		now = append(now, hd)
	}
	h.mu.Unlock()
	for _, hd := range now {
		install(hd)
	}
	h.guests.serving.Store(true)
}

// enter counts a goroutine that libp2p made, so that Run waits for it too. It
// reports false once the host is closed.
func (h *Host) enter(wg *sync.WaitGroup) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		wg.Add(1)
	}
	return !h.closed
}

// Open opens a stream to a connected box. It never waits for a link: without one
// it returns ErrNoLink at once.
func (h *Host) Open(ctx context.Context, to ident.BoxID, proto string) (Stream, error) {
	if !h.guests.known(to) && !h.guests.hasLeft(to) && !h.guests.rent.Tenant(to) {
		return nil, fmt.Errorf("open %s to %s: %w", proto, to.Short(), ErrNotMember)
	}
	p, err := peer.Decode(string(to))
	if err != nil {
		return nil, ident.ErrBadBoxID
	}
	// A stranger's relay is for pairing and punching, never for a link.
	if state, _ := h.stateOf(p); state == None && (h.guests.member(to) || h.h.Network().Connectedness(p) == network.NotConnected) {
		return nil, fmt.Errorf("open %s to %s: %w", proto, to.Short(), ErrNoLink)
	}
	tenant := h.guests.rent.Tenant(to)
	if tenant && h.guests.rent.Spent(to, time.Now()) {
		return nil, fmt.Errorf("open %s to %s: %w", proto, to.Short(), errSpent)
	}
	ctx = network.WithNoDial(network.WithAllowLimitedConn(ctx, proto), proto)
	s, err := h.h.NewStream(ctx, p, protocol.ID(proto))
	if err != nil {
		return nil, fmt.Errorf("open %s to %s: %w", proto, to.Short(), err)
	}
	if tenant {
		return metered{s, h.guests.rent, to}, nil
	}
	return s, nil
}

// Changed is closed at the next change of a link, an address or the members.
func (h *Host) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

func (h *Host) change() {
	h.mu.Lock()
	close(h.changed)
	h.changed = make(chan struct{})
	h.mu.Unlock()
}

// poke puts a token into a channel of capacity 1, if none is there.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func boxID(p peer.ID) ident.BoxID { return ident.BoxID(p.String()) }
