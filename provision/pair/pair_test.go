package pair

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2ptest"
	"redhen/provision/roster"
	"redhen/provision/ticket"
)

const echoProtocol = "/test/echo/1"

func testKey(t testing.TB, seed byte) ident.Key {
	t.Helper()
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// world is a circle whose roster every member sees at once.
type world struct {
	t        testing.TB
	mu       sync.Mutex
	state    *roster.State
	chain    []roster.Change
	boxes    []*member
	admits   int
	troubled error // what Admit answers, if not nil
	guide    func(login string) Guide
}

// member is a box with a desk.
type member struct {
	*p2ptest.Box
	w    *world
	key  ident.Key
	spot *p2ptest.Spot
	dirs [2]string
	desk *Desk
	log  *bytes.Buffer
}

// found begins the circle with a box on the spot.
func found(t testing.TB, at *p2ptest.Spot) (*world, *member) {
	t.Helper()
	w := &world{t: t}
	key := testKey(t, 1)
	w.apply(roster.NewFound(roster.FoundBody{
		CircleName: "Henhouse", Box: key.BoxID(), BoxName: "oak", House: ident.NewHouseID(), HouseName: "Oak Street",
		Keeper: ident.NewAccountID(), KeeperKey: testKey(t, 101).Public(), Nonce: roster.NewNonce(),
	}, key))
	return w, w.start(&member{w: w, key: key, spot: at})
}

func (w *world) apply(c roster.Change) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	state, err := w.state.Apply(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.state, w.chain = state, append(w.chain, c)
}

func (w *world) now() *roster.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// start runs a member's box with a desk, or runs it again.
func (w *world) start(m *member) *member {
	w.t.Helper()
	if m.dirs[0] == "" {
		m.dirs = [2]string{w.t.TempDir(), w.t.TempDir()}
		w.boxes = append(w.boxes, m)
	}
	m.log = &bytes.Buffer{}
	h, err := p2p.New(m.spot.Config(p2p.Config{Key: m.key, Dir: m.dirs[0]}))
	if err != nil {
		w.t.Fatal(err)
	}
	h.Handle(echoProtocol, p2p.Members, func(_ context.Context, _ ident.BoxID, s p2p.Stream) { io.Copy(s, s) })
	m.desk, err = New(Config{
		Host: h, Key: m.key, Dir: m.dirs[1], Circle: w.now, Admit: w.admit, Guide: w.guide,
		Logger: slog.New(slog.NewTextHandler(m.log, nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	m.Box = p2ptest.Run(w.t, h)
	w.spread()
	return m
}

// spread tells all boxes of the members, as the appliance does after each change.
func (w *world) spread() {
	var members []p2p.Member
	for _, b := range w.now().Members() {
		members = append(members, p2p.Member{Box: b.ID, Name: b.Name})
	}
	for _, m := range w.boxes {
		if w.now().Active(m.key.BoxID()) && m.Box != nil {
			m.SetMembers(members)
		}
	}
}

func (w *world) admit(_ context.Context, a Application, c roster.Change) (Welcome, error) {
	w.mu.Lock()
	w.admits++
	err := w.troubled
	w.mu.Unlock()
	if err != nil {
		return Welcome{}, err
	}
	body, err := c.AdmitBody()
	if err != nil {
		return Welcome{}, err
	}
	if !w.now().Active(body.Box) {
		w.apply(c)
		w.spread()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return Welcome{Roster: slices.Clone(w.chain), Replica: 7, Extra: append([]byte("welcome "), a.Extra...)}, nil
}

// joiner is a box outside the circle.
type joiner struct {
	*p2ptest.Box
	spot *p2ptest.Spot
	key  ident.Key
	dir  string
	app  Application
	fit  func(context.Context, Guide, Application) (Application, ident.Key, error)

	mu       sync.Mutex
	progress []Progress
}

func newJoiner(t testing.TB, at *p2ptest.Spot, seed byte, name string) *joiner {
	t.Helper()
	j := &joiner{key: testKey(t, seed), spot: at, dir: t.TempDir(), app: Application{
		BoxName: name, HouseName: name + " Lane", Keeper: ident.NewAccountID(),
		KeeperKey: testKey(t, 100+seed).Public(), KeeperName: "Ada", Account: []byte("sealed"), Extra: []byte("hello"),
	}}
	j.start(t)
	return j
}

func (j *joiner) start(t testing.TB) {
	t.Helper()
	h, err := p2p.New(j.spot.Config(p2p.Config{Key: j.key, Dir: j.dir}))
	if err != nil {
		t.Fatal(err)
	}
	h.Handle(echoProtocol, p2p.Members, func(_ context.Context, _ ident.BoxID, s p2p.Stream) { io.Copy(s, s) })
	j.Box = p2ptest.Run(t, h)
}

type result struct {
	welcome Welcome
	err     error
}

// join asks in the background.
func (j *joiner) join(ctx context.Context, t ticket.Ticket) chan result {
	out := make(chan result, 1)
	host := j.Host
	go func() {
		w, err := Join(ctx, Joiner{Host: host, Key: j.key, Ticket: t, Application: j.app, Fit: j.fit, Progress: j.see})
		out <- result{w, err}
	}()
	return out
}

func (j *joiner) see(p Progress) {
	j.mu.Lock()
	j.progress = append(j.progress, p)
	j.mu.Unlock()
}

func (j *joiner) last() Progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.progress) == 0 {
		return Progress{}
	}
	return j.progress[len(j.progress)-1]
}

// settle does what the appliance does with a welcome.
func (j *joiner) settle(t testing.TB, w *world, r result) {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	state, err := roster.Replay(r.welcome.Roster)
	if err != nil {
		t.Fatal(err)
	}
	var members []p2p.Member
	for _, b := range state.Members() {
		members = append(members, p2p.Member{Box: b.ID, Name: b.Name})
		j.Learn(b.ID, r.welcome.Addrs[b.ID]...)
	}
	if err := j.SetMembers(members); err != nil {
		t.Fatal(err)
	}
}

func issue(t testing.TB, d *Desk, terms Terms) ticket.Ticket {
	t.Helper()
	tk, err := d.Issue(terms)
	if err != nil {
		t.Fatal(err)
	}
	tk, err = ticket.Parse(tk.Link()) // as a phone carries it
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func waitPending(t testing.TB, m *member) Pending {
	t.Helper()
	for begun := time.Now(); len(m.desk.Pending()) == 0; {
		if time.Since(begun) > time.Minute {
			t.Fatal("nobody came")
		}
		select {
		case <-m.desk.Changed():
		case <-time.After(time.Second):
		}
	}
	return m.desk.Pending()[0]
}

func talk(t testing.TB, a *p2ptest.Box, to ident.BoxID) {
	t.Helper()
	a.Wait(t, "a link", 2*time.Minute, func() bool { // also over real sockets
		return slices.ContainsFunc(a.Links(), func(l p2p.Link) bool { return l.Box == to && l.State != p2p.None })
	})
	s, err := a.Open(t.Context(), to, echoProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(s, "cluck")
	got := make([]byte, 5)
	if _, err := io.ReadFull(s, got); err != nil || string(got) != "cluck" {
		t.Errorf("got %q, %v", got, err)
	}
}

// inBubble runs a test on a simulated internet.
func inBubble(t *testing.T, fn func(t *testing.T, n *p2ptest.Net)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, p2ptest.New(p2ptest.Config{Latency: 20 * time.Millisecond})) })
}

func TestABoxJoins(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		j := newJoiner(t, n.Router(p2ptest.PortRestricted).Spot(), 2, "Mill")
		tk := issue(t, m.desk, Terms{})
		done := j.join(t.Context(), tk)
		p := waitPending(t, m)
		if p.Box != j.Self() || p.Ticket != tk.ID() || p.Application.BoxName != "Mill" || string(p.Application.Account) != "sealed" {
			t.Errorf("pending %+v", p)
		}
		time.Sleep(time.Second)
		if got := j.last(); got.Stage != Waiting || !slices.Equal(got.Words, p.Words) || len(p.Words) != 4 ||
			got.CircleName != "Henhouse" || got.Inviter != "oak" {
			t.Errorf("the joiner shows %+v, the inviter %v", got, p.Words)
		}
		if w.now().Active(j.Self()) {
			t.Error("in before a person said yes")
		}
		time.Sleep(9 * time.Minute) // a person takes time
		if err := m.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		r := <-done
		j.settle(t, w, r)
		if r.welcome.Replica != 7 || string(r.welcome.Extra) != "welcome hello" || r.welcome.CircleName != "Henhouse" ||
			len(r.welcome.Addrs[m.Self()]) == 0 {
			t.Errorf("welcome %+v", r.welcome)
		}
		talk(t, j.Box, m.Self())
		talk(t, m.Box, j.Self())
		if tickets := m.desk.Tickets(); len(tickets) != 1 || tickets[0].State != UsedUp || tickets[0].Box != j.Self() {
			t.Errorf("tickets %+v", tickets)
		}
	})
}

// Two homes behind the NATs that most homes have: the third box, which is public,
// relays the pairing, and the homes end up with a direct link.
func TestJoiningThroughAMember(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, public := found(t, n.Spot())
		home := &member{w: w, key: testKey(t, 3), spot: n.Router(p2ptest.PortRestricted).Spot()}
		w.apply(roster.NewAdmit(roster.AdmitBody{
			Circle: w.now().Circle(), Inviter: public.key.BoxID(), Box: home.key.BoxID(), BoxName: "elm",
			House: ident.NewHouseID(), HouseName: "Elm Row", Keeper: ident.NewAccountID(), KeeperKey: testKey(t, 103).Public(),
		}, public.key, home.key))
		w.start(home)
		home.Learn(public.Self(), public.Addrs()...)
		talk(t, home.Box, public.Self())
		time.Sleep(10 * time.Second)

		tk := issue(t, home.desk, Terms{})
		if tk.Relay == nil || tk.Relay.Box != public.Self() {
			t.Fatalf("ticket %+v without the relay", tk)
		}
		j := newJoiner(t, n.Router(p2ptest.PortRestricted).Spot(), 2, "Mill")
		done := j.join(t.Context(), tk)
		p := waitPending(t, home)
		if err := home.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		j.settle(t, w, <-done)
		talk(t, j.Box, home.Self())
		talk(t, j.Box, public.Self())
		talk(t, home.Box, j.Self())
		j.Wait(t, "a direct link", 30*time.Second, func() bool { return j.State(home.Box) == p2p.Direct })
		time.Sleep(ScreenTTL + time.Minute) // the door is shut: links among members stay
		talk(t, home.Box, j.Self())
	})
}

