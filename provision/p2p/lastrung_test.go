package p2p

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

// Rule: what strangers tell leads to the internet or is not tried: nobody has us knock
// at our own network, or at ourselves.
func TestOnlyPublicAddressesOfStrangersAreTried(t *testing.T) {
	h := testHost(t, Config{})
	const relay = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
	for text, want := range map[string]bool{
		"/ip4/8.1.2.3/udp/4717/quic-v1":                                          true,
		"/ip4/8.1.2.3/tcp/4717":                                                  true,
		"/ip4/192.168.1.1/tcp/80":                                                false,
		"/ip4/127.0.0.1/tcp/80":                                                  false,
		"/ip4/100.64.0.1/udp/1/quic-v1":                                          false,
		"/dns4/example.org/tcp/80":                                               false,
		"/ip4/8.1.2.3/udp/4001/quic-v1/p2p/" + relay + "/p2p-circuit":            true,
		"/ip4/10.0.0.1/udp/4001/quic-v1/p2p/" + relay + "/p2p-circuit":           false,
		"/p2p/" + relay + "/p2p-circuit":                                         false,
		"/ip4/8.1.2.3/udp/4001/quic-v1/p2p/" + string(h.Self()) + "/p2p-circuit": false,
	} {
		if got := h.mayTry(ma.StringCast(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// Rule: a stranger that relays may connect, and opens nothing but libp2p's own.
func TestALentRelayIsNoGuest(t *testing.T) {
	g := newGuests("self")
	g.addLent("stranger")
	if !g.mayStay("stranger") || g.known("stranger") || g.mayOpen("stranger", Anyone) || g.mayOpen("stranger", Members) {
		t.Error("a lent relay may more than connect, or not even that")
	}
	g.setLent(nil)
	if g.mayStay("stranger") {
		t.Error("it stays after it was given back")
	}
}
