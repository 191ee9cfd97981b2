package pair

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2ptest"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/provision/wire"
)

// refusedWith joins and wants the code, once in the inviter's log when it is its refusal.
func refusedWith(t *testing.T, m *member, j *joiner, tk ticket.Ticket, want Code) {
	t.Helper()
	m.log.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := <-j.join(ctx, tk)
	if got := refused(r.err); got == nil || got.Code != want {
		t.Errorf("got %v, want: %s", r.err, (&Refusal{want}).Sentence())
	}
	time.Sleep(time.Second)
	if n := strings.Count(m.log.String(), "box refused"); n != 1 {
		t.Errorf("code %d logged %d times", want, n)
	}
}

func TestRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		open := issue(t, m.desk, Terms{TTL: GiftTTL}) // keeps the door open
		j := newJoiner(t, n.Spot(), 2, "Mill")

		never, err := ticket.New(m.Self(), ticket.NewSecret(), m.Addrs(), nil)
		if err != nil {
			t.Fatal(err)
		}
		refusedWith(t, m, j, never, Unknown)

		late := issue(t, m.desk, Terms{})
		time.Sleep(ScreenTTL)
		refusedWith(t, m, j, late, Expired)

		back := issue(t, m.desk, Terms{})
		if err := m.desk.Revoke(back.ID()); err != nil {
			t.Fatal(err)
		}
		refusedWith(t, m, j, back, Revoked)
		if err := m.desk.Revoke(back.ID()); err != ErrNoTicket {
			t.Errorf("revoked twice: %v", err)
		}

		no := j.join(t.Context(), open)
		m.desk.Reject(waitPending(t, m).Box)
		if r := refused((<-no).err); r == nil || r.Code != Rejected {
			t.Errorf("rejected: got %v", r)
		}

		j.app.BoxName = "OAK" // the founder's is called oak
		refusedWith(t, m, j, open, NameTaken)
		j.app.BoxName = "Mill"

		good := j.join(t.Context(), open)
		if err := m.desk.Approve(t.Context(), waitPending(t, m).Box); err != nil {
			t.Fatal(err)
		}
		j.settle(t, w, <-good)
		other := newJoiner(t, n.Spot(), 3, "Elm")
		refusedWith(t, m, other, open, Used)
		refusedWith(t, m, j, issue(t, m.desk, Terms{}), InCircle)

		before := w.now()
		moved := roster.FoundBody{
			CircleName: "Other", Box: m.key.BoxID(), BoxName: "oak", House: ident.NewHouseID(), HouseName: "Oak Street",
			Keeper: ident.NewAccountID(), KeeperKey: testKey(t, 101).Public(), Nonce: roster.NewNonce(),
		}
		stale := issue(t, m.desk, Terms{})
		w.state = nil
		w.apply(roster.NewFound(moved, m.key))
		refusedWith(t, m, other, stale, WrongCircle)
		w.state = before
		if w.now().Len() != 2 {
			t.Errorf("refusals changed the roster: %d changes", w.now().Len())
		}
	})
}

func TestAJoinerInACircleDoesNotEvenAsk(t *testing.T) {
	_, err := Join(t.Context(), Joiner{Circle: "0123"})
	if r := refused(err); r == nil || r.Code != InCircle {
		t.Errorf("got %v", err)
	}
}

func TestFiveWrongProofsBurnATicket(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		tk := issue(t, m.desk, Terms{})
		j := newJoiner(t, n.Spot(), 2, "Mill")
		if err := j.Connect(t.Context(), p2p.Target{Box: m.Self(), Addrs: tk.Addrs}); err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= maxWrong+1; i++ {
			want := WrongProof
			if i >= maxWrong {
				want = Burnt
			}
			if i == 3 { // the count survives a restart
				m.Stop()
				time.Sleep(time.Second)
				w.start(m)
				if err := j.Connect(t.Context(), p2p.Target{Box: m.Self(), Addrs: tk.Addrs}); err != nil {
					t.Fatal(err)
				}
			}
			if got := guess(t, j, m, tk); got != want {
				t.Errorf("guess %d: code %d, want %d", i, got, want)
			}
		}
		refusedWith(t, m, j, tk, Burnt) // also for who knows the secret
		if w.admits != 0 {
			t.Error("let in")
		}
	})
}

