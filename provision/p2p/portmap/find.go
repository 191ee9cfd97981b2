package portmap

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/libp2p/go-libp2p/p2p/net/nat"

	"redhen/provision/p2p/netaddr"
	"redhen/provision/p2p/pcp"
)

// Find looks for the router on the local network by all that routers may speak, side by
// side, until ctx ends: UPnP and NAT-PMP, PCP, and PCP for the firewall of IPv6.
func Find(ctx context.Context) (Mapper, error) {
	var mu sync.Mutex
	var found routers
	var wg sync.WaitGroup
	add := func(m Mapper, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			found = append(found, m)
		}
	}
	wg.Go(func() {
		r, err := nat.DiscoverNAT(ctx)
		add(r, err)
	})
	for _, far := range []string{"8.8.8.8", "2000::1"} { // nothing is sent there
		wg.Go(func() {
			r, err := pcp.Find(ctx, netip.MustParseAddr(far))
			add(r, err)
		})
	}
	wg.Wait()
	if len(found) == 0 {
		return nil, errors.New("no router answers")
	}
	return found, nil
}

// routers are the ways to ask one router, or two of them.
type routers []Mapper

// AddMapping asks by every way; one that is granted is enough.
func (r routers) AddMapping(ctx context.Context, protocol string, port int) error {
	var errs []error
	for _, m := range r {
		if err := m.AddMapping(ctx, protocol, port); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < len(r) {
		return nil
	}
	return errors.Join(errs...)
}

// GetMapping returns the port at a public address if there is one, else at any.
func (r routers) GetMapping(protocol string, port int) (at netip.AddrPort, ok bool) {
	for _, m := range r {
		a, granted := m.GetMapping(protocol, port)
		switch {
		case !granted:
		case netaddr.IsPublic(a.Addr().Unmap()):
			return a, true
		default:
			at, ok = a, true
		}
	}
	return at, ok
}

// Close closes all.
func (r routers) Close() error {
	var errs []error
	for _, m := range r {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