func TestEitherSideRestartsWhilePairing(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		j := newJoiner(t, n.Router(p2ptest.PortRestricted).Spot(), 2, "Mill")
		tk := issue(t, m.desk, Terms{TTL: GiftTTL})
		done := j.join(t.Context(), tk)
		words := waitPending(t, m).Words

		m.Stop()
		time.Sleep(time.Hour)
		w.start(m)
		if again := waitPending(t, m); !slices.Equal(again.Words, words) {
			t.Errorf("other words after a restart: %v, were %v", again.Words, words)
		}

		j.Stop()
		m.Wait(t, "the joiner forgotten", time.Minute, func() bool { return len(m.desk.Pending()) == 0 })
		<-time.After(time.Second)
		select {
		case r := <-done:
			t.Fatalf("gave up: %v", r.err)
		default:
		}
		j.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		done = j.join(ctx, tk)
		p := waitPending(t, m)

		// The joiner loses its power in the moment of approval.
		j.Stop()
		cancel()
		<-done
		if err := m.desk.Approve(t.Context(), p.Box); err != nil && !errors.Is(err, ErrNotPending) {
			t.Fatal(err)
		}
		j.start(t)
		done = j.join(t.Context(), tk)
		time.Sleep(30 * time.Second)
		for _, p := range m.desk.Pending() {
			m.desk.Approve(t.Context(), p.Box)
		}
		j.settle(t, w, <-done)
		talk(t, j.Box, m.Self())
	})
}

