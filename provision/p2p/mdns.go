package p2p

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"redhen/provision/p2p/localname"
	"redhen/provision/p2p/netaddr"
)

const (
	mdnsService = "_redhen-box._udp"
	mdnsRetry   = time.Minute // after the network had no multicast
)

// discover announces this box on the local network and learns where others are,
// anew when the machine's addresses change. A network without multicast costs
// only a try a minute.
func (h *Host) discover(ctx context.Context) {
	quiet := false
	for ctx.Err() == nil {
		network := localname.Network()
		s := mdns.NewMdnsService(h.h, mdnsService, found{h})
		err := s.Start()
		if err != nil && !quiet {
			h.log.Info("no mdns on this network", "err", err)
		}
		quiet = err != nil
		begun := time.Now()
		for localname.Network() == network && (err == nil || time.Since(begun) < mdnsRetry) && pause(ctx, localname.Look) {
		}
		s.Close()
	}
}

// found hears of boxes on the local network: only a hint, proved by connecting.
type found struct{ h *Host }

// HandlePeerFound takes the hint when it is about a member, or one that was.
func (f found) HandlePeerFound(info peer.AddrInfo) {
	box := boxID(info.ID)
	if !f.h.guests.known(box) && !f.h.guests.hasLeft(box) {
		return
	}
	for _, m := range info.Addrs {
		if a := netaddr.AddrPort(m); a.IsValid() && !a.Addr().IsLoopback() {
			f.h.Learn(box, a)
		}
	}
}
