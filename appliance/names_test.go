package appliance

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/p2p/localname"
)

// TestFreshBoxesAreNotAskedTooOften: many pages that look make few questions.
func TestFreshBoxesAreNotAskedTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := []netip.Addr{netip.MustParseAddr("192.168.1.41")}
		asked := 0
		f := &freshBoxes{now: time.Now, ask: func(ctx context.Context, label string) ([]netip.Addr, error) {
			if asked++; label != localname.Fresh {
				t.Errorf("asks for %q", label)
			}
			<-ctx.Done()
			return there, nil
		}}
		for range 20 {
			if got := f.list(t.Context()); !slices.Equal(got, there) {
				t.Fatalf("%v", got)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(heardFor)
		there = nil
		if got := f.list(t.Context()); len(got) != 0 || asked != 2 {
			t.Errorf("later: %v, asked %d times", got, asked)
		}
	})
}
