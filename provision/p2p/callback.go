package p2p

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/wire"
)

// "Call me back": a member dials the addresses of another, so that this learns at
// which of them it can be reached from outside. libp2p's AutoNAT asks strangers, and
// is called by a name that no allow-list knows. Here the asker is told the name first:
//
//	asker  → member  callAsk   these are my addresses
//	asker  ← member  callFrom  this name will call (made for this one time)
//	asker  → member  callReady let in for a moment
//	asker  ← member  callTold  which of them answered as the asker
//
// The call comes from a fresh port, or it would pass the NAT by the door that the
// asker itself opened. A member cannot have us call anybody but itself: an IPv4
// address must be the one from which it is connected to us, an IPv6 address one
// that it signed; and it may ask once in callAgain.
const (
	callProtocol = "/redhen/call/1"
	callAgain    = 15 * time.Second // between two asks of a member
	callPatience = 15 * time.Second // for all of it
	dialBack     = 4 * time.Second  // for one address
	maxCallAddrs = 4
	maxCall      = 256 // bytes of each message
	maxCalls     = 4   // at once
)

type callAsk struct {
	Addrs [][]byte `cbor:"1,keyasint"` // netip.AddrPort
}

type callFrom struct {
	Caller ident.BoxID `cbor:"1,keyasint,omitempty"` // "" = not now
}

type callReady struct {
	Ready bool `cbor:"1,keyasint"`
}

// callTold has a bit for each address that was asked about.
type callTold struct {
	TCP  uint8 `cbor:"1,keyasint"`
	QUIC uint8 `cbor:"2,keyasint"`
}

// callers bounds what members make us dial.
type callers struct {
	mu    sync.Mutex
	last  map[ident.BoxID]time.Time
	calls int
}

// begin reports whether the box may have a call now; end must then follow.
func (c *callers) begin(box ident.BoxID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.last[box]; c.calls >= maxCalls || ok && now.Sub(at) < callAgain {
		return false
	}
	if c.last == nil || len(c.last) > 2*MaxMembers {
		c.last = map[ident.BoxID]time.Time{}
	}
	c.last[box] = now
	c.calls++
	return true
}

func (c *callers) end() {
	c.mu.Lock()
	c.calls--
	c.mu.Unlock()
}

// decodeAsk checks what a member asks us to call.
func decodeAsk(ask callAsk) ([]netip.AddrPort, error) {
	if len(ask.Addrs) == 0 || len(ask.Addrs) > maxCallAddrs {
		return nil, fmt.Errorf("call: %d addresses", len(ask.Addrs))
	}
	var out []netip.AddrPort
	for _, raw := range ask.Addrs {
		var a netip.AddrPort
		if err := a.UnmarshalBinary(raw); err != nil || a.Port() == 0 || !netaddr.IsPublic(a.Addr()) || a.Addr().Is4In6() || a.Addr().Zone() != "" {
			return nil, fmt.Errorf("call: bad address")
		}
		out = append(out, a)
	}
	return out, nil
}

// answerCall serves one ask.
func (h *Host) answerCall(ctx context.Context, from ident.BoxID, s Stream) {
	if err := h.call(ctx, from, s); err != nil {
		h.log.Debug("call back", "box", from.Short(), "err", err)
		s.Reset()
	}
}

func (h *Host) call(ctx context.Context, from ident.BoxID, s Stream) error {
	s.SetDeadline(time.Now().Add(callPatience))
	var ask callAsk
	if err := wire.Read(s, maxCall, &ask); err != nil {
		return err
	}
	addrs, err := decodeAsk(ask)
	if err != nil {
		return err
	}
	own := h.ownOf(from)
	for _, a := range addrs {
		if !own(a) {
			return wire.Write(s, callFrom{})
		}
	}
	if !h.callers.begin(from, time.Now()) {
		return wire.Write(s, callFrom{})
	}
	defer h.callers.end()
	scout, err := h.scout()
	if err != nil {
		return err
	}
	defer scout.Close()
	if err := wire.Write(s, callFrom{boxID(scout.ID())}); err != nil {
		return err
	}
	var ready callReady
	if err := wire.Read(s, maxCall, &ready); err != nil || !ready.Ready {
		return err
	}
	return wire.Write(s, dialAll(ctx, scout, mustPeer(from), addrs))
}

// ownOf says which addresses are those of a member: what it comes from, and the
// IPv6 addresses that it signed.
func (h *Host) ownOf(box ident.BoxID) func(netip.AddrPort) bool {
	from := map[netip.Addr]bool{}
	_, conns := h.stateOf(mustPeer(box))
	for _, c := range conns {
		if isDirect(c) {
			from[netaddr.AddrPort(c.RemoteMultiaddr()).Addr()] = true
		}
	}
	for _, a := range h.book.Addrs(box) {
		if a.Addr().Is6() {
			from[a.Addr()] = true
		}
	}
	return func(a netip.AddrPort) bool { return from[a.Addr()] }
}

// dialAll dials every address by both transports, at once.
func dialAll(ctx context.Context, scout host.Host, p peer.ID, addrs []netip.AddrPort) (told callTold) {
	net, ok := scout.Network().(interface {
		TransportForDialing(ma.Multiaddr) transport.Transport
	})
	if !ok {
		return told
	}
	ctx, cancel := context.WithTimeout(ctx, dialBack)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	dial := func(a ma.Multiaddr, bits *uint8, i int) {
		t := net.TransportForDialing(a)
		if t == nil {
			return
		}
		c, err := t.Dial(ctx, a, p) // p is proved by the handshake
		if err != nil {
			return
		}
		c.Close()
		mu.Lock()
		*bits |= 1 << i
		mu.Unlock()
	}
	for i, a := range addrs {
		wg.Go(func() { dial(netaddr.TCP(a), &told.TCP, i) })
		wg.Go(func() { dial(netaddr.QUIC(a), &told.QUIC, i) })
	}
	wg.Wait()
	return told
}

// askCall has a member call our addresses back. ok is false when it would not.
func (h *Host) askCall(ctx context.Context, member ident.BoxID, addrs []netip.AddrPort) (told callTold, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	s, err := h.Open(ctx, member, callProtocol)
	if err != nil {
		return told, false, err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(callPatience))
	var ask callAsk
	for _, a := range addrs {
		raw, _ := a.MarshalBinary() // never fails
		ask.Addrs = append(ask.Addrs, raw)
	}
	if err := wire.Write(s, ask); err != nil {
		return told, false, err
	}
	var from callFrom
	if err := wire.Read(s, maxCall, &from); err != nil || from.Caller == "" {
		return told, false, err
	}
	if _, err := ident.ParseBoxID(string(from.Caller)); err != nil || h.guests.known(from.Caller) {
		return told, false, fmt.Errorf("call from %q: not a fresh name", from.Caller)
	}
	h.guests.addPartner(from.Caller)
	defer h.sweep()
	defer h.guests.dropPartner(from.Caller)
	if err := wire.Write(s, callReady{true}); err != nil {
		return told, false, err
	}
	if err := wire.Read(s, maxCall, &told); err != nil {
		return told, false, err
	}
	return told, true, nil
}

// mustPeer converts the name of a member, which was parsed when it became one.
func mustPeer(box ident.BoxID) peer.ID {
	p, _ := peer.Decode(string(box)) // of a name that is none, the empty one: nobody's
	return p
}
