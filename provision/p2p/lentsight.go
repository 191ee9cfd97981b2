package p2p

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	msmux "github.com/multiformats/go-multistream"
	"google.golang.org/protobuf/proto"
)

// Strangers know no beats. But all of libp2p tell, as often as they are asked, from
// which address they see a connection come (identify). That shows whether the
// connection is alive, and whether we have moved: without it nobody can punch.
const (
	sightAgain    = 20 * time.Second
	sightPatience = 5 * time.Second
	maxIdentify   = 8 << 10 // bytes
)

// checkLent looks at the connections with the strangers that relay to us, and closes
// those that are dead or began at an address that we no longer have.
func (h *Host) checkLent(ctx context.Context) {
	h.mu.Lock()
	due := time.Since(h.rung.checked) >= sightAgain
	var lent []peer.ID
	if due {
		h.rung.checked = time.Now()
		for p := range h.rung.lent {
			lent = append(lent, p)
		}
	}
	h.mu.Unlock()
	for _, p := range lent {
		for _, c := range h.h.Network().ConnsToPeer(p) {
			if !isDirect(c) || isTCP(c.RemoteMultiaddr()) {
				continue
			}
			now, err := sight(ctx, c)
			h.mu.Lock()
			began, known := h.rung.seen[c]
			h.mu.Unlock()
			if err != nil || known && now != began {
				h.log.Info("connection with a stranger is dead or stale", "peer", p.String(), "err", err)
				c.Close()
			}
		}
	}
}

// sight asks from which address the other side sees the connection come.
func sight(ctx context.Context, c network.Conn) (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, sightPatience)
	defer cancel()
	s, err := c.NewStream(ctx)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(sightPatience))
	if err := msmux.SelectProtoOrFail(identify.ID, s); err != nil {
		return netip.AddrPort{}, err
	}
	return readSight(s)
}

// readSight reads libp2p's identify message: a length and a protobuf.
func readSight(r io.Reader) (netip.AddrPort, error) {
	b := bufio.NewReader(io.LimitReader(r, maxIdentify))
	n, err := binary.ReadUvarint(b)
	if err != nil || n > maxIdentify {
		return netip.AddrPort{}, fmt.Errorf("identify of %d bytes: %w", n, err)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(b, raw); err != nil {
		return netip.AddrPort{}, fmt.Errorf("identify: %w", err)
	}
	var m pb.Identify
	if err := proto.Unmarshal(raw, &m); err != nil {
		return netip.AddrPort{}, fmt.Errorf("identify: %w", err)
	}
	a, err := ma.NewMultiaddrBytes(m.GetObservedAddr())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("identify: %w", err)
	}
	return addrPort(a), nil
}
