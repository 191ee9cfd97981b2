package appliance

import (
	"slices"
	"testing"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

// TestNear: only boxes on the network of the house count, and only while they are
// reached there.
func TestNear(t *testing.T) {
	got := near([]p2p.Link{
		{Box: "home", State: p2p.Direct, Addr: "/ip4/192.168.1.41/tcp/4717"},
		{Box: "home6", State: p2p.Direct, Addr: "/ip6/fd00::7/udp/4717/quic-v1"},
		{Box: "away", State: p2p.None, Addr: "/ip4/192.168.1.42/tcp/4717"},
		{Box: "friend", State: p2p.Direct, Addr: "/ip4/203.0.113.7/udp/4717/quic-v1"},
		{Box: "relayed", State: p2p.Relayed, Addr: "/ip4/192.168.1.43/tcp/4717"},
		{Box: "odd", State: p2p.Direct, Addr: "/dns4/192.168.1.1"},
		{Box: "none", State: p2p.Direct},
	})
	if want := []ident.BoxID{"home", "home6"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
