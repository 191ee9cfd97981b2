package p2p

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

const (
	mdnsService = "_redhen-box._udp"
	mdnsRetry   = time.Minute // after the network had no multicast
)

// discover announces this box on the local network and learns where others are.
// A network without multicast only costs a try a minute.
func (h *Host) discover(ctx context.Context) {
	for ctx.Err() == nil {
		s := mdns.NewMdnsService(h.h, mdnsService, found{h})
		if err := s.Start(); err != nil {
			h.log.Info("no mdns on this network", "err", err)
			s.Close()
			pause(ctx, mdnsRetry)
			continue
		}
		<-ctx.Done()
		s.Close()
	}
}

// found hears of boxes on the local network: only a hint, proved by connecting.
type found struct{ h *Host }

// HandlePeerFound takes the hint when it is about a member.
func (f found) HandlePeerFound(info peer.AddrInfo) {
	box := boxID(info.ID)
	if !f.h.guests.known(box) {
		return
	}
	for _, m := range info.Addrs {
		if a := addrPort(m); a.IsValid() && !a.Addr().IsLoopback() {
			f.h.Learn(box, a)
		}
	}
}
