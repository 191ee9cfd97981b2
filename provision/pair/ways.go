package pair

import (
	"net/netip"
	"slices"

	"redhen/provision/p2p/netaddr"
	"redhen/provision/ticket"
)

// bestMix puts one public address and one of the local network first, since a
// ticket carries three: the friend may sit in the next room or in another town.
func bestMix(addrs []netip.AddrPort) []netip.AddrPort {
	var mix []netip.AddrPort
	for _, public := range []bool{true, false} {
		i := slices.IndexFunc(addrs, func(a netip.AddrPort) bool { return netaddr.IsPublic(a.Addr()) == public })
		if i >= 0 {
			mix = append(mix, addrs[i])
		}
	}
	for _, a := range addrs {
		if !slices.Contains(mix, a) {
			mix = append(mix, a)
		}
	}
	return mix
}

// relay picks the member that relays to us and is most likely dialled by a stranger.
func (d *Desk) relay() (best *ticket.Relay) {
	least := hidden
	for _, box := range d.cfg.Host.Relays() {
		if a, w := front(d.cfg.Host.AddrsOf(box)); a.IsValid() && (best == nil || w < least) {
			best, least = &ticket.Relay{Box: box, Addr: a}, w
		}
	}
	return best
}

// wall is what stands between a stranger and a public address.
type wall int

const (
	none   wall = iota // the box has no other address: it is its own
	open               // a router that keeps the port: it may be forwarded
	hidden             // a router that changed the port: most let in only whom they know
)

// front returns the public address of a box that strangers should try, invalid when
// it has none. Members punch through walls; a stranger cannot.
func front(addrs []netip.AddrPort) (best netip.AddrPort, least wall) {
	for _, a := range addrs {
		if !netaddr.IsPublic(a.Addr()) {
			continue
		}
		w := none
		for _, inside := range addrs {
			switch {
			case netaddr.IsPublic(inside.Addr()):
			case inside.Port() == a.Port():
				w = max(w, open)
			default:
				w = hidden
			}
		}
		if !best.IsValid() || w < least {
			best, least = a, w
		}
	}
	return best, least
}
