package netaddr

import (
	"net/netip"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestAddrPort(t *testing.T) {
	const id = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
	for m, want := range map[string]string{
		"/ip4/1.2.3.4/tcp/5":                            "1.2.3.4:5",
		"/ip4/1.2.3.4/udp/5/quic-v1":                    "1.2.3.4:5",
		"/ip6/2001:db8::1/udp/65535/quic-v1":            "[2001:db8::1]:65535",
		"/ip6/::ffff:1.2.3.4/tcp/5":                     "1.2.3.4:5",
		"/ip4/1.2.3.4/tcp/5/p2p/" + id:                  "1.2.3.4:5",
		"/ip4/1.2.3.4/tcp/5/p2p/" + id + "/p2p-circuit": "invalid AddrPort",
		"/p2p/" + id + "/p2p-circuit":                   "invalid AddrPort",
		"/dns4/example.org/tcp/5":                       "invalid AddrPort",
		"/ip4/1.2.3.4":                                  "invalid AddrPort",
	} {
		if got := AddrPort(ma.StringCast(m)).String(); got != want {
			t.Errorf("%s: got %s, want %s", m, got, want)
		}
	}
}

func TestBothTransportsOfAnAddressComeBack(t *testing.T) {
	for _, want := range []netip.AddrPort{
		netip.MustParseAddrPort("1.2.3.4:5"), netip.MustParseAddrPort("[2001:db8::1]:5"), netip.MustParseAddrPort("127.0.0.1:65535"),
	} {
		got := Both(want)
		if len(got) != 2 || AddrPort(got[0]) != want || AddrPort(got[1]) != want {
			t.Errorf("%v: got %v", want, got)
		}
	}
}

func TestIsPublic(t *testing.T) {
	for a, want := range map[string]bool{
		"8.8.8.8": true, "2600::1": true,
		"192.168.1.1": false, "10.0.0.1": false, "100.64.0.1": false, "127.0.0.1": false, "169.254.0.1": false,
		"fe80::1": false, "fd00::1": false, "::1": false, "0.0.0.0": false, "224.0.0.1": false,
	} {
		if got := IsPublic(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: got %v", a, got)
		}
	}
}
