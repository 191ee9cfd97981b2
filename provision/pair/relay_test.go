package pair

import (
	"net/netip"
	"testing"
)

// A ticket names the relay that a stranger can dial: not one that only members
// reach, by punching through its router.
func TestTheFrontOfABox(t *testing.T) {
	for _, c := range []struct {
		name, want string
		wall       wall
		addrs      []string
	}{
		{"nothing known", "invalid AddrPort", none, nil},
		{"at home, unseen from outside", "invalid AddrPort", none, []string{"192.168.1.2:4717"}},
		{"a rented server", "8.0.0.1:4717", none, []string{"8.0.0.1:4717"}},
		{"a forwarded port", "8.0.0.1:4717", open, []string{"8.0.0.1:4717", "192.168.1.2:4717"}},
		{"behind a router", "8.0.0.1:32203", hidden, []string{"192.168.1.2:4717", "8.0.0.1:32203"}},
		{"forwarded, and seen otherwise", "8.0.0.1:4717", open, []string{"8.0.0.1:32203", "8.0.0.1:4717", "192.168.1.2:4717"}},
	} {
		var addrs []netip.AddrPort
		for _, a := range c.addrs {
			addrs = append(addrs, netip.MustParseAddrPort(a))
		}
		if got, w := front(addrs); got.String() != c.want || got.IsValid() && w != c.wall {
			t.Errorf("%s: got %v, wall %d; want %s, %d", c.name, got, w, c.want, c.wall)
		}
	}
}
