package p2p

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
)

// patience is for what takes a moment on a machine that has nothing else to do.
const patience = 2 * time.Minute

var loopback = netip.MustParseAddr("127.0.0.1")

func newKey(t testing.TB) ident.Key {
	t.Helper()
	k, err := ident.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testHost is a host on real loopback sockets.
func testHost(t testing.TB, cfg Config) *Host {
	t.Helper()
	if cfg.Key.IsZero() {
		cfg.Key = newKey(t)
	}
	cfg.ListenIP = loopback
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// run runs the host until the returned function is called or the test ends. It serves
// when run returns: nobody is let in before.
func run(t testing.TB, h *Host) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	for begun := time.Now(); !h.guests.serving.Load(); time.Sleep(time.Millisecond) { // real sockets
		if time.Since(begun) > patience {
			t.Fatal("it does not serve")
		}
	}
	return stop
}

func members(hosts ...*Host) []Member {
	var out []Member
	for _, h := range hosts {
		out = append(out, Member{Box: h.Self()})
	}
	return out
}

// circle makes the hosts members of one circle that know each other's addresses.
func circle(t testing.TB, hosts ...*Host) {
	t.Helper()
	for _, h := range hosts {
		for _, other := range hosts {
			h.Learn(other.Self(), other.Addrs()...)
		}
		if err := h.SetMembers(members(hosts...)); err != nil {
			t.Fatal(err)
		}
	}
}

// wait waits until a change of h makes cond true.
func wait(t testing.TB, h *Host, what string, cond func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		changed := h.Changed()
		if cond() {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("never: %s; links %+v", what, h.Links())
		}
	}
}

func (h *Host) state(box ident.BoxID) State {
	for _, l := range h.Links() {
		if l.Box == box {
			return l.State
		}
	}
	return None
}

func waitDirect(t testing.TB, h, to *Host) {
	t.Helper()
	wait(t, h, "direct link", func() bool { return h.state(to.Self()) == Direct })
}

func echoHandler(_ context.Context, _ ident.BoxID, s Stream) { io.Copy(s, s); s.CloseWrite() }

// ask sends text on a new stream and returns what comes back.
func ask(t testing.TB, h *Host, to ident.BoxID, proto, text string) (string, error) {
	t.Helper()
	s, err := h.Open(t.Context(), to, proto)
	if err != nil {
		return "", err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s, text); err != nil {
		return "", err
	}
	if err := s.CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(s)
	return string(b), err
}

func TestMembersTalk(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	from := make(chan ident.BoxID, 1)
	b.Handle("/test/echo/1", Members, func(ctx context.Context, who ident.BoxID, s Stream) {
		from <- who
		echoHandler(ctx, who, s)
	})
	circle(t, a, b)
	run(t, a)
	run(t, b)
	waitDirect(t, a, b)
	got, err := ask(t, a, b.Self(), "/test/echo/1", "cluck")
	if err != nil || got != "cluck" {
		t.Errorf("got %q, %v", got, err)
	}
	if who := <-from; who != a.Self() {
		t.Errorf("the handler saw %s, want %s", who, a.Self())
	}
	wait(t, a, "measured beat", func() bool { return a.Links()[0].RTT > 0 })
}

func TestATakenPortIsAClearError(t *testing.T) {
	a := testHost(t, Config{})
	_, err := New(Config{Key: newKey(t), ListenIP: loopback, Port: a.Port()})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("both ports taken: got %v", err)
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	_, err = New(Config{Key: newKey(t), ListenIP: loopback, Port: u.LocalAddr().(*net.UDPAddr).Port})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), "UDP") {
		t.Errorf("UDP port taken: got %v", err)
	}
}

func TestAStrangerIsRefusedOnEveryProtocol(t *testing.T) {
	a, b, stranger := testHost(t, Config{}), testHost(t, Config{}), testHost(t, Config{})
	for _, h := range []*Host{a, b} {
		h.Handle("/test/members/1", Members, echoHandler)
		h.Handle("/test/anyone/1", Anyone, echoHandler)
	}
	circle(t, a, b)
	// The stranger believes to be a member; the others do not.
	stranger.Learn(a.Self(), a.Addrs()...)
	stranger.SetMembers(members(a, b, stranger))
	for _, h := range []*Host{a, b, stranger} {
		run(t, h)
	}
	waitDirect(t, a, b)
	to := Target{Box: a.Self(), Addrs: a.Addrs()}
	if err := stranger.Connect(t.Context(), to); err == nil {
		for _, p := range stranger.protocols(a.Self()) {
			if got, err := ask(t, stranger, a.Self(), p, "let me in"); err == nil {
				t.Errorf("%s: answered %q", p, got)
			}
		}
	}
	if _, err := a.Open(t.Context(), stranger.Self(), "/test/anyone/1"); !errors.Is(err, ErrNotMember) {
		t.Errorf("open to a stranger: got %v, want ErrNotMember", err)
	}
}

// protocols are all that a box might serve, ours and libp2p's.
func (h *Host) protocols(ident.BoxID) []string {
	return []string{"/test/members/1", "/test/anyone/1", beatProtocol, bookProtocol,
		"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/libp2p/circuit/relay/0.2.0/hop", "/libp2p/dcutr"}
}