// guess runs the protocol by hand with a wrong proof and returns the refusal.
func guess(t *testing.T, j *joiner, m *member, tk ticket.Ticket) Code {
	t.Helper()
	s, err := j.Open(t.Context(), m.Self(), Protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	wire.Write(s, hello{Version: version, Ticket: tk.ID()})
	var r reply
	if err := wire.Read(s, 0, &r); err != nil {
		t.Fatal(err)
	}
	if r.Challenge == nil {
		return r.Refused
	}
	wire.Write(s, question{Proof: make([]byte, 32), Login: "ada"})
	r = reply{}
	if err := wire.Read(s, 0, &r); err != nil {
		t.Fatal(err)
	}
	return r.Refused
}

func TestGarbageIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		tk := issue(t, m.desk, Terms{})
		j := newJoiner(t, n.Spot(), 2, "Mill")
		if err := j.Connect(t.Context(), p2p.Target{Box: m.Self(), Addrs: tk.Addrs}); err != nil {
			t.Fatal(err)
		}
		big := append([]byte{0, 0, 0xff, 0xff}, make([]byte, 0xffff)...)
		for name, raw := range map[string][]byte{
			"text":        []byte("GET / HTTP/1.1\r\n\r\n"),
			"empty frame": {0, 0, 0, 0},
			"too large":   big,
			"version":     frame(hello{Version: 9, Ticket: tk.ID()}),
			"no version":  frame(hello{Ticket: tk.ID()}),
		} {
			s, err := j.Open(t.Context(), m.Self(), Protocol)
			if err != nil {
				t.Fatal(err)
			}
			go s.Write(raw)
			var r reply
			if err := wire.Read(s, 0, &r); err != nil || r.Refused != Garbage {
				t.Errorf("%s: got %+v, %v", name, r, err)
			}
			s.Reset()
		}
		if w.admits != 0 || m.desk.Tickets()[0].Wrong != 0 {
			t.Error("garbage changed something")
		}
	})
}

func frame(v any) []byte {
	var b bytes.Buffer
	wire.Write(&b, v)
	return b.Bytes()
}

// An application must be what its signed change says, by the box that sends it.
func TestAnApplicationMustMatchItsChange(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		j := newJoiner(t, n.Spot(), 2, "Mill")
		j.app.House, j.app.Time = ident.NewHouseID(), 1
		c := challenge{Circle: w.now().Circle()}
		body := func(change func(*roster.AdmitBody)) roster.AdmitBody {
			b := j.app.admission(c, m.Self(), j.Self())
			change(&b)
			return b
		}
		tk := stored{ID: "x"}
		accept := func(a Application, ch roster.Change) error {
			_, err := m.desk.accept(w.now(), tk, c, application{Body: wire.MustMarshal(a), Change: roster.Encode(ch)}, j.Self())
			return err
		}
		same := body(func(*roster.AdmitBody) {})
		if err := accept(j.app, roster.NewAdmit(same, j.key)); err != nil {
			t.Errorf("as it should be: %v", err)
		}
		long := j.app
		long.Account = make([]byte, maxOpaque+1)
		for name, err := range map[string]error{
			"other box name":   accept(j.app, roster.NewAdmit(body(func(b *roster.AdmitBody) { b.BoxName = "x" }), j.key)),
			"other keeper key": accept(j.app, roster.NewAdmit(body(func(b *roster.AdmitBody) { b.KeeperKey = j.key.Public() }), j.key)),
			"other box":        accept(j.app, roster.NewAdmit(body(func(b *roster.AdmitBody) { b.Box = testKey(t, 9).BoxID() }), testKey(t, 9))),
			"other inviter":    accept(j.app, roster.NewAdmit(body(func(b *roster.AdmitBody) { b.Inviter = j.Self() }), j.key)),
			"not signed":       accept(j.app, roster.NewAdmit(same, testKey(t, 9))),
			"no admission":     accept(j.app, roster.NewRetire(roster.RetireBody{Circle: c.Circle, Box: j.Self()}, j.key)),
			"long account":     accept(long, roster.NewAdmit(same, j.key)),
		} {
			if refused(err) == nil {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

// A copied ticket shows in the words, and at most one box gets in with it.
func TestACopiedTicketShowsOtherWords(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		_, m := found(t, n.Spot())
		tk := issue(t, m.desk, Terms{})
		friend, thief := newJoiner(t, n.Spot(), 2, "Mill"), newJoiner(t, n.Spot(), 3, "Elm")
		first, second := friend.join(t.Context(), tk), thief.join(t.Context(), tk)
		time.Sleep(5 * time.Second)
		p := m.desk.Pending()
		if len(p) != 2 || slices.Equal(p[0].Words, p[1].Words) {
			t.Fatalf("pending %+v", p)
		}
		if err := m.desk.Approve(t.Context(), friend.Self()); err != nil {
			t.Fatal(err)
		}
		if r := <-first; r.err != nil {
			t.Error(r.err)
		}
		if r := refused((<-second).err); r == nil || r.Code != Used {
			t.Errorf("the thief got %v", r)
		}
	})
}

// A box that says it is the inviter but does not know the secret is not told who joins.
func TestTheInviterProvesItselfFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		liar := newJoiner(t, n.Spot(), 1, "oak")
		told := false
		liar.Handle(Protocol, p2p.Anyone, func(_ context.Context, _ ident.BoxID, s p2p.Stream) {
			wire.ReadFrame(s, 0)
			wire.Write(s, reply{Challenge: &challenge{Proof: make([]byte, 32), Circle: "c"}})
			_, err := wire.ReadFrame(s, 0)
			told = err == nil
		})
		liar.OpenDoor(time.Now().Add(time.Hour))
		tk, err := ticket.New(liar.Self(), ticket.NewSecret(), liar.Addrs(), nil)
		if err != nil {
			t.Fatal(err)
		}
		j := newJoiner(t, n.Spot(), 2, "Mill")
		if r := refused((<-j.join(t.Context(), tk)).err); r == nil || r.Code != WrongProof || told {
			t.Errorf("got %v, told %v", r, told)
		}
	})
}

