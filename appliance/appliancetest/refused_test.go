package appliancetest_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/appliance/circle"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2ptest"
	"redhen/provision/pair"
	"redhen/provision/ticket"
	"redhen/provision/wire"
)

// strangers is a circle, another circle, and a box that is in none.
type strangers struct {
	*appliancetest.World
	oak, fox, pond *appliancetest.Box
}

// try is one way of asking that must be refused.
type try struct {
	name  string
	by    func(s strangers) *appliancetest.Box // who asks; nil = pond
	place func(*circle.Place)
	login string                   // of the keeper; "" = pia
	guess string                   // the password; "" = that of the keeper
	make  func(s strangers) string // the ticket
	then  func(t *testing.T, s strangers, a *appliancetest.Asking)
	code  string   // of circle.Explain
	asked bool     // it is the inviter who refuses
	wrote []string // what may have changed at the inviter, the beginnings of names
}

func tries() []try {
	invite := func(s strangers) string { return s.oak.Invite() }
	return []try{
		{name: "nonsense", make: func(strangers) string { return "hello, may I come in?" }, code: "no-ticket"},
		{name: "nothing", make: func(strangers) string { return "" }, code: "no-ticket"},
		{name: "a line cut short", make: func(s strangers) string { return s.oak.Invite()[:60] }, code: "incomplete-ticket"},
		{name: "too late", make: late, code: "expired", asked: true},
		{name: "taken back", make: takenBack, code: "revoked", asked: true},
		{name: "burnt", make: burnt, code: "burnt", asked: true},
		{name: "never made", make: neverMade, code: "unknown-ticket", asked: true},
		{name: "in a circle already", by: func(s strangers) *appliancetest.Box { return s.fox }, make: invite, code: "in-circle"},
		{name: "said no", make: invite, then: reject, code: "rejected", asked: true},
		{name: "taken back while waiting", make: invite, then: revoke, code: "revoked", asked: true, wrote: []string{"tickets"}},
		{name: "box of that name", make: invite, place: func(p *circle.Place) { p.Box = "Oak" }, code: "name-taken", asked: true},
		{name: "house of that name", make: invite, place: func(p *circle.Place) { p.House = "OAK STREET" }, code: "house-there"},
		{name: "no such house", make: invite, place: func(p *circle.Place) { p.SameHouse = true }, code: "no-house"},
		{name: "no name", make: invite, place: func(p *circle.Place) { p.Box = " " }, code: "bad-name"},
		{name: "account of that name", make: invite, login: "ada", guess: "hens like old ada", code: "login-there", wrote: []string{"tickets"}},
		{name: "of a circle that the inviter left", make: formerCircle, code: "wrong-circle", asked: true},
		{name: "used", make: used, code: "used", asked: true},
	}
}

func late(s strangers) string {
	text := s.oak.Invite()
	time.Sleep(11 * time.Minute)
	return text
}

func parse(s strangers, text string) ticket.Ticket {
	t, err := ticket.Parse(text)
	if err != nil {
		s.T.Fatal(err)
	}
	return t
}

func takenBack(s strangers) string {
	text := s.oak.Invite()
	if err := s.oak.Circle().Desk().Revoke(parse(s, text).ID()); err != nil {
		s.T.Fatal(err)
	}
	return text
}

// used has another box come first.
func used(s strangers) string {
	text := s.oak.Invite()
	first := s.Box("first", "First House", s.Net.Spot())
	a := first.Ask(text, "fay")
	a.AwaitPending(s.oak)
	if err := s.oak.Circle().Desk().Approve(context.Background(), first.ID()); err != nil {
		s.T.Fatal(err)
	}
	if err := a.Answer(); err != nil {
		s.T.Fatal(err)
	}
	s.AwaitComplete(2, 2*time.Minute)
	time.Sleep(time.Minute) // links have settled
	return text
}

// formerCircle has the inviter's box begin another circle with the old key and tickets.
func formerCircle(s strangers) string {
	text := s.oak.Invite()
	s.oak.Stop()
	entries, err := os.ReadDir(s.oak.Dir)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "box.key" && name != "tickets" {
			if err := os.RemoveAll(filepath.Join(s.oak.Dir, name)); err != nil {
				s.T.Fatal(err)
			}
		}
	}
	s.oak.Start()
	s.oak.Found("Second Try", "ada")
	return text
}

