// Package localname answers for a box's name on the local network.
package localname

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Common leads to the box of this house, whatever it is called.
const Common = "redhen"

// Names answers on the local network for NAME.local (mDNS, RFC 6762). Where the
// network has no multicast it does nothing, and tries again.
type Names struct {
	log *slog.Logger

	mu      sync.Mutex
	labels  []string
	changed chan struct{} // capacity 1
}

// New makes a responder for the names. A nil logger logs nothing.
func New(log *slog.Logger, names ...string) *Names {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	n := &Names{log: log, changed: make(chan struct{}, 1)}
	n.Set(names...)
	return n
}

// Set replaces the names. Each is made a label by Label.
func (n *Names) Set(names ...string) {
	var labels []string
	for _, name := range names {
		if l := Label(name); l != "" {
			labels = append(labels, l)
		}
	}
	slices.Sort(labels)
	n.mu.Lock()
	n.labels = slices.Compact(labels)
	n.mu.Unlock()
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// Labels returns what it answers for, without ".local".
func (n *Names) Labels() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.labels)
}

// Label makes a DNS label of a box's name: "Oak Street" is "oak-street". It
// is empty when nothing of the name is left.
func Label(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	return strings.Trim(s[:min(len(s), 63)], "-")
}

// Run answers until ctx ends and returns nil. It begins anew when the names or the
// machine's addresses change.
func (n *Names) Run(ctx context.Context) error {
	quiet := false
	for ctx.Err() == nil {
		network := Network()
		server, err := n.serve()
		if err != nil && !quiet {
			n.log.Info("no host names on this network", "err", err)
		}
		quiet = err != nil
		n.untilChange(ctx, network, err != nil)
		if server != nil {
			server.Close()
		}
	}
	return nil
}

// untilChange waits for new names, another network, the end, or the next try.
func (n *Names) untilChange(ctx context.Context, network string, retry bool) {
	for i := 0; Network() == network && !(retry && i*int(Look) >= int(retryAfter)); i++ {
		t := time.NewTimer(Look)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-n.changed:
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// serve starts a responder for the present names on the present interfaces; IPv4
// or IPv6 may be missing.
func (n *Names) serve() (*mdns.Conn, error) {
	labels := n.Labels()
	if len(labels) == 0 {
		return nil, nil
	}
	for i := range labels {
		labels[i] += ".local"
	}
	v4, err4 := listenMulticast("udp4", mdns.DefaultAddressIPv4)
	v6, err6 := listenMulticast("udp6", mdns.DefaultAddressIPv6)
	if v4 == nil && v6 == nil {
		return nil, errors.Join(err4, err6)
	}
	var p4 *ipv4.PacketConn
	var p6 *ipv6.PacketConn
	if v4 != nil {
		p4 = ipv4.NewPacketConn(v4)
	}
	if v6 != nil {
		p6 = ipv6.NewPacketConn(v6)
	}
	c, err := mdns.NewServer(p4, p6, mdns.WithName("redhen"), mdns.WithLocalNames(labels...),
		mdns.WithRecordTypes(dnsmessage.TypeA, dnsmessage.TypeAAAA),
		mdns.WithLoggerFactory(silent{}))
	if err != nil {
		for _, l := range []*net.UDPConn{v4, v6} {
			if l != nil {
				l.Close()
			}
		}
		return nil, fmt.Errorf("answer for host names: %w", err)
	}
	return c, nil
}

func listenMulticast(network, addr string) (*net.UDPConn, error) {
	a, err := net.ResolveUDPAddr(network, addr)
	if err != nil {
		return nil, err
	}
	return net.ListenUDP(network, a)
}

// Look is how often the machine's addresses are looked at.
const Look = 10 * time.Second

const retryAfter = time.Minute // the network had no multicast

// Network describes the machine's addresses, to tell when they change.
func Network() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	out := make([]string, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, a.String())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// silent keeps pion's own words out of the log; what matters Run says.
type silent struct{}

// NewLogger returns a logger that writes nothing.
func (silent) NewLogger(string) logging.LeveledLogger {
	return &logging.DefaultLeveledLogger{}
}
