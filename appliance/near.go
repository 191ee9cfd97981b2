package appliance

import (
	"net/netip"
	"slices"
	"strings"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

// near are the members that this box reaches on its own network.
func near(links []p2p.Link) (boxes []ident.BoxID) {
	for _, l := range links {
		if l.State == p2p.Direct && isLocal(l.Addr) {
			boxes = append(boxes, l.Box)
		}
	}
	return boxes
}

// neighbours are the members that this box reaches on its own network, but not on the
// same machine: those were put there to be tried.
func neighbours(links []p2p.Link) []ident.BoxID {
	return near(slices.DeleteFunc(slices.Clone(links), func(l p2p.Link) bool {
		return strings.HasPrefix(l.Addr, "/ip4/127.") || strings.HasPrefix(l.Addr, "/ip6/::1/")
	}))
}

// isLocal reports whether a multiaddr begins with an address of a home network.
func isLocal(addr string) bool {
	parts := strings.Split(addr, "/")
	if len(parts) < 3 || parts[0] != "" || parts[1] != "ip4" && parts[1] != "ip6" {
		return false
	}
	ip, err := netip.ParseAddr(parts[2])
	return err == nil && (ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsLoopback())
}
