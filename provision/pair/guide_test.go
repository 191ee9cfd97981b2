package pair

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2ptest"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// guided is found with a guide that knows the founder "ada", and accounts of no box
// called "a" to "z". The real key of each is said to be sealed with its own name.
func guided(t *testing.T, at *p2ptest.Spot) (*world, *member) {
	w, m := found(t, at)
	founder, _ := w.now().Box(m.key.BoxID())
	m.Stop()
	w.guide = func(login string) Guide {
		g := Guide{Keepers: []string{"ada"}}
		for _, h := range w.now().Houses() {
			g.Houses = append(g.Houses, House{h.ID, h.Name})
		}
		switch {
		case login == "ada":
			g.Known = &Known{ID: founder.Keeper, Key: founder.KeeperKey, Sealed: []byte("sealed: ada")}
		case len(login) == 1:
			g.Known = &Known{ID: ident.AccountID("000000000000000" + login), Sealed: []byte("sealed: " + login)}
		}
		return g
	}
	return w, w.start(m)
}

// under makes the joiner come under ada's account, with a key for hers.
func (j *joiner) under(t *testing.T, key ident.Key) {
	j.app.KeeperName, j.app.Account = "ada", nil
	j.fit = func(_ context.Context, g Guide, app Application) (Application, ident.Key, error) {
		if g.Known == nil || string(g.Known.Sealed) != "sealed: ada" {
			t.Errorf("guide %+v", g)
			return app, key, errors.New("not known")
		}
		app.Keeper, app.KeeperKey = g.Known.ID, g.Known.Key
		return app, key, nil
	}
}

// Whose house burnt comes back under the old account, in a new house or beside a box
// that is there; whoever says yes sees that the password was right.
func TestAKnownKeeperBringsABox(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := guided(t, n.Spot())
		j := newJoiner(t, n.Spot(), 2, "Mill")
		j.under(t, testKey(t, 101))
		done := j.join(t.Context(), issue(t, m.desk, Terms{}))
		p := waitPending(t, m)
		if !p.Known || p.SameHouse {
			t.Errorf("pending %+v", p)
		}
		time.Sleep(time.Second)
		if g := j.last().Guide; len(g.Houses) != 1 || g.Houses[0].Name != "Oak Street" || !slices.Equal(g.Keepers, []string{"ada"}) {
			t.Errorf("the joiner is told %+v", g)
		}
		if err := m.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		j.settle(t, w, <-done)

		third := newJoiner(t, n.Spot(), 3, "Elm")
		third.under(t, testKey(t, 101))
		fit := third.fit
		third.fit = func(ctx context.Context, g Guide, app Application) (Application, ident.Key, error) {
			app.House, app.HouseName = g.Houses[0].ID, g.Houses[0].Name
			return fit(ctx, g, app)
		}
		done = third.join(t.Context(), issue(t, m.desk, Terms{}))
		if p = waitPending(t, m); !p.Known || !p.SameHouse {
			t.Errorf("pending %+v", p)
		}
		if err := m.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		third.settle(t, w, <-done)
		if h := w.now().Houses(); len(h) != 2 {
			t.Errorf("%d houses, want two with three boxes", len(h))
		}
	})
}

// Without the key of the account, and whatever else somebody says, nobody is asked.
func TestAKeeperMustProveIt(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := guided(t, n.Spot())
		tk := issue(t, m.desk, Terms{TTL: GiftTTL})
		j := newJoiner(t, n.Spot(), 2, "Mill")
		j.under(t, testKey(t, 55)) // another key
		refusedWith(t, m, j, tk, BadKeeper)
		j.under(t, ident.Key{}) // no signature
		refusedWith(t, m, j, tk, BadKeeper)
		j.under(t, testKey(t, 101))
		j.app.Account = []byte("a new one too")
		refusedWith(t, m, j, tk, BadKeeper)
		j.app.Account, j.fit = nil, nil // a keeper of its own, said to be known
		refusedWith(t, m, j, tk, BadKeeper)
		j.app.KeeperName = "nobody"
		refusedWith(t, m, j, tk, BadKeeper)
		if w.admits != 0 || len(m.desk.Pending()) != 0 || m.desk.Tickets()[0].State != Open {
			t.Error("that changed something")
		}
		why := errors.New("the password is another")
		j.fit = func(context.Context, Guide, Application) (Application, ident.Key, error) {
			return Application{}, ident.Key{}, why
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if r := <-j.join(ctx, tk); !errors.Is(r.err, why) {
			t.Errorf("got %v, want the joiner's own reason", r.err)
		}
	})
}

