package domain

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
)

// shelf is a vault in memory that all boxes share.
type shelf struct {
	mu   sync.Mutex
	all  map[string][]byte
	news chan struct{}
}

func (s *shelf) Get(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.all[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (s *shelf) Put(_ context.Context, name string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[name] = value
	close(s.news)
	s.news = make(chan struct{})
	return nil
}

func (s *shelf) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, name)
	return nil
}

func (s *shelf) News() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

// world is a circle of three houses as seen from the first.
type world struct {
	t      *testing.T
	vault  *shelf
	roster *roster.State
	boxes  []ident.BoxID

	mu      sync.Mutex
	leads   bool
	some    bool
	state   map[ident.BoxID]p2p.State
	addrs   map[ident.BoxID][]netip.AddrPort
	open    map[netip.Addr]bool
	looked  []netip.Addr
	written [][]Host
	refuse  error
}

func key(t *testing.T, b byte) ident.Key {
	k, err := ident.KeyFromSeed([]byte(strings.Repeat(string(rune(b)), 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, vault: &shelf{all: map[string][]byte{}, news: make(chan struct{})}, leads: true, some: true,
		state: map[ident.BoxID]p2p.State{}, addrs: map[ident.BoxID][]netip.AddrPort{}, open: map[netip.Addr]bool{}}
	first := key(t, 1)
	changes := []roster.Change{roster.NewFound(roster.FoundBody{
		CircleName: "Hens", Box: first.BoxID(), BoxName: "a", House: "0000000000000001", HouseName: "Mill Lane",
		Keeper: "0000000000000001", KeeperKey: key(t, 101).Public(), Time: 1,
	}, first)}
	for i, house := range []string{"Oak Street", "Hill Farm"} {
		r, err := roster.Replay(changes)
		if err != nil {
			t.Fatal(err)
		}
		k := key(t, byte(i+2))
		changes = append(changes, roster.NewAdmit(roster.AdmitBody{
			Circle: r.Circle(), Inviter: first.BoxID(), Box: k.BoxID(), BoxName: house, House: ident.HouseID(strings.Repeat("0", 15) + string(rune('2'+i))),
			HouseName: house, Keeper: ident.AccountID(strings.Repeat("0", 15) + string(rune('2'+i))), KeeperKey: key(t, byte(i+102)).Public(), Time: 2,
		}, first, k))
	}
	var err error
	if w.roster, err = roster.Replay(changes); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		b := key(t, byte(i+1)).BoxID()
		w.boxes = append(w.boxes, b)
		w.addrs[b] = []netip.AddrPort{netip.AddrPortFrom(addr(i+1), 4717), netip.MustParseAddrPort("192.168.1.5:4717")}
		w.state[b] = p2p.Direct
	}
	return w
}

func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}) }

func (w *world) links() (list []p2p.Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.boxes[1:] {
		list = append(list, p2p.Link{Box: b, State: w.state[b]})
	}
	return list
}

func (w *world) knock(_ context.Context, at netip.AddrPort, _ ident.BoxID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.Port() != 443 || !w.open[at.Addr()] {
		return errors.New("closed")
	}
	return nil
}

// openStream brings a question to another box, which sees the same world.
func (w *world) openStream(ctx context.Context, to ident.BoxID, protocol string) (p2p.Stream, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state[to] == p2p.None || protocol != KnockProtocol {
		return nil, errors.New("no link")
	}
	a, b := net.Pipe()
	go func() {
		w.domain(to).Answer(ctx, w.boxes[0], stream{b})
		b.Close()
	}()
	return stream{a}, nil
}

type stream struct{ net.Conn }

func (s stream) Reset() error      { return s.Close() }
func (s stream) CloseWrite() error { return nil }

