package p2p

import (
	"context"
	"net/netip"

	"redhen/provision/p2p/portmap"
)

// mapPorts asks the router to pass our port through, until ctx ends.
func (h *Host) mapPorts(ctx context.Context) {
	portmap.Keeper{Find: h.cfg.FindRouter, Port: h.Port(), More: h.cfg.MapTCP, Said: h.routerSaid, Log: h.log}.Run(ctx)
}

// routerSaid takes in what the router says now.
func (h *Host) routerSaid(says portmap.Says, mapped []netip.AddrPort) {
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
