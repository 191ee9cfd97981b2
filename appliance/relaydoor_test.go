package appliance

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/appliance/domain"
	"redhen/appliance/ingress"
	"redhen/appliance/status"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/roster"
)

// hut is a box behind a relay that serves one page at hens.test, no more.
type hut struct {
	circle ident.CircleID
	chain  [][]byte
	key    ident.Key
	here   *ingress.Listener
	root   *x509.CertPool
}

func newHut(t *testing.T, page string) *hut {
	t.Helper()
	keyOf := func(seed byte) ident.Key {
		k, err := ident.KeyFromSeed(bytes.Repeat([]byte{seed}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	h := &hut{key: keyOf(1), root: x509.NewCertPool()}
	c := roster.NewFound(roster.FoundBody{
		CircleName: "Hens", Box: h.key.BoxID(), BoxName: "Hut", House: "0000000000000001", HouseName: "Mill",
		Keeper: "0000000000000001", KeeperKey: keyOf(2).Public(), Time: 1, Nonce: [16]byte{1},
	}, h.key)
	s, err := (*roster.State)(nil).Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	h.circle, h.chain = s.Circle(), [][]byte{roster.Encode(c)}
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"hens.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, private)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	h.root.AddCert(own)
	h.here = ingress.NewListener(func(name string, _ bool) bool { return name == "hens.test" })
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) })}
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
	go srv.Serve(tls.NewListener(h.here, &tls.Config{Certificates: []tls.Certificate{certificate}})) // ends with Close
	t.Cleanup(func() { srv.Close() })
	return h
}

// join has the box use a relay, until the test ends.
func (h *hut) join(t *testing.T, relay *Relay) *p2p.Host {
	t.Helper()
	host, err := p2p.New(p2p.Config{Key: h.key, ListenIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	name, port := relay.Name()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	host.UseRelays([]addrbook.Rented{{Box: name, At: at}}, func() [][]byte { return h.chain })
	host.BringVisitors(func() []string { return []string{"hens.test"} })
	host.Handle(ingress.Protocol, p2p.Doors, h.here.Receive)
	runUntilEnd(t, host.Run)
	return host
}

func runUntilEnd(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { end(); wg.Wait() })
}

// Rule: a relay brings visitors of a name to the box that serves it, which alone reads
// what they say; in clear it says only where to ask; others it does not know.
func TestVisitorsComeThroughARelay(t *testing.T) {
	story := strings.Repeat("the hens sleep. ", 20_000)
	h := newHut(t, story)
	r, err := OpenRelay(RelayConfig{
		Dir: t.TempDir(), Listen: netip.MustParseAddr("127.0.0.1"), Circles: []ident.CircleID{h.circle},
		HTTPS: "127.0.0.1:0", HTTP: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	at, closed := r.Visitors()
	if at == "" || len(closed) != 0 {
		t.Fatalf("doors: %q, closed %v", at, closed)
	}
	runUntilEnd(t, r.Run)
	box := h.join(t, r)
	awaits(t, "the relay knows the name", func() bool { _, boxes, _ := r.host.Serving("hens.test"); return len(boxes) == 1 })
	visit := func(name string) (string, error) {
		tr := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: h.root}, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", at)
			},
		}
		resp, err := (&http.Client{Transport: tr}).Get("https://" + name + "/")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	if page, err := visit("hens.test"); err != nil || page != story {
		t.Errorf("the page has %d bytes of %d, %v", len(page), len(story), err)
	}
	if page, err := visit("foxes.test"); err == nil {
		t.Errorf("a name of nobody has the page %q", page)
	}
	if used := r.host.Tenants()[0].Today; used < int64(len(story)) {
		t.Errorf("of %d bytes for a visitor %d are counted for the circle's day", len(story), used)
	}
	if err := ingress.Knock(t.Context(), netip.MustParseAddrPort(at), r.host.Self()); err != nil {
		t.Errorf("the door does not prove that it is the relay's: %v", err)
	}
	clear := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for host, want := range map[string]string{"hens.test": "https://hens.test/a?b", "HENS.test.:80": "https://hens.test/a?b", "foxes.test": ""} {
		q, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://%s/a?b", r.visits.http.Addr()), nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = host
		resp, err := clear.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); got != want || (want == "") != (resp.StatusCode == http.StatusNotFound) {
			t.Errorf("%s is led to %q, %s", host, got, resp.Status)
		}
	}
	box.BringVisitors(func() []string { return nil })
	awaits(t, "the relay forgets the name", func() bool { _, _, known := r.host.Serving("hens.test"); return !known })
	if page, err := visit("hens.test"); err == nil {
		t.Errorf("a box that serves nobody has the page %q", page)
	}
}