// A box whose welcome was lost gets it again with the same ticket, unasked.
func TestALostWelcomeIsGivenAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		router := n.Router(p2ptest.PortRestricted)
		j := newJoiner(t, router.Spot(), 2, "Mill")
		tk := issue(t, m.desk, Terms{})
		ctx, cancel := context.WithCancel(t.Context())
		done := j.join(ctx, tk)
		p := waitPending(t, m)
		router.Cut(true)
		if err := m.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		cancel()
		<-done
		router.Cut(false)
		time.Sleep(time.Hour) // the ticket is old and used; the box is a member
		j.settle(t, w, <-j.join(t.Context(), tk))
		if w.admits != 2 || w.now().Len() != 2 {
			t.Errorf("%d calls, %d changes; want 2 and 2", w.admits, w.now().Len())
		}
		talk(t, j.Box, m.Self())
	})
}

func TestAWaivedTicketAsksNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		j := newJoiner(t, n.Spot(), 2, "Mill")
		j.settle(t, w, <-j.join(t.Context(), issue(t, m.desk, Terms{TTL: GiftTTL, Waived: true})))
		talk(t, j.Box, m.Self())
	})
}

// A circle shard that is apart admits nobody: the joiner goes on waiting.
func TestATroubledAdmissionCanBeTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		j := newJoiner(t, n.Spot(), 2, "Mill")
		done := j.join(t.Context(), issue(t, m.desk, Terms{}))
		p := waitPending(t, m)
		w.troubled = errors.New("needs one more house")
		if err := m.desk.Approve(t.Context(), p.Box); !errors.Is(err, w.troubled) {
			t.Errorf("got %v", err)
		}
		if len(m.desk.Pending()) != 1 || m.desk.Tickets()[0].State != Open {
			t.Error("the joiner or the ticket is gone")
		}
		w.troubled = nil
		if err := m.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		j.settle(t, w, <-done)
	})
}

