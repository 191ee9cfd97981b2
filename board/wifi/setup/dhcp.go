package setup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
)

// Addresses that are given out: the last byte of the first and the last one, for so long.
const (
	first, last = 10, 250
	leaseTime   = 10 * time.Minute
)

// desk gives out addresses, to each guest the same as long as there are enough.
type desk struct {
	box net.IP // that gives them out

	mu    sync.Mutex // guards given and next
	given map[string]byte
	next  byte
}

// of returns the address of a guest.
func (d *desk) of(guest net.HardwareAddr) net.IP {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, ok := d.given[guest.String()]
	if !ok {
		if d.next < first || d.next > last {
			d.next, d.given = first, map[string]byte{} // all are out: it begins anew
		}
		n = d.next
		d.next++
		d.given[guest.String()] = n
	}
	ip := slices.Clone(d.box)
	ip[3] = n
	return ip
}

// answer is what a guest gets to a message; nil: nothing (RFC 2131, 4.3).
func (d *desk) answer(m *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	box, yours := d.box, d.of(m.ClientHWAddr)
	kind := dhcpv4.MessageTypeOffer
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
	case dhcpv4.MessageTypeRequest:
		kind = dhcpv4.MessageTypeAck
		wanted := m.RequestedIPAddress()
		if wanted == nil || wanted.IsUnspecified() {
			wanted = m.ClientIPAddr
		}
		if server := m.ServerIdentifier(); server != nil && !server.Equal(box) {
			return nil, nil // it took another's offer
		}
		if !wanted.Equal(yours) {
			return dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(box)))
		}
	default:
		return nil, nil
	}
	return dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(yours), dhcpv4.WithServerIP(box),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(box)), dhcpv4.WithLeaseTime(uint32(leaseTime.Seconds())),
		dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(box), dhcpv4.WithDNS(box))
}

// ServeAddresses gives out addresses of the network box/24 on an interface until ctx ends.
// Router and name server are box, an IPv4 address that the interface has.
func ServeAddresses(ctx context.Context, iface string, box netip.Addr) error {
	d := &desk{box: box.AsSlice(), given: map[string]byte{}, next: first}
	s, err := server4.NewServer(iface, &net.UDPAddr{IP: net.IPv4zero, Port: dhcpv4.ServerPort}, func(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
		reply, err := d.answer(m)
		if err == nil && reply != nil {
			conn.WriteTo(reply.ToBytes(), peer) // who does not get it asks again
		}
	})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	if err := s.Serve(); ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
