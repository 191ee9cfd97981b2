package p2p

import (
	"context"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/p2p/net/nat"
)

// Mapper is a router that passes ports through when a box asks it to (UPnP, NAT-PMP).
type Mapper interface {
	// AddMapping asks for the port of the protocol, "tcp" or "udp", and keeps asking.
	AddMapping(ctx context.Context, protocol string, port int) error
	// GetMapping returns where the port is on the outside; false while the router refuses.
	GetMapping(protocol string, port int) (netip.AddrPort, bool)
	Close() error
}

var _ Mapper = (*nat.NAT)(nil)

func findRouter(ctx context.Context) (Mapper, error) {
	r, err := nat.DiscoverNAT(ctx)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// RouterSays is what the router answered when it was asked to pass our port through.
type RouterSays int

const (
	RouterNotAsked RouterSays = iota // or not yet
	RouterSilent                     // no router answers: it has no UPnP or NAT-PMP, or it is switched off
	RouterRefuses
	RouterPrivate // it passes the port, at an address that nobody outside can reach: another NAT is behind it
	RouterPasses
)

// String returns one word.
func (r RouterSays) String() string {
	return [...]string{"not asked", "silent", "refuses", "private", "passes"}[r]
}

const (
	routerPatience = 10 * time.Second // to find one
	routerAgain    = 5 * time.Minute  // to look for one again
	routerLook     = 15 * time.Second // at what it says
)

// mapPorts asks the router to pass our port through, until ctx ends. Routers come,
// go, and change their mind.
func (h *Host) mapPorts(ctx context.Context) {
	for ctx.Err() == nil {
		finding, cancel := context.WithTimeout(ctx, routerPatience)
		r, err := h.cfg.FindRouter(finding)
		cancel()
		if err != nil {
			h.routerSaid(RouterSilent, nil)
			pause(ctx, routerAgain)
			continue
		}
		h.keepMapped(ctx, r)
		r.Close()
	}
}

// keepMapped returns when ctx ends or the router has refused for a while: there may
// be another one by then.
func (h *Host) keepMapped(ctx context.Context, r Mapper) {
	for _, protocol := range []string{"udp", "tcp"} {
		if err := r.AddMapping(ctx, protocol, h.Port()); err != nil {
			h.log.Debug("port not mapped", "protocol", protocol, "err", err)
		}
	}
	for _, port := range h.cfg.MapTCP {
		if err := r.AddMapping(ctx, "tcp", port); err != nil {
			h.log.Debug("port not mapped", "port", port, "err", err)
		}
	}
	for refused := time.Duration(0); refused < routerAgain; refused += routerLook {
		says, mapped := h.mappings(r)
		h.routerSaid(says, mapped)
		if says != RouterRefuses {
			refused = 0
		}
		if !pause(ctx, routerLook) {
			return
		}
	}
}

func (h *Host) mappings(r Mapper) (says RouterSays, mapped []netip.AddrPort) {
	says = RouterRefuses
	for _, protocol := range []string{"udp", "tcp"} {
		a, ok := r.GetMapping(protocol, h.Port())
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		switch {
		case !ok || a.Port() == 0:
		case !IsPublic(a.Addr()): // it promises what it cannot keep
			says = max(says, RouterPrivate)
		default:
			says = RouterPasses
			mapped = append(mapped, a)
		}
	}
	return says, mapped
}

// routerSaid takes in what the router says now.
func (h *Host) routerSaid(says RouterSays, mapped []netip.AddrPort) {
	h.mu.Lock()
	was := h.router
	h.router, h.mapped = says, mapped
	h.mu.Unlock()
	if was != says {
		h.log.Info("router", "says", says.String(), "outside", mapped)
		poke(h.outside)
	}
	poke(h.republish)
}