func (w *world) domain(self ident.BoxID) *Domain {
	d, err := New(Config{
		Self: self, Vault: w.vault, Roster: func() *roster.State { return w.roster },
		Leads:   func(context.Context) (bool, bool) { w.mu.Lock(); defer w.mu.Unlock(); return w.leads, w.some },
		Links:   w.links,
		AddrsOf: func(b ident.BoxID) []netip.AddrPort { w.mu.Lock(); defer w.mu.Unlock(); return w.addrs[b] },
		Open:    w.openStream, Knock: w.knock,
		Lookup:   func(context.Context, string) ([]netip.Addr, error) { return w.looked, nil },
		Provider: func(Settings) Provider { return (*pointer)(w) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// pointer is a provider that remembers what it was told.
type pointer world

func (p *pointer) Prepare(context.Context, *Settings) error { return p.refuse }
func (p *pointer) Challenges() Challenges                   { return nil }
func (p *pointer) Point(_ context.Context, hosts []Host, ttl time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse == nil {
		p.written = append(p.written, hosts)
		p.looked = hosts[0].Addrs
	}
	return p.refuse
}

func (w *world) set() {
	w.t.Helper()
	if err := w.domain(w.boxes[0]).Set(w.t.Context(), Settings{Domain: "Hens.Dedyn.io.", Provider: DeSEC, Token: "t"}); err != nil {
		w.t.Fatal(err)
	}
}

// run lets the first box look after the name for a while.
func (w *world) run(d *Domain, for_ time.Duration) {
	ctx, end := context.WithTimeout(w.t.Context(), for_)
	defer end()
	d.Run(ctx)
}

func (w *world) last() []Host {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.written) == 0 {
		return nil
	}
	return w.written[len(w.written)-1]
}

func same() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}

// A fire: the name leads to the houses that are left, within a minute.
func TestTheNameLeadsToHousesThatAreReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open[addr(1)], w.open[addr(2)] = true, true
		w.set()
		d := w.domain(w.boxes[0])
		w.run(d, 50*time.Second)
		both := []netip.Addr{addr(1), addr(2)}
		want := []Host{{"hens.dedyn.io", both}, {"hill-farm.hens.dedyn.io", both}, {"mill-lane.hens.dedyn.io", both[:1]}, {"oak-street.hens.dedyn.io", both[1:]}}
		if diff := cmp.Diff(want, w.last(), same()); diff != "" || len(w.written) != 1 {
			t.Errorf("written %d times: %s", len(w.written), diff)
		}
		w.mu.Lock()
		w.open[addr(2)], w.state[w.boxes[1]] = false, p2p.None
		w.mu.Unlock()
		w.run(d, time.Minute)
		if got := w.last()[0].Addrs; !slices.Equal(got, both[:1]) {
			t.Errorf("a minute after the fire: %v", got)
		}
		if r := d.Report(); r.Trouble != NoTrouble || r.Since == 0 {
			t.Errorf("report: %+v", r)
		}
	})
}

// Rule: one knock in vain does not move the name of a house that is in reach.
func TestOneLostPacketMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open[addr(1)], w.open[addr(2)] = true, true
		w.set()
		d := w.domain(w.boxes[0])
		d.round(t.Context())
		w.open[addr(2)] = false
		d.round(t.Context())
		w.open[addr(2)] = true
		d.round(t.Context())
		if len(w.written) != 1 {
			t.Errorf("written %d times", len(w.written))
		}
		w.open[addr(2)] = false
		d.round(t.Context())
		d.round(t.Context())
		if got := w.last()[0].Addrs; !slices.Equal(got, []netip.Addr{addr(1)}) {
			t.Errorf("a closed door stays: %v", got)
		}
	})
}

func TestOnlyOneBoxWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open[addr(1)] = true
		w.set()
		w.leads = false
		d := w.domain(w.boxes[0])
		w.run(d, time.Minute)
		if len(w.written) != 0 {
			t.Error("a box wrote that does not lead")
		}
		// Two houses burn, nobody leads: whoever is left writes.
		w.some = false
		for _, b := range w.boxes[1:] {
			w.state[b] = p2p.None
		}
		w.run(d, time.Minute)
		if len(w.written) != 1 {
			t.Errorf("the last house wrote %d times", len(w.written))
		}
	})
}

func TestTroublesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set()
		d := w.domain(w.boxes[0])
		expect := func(want Trouble) {
			t.Helper()
			d.round(t.Context())
			d.round(t.Context())
			if got := d.Report().Trouble; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		expect(Nobody)
		if len(w.written) != 0 {
			t.Error("the name was taken from all houses")
		}
		w.open[addr(1)] = true
		w.refuse = ErrToken
		expect(TokenRefused)
		w.refuse = errors.New("no route")
		expect(NotWritten)
		w.refuse = nil
		expect(NoTrouble)
		w.looked = []netip.Addr{addr(99)}
		expect(Elsewhere)
	})
}

// Rule: after a theft the keepers are asked for another token, until they give one: the
// box that is gone knew the old one.
func TestAStolenBoxKnewTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set()
		w.open[addr(1)] = true
		d := w.domain(w.boxes[0])
		expect := func(when string, want Trouble) {
			t.Helper()
			time.Sleep(time.Hour)
			d.round(t.Context())
			d.round(t.Context())
			if got := d.Report().Trouble; got != want {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		expect("before", NoTrouble)
		lost, _ := w.roster.Box(w.boxes[2])
		theft, err := w.roster.Apply(roster.NewStolen(roster.GoneBody{
			Circle: w.roster.Circle(), Box: lost.ID, Rev: lost.Rev, Time: time.Now().UnixMilli(),
		}, key(t, 101), key(t, 102)))
		if err != nil {
			t.Fatal(err)
		}
		w.roster = theft
		expect("after the theft", TokenStolen)
		w.set()
		expect("with another token", NoTrouble)
	})
}

func TestSettingsAreChecked(t *testing.T) {
	good := Settings{Domain: "hens.example.org", Provider: RFC2136, Server: "192.0.2.1", KeyName: "k", Key: "a2V5"}
	for name, change := range map[string]func(*Settings){
		"no name":       func(s *Settings) { s.Domain = "" },
		"one label":     func(s *Settings) { s.Domain = "hens" },
		"address":       func(s *Settings) { s.Domain = "192.0.2.1" },
		"letters":       func(s *Settings) { s.Domain = "hens_.example.org" },
		"long":          func(s *Settings) { s.Domain = strings.Repeat("a.", 60) + "org" },
		"other zone":    func(s *Settings) { s.Zone = "example.com" },
		"half a label":  func(s *Settings) { s.Zone = "ens.example.org" },
		"no provider":   func(s *Settings) { s.Provider = "x" },
		"no token":      func(s *Settings) { s.Provider = DeSEC },
		"no server":     func(s *Settings) { s.Server = "" },
		"bad key":       func(s *Settings) { s.Key = "%" },
		"line break":    func(s *Settings) { s.Email = "a@b\nc" },
		"authority":     func(s *Settings) { s.Authority = "http://x/" },
		"authority key": func(s *Settings) { s.Roots = "x" },
	} {
		s := good
		change(&s)
		s.clean()
		err := s.check()
		if e, ok := errors.AsType[*SettingError](err); !ok || !strings.HasSuffix(e.Error(), "Nothing was changed.") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.clean()
	if err := good.check(); err != nil || good.Server != "192.0.2.1:53" || good.Zone != "hens.example.org" {
		t.Errorf("good settings: %v, %+v", err, good)
	}
}

func TestARefusedTokenChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.refuse = ErrToken
	err := w.domain(w.boxes[0]).Set(t.Context(), Settings{Domain: "hens.dedyn.io", Provider: DeSEC, Token: "t"})
	if e, ok := errors.AsType[*SettingError](err); !ok || !strings.Contains(e.Error(), "desec.io refuses") {
		t.Errorf("%v", err)
	}
	if len(w.vault.all) != 0 {
		t.Error("something was kept")
	}
}

func TestNobodyKnocksElsewhereForOthers(t *testing.T) {
	w := newWorld(t)
	d := w.domain(w.boxes[0])
	for _, tc := range []struct {
		box  ident.BoxID
		at   string
		want bool
	}{
		{w.boxes[1], addr(2).String(), true}, {w.boxes[1], addr(3).String(), false},
		{w.boxes[1], "192.168.1.5", false}, {key(t, 9).BoxID(), addr(2).String(), false},
	} {
		if got := d.mayKnock(tc.box, netip.MustParseAddr(tc.at)); got != tc.want {
			t.Errorf("%s at %s: %v", tc.box.Short(), tc.at, got)
		}
	}
}

