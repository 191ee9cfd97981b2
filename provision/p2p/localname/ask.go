package localname

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
)

// Fresh is answered by boxes that belong to nobody yet.
const Fresh = "redhen-new"

const (
	maxHeard  = 16   // addresses that Ask returns
	maxAnswer = 1500 // bytes of one answer
)

// Ask asks the local network who answers to LABEL.local, and listens until ctx ends
// (RFC 6762 §6.7: from a port of our own, so that the answers come to us alone). It
// returns IPv4 addresses, ascending; each answered for itself.
func Ask(ctx context.Context, label string) ([]netip.Addr, error) {
	c, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", label, err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })() // no error can matter
	id := uint16(rand.Uint32())
	if err := askEverywhere(c, id, label); err != nil {
		return nil, err
	}
	var heard []netip.Addr
	for buf := make([]byte, maxAnswer); len(heard) < maxHeard; {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			break // ctx ended
		}
		if a, ok := answered(buf[:n], id, label); ok && a == sender(from) && !slices.Contains(heard, a) {
			heard = append(heard, a)
		}
	}
	slices.SortFunc(heard, netip.Addr.Compare)
	return heard, nil
}

func sender(a net.Addr) netip.Addr {
	from, _ := netip.ParseAddrPort(a.String()) // zero is nobody's
	return from.Addr().Unmap()
}

// askEverywhere sends the question to each network; it fails when none takes it.
func askEverywhere(c net.PacketConn, id uint16, label string) error {
	name, err := dnsmessage.NewName(label + ".local.")
	if err != nil {
		return fmt.Errorf("ask for %s: %w", label, err)
	}
	msg := dnsmessage.Message{Header: dnsmessage.Header{ID: id}, Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, err := msg.Pack()
	if err != nil {
		return fmt.Errorf("ask for %s: %w", label, err)
	}
	networks, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("ask for %s: %w", label, err)
	}
	p, to := ipv4.NewPacketConn(c), &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	sent := false
	for _, ifc := range networks {
		if ifc.Flags&(net.FlagUp|net.FlagMulticast) != net.FlagUp|net.FlagMulticast {
			continue
		}
		if p.SetMulticastInterface(&ifc) == nil {
			_, err := p.WriteTo(b, nil, to)
			sent = sent || err == nil
		}
	}
	if !sent {
		return errors.New("no network here carries the question")
	}
	return nil
}

// answered reads an answer to the question of this number: the address it names.
func answered(b []byte, id uint16, label string) (netip.Addr, bool) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || !h.Response || h.ID != id || p.SkipAllQuestions() != nil {
		return netip.Addr{}, false
	}
	r, err := p.AnswerHeader()
	if err != nil || r.Type != dnsmessage.TypeA || r.Name.String() != label+".local." {
		return netip.Addr{}, false
	}
	a, err := p.AResource()
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4(a.A), true
}
