package pair

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2ptest"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// aGift is a joiner that brings no keeper.
func aGift(t testing.TB, at *p2ptest.Spot, seed byte, name string) *joiner {
	j := newJoiner(t, at, seed, name)
	j.app.Gift, j.app.Keeper, j.app.KeeperKey, j.app.Account = true, "", nil, nil
	return j
}

func TestAGiftIsKeptByItsGiver(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		tk := issue(t, m.desk, Terms{TTL: GiftTTL, Gift: "Mill Lane"})
		m.Stop() // a month of a running box takes a minute to simulate
		time.Sleep(29 * 24 * time.Hour)
		w.start(m)
		j := aGift(t, n.Router(p2ptest.PortRestricted).Spot(), 2, "Mill")
		done := j.join(t.Context(), tk)
		p := waitPending(t, m)
		if !p.Application.Gift || p.Application.KeeperName != "Ada" {
			t.Errorf("pending %+v", p)
		}
		if err := m.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		j.settle(t, w, <-done)
		giver, _ := w.now().Box(m.Self())
		got, _ := w.now().Box(j.Self())
		if !got.Gift || got.Keeper != giver.Keeper || !got.KeeperKey.Equal(giver.KeeperKey) {
			t.Errorf("got %+v, want the keeper of %+v", got, giver)
		}
		if list := m.desk.Tickets(); len(list) != 1 || list[0].Gift != "Mill Lane" {
			t.Errorf("tickets %+v", list)
		}
		talk(t, j.Box, m.Self())
	})
}

// A ticket that is no gift brings the giver no box to keep, and a gift's may be used
// by somebody who brings an account.
func TestOnlyAGiftComesWithoutAKeeper(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		_, m := found(t, n.Spot())
		j := aGift(t, n.Spot(), 2, "Mill")
		r := <-j.join(t.Context(), issue(t, m.desk, Terms{Waived: true}))
		if refused(r.err) == nil {
			t.Errorf("no gift: got %v", r.err)
		}
		k := newJoiner(t, n.Spot(), 3, "Elm")
		if r := <-k.join(t.Context(), issue(t, m.desk, Terms{Waived: true, Gift: "Elm Row"})); r.err != nil {
			t.Errorf("with an account: %v", r.err)
		}
	})
}

// A gift cannot be signed for with another keeper than the giver.
func TestAGiftNamesNoOtherKeeper(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, m := found(t, n.Spot())
		j := aGift(t, n.Spot(), 2, "Mill")
		me, _ := w.now().Box(m.Self())
		c := challenge{Circle: w.now().Circle(), Keeper: me.Keeper, KeeperKey: me.KeeperKey}
		accept := func(a Application, tk stored) error {
			change := roster.NewAdmit(a.admission(c, m.Self(), j.Self()), j.key)
			_, err := m.desk.accept(w.now(), tk, c, application{Body: wire.MustMarshal(a), Change: roster.Encode(change)}, j.Self())
			return err
		}
		good := j.app
		good.House, good.Keeper, good.KeeperKey = ident.NewHouseID(), me.Keeper, me.KeeperKey
		if err := accept(good, stored{ID: "x", Gift: "Mill"}); err != nil {
			t.Errorf("as it should be: %v", err)
		}
		account, key := good, good
		account.Keeper, key.KeeperKey = ident.NewAccountID(), testKey(t, 55).Public()
		for name, err := range map[string]error{
			"no gift":         accept(good, stored{ID: "x"}),
			"another account": accept(account, stored{ID: "x", Gift: "Mill"}),
			"another key":     accept(key, stored{ID: "x", Gift: "Mill"}),
		} {
			if refused(err) == nil {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

// Within the life of a gift's ticket the inviter may get another address. It is found
// through any member that the seed names, and that relays to it.
func TestAnInviterThatHasMovedIsFoundThroughAMember(t *testing.T) {
	inBubble(t, func(t *testing.T, n *p2ptest.Net) {
		w, public := found(t, n.Spot())
		router := n.Router(p2ptest.PortRestricted)
		home := &member{w: w, key: testKey(t, 3), spot: router.Spot()}
		w.apply(roster.NewAdmit(roster.AdmitBody{
			Circle: w.now().Circle(), Inviter: public.key.BoxID(), Box: home.key.BoxID(), BoxName: "elm",
			House: ident.NewHouseID(), HouseName: "Elm Row", Keeper: ident.NewAccountID(), KeeperKey: testKey(t, 103).Public(),
		}, public.key, home.key))
		w.start(home)
		tk := issue(t, home.desk, Terms{TTL: GiftTTL, Gift: "Mill Lane"}) // before any member relays to it
		if tk.Relay != nil {
			t.Fatal("the ticket names a relay: this test has lost its point")
		}
		home.Learn(public.Self(), public.Addrs()...)
		talk(t, home.Box, public.Self())
		router.Move()
		time.Sleep(time.Minute)

		j := aGift(t, n.Router(p2ptest.PortRestricted).Spot(), 2, "Mill")
		nobody := Way{Box: testKey(t, 77).BoxID(), Addrs: []netip.AddrPort{netip.MustParseAddrPort("8.8.8.8:4717")}}
		ways := []Way{{Box: home.Self(), Addrs: tk.Addrs}, nobody, {Box: public.Self(), Addrs: public.Addrs()}}
		done := make(chan result, 1)
		go func() {
			r, err := Join(t.Context(), Joiner{Host: j.Host, Key: j.key, Ticket: tk, Through: ways, Application: j.app})
			done <- result{r, err}
		}()
		p := waitPending(t, home)
		synctest.Wait()
		if err := home.desk.Approve(t.Context(), p.Box); err != nil {
			t.Fatal(err)
		}
		j.settle(t, w, <-done)
		talk(t, j.Box, home.Self())
	})
}

func TestWaysAreBounded(t *testing.T) {
	inviter := testKey(t, 1).BoxID()
	j := Joiner{}
	j.Ticket.Inviter = inviter
	for i := range byte(100) {
		j.Through = append(j.Through, Way{Box: testKey(t, 100+i).BoxID(), Addrs: []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 0, 0, i}), 4717)}})
	}
	j.Through[0].Box = inviter
	all := j.targets()
	if len(all) != MaxWays+1 || all[1].Relay != "" || len(all[1].Addrs) != 1 || all[2].Relay != j.Through[1].Box || all[2].Box != inviter {
		t.Errorf("%d ways: %+v", len(all), all[:3])
	}
}
