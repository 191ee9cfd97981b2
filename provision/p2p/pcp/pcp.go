// Package pcp asks a router to pass a port through by the Port Control Protocol
// (RFC 6887): for IPv4 a port of the router's own address, for IPv6 a hole in its
// firewall.
package pcp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-netroute"
)

// Port is where routers listen.
const Port = 5351

const (
	lifetime  = 2 * time.Hour          // asked for
	shortest  = 2 * time.Minute        // less is not believed: we would ask all the time
	longest   = 24 * time.Hour         // RFC 6887, 15
	refused   = 5 * time.Minute        // until a router that refused is asked again
	firstWait = 250 * time.Millisecond // for an answer; twice as long at every try
	tries     = 4
)

// ErrSilent says that the router does not answer.
var ErrSilent = errors.New("router does not speak PCP")

// Client asks one router on behalf of one address of this machine.
type Client struct {
	gateway netip.AddrPort
	local   netip.Addr
	nonce   [12]byte // proves that a later request is by who made the mapping

	end  context.CancelFunc
	ctx  context.Context // of the renewals; ends with Close
	work sync.WaitGroup

	mu    sync.Mutex
	ports map[string]netip.AddrPort // by protocol: where the port is on the outside
}

// Find looks for the router that leads to an address of the internet, any will do, and
// returns a client of it if it answers.
func Find(ctx context.Context, towards netip.Addr) (*Client, error) {
	routes, err := netroute.New()
	if err != nil {
		return nil, fmt.Errorf("find router: %w", err)
	}
	_, gw, src, err := routes.Route(towards.AsSlice())
	if err != nil {
		return nil, fmt.Errorf("find router: %w", err)
	}
	gateway, ok := netip.AddrFromSlice(gw)
	local, ok2 := netip.AddrFromSlice(src)
	if !ok || !ok2 || gateway.IsUnspecified() {
		return nil, ErrSilent
	}
	c := New(netip.AddrPortFrom(gateway.Unmap(), Port), local.Unmap())
	if _, err := c.ask(ctx, mapping{protocol: UDP, internal: 9}); errors.Is(err, ErrSilent) { // ends a mapping that is not there
		c.Close()
		return nil, err
	}
	return c, nil
}

// New makes a client of the router at gateway for this machine's address.
func New(gateway netip.AddrPort, local netip.Addr) *Client {
	c := &Client{gateway: gateway, local: local, ports: map[string]netip.AddrPort{}}
	rand.Read(c.nonce[:]) // never fails
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// AddMapping asks for the port of the protocol, "tcp" or "udp", and keeps asking until
// Close. It returns what the router says at first.
func (c *Client) AddMapping(ctx context.Context, protocol string, port int) error {
	want := mapping{lifetime: lifetime, protocol: UDP, internal: uint16(port), external: netip.AddrPortFrom(unspecified(c.local), uint16(port))}
	if protocol == "tcp" {
		want.protocol = TCP
	}
	again, err := c.renew(ctx, protocol, want)
	c.work.Go(func() { // ends with Close
		for {
			t := time.NewTimer(again)
			select {
			case <-c.ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
			again, _ = c.renew(c.ctx, protocol, want)
		}
	})
	return err
}

// unspecified is the address by which a client leaves the choice to the router.
func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// renew asks once and returns when to ask again.
func (c *Client) renew(ctx context.Context, protocol string, want mapping) (time.Duration, error) {
	got, err := c.ask(ctx, want)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.ports, protocol)
		return refused, err
	}
	c.ports[protocol] = got.external
	return min(max(got.lifetime, shortest), longest) / 2, nil
}

// GetMapping returns where the port is on the outside; false while the router refuses.
func (c *Client) GetMapping(protocol string, _ int) (netip.AddrPort, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.ports[protocol]
	return a, ok
}

// Close ends asking. What the router passes ends there by itself within two hours.
func (c *Client) Close() error {
	c.end()
	c.work.Wait()
	return nil
}

// ask sends a request until it is answered, and returns the answer to it. A refusal is
// a Result.
func (c *Client) ask(ctx context.Context, want mapping) (mapping, error) {
	want.client, want.nonce = c.local, c.nonce
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.local, 0)), net.UDPAddrFromAddrPort(c.gateway))
	if err != nil {
		return mapping{}, fmt.Errorf("%w: %w", ErrSilent, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	for try := range tries {
		if _, err := conn.Write(want.request()); err != nil {
			return mapping{}, fmt.Errorf("%w: %w", ErrSilent, err)
		}
		conn.SetReadDeadline(time.Now().Add(firstWait << try))
		if got, ok := c.await(conn, want); ok {
			if got.result != 0 {
				return got, got.result
			}
			return got, nil
		}
		if ctx.Err() != nil {
			return mapping{}, ctx.Err()
		}
	}
	return mapping{}, ErrSilent
}

// await reads until the answer to want has come, or the deadline.
func (c *Client) await(conn *net.UDPConn, want mapping) (mapping, bool) {
	buf := make([]byte, maxMessage+1)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return mapping{}, false
		}
		got, err := readAnswer(buf[:n])
		if err == nil && got.nonce == want.nonce && got.protocol == want.protocol && got.internal == want.internal {
			return got, true
		}
	}
}
