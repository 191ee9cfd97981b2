package appliancetest_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"redhen/appliance/circle"
	"redhen/provision/ident"
)

// The inviter's box goes off in the moment in which the circle lets the joiner in:
// neither has heard that it did. The joiner, who goes on asking, is welcomed as soon
// as the inviter's box is back, with the ticket it has and without another yes.
func TestTheInviterCrashesWhileLettingIn(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		late := c.Box("late", "Late House", c.Net.Spot())
		a := late.Ask(c.mill.Invite(), "lena")
		a.AwaitPending(c.mill)
		desk, id := c.mill.Circle().Desk(), late.ID()
		approved := make(chan error, 1)
		asking, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { approved <- desk.Approve(asking, id) }()
		time.Sleep(30 * time.Millisecond) // it is on its way to the leader
		c.mill.Crash()
		<-approved                   // whatever it says: nobody hears it
		time.Sleep(15 * time.Minute) // the ticket is too old by then
		if r := c.oak.Circle().Roster(); !r.Active(id) {
			t.Fatal("the circle did not let it in: this test has lost its point")
		}
		if late.About().Claimed {
			t.Fatal("the joiner knows already: this test has lost its point")
		}
		c.mill.Start()
		if err := a.Answer(); err != nil {
			t.Fatalf("not welcomed: %v", err)
		}
		c.Until("late knows its circle", time.Minute, func() bool { return late.About().Claimed })
		late.Keeper = "lena"
		c.AwaitComplete(3, 2*time.Minute)
		late.Write("lena", "/hello.txt", []byte("hello"))
	})
}

// Zoe, who has an account and no box, brings one to a house that has a box already:
// under her account, by its password. The circle has a box more and no house more,
// and no space counts the two as two houses.
func TestASecondBoxInAHouse(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		c.oak.Write("zoe", "/before.txt", []byte("before"))
		place := circle.Place{House: "mill lane", Box: "barn", SameHouse: true}
		barn := c.Box(place.Box, "Mill Lane", c.millR.Spot())
		barn.JoinAt(c.hill, place, "zoe")
		c.AwaitComplete(3, 5*time.Minute)
		r := c.oak.Circle().Roster()
		zoe, err := c.oak.Circle().Account("zoe")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := r.Box(barn.ID()); got.Keeper != zoe.ID || !bytes.Equal(got.KeeperKey, zoe.KeeperKey) {
			t.Errorf("barn is kept by %s, want zoe", got.Keeper)
		}
		if h := r.Houses(); len(h) != 3 || len(r.Members()) != 4 {
			t.Errorf("%d houses with %d boxes, want 3 with 4", len(h), len(r.Members()))
		}
		if a := barn.Write("zoe", "/after.txt", []byte("after")); a.Kept < 2 || a.Kept > 3 {
			t.Errorf("kept in %d houses of three", a.Kept)
		}
		barn.Holds("zoe", "/before.txt", []byte("before"))
		for _, b := range c.Boxes() {
			for _, sh := range b.Status().Shards {
				voters := map[ident.HouseID]int{}
				for _, m := range sh.Members {
					if box, _ := r.Box(m.Box); m.Voter {
						voters[box.House]++
					}
				}
				if len(voters) != 3 || slices.Max(slices.Collect(maps.Values(voters))) != 1 {
					t.Errorf("%s: votes by house: %v", b.Name, voters)
				}
			}
		}
	})
}
