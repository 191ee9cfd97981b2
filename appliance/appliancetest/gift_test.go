package appliancetest_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/appliance/circle"
	"redhen/appliance/firstboot"
	"redhen/provision/p2ptest"
	"redhen/provision/seed"
)

// aGift is a gift of the box at the house, for gil.
func aGift(t *testing.T, from *appliancetest.Box, waived bool) circle.Present {
	t.Helper()
	p, err := from.Circle().Gift(circle.Gift{Place: circle.Place{House: "Gift House", Box: "gift"}, Keeper: "gil", Waived: waived})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A gift is plugged in weeks later, behind a router, and joins without anybody's doing
// but the giver's one tap. Until that it knows nothing of the circle but its name.
func TestAGiftJoinsWhenItIsPluggedIn(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		c.oak.Write("zoe", "/hello.txt", []byte("hello"))
		p := aGift(t, c.mill, false) // the giver sits behind a router, too
		gift := c.BoxWithCard(p.Seed, c.Net.Router(p2ptest.PortRestricted).Spot())
		c.Until("the gift waits for the giver's yes", 2*time.Minute, func() bool {
			return gift.Appliance.Start().State().Doing == firstboot.Waiting
		})
		if on := gift.ReadCard("redhen.toml"); bytes.Contains(on, []byte(p.Seed.Ticket)) {
			t.Error("the ticket is still on the card")
		}
		time.Sleep(2 * time.Minute)
		if gift.Circle().Claimed() || len(gift.Status().Shards) != 0 || c.oak.Circle().Roster().Active(gift.ID()) {
			t.Fatal("the gift knows the circle before the giver said yes")
		}
		pending := c.mill.Circle().Desk().Pending()
		if len(pending) != 1 || !pending[0].Application.Gift || pending[0].Application.HouseName != "Gift House" {
			t.Fatalf("pending %+v", pending)
		}
		if err := c.mill.Circle().Desk().Approve(t.Context(), gift.ID()); err != nil {
			t.Fatal(err)
		}
		c.Until("the gift knows its circle", time.Minute, func() bool { return gift.About().Claimed })
		if about := gift.About(); !about.Gift || about.ClaimCode == "" || about.House != "Gift House" || !about.Start.IsZero() {
			t.Errorf("about %+v", about)
		}
		me, _ := c.oak.Circle().Roster().Box(gift.ID())
		if bert, err := c.oak.Circle().Account("bert"); err != nil || me.Keeper != bert.ID {
			t.Errorf("kept by %v, want the giver; %v", me.Keeper, err)
		}
		gift.Shows("zoe", "/hello.txt", []byte("hello"), 2*time.Minute)
		receive(t, c.World, gift, p)
	})
}

// receive has gil take the gift, after the power went once more.
func receive(t *testing.T, w *appliancetest.World, gift *appliancetest.Box, p circle.Present) {
	t.Helper()
	gift.Crash()
	gift.Start()
	if !gift.Appliance.Start().Claims(p.Code) || !gift.Circle().Unreceived() {
		t.Fatal("the gift has forgotten its code, or that it is one")
	}
	if err := gift.Circle().Receive(t.Context(), appliancetest.PersonOf("gil")); err != nil {
		t.Fatal(err)
	}
	gift.Appliance.Start().Received()
	gift.Keeper = "gil"
	oak := w.Boxes()[0]
	w.Until("oak knows who keeps the gift", time.Minute, func() bool {
		gil, err := oak.Circle().Account("gil")
		me, _ := oak.Circle().Roster().Box(gift.ID())
		return err == nil && me.Keeper == gil.ID && !me.Gift
	})
	gift.Write("gil", "/mine.txt", []byte("mine"))
	oak.Shows("gil", "/mine.txt", []byte("mine"), time.Minute)
	if err := gift.Circle().Receive(t.Context(), appliancetest.PersonOf("eve")); err == nil {
		t.Error("taken twice")
	}
	lines := tellings(t, oak)
	for _, want := range []string{"Gift at Gift House joined the circle.", "Gil keeps gift at Gift House now."} {
		if !strings.Contains(lines, want) {
			t.Errorf("the diary lacks %q: %s", want, lines)
		}
	}
}

