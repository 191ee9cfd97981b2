// Package portmap asks the router of a home to pass a port through.
package portmap

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/p2p/net/nat"

	"redhen/provision/p2p/netaddr"
	"redhen/provision/p2p/pcp"
)

// Mapper is a router that passes ports through when a box asks it to (UPnP, NAT-PMP, PCP).
type Mapper interface {
	// AddMapping asks for the port of the protocol, "tcp" or "udp", and keeps asking.
	AddMapping(ctx context.Context, protocol string, port int) error
	// GetMapping returns where the port is on the outside; false while the router refuses.
	GetMapping(protocol string, port int) (netip.AddrPort, bool)
	Close() error
}

var (
	_ Mapper = (*nat.NAT)(nil)
	_ Mapper = (*pcp.Client)(nil)
	_ Mapper = routers(nil)
)

// Says is what the router answered when it was asked to pass our port through.
type Says int

const (
	NotAsked Says = iota // or not yet
	Silent               // no router answers: it has no UPnP, NAT-PMP or PCP, or it is switched off
	Refuses
	Private // it passes the port, at an address that nobody outside can reach: another NAT is behind it
	Passes
)

// String returns one word.
func (r Says) String() string {
	return [...]string{"not asked", "silent", "refuses", "private", "passes"}[r]
}

const (
	patience = 10 * time.Second // to find a router
	again    = 5 * time.Minute  // to look for one again
	look     = 15 * time.Second // at what it says
)

// Keeper keeps a port passed through.
type Keeper struct {
	Find func(context.Context) (Mapper, error) // nil = Find
	Port int
	More []int                        // ports of other doors, TCP alone; what becomes of them is not told
	Said func(Says, []netip.AddrPort) // hears what the router says, again and again
	Log  *slog.Logger
}

// Run asks until ctx ends. Routers come, go, and change their mind.
func (k Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		finding, cancel := context.WithTimeout(ctx, patience)
		r, err := k.Find(finding)
		cancel()
		if err != nil {
			k.Said(Silent, nil)
			pause(ctx, again)
			continue
		}
		k.keep(ctx, r)
		r.Close()
	}
}

// keep returns when ctx ends or the router has refused for a while: there may be
// another one by then.
func (k Keeper) keep(ctx context.Context, r Mapper) {
	for _, protocol := range []string{"udp", "tcp"} {
		if err := r.AddMapping(ctx, protocol, k.Port); err != nil {
			k.Log.Debug("port not mapped", "protocol", protocol, "err", err)
		}
	}
	for _, port := range k.More {
		if err := r.AddMapping(ctx, "tcp", port); err != nil {
			k.Log.Debug("port not mapped", "port", port, "err", err)
		}
	}
	for refused := time.Duration(0); refused < again; refused += look {
		says, mapped := k.mappings(r)
		k.Said(says, mapped)
		if says != Refuses {
			refused = 0
		}
		if !pause(ctx, look) {
			return
		}
	}
}

func (k Keeper) mappings(r Mapper) (says Says, mapped []netip.AddrPort) {
	says = Refuses
	for _, protocol := range []string{"udp", "tcp"} {
		a, ok := r.GetMapping(protocol, k.Port)
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		switch {
		case !ok || a.Port() == 0:
		case !netaddr.IsPublic(a.Addr()): // it promises what it cannot keep
			says = max(says, Private)
		default:
			says = Passes
			mapped = append(mapped, a)
		}
	}
	return says, mapped
}

// pause waits; it reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