// Rule: a relay whose ports are taken goes on without visitors, and tells.
func TestARelayGoesOnWithoutVisitors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, cfg := range map[int]RelayConfig{
		1: {HTTPS: taken.Addr().String(), HTTP: "127.0.0.1:0"},
		2: {HTTPS: "127.0.0.1:0", HTTP: taken.Addr().String()},
	} {
		cfg.Dir, cfg.Listen = t.TempDir(), netip.MustParseAddr("127.0.0.1")
		cfg.Circles = []ident.CircleID{ident.CircleID(strings.Repeat("ab", 16))}
		r, err := OpenRelay(cfg)
		if err != nil {
			t.Fatal(err)
		}
		at, closed := r.Visitors()
		if (at != "") != (want == 2) || len(closed) != 1 || closed[0].At != taken.Addr().String() || r.visits.http != nil {
			t.Errorf("%d: visitors at %q, closed %v", want, at, closed)
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// crowd has strangers who say nothing sensible come to a door, more than are told of.
func crowd(t *testing.T, at string) {
	t.Helper()
	for range 300 { // 200 that are turned away within a minute are a crowd
		c, err := net.Dial("tcp", at)
		if err != nil {
			continue // turned away at once
		}
		io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// Rule: when strangers crowd the door of a relay, the diary of the circle says so, once,
// and the operator's figures do.
func TestACrowdAtARelayIsInTheDiary(t *testing.T) {
	b := runBox(t, t.TempDir())
	b.found(t)
	if err := b.SetName(t.Context(), domain.Settings{Domain: "hens.test", Provider: domain.ByHand, Authority: "https://127.0.0.1:1/dir"}); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRelay(RelayConfig{
		Dir: t.TempDir(), Listen: netip.MustParseAddr("127.0.0.1"), Circles: []ident.CircleID{b.Circle().Roster().Circle()},
		HTTPS: "127.0.0.1:0", Metrics: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	runUntilEnd(t, r.Run)
	name, port := r.Name()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	b.host.UseRelays([]addrbook.Rented{{Box: name, At: at}}, b.circle.Chain)
	awaits(t, "the relay knows the name", func() bool { _, boxes, _ := r.host.Serving("hens.test"); return len(boxes) == 1 })
	door, _ := r.Visitors()
	crowd(t, door)
	want := fmt.Sprintf("Strangers crowded the rented relay at %s: 200 or more were turned away.", at)
	b.says(t, want)
	r.tellFlood(ingress.Flood{Refused: 500}) // as a relay would that began again
	lines, err := b.watch.Diary(nil, 10)
	said := slices.DeleteFunc(lines, func(l status.Line) bool { return !strings.Contains(l.What, "rented relay") })
	if err != nil || len(said) != 1 {
		t.Errorf("the diary says so %d times: %+v, %v", len(said), said, err)
	}
	resp, err := http.Get("http://" + r.metrics.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	figures, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	circle := fmt.Sprintf("{circle=%q}", b.Circle().Roster().Circle())
	refused := fmt.Sprintf("redhen_relay_visitors_refused %d\n", max(200, r.visits.door.Refused()))
	for _, want := range []string{refused, "redhen_relay_boxes" + circle + " 1", "redhen_relay_boxes_here" + circle + " 1", "redhen_relay_bytes_today" + circle} {
		if !strings.Contains(string(figures), "\n"+want) {
			t.Errorf("no figure %s in\n%s", want, figures)
		}
	}
}