func TestTheDoorLetsStrangersInForAnyoneOnly(t *testing.T) {
	a, stranger := testHost(t, Config{}), testHost(t, Config{})
	a.Handle("/test/members/1", Members, echoHandler)
	a.Handle("/test/anyone/1", Anyone, echoHandler)
	run(t, a)
	run(t, stranger)
	to := Target{Box: a.Self(), Addrs: a.Addrs()}
	if err := stranger.Connect(t.Context(), to); err == nil {
		t.Error("connected while the door was shut")
	}
	a.OpenDoor(time.Now().Add(time.Hour))
	for begun := time.Now(); ; { // on a slow machine the greeting takes longer than it may
		err := stranger.Connect(t.Context(), to)
		if err == nil {
			break
		}
		if time.Since(begun) > patience {
			t.Fatal(err)
		}
	}
	if got, err := ask(t, stranger, a.Self(), "/test/anyone/1", "hello"); err != nil || got != "hello" {
		t.Errorf("anyone's protocol: got %q, %v", got, err)
	}
	if got, err := ask(t, stranger, a.Self(), "/test/members/1", "hello"); err == nil {
		t.Errorf("members' protocol: answered %q", got)
	}
	a.CloseDoor()
	if got, err := ask(t, stranger, a.Self(), "/test/anyone/1", "hello"); err == nil {
		t.Errorf("after the door was shut: answered %q", got)
	}
}

// A box that left may come home by the one protocol that is for it, and by no other.
func TestADepartedBoxMayOnlyComeHome(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	circle(t, a, b)
	const home, files, pairing = "/test/home", "/test/files", "/test/pairing"
	a.Handle(home, Departed, echoHandler)
	a.Handle(files, Members, echoHandler)
	a.Handle(pairing, Anyone, echoHandler)
	run(t, a)
	run(t, b)
	waitDirect(t, b, a)
	if err := errors.Join(a.SetDeparted([]ident.BoxID{b.Self()}), a.SetMembers(members(a))); err != nil {
		t.Fatal(err)
	}
	try := func(protocol string) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for { // b takes a for a member and dials again when it is left
			s, err := b.Open(ctx, a.Self(), protocol)
			if errors.Is(err, ErrNoLink) {
				wait(t, b, "a link", func() bool { return b.state(a.Self()) == Direct })
				continue
			}
			if err != nil {
				return err
			}
			_, err = s.Write([]byte("hello"))
			s.CloseWrite()
			if err == nil {
				_, err = io.ReadAll(s)
			}
			s.Reset()
			return err
		}
	}
	if err := try(home); err != nil {
		t.Errorf("home: %v", err)
	}
	for _, protocol := range []string{files, pairing} {
		if try(protocol) == nil {
			t.Errorf("%s is open to a box that left", protocol)
		}
	}
	if err := a.SetDeparted(nil); err != nil { // stolen, it turned out
		t.Fatal(err)
	}
	wait(t, b, "no link any more", func() bool { return b.state(a.Self()) != Direct })
	if err := a.SetDeparted(make([]ident.BoxID, MaxDeparted+1)); err == nil {
		t.Error("any number may have left")
	}
}

func TestARemovedMemberIsDisconnected(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	circle(t, a, b)
	run(t, a)
	run(t, b)
	waitDirect(t, a, b)
	a.SetMembers(members(a))
	wait(t, b, "link lost", func() bool { return b.state(a.Self()) == None })
	if _, err := a.Open(t.Context(), b.Self(), "/x"); !errors.Is(err, ErrNotMember) {
		t.Errorf("got %v, want ErrNotMember", err)
	}
	if len(a.Links()) != 0 {
		t.Errorf("links %v", a.Links())
	}
}

// The address book is what lets boxes find each other again that both moved to new ports
// but one after the other.
func TestARestartedBoxOnANewPortComesBack(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := testHost(t, Config{Dir: dirs[0]}), testHost(t, Config{Dir: dirs[1]})
	circle(t, a, b)
	stopA := run(t, a)
	run(t, b)
	waitDirect(t, a, b)
	wait(t, a, "record of b", func() bool { return len(a.book.Addrs(b.Self())) > 0 })
	stopA()
	wait(t, b, "link lost", func() bool { return b.state(a.Self()) == None })

	again := testHost(t, Config{Key: a.cfg.Key, Dir: dirs[0]})
	again.SetMembers(members(a, b)) // no hints: the book knows
	run(t, again)
	waitDirect(t, again, b)
	wait(t, b, "new record of a", func() bool {
		got := b.book.Addrs(a.Self())
		return len(got) == 1 && int(got[0].Port()) == again.Port()
	})
}

func TestOpenWithoutALinkFailsAtOnce(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	a.SetMembers(members(a, b))
	run(t, a)
	if _, err := a.Open(t.Context(), b.Self(), "/x"); !errors.Is(err, ErrNoLink) {
		t.Errorf("got %v, want ErrNoLink", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no key":   {},
		"bad port": {Key: newKey(t), Port: 70000},
	} {
		if h, err := New(cfg); err == nil {
			h.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