// Three boxes on one machine, over the machine's own TCP and UDP.
func TestPairingOnOneMachine(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	hosts := make([]*p2p.Host, 3)
	for i := range hosts {
		h, err := p2p.New(p2p.Config{Key: testKey(t, byte(i+1)), ListenIP: loopback, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = h
	}
	w := &world{t: t}
	w.apply(roster.NewFound(roster.FoundBody{
		CircleName: "Henhouse", Box: hosts[0].Self(), BoxName: "oak", House: ident.NewHouseID(), HouseName: "Oak Street",
		Keeper: ident.NewAccountID(), KeeperKey: testKey(t, 101).Public(), Nonce: roster.NewNonce(),
	}, testKey(t, 1)))
	desk, err := New(Config{Host: hosts[0], Key: testKey(t, 1), Circle: w.now, Admit: w.admit})
	if err != nil {
		t.Fatal(err)
	}
	first := p2ptest.Run(t, hosts[0])
	w.boxes = []*member{{Box: first, key: testKey(t, 1)}}
	boxes := []*p2ptest.Box{first}
	for i, h := range hosts[1:] {
		h.Handle(echoProtocol, p2p.Members, func(_ context.Context, _ ident.BoxID, s p2p.Stream) { io.Copy(s, s) })
		j := &joiner{Box: p2ptest.Run(t, h), key: testKey(t, byte(i+2)), app: Application{
			BoxName: fmt.Sprint("box", i), HouseName: fmt.Sprint("house", i), Keeper: ident.NewAccountID(), KeeperKey: testKey(t, byte(102+i)).Public(), Account: []byte("new"),
		}}
		j.settle(t, w, <-j.join(t.Context(), issue(t, desk, Terms{Waived: true})))
		w.boxes = append(w.boxes, &member{Box: j.Box, key: j.key})
		w.spread()
		boxes = append(boxes, j.Box)
	}
	talk(t, boxes[0], boxes[1].Self())
	talk(t, boxes[1], boxes[2].Self()) // which met through the first
	talk(t, boxes[0], boxes[2].Self())
}
