package ingress

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

const marker = "the hens sleep in the barn"

// stream is a TCP connection in the place of a stream between boxes.
type stream struct {
	*net.TCPConn
	tap *tap
}

func (s stream) Reset() error { return s.Close() }
func (s stream) Write(b []byte) (int, error) {
	s.tap.note(b)
	return s.TCPConn.Write(b)
}
func (s stream) Read(b []byte) (int, error) {
	n, err := s.TCPConn.Read(b)
	s.tap.note(b[:n])
	return n, err
}

// tap sees all that passes between boxes.
type tap struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (t *tap) note(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.Write(b)
}

func (t *tap) saw(s string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.all.Bytes(), []byte(s))
}

// house is a box that serves.
type house struct {
	id     ident.BoxID
	name   string
	here   *Listener
	serves atomic.Bool
	dark   atomic.Bool
}

// village is a door and the houses behind it.
type village struct {
	t      *testing.T
	ctx    context.Context
	tap    tap
	houses []*house
	cert   tls.Certificate
	door   *Door
	at     string
	floods chan Flood
}

func boxKey(t *testing.T, b byte) ident.Key {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func certificate(t *testing.T, names ...string) tls.Certificate {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

func newVillage(t *testing.T, limits Limits, names ...string) *village {
	ctx, end := context.WithCancel(t.Context())
	v := &village{t: t, ctx: ctx, cert: certificate(t, "hens.test"), floods: make(chan Flood, 8)}
	var wg sync.WaitGroup
	t.Cleanup(func() { end(); wg.Wait() })
	for i, n := range names {
		h := &house{id: boxKey(t, byte(i+1)).BoxID(), name: n}
		h.serves.Store(true)
		h.here = NewListener(func(name string, acme bool) bool { return h.serves.Load() && name == "hens.test" })
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Join([]string{h.name, r.RemoteAddr, r.Proto, marker}, "|"))
		})}
		wg.Go(func() {
			srv.Serve(tls.NewListener(h.here, &tls.Config{Certificates: []tls.Certificate{v.cert}, NextProtos: []string{"h2", "http/1.1"}}))
		})
		t.Cleanup(func() { srv.Close() })
		v.houses = append(v.houses, h)
	}
	var err error
	v.door, err = NewDoor(Config{
		Key: boxKey(t, 99), Limits: limits, Open: v.open, Flooded: func(f Flood) { v.floods <- f },
		Route: func(name string) Route {
			r := Route{Known: name == "hens.test"}
			for _, h := range v.houses {
				r.Boxes = append(r.Boxes, h.id)
			}
			return r
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v.at = l.Addr().String()
	wg.Go(func() { v.door.Serve(ctx, l) })
	return v
}

// open connects the door with a house.
func (v *village) open(_ context.Context, to ident.BoxID, protocol string) (p2p.Stream, error) {
	i := slices.IndexFunc(v.houses, func(h *house) bool { return h.id == to })
	if protocol != Protocol || v.houses[i].dark.Load() {
		return nil, errors.New("no link")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			v.houses[i].here.Receive(v.ctx, "", stream{c.(*net.TCPConn), &v.tap})
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	return stream{c.(*net.TCPConn), &v.tap}, nil
}

// visit opens the page and returns its fields; it uses the address from which it came.
func (v *village) visit() (fields []string, from string, err error) {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", v.at)
			if err == nil {
				from = c.LocalAddr().String()
			}
			return c, err
		},
	}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Get("https://hens.test/")
	if err != nil {
		return nil, from, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return strings.Split(string(b), "|"), from, err
}

func TestADoorPassesVisitorsOnAndSeesNothing(t *testing.T) {
	v := newVillage(t, Limits{}, "mill", "oak")
	got, from, err := v.visit()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"mill", from, "HTTP/2.0", marker}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if v.tap.saw(marker) || v.tap.saw("HTTP/2.0") {
		t.Error("the door saw the page in clear")
	}
	if !v.tap.saw("hens.test") {
		t.Error("nothing passed the tap: the test is broken")
	}
}

func TestAnotherHouseServesWhenOneCannot(t *testing.T) {
	v := newVillage(t, Limits{}, "mill", "oak", "hill")
	v.houses[0].dark.Store(true)
	v.houses[1].serves.Store(false)
	if got, _, err := v.visit(); err != nil || got[0] != "hill" {
		t.Fatalf("got %q, %v", got, err)
	}
	// Whoever was at a house stays there while it serves.
	v.houses[0].dark.Store(false)
	if got, _, err := v.visit(); err != nil || got[0] != "hill" {
		t.Errorf("led away from hill: %q, %v", got, err)
	}
	v.houses[2].serves.Store(false)
	if got, _, err := v.visit(); err != nil || got[0] != "mill" {
		t.Errorf("hill stopped: %q, %v", got, err)
	}
}

// Rule: a visitor stays at one house, but a house's name leads to that house.
func TestAHousesNameComesBeforeHabit(t *testing.T) {
	v := newVillage(t, Limits{}, "mill", "oak", "elm")
	mill, oak, elm := v.houses[0].id, v.houses[1].id, v.houses[2].id
	all, from := []ident.BoxID{mill, oak, elm}, netip.MustParseAddr("192.0.2.1")
	v.door.habits.note(from, elm)
	for _, c := range []struct {
		house int
		want  []ident.BoxID
	}{
		{0, []ident.BoxID{elm, mill, oak}},
		{1, all},
		{2, all},
		{3, []ident.BoxID{elm, mill, oak}},
	} {
		if got := v.door.order(from, Route{Known: true, Boxes: all, House: c.house}); !slices.Equal(got, c.want) {
			t.Errorf("%d boxes of the house: %v, want %v", c.house, got, c.want)
		}
	}
}

func TestStrangeAndSlowClientsAreCut(t *testing.T) {
	v := newVillage(t, Limits{Hello: 300 * time.Millisecond}, "mill")
	for name, talk := range map[string]func(net.Conn){
		"silent":       func(net.Conn) {},
		"http":         func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: hens.test\r\n\r\n") },
		"half a hello": func(c net.Conn) { c.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1}) },
		"unknown name": func(c net.Conn) { tls.Client(c, &tls.Config{ServerName: "foxes.test"}).Handshake() },
		"no name":      func(c net.Conn) { tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() },
		"drip by drip": func(c net.Conn) {
			for range 50 {
				if _, err := c.Write([]byte{22}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond) // a real slow client
			}
		},
	} {
		c, err := net.Dial("tcp", v.at)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		talk(c)
		c.SetReadDeadline(begun.Add(time.Minute))
		n, err := io.Copy(io.Discard, c)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Errorf("%s: still open after a minute", name)
		}
		if n > 0 {
			t.Errorf("%s: was answered with %d bytes", name, n)
		}
		c.Close()
	}
	if _, _, err := v.visit(); err != nil {
		t.Errorf("afterwards nobody comes in: %v", err)
	}
}