// neverMade is a secret of another circle that is said to be of this one.
func neverMade(s strangers) string {
	theirs, ours := parse(s, s.fox.Invite()), parse(s, s.oak.Invite())
	forged, err := ticket.New(ours.Inviter, theirs.Secret, ours.Addrs, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	return forged.Text()
}

func reject(t *testing.T, s strangers, a *appliancetest.Asking) {
	a.AwaitPending(s.oak)
	if err := s.oak.Circle().Desk().Reject(s.pond.ID()); err != nil {
		t.Error(err)
	}
}

func revoke(t *testing.T, s strangers, a *appliancetest.Asking) {
	a.AwaitPending(s.oak)
	desk := s.oak.Circle().Desk()
	if err := desk.Revoke(desk.Pending()[0].Ticket); err != nil {
		t.Error(err)
	}
}

// burnt has a thief, who saw the ticket's name but not its secret, try it five times.
func burnt(s strangers) string {
	text := s.oak.Invite()
	t := parse(s, text)
	thief := p2ptest.Start(s.T, s.Net.Spot(), p2p.Config{Key: newKey(s.T)})
	defer thief.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	to := p2p.Target{Box: t.Inviter, Addrs: t.Addrs}
	for range 5 {
		if err := thief.Connect(ctx, to); err != nil {
			s.T.Fatal(err)
		}
		st, err := thief.Open(ctx, t.Inviter, pair.Protocol)
		if err != nil {
			s.T.Fatal(err)
		}
		guess(s.T, st, t.ID())
	}
	return text
}

// guess goes through the protocol with a proof that is no better than a guess.
func guess(t testing.TB, s p2p.Stream, id string) {
	defer s.Reset()
	type hello struct {
		Version int      `cbor:"1,keyasint"`
		Ticket  string   `cbor:"2,keyasint"`
		Nonce   [16]byte `cbor:"3,keyasint"`
	}
	var challenge, refusal map[int]any
	for _, err := range []error{
		wire.Write(s, hello{Version: 2, Ticket: id}), wire.Read(s, 4<<10, &challenge),
		wire.Write(s, map[int]any{1: make([]byte, 32), 2: "ada"}), wire.Read(s, 4<<10, &refusal),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, refused := refusal[1]; !refused {
		t.Errorf("a wrong proof is answered with %v", refusal)
	}
}

func newKey(t testing.TB) ident.Key {
	t.Helper()
	k, err := ident.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Whatever is wrong with an invite: a sentence for the person, one line in the log
// of either box, and neither box has changed.
func TestRefusedWithASentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := appliancetest.New(t, appliancetest.Config{Net: p2ptest.Config{Latency: 20 * time.Millisecond}})
		s := strangers{World: w, oak: w.Box("oak", "Oak Street", w.Net.Spot()), fox: w.Box("fox", "Fox Hole", w.Net.Spot())}
		s.oak.Found("Henhouse", "ada")
		s.fox.Found("Foxes", "fritz")
		s.pond = w.Box("pond", "Pond Side", w.Net.Router(p2ptest.PortRestricted).Spot())
		for _, c := range tries() {
			for _, wrong := range refused(t, s, c) {
				t.Errorf("%s: %s", c.name, wrong)
			}
		}
		s.pond.Join(s.oak, "pia") // refusals are no obstacle to doing it right
	})
}

// refused has somebody try, and lists what is not as it should be.
func refused(t *testing.T, s strangers, c try) (wrong []string) {
	asker := s.pond
	if c.by != nil {
		asker = c.by(s)
	}
	text := c.make(s)
	place, login := asker.Place(), cmp.Or(c.login, "pia")
	if c.place != nil {
		c.place(&place)
	}
	time.Sleep(10 * time.Second) // what was under way is on disk
	askerWas, oakWas := asker.State(), s.oak.State()
	askerLog, oakLog := asker.Log.Since(), s.oak.Log.Since()

	person := appliancetest.PersonOf(login)
	person.Password = cmp.Or(c.guess, person.Password)
	a := asker.AskAs(text, place, person)
	if c.then != nil {
		c.then(t, s, a)
	}
	err := a.Answer()
	words, ok := circle.Explain(err)
	if !ok || words.Code != c.code || !strings.HasSuffix(words.Sentence, ".") {
		wrong = append(wrong, fmt.Sprintf("got %v, explained as %q (%s); want %s", err, words.Sentence, words.Code, c.code))
	}
	t.Logf("%s: %s", c.name, words.Sentence)
	time.Sleep(10 * time.Second)

	if lines := askerLog("level=INFO"); len(lines) != 1 || !strings.Contains(lines[0], "circle not joined") {
		wrong = append(wrong, fmt.Sprintf("the asker's log: %q", lines))
	}
	refusals := len(oakLog("box refused", asker.ID().Short()))
	if lines := oakLog("level=INFO"); len(lines) != refusals || c.asked != (refusals == 1) {
		wrong = append(wrong, fmt.Sprintf("the inviter's log: %q", lines))
	}
	if changed := asker.State().Changed(askerWas); len(changed) > 0 {
		wrong = append(wrong, fmt.Sprintf("changed at the asker: %q", changed))
	}
	changed := slices.DeleteFunc(s.oak.State().Changed(oakWas), func(n string) bool {
		return slices.ContainsFunc(c.wrote, func(p string) bool { return strings.HasPrefix(n, p) })
	})
	if len(changed) > 0 {
		wrong = append(wrong, fmt.Sprintf("changed at the inviter: %q", changed))
	}
	return wrong
}
