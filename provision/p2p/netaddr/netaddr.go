// Package netaddr converts between the addresses of the network and those of libp2p.
package netaddr

import (
	"net"
	"net/netip"
	"strconv"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// shared is the shared space behind a provider's NAT (RFC 6598): a router that maps
// a port there has mapped nothing.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// IsShared reports whether an address belongs to the space behind a provider's NAT.
func IsShared(a netip.Addr) bool { return shared.Contains(a) }

// IsPublic reports whether an address can be reached from anywhere.
func IsPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// Both returns the multiaddrs of one address, TCP first.
func Both(a netip.AddrPort) []ma.Multiaddr {
	return []ma.Multiaddr{TCP(a), QUIC(a)}
}

// IsTCP reports whether an address is one of TCP.
func IsTCP(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_TCP)
	return err == nil
}

// TCP returns the multiaddr of an address for TCP.
func TCP(a netip.AddrPort) ma.Multiaddr { return multiaddr(net.TCPAddrFromAddrPort(a)) }

// QUIC returns the multiaddr of an address for QUIC.
func QUIC(a netip.AddrPort) ma.Multiaddr {
	return multiaddr(net.UDPAddrFromAddrPort(a)).Encapsulate(ma.StringCast("/quic-v1"))
}

func multiaddr(a net.Addr) ma.Multiaddr {
	m, err := manet.FromNetAddr(a)
	if err != nil {
		panic(err) // TCP and UDP addresses have multiaddrs
	}
	return m
}

// AddrPort reads the IP address and port of a multiaddr; zero when it has none.
func AddrPort(m ma.Multiaddr) netip.AddrPort {
	if _, err := m.ValueForProtocol(ma.P_CIRCUIT); err == nil {
		return netip.AddrPort{}
	}
	ip, err := manet.ToIP(m)
	if err != nil {
		return netip.AddrPort{}
	}
	text, err := m.ValueForProtocol(ma.P_TCP)
	if err != nil {
		text, err = m.ValueForProtocol(ma.P_UDP)
	}
	port, perr := strconv.ParseUint(text, 10, 16)
	a, ok := netip.AddrFromSlice(ip)
	if err != nil || perr != nil || !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port))
}