// A signature of the keeper's is for one talk: copied into another, it proves nothing.
func TestAKeepersSignatureIsForOneTalk(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := guided(t, n.Spot())
		key := testKey(t, 101)
		known := w.guide("ada").Known
		app := Application{KeeperName: "ada", Keeper: known.ID, KeeperKey: known.Key}
		said := transcript{Inviter: m.Self(), Joiner: testKey(t, 2).BoxID(), Hello: [16]byte{1}, Answer: [16]byte{2}}
		a := application{Change: []byte("the admission")}
		a.Keeper = key.Sign(keeperPurpose, said.keeper(a.Change))
		if ok, err := m.desk.provesKeeper(app, a, said); !ok || err != nil {
			t.Errorf("as it should be: %v, %v", ok, err)
		}
		for name, change := range map[string]func(*transcript, *application){
			"other box":       func(t *transcript, _ *application) { t.Joiner = t.Inviter },
			"other inviter":   func(t *transcript, _ *application) { t.Inviter = t.Joiner },
			"other talk":      func(t *transcript, _ *application) { t.Answer[0]++ },
			"other admission": func(_ *transcript, a *application) { a.Change = []byte("of another box") },
			"other purpose":   func(_ *transcript, a *application) { a.Keeper = key.Sign("redhen roster gone", said.keeper(a.Change)) },
		} {
			s, b := said, a
			change(&s, &b)
			if ok, err := m.desk.provesKeeper(app, b, s); ok || refused(err) == nil {
				t.Errorf("%s: %v, %v", name, ok, err)
			}
		}
	})
}

// Nobody is told who is there without the ticket's secret, and nobody goes through
// the accounts with it.
func TestTheGuideIsForOneFriend(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := guided(t, n.Spot())
		tk := issue(t, m.desk, Terms{})
		j := newJoiner(t, n.Spot(), 2, "Mill")
		if err := j.Connect(t.Context(), p2p.Target{Box: m.Self(), Addrs: tk.Addrs}); err != nil {
			t.Fatal(err)
		}
		if code := guess(t, j, m, tk); code != WrongProof {
			t.Errorf("without the secret: code %d, want %d", code, WrongProof)
		}
		asker := Joiner{Host: j.Host, Key: j.key, Ticket: tk}
		ask := func(login string) (Guide, error) {
			s, err := j.Open(t.Context(), m.Self(), Protocol)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Reset()
			asker.Application.KeeperName = login
			c, said, err := asker.hello(s)
			if err != nil {
				return Guide{}, err
			}
			return asker.ask(s, c, said, proofKey(tk.Secret))
		}
		for _, login := range []string{"nobody", "a", "b", "a", "", "c", "b", "c"} {
			if g, err := ask(login); err != nil || (g.Known != nil) != (len(login) == 1) {
				t.Errorf("%q: %+v, %v", login, g, err)
			}
		}
		m.Stop() // what was shown is remembered
		time.Sleep(time.Second)
		w.start(m)
		if err := j.Connect(t.Context(), p2p.Target{Box: m.Self(), Addrs: tk.Addrs}); err != nil {
			t.Fatal(err)
		}
		if _, err := ask("d"); refused(err) == nil || refused(err).Code != Burnt {
			t.Errorf("the fourth account: %v", err)
		}
		if _, err := ask("a"); refused(err) == nil || m.desk.Tickets()[0].State != TriedTooOften {
			t.Errorf("after it was burnt: %v, %+v", err, m.desk.Tickets()[0])
		}
		if _, err := ask(string(make([]byte, maxLogin+1))); refused(err) == nil {
			t.Errorf("a long login: %v", err)
		}
	})
}

func FuzzGuide(f *testing.F) {
	f.Add(wire.MustMarshal(Guide{Houses: []House{{"0123456789abcdef", "Oak Street"}}, Keepers: []string{"ada"},
		Known: &Known{ID: "0123456789abcdef", Key: make([]byte, 32), Sealed: []byte{1}}}))
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var g Guide
		if wire.Unmarshal(b, &g) != nil || g.validate() != nil {
			return
		}
		if len(g.Houses) > p2p.MaxMembers || len(g.Keepers) > p2p.MaxMembers {
			t.Error("over the limits")
		}
		for _, h := range g.Houses {
			if roster.CheckName(h.Name) != nil {
				t.Errorf("house %q", h.Name)
			}
		}
	})
}
