package appliancetest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/appliance/status"
	"redhen/provision/p2ptest"
)

// wayTo is how the report of a box explains the way to a house.
func wayTo(t *testing.T, b *appliancetest.Box, house string) status.Way {
	t.Helper()
	r, err := b.Watch().Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range r.Houses {
		if h.Name == house {
			return h.Way
		}
	}
	t.Fatalf("no house %s in %+v", house, r.Houses)
	return status.Way{}
}

// Rule: a box that starts with its clock behind, as one does that has no chip for it, and
// reaches nobody says that its clock is the reason, as long as it is.
func TestABoxSaysThatItsClockIsWrong(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "mill")
	synctest.Test(t, func(t *testing.T) {
		w := appliancetest.New(t, appliancetest.Config{Net: p2ptest.Config{Latency: 20 * time.Millisecond}})
		oak, mill := w.Box("oak", "Oak Street", w.Net.Spot()), w.Box("mill", "Mill Lane", w.Net.Spot())
		time.Sleep(30 * time.Minute)
		oak.Found("Henhouse", "ada")
		mill.Join(oak, "bert")
		w.AwaitComplete(2, 5*time.Minute)
		if way := wayTo(t, mill, "Oak Street"); way.Code != status.WayDirect {
			t.Errorf("with the clock right: %+v", way)
		}
		mill.Stop()
		if err := os.CopyFS(disk, os.DirFS(mill.Dir)); err != nil {
			t.Fatal(err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // another clock, which begins where the first one did
		w := appliancetest.New(t, appliancetest.Config{})
		mill := w.Box("mill", "Mill Lane", w.Net.Spot())
		mill.Burn()
		if err := os.CopyFS(mill.Dir, os.DirFS(disk)); err != nil {
			t.Fatal(err)
		}
		mill.Start()
		var way status.Way
		w.Until("the report", time.Minute, func() bool { way = wayTo(t, mill, "Oak Street"); return way.Why != "" })
		if way.Code != status.WayClock || !strings.Contains(way.Why, "The clock of this box is behind by") || way.Do == "" {
			t.Errorf("with the clock behind: %+v", way)
		}
		if slow := mill.Host().Outlook().Slow; slow < 20*time.Minute || slow > 40*time.Minute {
			t.Errorf("the clock is behind by %v", slow)
		}
		time.Sleep(45 * time.Minute) // the clock is right now, or as good
		if way := wayTo(t, mill, "Oak Street"); way.Code == status.WayClock || way.Code == status.WayDirect {
			t.Errorf("with the clock right again, and nobody there: %+v", way)
		}
	})
}
