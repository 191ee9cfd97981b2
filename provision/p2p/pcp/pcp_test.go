package pcp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// gateway is a router that speaks the protocol on the loopback address.
type gateway struct {
	conn   *net.UDPConn
	says   func(mapping) mapping // the answer to a request
	deaf   atomic.Int32          // requests that get lost first
	asked  atomic.Int32
	spoils []byte // sent before every answer
}

// start starts a router; it ends with the test.
func (g *gateway) start(t testing.TB, ip string) *gateway {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0)))
	if err != nil {
		t.Skipf("no %s on this machine: %v", ip, err)
	}
	g.conn = conn
	done := make(chan struct{})
	go func() { g.serve(); close(done) }()
	t.Cleanup(func() { conn.Close(); <-done })
	return g
}

func (g *gateway) at() netip.AddrPort { return g.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (g *gateway) serve() {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := g.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		g.asked.Add(1)
		if g.deaf.Add(-1) >= 0 || g.says == nil {
			continue
		}
		m, ok := readRequest(buf[:n])
		if !ok {
			continue
		}
		if m.client != from.Addr().Unmap() {
			m.result = 12 // ADDRESS_MISMATCH, RFC 6887, 11.3
		} else {
			m = g.says(m)
		}
		if g.spoils != nil {
			g.conn.WriteToUDPAddrPort(g.spoils, from)
		}
		g.conn.WriteToUDPAddrPort(m.answer(), from)
	}
}

// readRequest decodes by the figures of RFC 6887, 7.1 and 11.1, for itself.
func readRequest(b []byte) (m mapping, ok bool) {
	if len(b) != 60 || b[0] != 2 || b[1] != 1 || b[2] != 0 || b[3] != 0 {
		return m, false
	}
	m.lifetime = time.Duration(binary.BigEndian.Uint32(b[4:8])) * time.Second
	m.client = netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	copy(m.nonce[:], b[24:36])
	m.protocol, m.internal = b[36], binary.BigEndian.Uint16(b[40:42])
	m.external = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[44:60])).Unmap(), binary.BigEndian.Uint16(b[42:44]))
	return m, true
}

func passesAt(ip string) func(mapping) mapping {
	return func(m mapping) mapping {
		m.external = netip.AddrPortFrom(netip.MustParseAddr(ip), m.external.Port()+1)
		return m
	}
}

// Rule: a router that passes the port says where, for both protocols, also when the
// first request gets lost; answers to somebody else do not count.
func TestARouterPassesThePort(t *testing.T) {
	for ip, outside := range map[string]string{"127.0.0.1": "8.0.0.9", "::1": "2600::5"} {
		t.Run(ip, func(t *testing.T) {
			other := mapping{protocol: UDP, internal: 4717, external: netip.MustParseAddrPort("9.9.9.9:9")}
			g := &gateway{says: passesAt(outside), spoils: other.answer()} // with another nonce
			g.deaf.Store(1)
			g.start(t, ip)
			c := New(g.at(), netip.MustParseAddr(ip))
			defer c.Close()
			for _, protocol := range []string{"udp", "tcp"} {
				if err := c.AddMapping(t.Context(), protocol, 4717); err != nil {
					t.Fatal(err)
				}
				want := netip.AddrPortFrom(netip.MustParseAddr(outside), 4718)
				if got, ok := c.GetMapping(protocol, 4717); !ok || got != want {
					t.Errorf("%s: got %v, %v; want %v", protocol, got, ok, want)
				}
			}
			if n := g.asked.Load(); n < 3 { // a slow answer is asked for again
				t.Errorf("%d requests, want 3", n)
			}
		})
	}
}

func TestARouterRefuses(t *testing.T) {
	g := (&gateway{says: func(m mapping) mapping { m.result = 2; return m }}).start(t, "127.0.0.1")
	c := New(g.at(), netip.MustParseAddr("127.0.0.1"))
	defer c.Close()
	var r Result
	if err := c.AddMapping(t.Context(), "udp", 4717); !errors.As(err, &r) || r.String() != "not authorized" {
		t.Errorf("got %v", err)
	}
	if a, ok := c.GetMapping("udp", 4717); ok {
		t.Errorf("got %v", a)
	}
}

func TestARouterThatIsSilent(t *testing.T) {
	g := (&gateway{}).start(t, "127.0.0.1")
	c := New(g.at(), netip.MustParseAddr("127.0.0.1"))
	defer c.Close()
	if _, err := c.ask(t.Context(), mapping{protocol: UDP, internal: 9}); !errors.Is(err, ErrSilent) {
		t.Errorf("got %v", err)
	}
	for begun := time.Now(); g.asked.Load() < tries && time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) { // the last is on its way
	}
	if n := g.asked.Load(); n != tries {
		t.Errorf("%d requests, want %d", n, tries)
	}
}

// The bytes of a request as RFC 6887 draws them.
func TestTheBytesOfARequest(t *testing.T) {
	b := mapping{lifetime: 2 * time.Hour, client: netip.MustParseAddr("192.168.1.2"), protocol: TCP, internal: 4717,
		external: netip.MustParseAddrPort("0.0.0.0:4717"), nonce: [12]byte{1, 2, 3}}.request()
	want := "\x02\x01\x00\x00\x00\x00\x1c\x20" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\xa8\x01\x02" +
		"\x01\x02\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x06\x00\x00\x00\x12\x6d\x12\x6d" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00"
	if string(b) != want {
		t.Errorf("got  %x\nwant %x", b, want)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(mapping{protocol: UDP, internal: 1, external: netip.MustParseAddrPort("1.2.3.4:5")}.answer())
	f.Add([]byte("\x00\x81\x00\x01\x00\x00\x00\x00")) // of a router that knows only NAT-PMP
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readAnswer(b)
		if err == nil && len(b) == mapSize && m.external.Addr().Is4() {
			if again, err := readAnswer(m.answer()); err != nil || again != m {
				t.Fatalf("got %+v, want %+v", again, m)
			}
		}
	})
}