// A gift that its giver waived asks nobody. The giver has
// another address, was off for some days, and is found through another house.
func TestAGiftFindsAGiverWhoMoved(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		p := aGift(t, c.mill, true)
		if len(p.Seed.Ways) == 0 {
			t.Fatal("the seed names no further way")
		}
		time.Sleep(time.Minute)
		c.millR.Move()
		c.mill.Stop()
		gift := c.BoxWithCard(p.Seed, c.Net.Router(p2ptest.PortRestricted).Spot())
		c.Until("the gift says that nobody answers", 5*time.Minute, func() bool {
			st := gift.Appliance.Start().State()
			return st.Doing == firstboot.Looking && strings.Contains(st.Sentence, "does not answer yet")
		})
		gift.Crash()
		gift.Start()
		time.Sleep(2 * time.Minute)
		c.mill.Start()
		t.Logf("in after %v", c.Until("the gift is in the circle", 10*time.Minute, func() bool { return gift.About().Claimed }))
		gift.Keeper = "bert"
		c.AwaitComplete(3, 10*time.Minute)
	})
}

// A member who has an account, with or without a box, may be the one who gets it.
func TestAGiftForSomebodyOfTheCircle(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		gift := c.BoxWithCard(aGift(t, c.oak, true).Seed, c.Net.Spot())
		c.Until("the gift is in the circle", 2*time.Minute, func() bool { return gift.About().Claimed })
		wrong := appliancetest.PersonOf("zoe")
		wrong.Password = "a wrong password"
		if err := gift.Circle().Receive(t.Context(), wrong); err == nil || !gift.Circle().Unreceived() {
			t.Fatalf("taken with a wrong password: %v", err)
		}
		if err := gift.Circle().Receive(t.Context(), appliancetest.PersonOf("zoe")); err != nil {
			t.Fatal(err)
		}
		zoe, err := gift.Circle().Account("zoe")
		me, _ := gift.Circle().Roster().Box(gift.ID())
		if err != nil || me.Keeper != zoe.ID || len(zoe.SealedKey) == 0 {
			t.Errorf("kept by %v, %v", me.Keeper, err)
		}
	})
}

// Names that the circle has are refused when the gift is made, not when it arrives.
func TestAGiftNeedsFreshNames(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		for _, g := range []circle.Gift{
			{Place: circle.Place{House: "mill lane", Box: "gift"}, Keeper: "gil"},
			{Place: circle.Place{House: "Gift House", Box: "Oak"}, Keeper: "gil"},
			{Place: circle.Place{House: "Gift House", Box: ""}, Keeper: "gil"},
			{Place: circle.Place{House: "Gift House", Box: "gift"}, Keeper: "gil smith"},
		} {
			if _, err := c.oak.Circle().Gift(g); err == nil {
				t.Errorf("%+v made", g)
			} else if _, ok := circle.Explain(err); !ok {
				t.Errorf("%+v: no words for %v", g, err)
			}
		}
		if n := len(c.oak.Circle().Desk().Tickets()); n != 1 {
			t.Errorf("%d tickets, want the one of mill", n)
		}
	})
}

// A card that names a circle and a password begins it; a later one resets the password,
// which all boxes tell.
func TestACircleByACard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := appliancetest.New(t, appliancetest.Config{})
		oak := w.BoxWithCard(seed.Seed{Circle: "Henhouse", House: "Oak Street", Box: "oak", Keeper: "ada", Password: seed.Secret(appliancetest.Password("ada"))}, w.Net.Spot())
		w.Until("oak began its circle", time.Minute, func() bool { return oak.About().Claimed })
		oak.Keeper = "ada"
		mill := w.Box("mill", "Mill Lane", w.Net.Spot())
		mill.Join(oak, "bert")
		w.AwaitComplete(2, 5*time.Minute)
		oak.Write("ada", "/a.txt", []byte("a"))

		oak.Stop()
		oak.WriteCard("redhen-reset.txt", []byte("password: five white hens\n"))
		oak.Start()
		w.Until("the new password counts at mill", 2*time.Minute, func() bool {
			_, _, err := mill.Accounts().Login(t.Context(), "ada", "five white hens")
			return err == nil
		})
		if _, _, err := mill.Accounts().Login(t.Context(), "ada", appliancetest.Password("ada")); err == nil {
			t.Error("the old password still counts")
		}
		w.Until("mill's diary tells it", time.Minute, func() bool {
			return strings.Contains(tellings(t, mill), "The password of ada was set anew by somebody who had oak at Oak Street in hand.")
		})
		if about := oak.About(); !about.Start.IsZero() {
			t.Errorf("about %+v", about.Start)
		}
	})
}

// tellings are the lines of the diary at a box.
func tellings(t *testing.T, b *appliancetest.Box) (all string) {
	t.Helper()
	for _, l := range b.Told() {
		all += l.What + "\n"
	}
	return all
}