func TestOneSourceCannotTakeAllRoom(t *testing.T) {
	c := newCount(Config{Limits: Limits{Open: 10, PerSource: 3, PerBox: 1}, Now: time.Now})
	a, b := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::1")
	var leave []func()
	for i := range 5 {
		l, ok := c.enter(a)
		if want := i < 3; ok != want {
			t.Fatalf("connection %d of one source: %v", i, ok)
		}
		if ok {
			leave = append(leave, l)
		}
	}
	if _, ok := c.enter(b); !ok {
		t.Error("another source was kept out")
	}
	if _, ok := c.enter(netip.MustParseAddr("2001:db8::2")); !ok {
		t.Error("the same /64 was kept out too early")
	}
	for _, l := range leave {
		l()
	}
	if _, ok := c.enter(a); !ok {
		t.Error("the source was not forgiven")
	}
	for i := range 20 {
		c.enter(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
	}
	if c.open != 10 {
		t.Errorf("%d open, want 10", c.open)
	}
	if _, ok := c.pass("x"); !ok {
		t.Error("the first to a box was refused")
	}
	if _, ok := c.pass("x"); ok {
		t.Error("a second to a box that takes one")
	}
}

func TestAFloodIsToldOnceAnHour(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	told := make(chan Flood, 10)
	c := newCount(Config{Limits: Limits{Open: 1, PerSource: 1}, Now: func() time.Time { return now }, Flooded: func(f Flood) { told <- f }})
	from := netip.MustParseAddr("203.0.113.7")
	c.enter(from)
	flood := func() {
		for range 3 * floodIs {
			c.enter(from)
		}
	}
	flood()
	if f := <-told; f.Refused != floodIs {
		t.Errorf("told of %d", f.Refused)
	}
	now = now.Add(floodAgain / 2)
	flood()
	now = now.Add(floodAgain)
	flood()
	<-told
	select {
	case f := <-told:
		t.Errorf("told once more: %v", f)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestASourceThatOnlyDisturbsWaits(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c := newCount(Config{Limits: Limits{Open: 9, PerSource: 9}, Now: func() time.Time { return now }})
	from := netip.MustParseAddr("203.0.113.7")
	for range maxRude {
		leave, ok := c.enter(from)
		if !ok {
			t.Fatal("refused too early")
		}
		c.rude(from)
		leave()
	}
	if _, ok := c.enter(from); ok {
		t.Error("it may go on")
	}
	now = now.Add(floodIn)
	if _, ok := c.enter(from); !ok {
		t.Error("it was not forgiven")
	}
}

func TestKnock(t *testing.T) {
	v := newVillage(t, Limits{})
	at := netip.MustParseAddrPort(v.at)
	if err := Knock(t.Context(), at, boxKey(t, 99).BoxID()); err != nil {
		t.Error(err)
	}
	if err := Knock(t.Context(), at, boxKey(t, 98).BoxID()); !errors.Is(err, ErrOther) {
		t.Errorf("for another box: %v", err)
	}
}

func FuzzHello(f *testing.F) {
	c, s := net.Pipe()
	go func() { tls.Client(c, &tls.Config{ServerName: "hens.test", NextProtos: []string{"h2"}}).Handshake() }()
	good := make([]byte, maxHello)
	n, err := s.Read(good)
	if err != nil {
		f.Fatal(err)
	}
	c.Close()
	f.Add(good[:n])
	f.Add([]byte{22, 3, 1, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(bytes.NewReader(b))
		if err == nil && (h.name == "" || !bytes.HasPrefix(b, h.raw) || len(h.raw) > maxHello) {
			t.Errorf("%q: %d bytes of %d kept", h.name, len(h.raw), len(b))
		}
		if bytes.Equal(b, good[:n]) && (err != nil || h.name != "hens.test" || h.acme()) {
			t.Errorf("a good greeting: %+v %v", h, err)
		}
	})
}

func FuzzPrelude(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		l := NewListener(func(string, bool) bool { return false })
		l.Receive(t.Context(), "", &said{r: bytes.NewReader(b)})
	})
}

// said is a stream that says one thing.
type said struct {
	r io.Reader
}

func (s *said) Read(b []byte) (int, error)       { return s.r.Read(b) }
func (s *said) Write(b []byte) (int, error)      { return len(b), nil }
func (s *said) Close() error                     { return nil }
func (s *said) CloseWrite() error                { return nil }
func (s *said) Reset() error                     { return nil }
func (s *said) SetDeadline(time.Time) error      { return nil }
func (s *said) SetReadDeadline(time.Time) error  { return nil }
func (s *said) SetWriteDeadline(time.Time) error { return nil }
