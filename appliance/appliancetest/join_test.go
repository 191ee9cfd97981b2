package appliancetest_test

import (
	"context"
	"testing"
	"time"
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
