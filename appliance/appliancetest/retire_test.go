package appliancetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/appliance/circle"
	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
)

func retire(t *testing.T, b *appliancetest.Box) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	return b.Circle().Retire(ctx, func(circle.Leaving) {})
}

// member reports whether a box is in the circle, as another one knows it.
func member(t *testing.T, at *appliancetest.Box, id ident.BoxID) (is bool) {
	err := at.Node().Directory(func(v directory.View) error {
		is = v.Roster().Active(id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// A box retires: everything it had is at the others, which go on without it; then a
// second one does, and the last one stays. Nothing that was written is lost.
func TestBoxesRetire(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		files := map[string][]byte{"/small.txt": []byte("small"), "/large.bin": random(3, 5<<20)}
		for path, body := range files {
			c.hill.Write("carl", path, body)
			c.mill.Write("zoe", path, body)
		}
		hill, mill := c.hill.ID(), c.mill.ID()
		if err := retire(t, c.hill); err != nil {
			t.Fatal(err)
		}
		c.hill.Burn() // it may be switched off as soon as it says that it has left
		c.Until("hill is out", time.Minute, func() bool { return !member(t, c.oak, hill) && !member(t, c.mill, hill) })
		for path, body := range files {
			c.oak.Holds("carl", path, body)
			c.mill.Holds("carl", path, body)
		}
		c.Until("the others decide together", 5*time.Minute, func() bool {
			return c.mill.Write("zoe", "/with two houses.txt", []byte("two")).Kept == 2
		})
		if err := retire(t, c.mill); err != nil {
			t.Fatal(err)
		}
		c.mill.Burn()
		c.Until("mill is out", time.Minute, func() bool { return !member(t, c.oak, mill) })
		for path, body := range files {
			c.oak.Holds("zoe", path, body)
		}
		c.Until("oak decides alone", time.Minute, func() bool {
			a, err := c.oak.TryWrite(t.Context(), "zoe", "/alone.txt", []byte("alone"))
			return err == nil && a.Kept == 1
		})
		if err := retire(t, c.oak); !errors.Is(err, roster.ErrLast) {
			t.Errorf("the last box retires: %v", err)
		}
	})
}

// A box that alone has something does not retire, and stays what it was.
func TestABoxThatAloneHasSomethingStays(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		hill := c.hill.ID()
		c.hill.Spot.Cut(true)
		time.Sleep(15 * time.Second)
		if a := c.hill.Write("carl", "/only here.txt", []byte("only here")); a.Kept != 1 {
			t.Errorf("kept in %d houses", a.Kept)
		}
		if err := retire(t, c.hill); !errors.Is(err, circle.ErrHoldsAlone) {
			t.Errorf("it retires: %v", err)
		}
		c.hill.Spot.Cut(false)
		c.oak.Shows("carl", "/only here.txt", []byte("only here"), 2*time.Minute)
		if !member(t, c.oak, hill) {
			t.Error("it is out all the same")
		}
		c.AwaitComplete(3, 5*time.Minute)
	})
}