// desec.io as its documentation has it: a free name is taken, addresses are replaced.
func TestDesec(t *testing.T) {
	var asked []string
	var sets []desecSet
	taken := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Authorization") != "Token right":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == "GET" && !taken:
			w.WriteHeader(http.StatusNotFound)
		case r.Method == "POST" && strings.Contains(string(body), "foxes"):
			w.WriteHeader(http.StatusBadRequest)
		case r.Method == "POST":
			taken = true
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"name":"hens.dedyn.io","minimum_ttl":120}`)
		case r.Method == "GET":
			io.WriteString(w, `{"name":"hens.dedyn.io","minimum_ttl":120}`)
		case r.Method == "PATCH":
			if err := json.Unmarshal(body, &sets); err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
		}
	}))
	defer srv.Close()
	s := Settings{}
	p := &desecProvider{zone: "hens.dedyn.io", token: "right", api: srv.URL}
	for range 2 {
		if err := p.Prepare(t.Context(), &s); err != nil || s.MinTTL != 120 {
			t.Fatalf("%v, %d s", err, s.MinTTL)
		}
	}
	if want := []string{"GET /domains/hens.dedyn.io/", "POST /domains/", "GET /domains/hens.dedyn.io/"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	if err := p.Point(t.Context(), []Host{{"hens.dedyn.io", []netip.Addr{addr(1)}}, {"oak.hens.dedyn.io", nil}}, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	want := []desecSet{{"", "A", 120, []string{"198.51.100.1"}}, {"", "AAAA", 120, []string{}}, {"oak", "A", 120, []string{}}, {"oak", "AAAA", 120, []string{}}}
	if d := cmp.Diff(want, sets); d != "" {
		t.Error(d)
	}
	taken = false
	if err := (&desecProvider{"foxes.dedyn.io", "right", srv.URL}).Prepare(t.Context(), &s); !errors.Is(err, ErrTaken) {
		t.Errorf("a name of others: %v", err)
	}
	if err := (&desecProvider{"hens.dedyn.io", "wrong", srv.URL}).Prepare(t.Context(), &s); !errors.Is(err, ErrToken) {
		t.Errorf("a wrong token: %v", err)
	}
}

// A signed update says all at once, and a wrong key is told from a lost server.
func TestUpdates(t *testing.T) {
	const secret = "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"
	got := make(chan *dns.Msg, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{Listener: l, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }, TsigSecret: map[string]string{"k.": secret}, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		if w.TsigStatus() != nil {
			m.Rcode = dns.RcodeNotAuth
		} else {
			got <- r
			m.SetTsig("k.", dns.HmacSHA256, 300, time.Now().Unix())
		}
		w.WriteMsg(m)
	})}
	go srv.ActivateAndServe() // ends with Shutdown
	defer srv.Shutdown()
	s := Settings{Domain: "hens.example.org", Provider: RFC2136, Server: l.Addr().String(), KeyName: "k", Key: secret}
	s.clean()
	p := NewProvider(s)
	if err := p.Point(t.Context(), []Host{{"hens.example.org", []netip.Addr{addr(1), netip.MustParseAddr("2001:db8::1")}}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, rr := range (<-got).Ns {
		lines = append(lines, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	want := []string{
		"hens.example.org. 0 CLASS255 A ", "hens.example.org. 0 CLASS255 AAAA ",
		"hens.example.org. 60 IN A 198.51.100.1", "hens.example.org. 60 IN AAAA 2001:db8::1",
	}
	for i := range lines {
		lines[i] = strings.Replace(lines[i], "ANY", "CLASS255", 1)
	}
	if !slices.Equal(lines, want) {
		t.Errorf("update: %q", lines)
	}
	s.Key = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"
	if err := NewProvider(s).Prepare(t.Context(), &s); !errors.Is(err, ErrToken) {
		t.Errorf("a wrong key: %v", err)
	}
	s.Server = "127.0.0.1:1"
	if err := NewProvider(s).Prepare(t.Context(), &s); err == nil || errors.Is(err, ErrToken) {
		t.Errorf("no server: %v", err)
	}
}
