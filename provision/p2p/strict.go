package p2p

import (
	"context"
	"io"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/transport"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
)

// strictQUIC is libp2p's QUIC, but where our router gives every destination another port
// we are never the side of a punch that waits to be dialled: nobody can know the port.
// libp2p's own turn of the sides comes at the third try, seconds later.
type strictQUIC struct {
	transport.Transport
	strict func() bool
}

var (
	_ transport.Transport = (*strictQUIC)(nil)
	_ io.Closer           = (*strictQUIC)(nil)
)

// newQUIC makes the transport; fx, which libp2p is put together by, knows what to pass.
func (h *Host) newQUIC(key crypto.PrivKey, cm *quicreuse.ConnManager, psk pnet.PSK, gater connmgr.ConnectionGater, limits network.ResourceManager) (transport.Transport, error) {
	t, err := libp2pquic.NewTransport(key, cm, psk, gater, limits)
	if err != nil {
		return nil, err
	}
	return &strictQUIC{t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.strict()
	}}, nil
}

// Dial dials, or opens the NAT and waits to be dialled, as a punch has it.
func (q *strictQUIC) Dial(ctx context.Context, to ma.Multiaddr, id peer.ID) (transport.CapableConn, error) {
	if punch, isClient, why := network.GetSimultaneousConnect(ctx); punch && !isClient && q.strict() {
		ctx = network.WithSimultaneousConnect(ctx, true, why)
	}
	return q.Transport.Dial(ctx, to, id)
}

// ListenOrder puts QUIC before what shares its port.
func (q *strictQUIC) ListenOrder() int { return libp2pquic.ListenOrder }

// Close ends all connections.
func (q *strictQUIC) Close() error { return q.Transport.(io.Closer).Close() }
