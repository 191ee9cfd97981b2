package appliancetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/appliance/drill"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// heard reports whether a box hears another.
func heard(at *appliancetest.Box, id ident.BoxID) bool {
	for _, b := range at.Status().Boxes {
		if b.Box == id {
			return b.Alive
		}
	}
	return false
}

// runDrill has a house play dead, and returns the report and the stages that were told.
func runDrill(t *testing.T, at *appliancetest.Box, house, keeper string) (drill.Report, []string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var stages []string
	r, err := at.Drills().Run(ctx, house, keeper, appliancetest.Password(keeper), func(s drill.Step) { stages = append(stages, s.Stage) })
	return r, stages, err
}

// A house plays dead for a minute; meanwhile the others log in, read and write, and
// its own people carry on at home. It comes back by itself, and every box has the
// signed report.
func TestAHousePlaysDead(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		mill := c.mill.ID()
		var home sync.WaitGroup
		home.Go(func() {
			c.Until("hill plays dead", time.Minute, func() bool { return !heard(c.hill, mill) })
			c.hill.Write("carl", "/written at home.txt", []byte("at home"))
		})
		begun := time.Now()
		r, stages, err := runDrill(t, c.mill, "Hill Top", "bert")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %s", time.Since(begun), r.Sentence(nil))
		if want := []string{drill.StageAsking, drill.StageSilent, drill.StageProof, drill.StageProof, drill.StageBack}; !slices.Equal(stages, want) {
			t.Errorf("stages %v, want %v", stages, want)
		}
		if !r.Good() || len(r.Proofs) != 2 || r.House != "Hill Top" {
			t.Errorf("report %+v", r)
		}
		for _, p := range r.Proofs {
			if p.Kept != 2 {
				t.Errorf("%s: kept in %d houses", p.Box, p.Kept)
			}
		}
		home.Wait()
		c.oak.Shows("carl", "/written at home.txt", []byte("at home"), time.Minute)
		for _, b := range c.Boxes() {
			if last, ok := b.Drills().Last(); !ok || !slices.Equal(last.Sig, r.Sig) {
				t.Errorf("%s has not the report: %+v", b.Name, last)
			}
			if n := len(told(t, b, "fire-drill")); n != 1 {
				t.Errorf("%s: %d rows in the diary", b.Name, n)
			}
		}
		_, _, err = runDrill(t, c.oak, "Hill Top", "ada")
		if refused, ok := errors.AsType[*drill.RefusedError](err); !ok || refused.Box != "hill" {
			t.Errorf("again at once: %v", err)
		}
	})
}

func told(t *testing.T, b *appliancetest.Box, what string) (rows []directory.Entry) {
	err := b.Node().Directory(func(v directory.View) error {
		for _, e := range v.Diary(directory.MaxDiary) {
			if e.What == what {
				rows = append(rows, e)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// The house that plays dead needs nobody to end it: the box that ordered it burns,
// or the box itself starts again.
func TestADrillEndsByItself(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		mill, hill := c.mill.ID(), c.hill.ID()
		order := func(at *appliancetest.Box, house, keeper string) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := at.Drills().Run(ctx, house, keeper, appliancetest.Password(keeper), func(s drill.Step) {
				if s.Stage == drill.StageSilent {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		order(c.mill, "Hill Top", "bert")
		c.mill.Crash()
		c.Until("hill is back", 2*time.Minute, func() bool { return heard(c.oak, hill) })
		if took := time.Since(begun); took < 50*time.Second || took > 100*time.Second {
			t.Errorf("back after %v", took)
		}
		c.mill.Start()
		c.AwaitComplete(3, 5*time.Minute)

		begun = time.Now()
		order(c.hill, "Mill Lane", "carl")
		c.mill.Stop()
		c.mill.Start()
		c.Until("mill is back", time.Minute, func() bool { return heard(c.oak, mill) })
		if took := time.Since(begun); took > 40*time.Second {
			t.Errorf("after a restart it plays dead for %v", took)
		}
	})
}

// A keeper may refuse drills for his own box; a house that is unknown, one's own, or
// in a circle that is hurt, does not play dead either, and nothing happens.
func TestDrillsThatDoNotComeAbout(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		if err := c.hill.Drills().SetConsent(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		_, _, err := runDrill(t, c.mill, "Hill Top", "bert")
		if _, ok := errors.AsType[*drill.RefusedError](err); !ok {
			t.Errorf("its keeper refuses: %v", err)
		}
		for what, want := range map[string]error{"Hill Farm": drill.ErrNoHouse, "Mill Lane": drill.ErrOwnHouse} {
			if _, _, err := runDrill(t, c.mill, what, "bert"); !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := c.mill.Drills().Run(t.Context(), "Oak Street", "bert", "not the password", func(drill.Step) {}); err == nil {
			t.Error("without the password")
		}
		if _, err := c.mill.Drills().Run(t.Context(), "Oak Street", "zoe", appliancetest.Password("zoe"), func(drill.Step) {}); err == nil {
			t.Error("by somebody who keeps no box")
		}
		hill := c.hill.ID()
		c.hill.Stop()
		c.Until("hill is away", time.Minute, func() bool { return !heard(c.mill, hill) })
		if _, _, err := runDrill(t, c.mill, "Oak Street", "bert"); !errors.Is(err, drill.ErrNotNow) {
			t.Errorf("with a house away: %v", err)
		}
		if !heard(c.mill, c.oak.ID()) || len(told(t, c.oak, "fire-drill")) != 0 {
			t.Error("something happened all the same")
		}
	})
}
