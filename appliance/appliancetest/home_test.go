package appliancetest_test

import (
	"context"
	"testing"
	"time"

	"redhen/appliance/appliancetest"
)

// Of three houses one is cut off, and two keepers say that its box is gone. The others go on;
// it writes alone. When it is back it asks to come home, somebody says yes, and it is a house of
// the circle as before: what it wrote is at all, and it has what they wrote.
func TestAHouseOfThreeComesHome(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		hill := c.hill.ID()
		c.hill.Spot.Cut(true)
		time.Sleep(15 * time.Second) // simulated
		if a := c.hill.Write("carl", "/alone.txt", []byte("alone")); a.Kept != 1 {
			t.Errorf("kept in %d houses", a.Kept)
		}
		for i, keeper := range []string{"ada", "bert"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			more, err := c.mill.Circle().Gone(ctx, "hill", keeper, appliancetest.Password(keeper))
			cancel()
			if err != nil || more != 1-i {
				t.Fatalf("%s says that hill is gone: %d more needed, %v", keeper, more, err)
			}
		}
		c.Until("hill is out", time.Minute, func() bool { return !member(t, c.oak, hill) && !member(t, c.mill, hill) })
		c.Until("the others decide together", 5*time.Minute, func() bool {
			return c.oak.Write("zoe", "/meanwhile.txt", []byte("meanwhile")).Kept == 2
		})

		c.hill.Spot.Cut(false)
		c.Until("somebody lets it in", 5*time.Minute, func() bool {
			for _, b := range []*appliancetest.Box{c.oak, c.mill} {
				for _, r := range b.Home().Returns() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					return r.Box == hill && b.Home().LetIn(ctx, hill) == nil
				}
			}
			return false
		})
		for _, b := range c.Boxes() {
			c.Until("hill is in again at "+b.Name, 5*time.Minute, func() bool { return member(t, b, hill) })
			b.Shows("carl", "/alone.txt", []byte("alone"), 5*time.Minute)
			b.Shows("zoe", "/meanwhile.txt", []byte("meanwhile"), 5*time.Minute)
		}
		c.AwaitComplete(3, 5*time.Minute)
		if a := c.hill.Write("carl", "/together.txt", []byte("together")); a.Kept < 2 {
			t.Errorf("at home, kept in %d houses", a.Kept)
		}
	})
}
