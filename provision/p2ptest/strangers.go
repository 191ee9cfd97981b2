package p2ptest

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
)

// Strangers puts a small public DHT onto the internet. Its computers relay as public
// ones do: two minutes and 128 KiB for each connection. Boxes that start later on this
// internet are allowed to use it.
func (n *Net) Strangers(t testing.TB, count int) {
	t.Helper()
	var hosts []host.Host
	for range count {
		s := n.Spot()
		opts := append([]libp2p.Option{
			libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", s.addr, Port), fmt.Sprintf("/ip4/%s/tcp/%d", s.addr, Port)),
			libp2p.Security(libp2ptls.ID, libp2ptls.New),
			libp2p.Transport(libp2pquic.NewTransport),
			libp2p.ForceReachabilityPublic(), libp2p.EnableRelayService(), libp2p.DisableMetrics(),
		}, s.underlay()...)
		h, err := libp2p.New(opts...)
		if err != nil {
			t.Fatal(err)
		}
		d, err := dht.New(h, dht.Mode(dht.ModeServer), dht.DisableAutoRefresh())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			d.Close()
			h.Close()
		})
		for _, other := range hosts {
			if err := h.Connect(t.Context(), peer.AddrInfo{ID: other.ID(), Addrs: other.Addrs()}); err != nil {
				t.Fatal(err)
			}
		}
		hosts = append(hosts, h)
	}
	for _, h := range hosts[:min(count, 3)] {
		n.strangers = append(n.strangers, peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	}
}