// Outside of pairing a stranger finds nothing open, also while a ticket is out.
func TestATicketOpensNothingElse(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		_, m := found(t, n.Spot())
		tk := issue(t, m.desk, Terms{})
		j := newJoiner(t, n.Spot(), 2, "Mill")
		j.join(t.Context(), tk)
		waitPending(t, m)
		for _, proto := range []string{echoProtocol, "/redhen/beat/1", "/redhen/book/1", "/libp2p/circuit/relay/0.2.0/hop"} {
			s, err := j.Open(t.Context(), m.Self(), proto)
			if err != nil {
				continue
			}
			s.SetDeadline(time.Now().Add(time.Second))
			s.Write([]byte("hello"))
			s.CloseWrite()
			if n, err := s.Read(make([]byte, 10)); err == nil {
				t.Errorf("%s answered %d bytes", proto, n)
			}
			s.Reset()
		}
	})
}

func TestTicketsAreKeptWithoutTheirSecret(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		tk := issue(t, m.desk, Terms{TTL: GiftTTL})
		raw, err := os.ReadFile(filepath.Join(m.dirs[1], "tickets"))
		if err != nil || bytes.Contains(raw, tk.Secret[:]) {
			t.Errorf("the secret is on disk, or nothing is: %v", err)
		}
		before := m.desk.Tickets()
		m.Stop()
		w.start(m)
		if after := m.desk.Tickets(); len(after) != 1 || after[0] != before[0] {
			t.Errorf("got %+v, want %+v", after, before)
		}
	})
}

func TestADamagedTicketFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tickets"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openBook(dir); err == nil {
		t.Error("no error")
	}
}

func TestOldTicketsAreForgotten(t *testing.T) {
	b, err := openBook("")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	old := now.Add(-remember - time.Hour)
	b.put(stored{ID: "old", Expires: old.UnixMilli()}, old)
	for i := range maxTickets - 1 {
		if err := b.put(stored{ID: string(rune('A' + i)), Expires: now.UnixMilli()}, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.put(stored{ID: "more", Expires: now.UnixMilli()}, old); err == nil {
		t.Error("more tickets than the limit")
	}
	if err := b.put(stored{ID: "new", Expires: now.UnixMilli()}, now); err != nil || len(b.tickets) != maxTickets {
		t.Errorf("%d tickets, %v", len(b.tickets), err)
	}
}

func TestIssueNeedsACircle(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		w.state = nil
		if _, err := m.desk.Issue(Terms{}); err != ErrNoCircle {
			t.Errorf("got %v", err)
		}
	})
}

func TestEveryCodeHasASentence(t *testing.T) {
	seen := map[string]Code{}
	for c := Garbage; c <= BadKeeper; c++ {
		s := (&Refusal{c}).Sentence()
		if other, twice := seen[s]; twice || !strings.HasSuffix(s, ".") {
			t.Errorf("code %d and %d: %q", c, other, s)
		}
		seen[s] = c
		counted := c == WrongProof || c == Burnt // the inviter counts wrong proofs
		if strings.Contains(s, "Nothing was changed.") == counted {
			t.Errorf("code %d does not say truly whether something was changed: %q", c, s)
		}
	}
}

func TestATicketServesNearAndFar(t *testing.T) {
	var all []netip.AddrPort
	for _, a := range []string{"8.0.0.1:1", "8.0.0.2:1", "8.0.0.3:1", "192.168.1.2:1", "10.0.0.2:1"} {
		all = append(all, netip.MustParseAddrPort(a))
	}
	got := fmt.Sprint(bestMix(all))
	if want := "[8.0.0.1:1 192.168.1.2:1 8.0.0.2:1 8.0.0.3:1 10.0.0.2:1]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := bestMix(all[3:]); len(got) != 2 {
		t.Errorf("without a public address: %v", got)
	}
}
