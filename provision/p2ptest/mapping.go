package p2ptest

import (
	"context"
	"errors"
	"net/netip"

	"redhen/provision/p2p/portmap"
)

// Mapping is what a router does when a box asks it to pass a port through.
type Mapping int

const (
	// NoMapping: it does not answer at all, as most routers do as delivered.
	NoMapping Mapping = iota
	// RefuseMapping: it answers, and refuses.
	RefuseMapping
	// AllowMapping: it passes the port through.
	AllowMapping
	// FeignMapping: it says that it passes the port through, and does not.
	FeignMapping
)

// Mapping says what the router does when it is asked to pass a port through.
func (r *Router) Mapping(m Mapping) {
	r.net.mu.Lock()
	r.mapping = m
	r.net.mu.Unlock()
}

var errNoRouter = errors.New("no router answers")

func (s *Spot) findRouter(context.Context) (portmap.Mapper, error) {
	if s.router == nil {
		return nil, errNoRouter
	}
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	if s.router.mapping == NoMapping {
		return nil, errNoRouter
	}
	return upnp{s}, nil
}

// upnp is the router as a box on the spot talks to it.
type upnp struct{ spot *Spot }

// AddMapping has the port passed through, if the router does that.
func (u upnp) AddMapping(context.Context, string, int) error {
	n, r := u.spot.net, u.spot.router
	n.mu.Lock()
	defer n.mu.Unlock()
	switch r.mapping {
	case AllowMapping:
		r.forwards[Port] = u.spot
		return nil
	case FeignMapping:
		return nil
	}
	return errors.New("refused")
}

// GetMapping returns where the port is on the outside of the router.
func (u upnp) GetMapping(_ string, port int) (netip.AddrPort, bool) {
	n, r := u.spot.net, u.spot.router
	n.mu.Lock()
	defer n.mu.Unlock()
	return netip.AddrPortFrom(r.wan, uint16(port)), r.mapping >= AllowMapping
}

// Close does nothing: ports stay passed through.
func (u upnp) Close() error { return nil }
