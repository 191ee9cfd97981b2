package p2p

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// On the local network TCP costs a quarter of QUIC's CPU; QUIC passes NATs.
func TestTCPFirstNearQUICFirstFarRelaysLast(t *testing.T) {
	const relay = "/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5/p2p-circuit"
	var all []ma.Multiaddr
	for _, s := range []string{
		"/ip4/192.168.1.2/udp/1/quic-v1", "/ip4/192.168.1.2/tcp/1", "/ip4/8.1.2.3/tcp/1", "/ip4/8.1.2.3/udp/1/quic-v1", relay,
	} {
		all = append(all, ma.StringCast(s))
	}
	delay := map[string]time.Duration{}
	for _, r := range rank(all) {
		delay[r.Addr.String()] = r.Delay
	}
	if len(delay) != len(all) {
		t.Fatalf("ranked %d of %d", len(delay), len(all))
	}
	for _, pair := range [][2]string{
		{"/ip4/192.168.1.2/tcp/1", "/ip4/192.168.1.2/udp/1/quic-v1"},
		{"/ip4/8.1.2.3/udp/1/quic-v1", "/ip4/8.1.2.3/tcp/1"},
		{"/ip4/8.1.2.3/udp/1/quic-v1", relay},
	} {
		if delay[pair[0]] >= delay[pair[1]] {
			t.Errorf("%s after %v, %s after %v", pair[0], delay[pair[0]], pair[1], delay[pair[1]])
		}
	}
}

func addrs(s ...string) (out []netip.AddrPort) {
	for _, a := range s {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}

func TestPublicAddressesComeFirst(t *testing.T) {
	h := testHost(t, Config{})
	seen := netip.MustParseAddrPort("8.8.8.8:99")
	h.seen[seen] = 1
	want := []netip.AddrPort{seen, netip.AddrPortFrom(loopback, uint16(h.Port()))}
	if got := h.Addrs(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheMostSeenAddressesAreTold(t *testing.T) {
	h := testHost(t, Config{})
	for i, n := range []int{1, 4, 2, 3} {
		h.seen[netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 0, 0, byte(i)}), 1)] = n
	}
	if got, want := h.seenAddrs(), addrs("8.0.0.1:1", "8.0.0.3:1", "8.0.0.2:1"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHintsAreBoundedAndOnlyAboutMembersWhenFound(t *testing.T) {
	h := testHost(t, Config{})
	box, p := testPeer(t)
	info := peer.AddrInfo{ID: p, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/192.168.1.9/tcp/1"), ma.StringCast("/ip4/127.0.0.1/tcp/1")}}
	found{h}.HandlePeerFound(info)
	if got := h.AddrsOf(box); len(got) != 0 {
		t.Errorf("a stranger was noted: %v", got)
	}
	h.SetMembers([]Member{{Box: box}})
	found{h}.HandlePeerFound(info)
	if got, want := h.AddrsOf(box), addrs("192.168.1.9:1"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range 100 {
		h.Learn(box, netip.AddrPortFrom(loopback, uint16(i)))
	}
	if got := h.AddrsOf(box); len(got) != 8 {
		t.Errorf("%d hints kept", len(got))
	}
}

// An address that a connection did not begin with means that ours has changed.
func TestAMovedAddressIsNoticed(t *testing.T) {
	h := testHost(t, Config{})
	st := &conn{}
	raw := func(s string) []byte { b, _ := netip.MustParseAddrPort(s).MarshalBinary(); return b }
	for i, step := range []struct {
		seen []byte
		want error
	}{{nil, nil}, {raw("8.8.8.8:1"), nil}, {raw("8.8.8.8:1"), nil}, {nil, nil}, {raw("8.8.8.8:2"), errMoved}} {
		if err := h.learn(st, 100*time.Millisecond, step.seen); err != step.want {
			t.Errorf("step %d: got %v, want %v", i, err, step.want)
		}
	}
	if err := h.learn(st, time.Millisecond, []byte("x")); err == nil {
		t.Error("garbage taken")
	}
	if st.rtt > 100*time.Millisecond || st.rtt < 80*time.Millisecond {
		t.Errorf("smoothed round trip %v", st.rtt)
	}
	lan := &conn{}
	for _, s := range []string{"192.168.1.2:1", "192.168.1.2:2"} {
		if err := h.learn(lan, time.Millisecond, raw(s)); err != nil {
			t.Errorf("on the local network: %v", err)
		}
	}
}
