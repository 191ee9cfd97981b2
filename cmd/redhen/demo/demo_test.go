package demo

import (
	"io"
	"slices"
	"testing"
)

func TestPlanStaysTheSame(t *testing.T) {
	d := &demo{Config: Config{Dir: t.TempDir(), Boxes: 3, Out: io.Discard}}
	first, err := d.plan()
	if err != nil {
		t.Fatal(err)
	}
	if len(first.HTTP) != 3 || len(first.P2P) != 3 {
		t.Fatalf("plan of three boxes: %+v", first)
	}
	again, err := d.plan()
	if err != nil || !slices.Equal(again.HTTP, first.HTTP) || !slices.Equal(again.P2P, first.P2P) {
		t.Errorf("plan is %+v, then %+v, %v", first, again, err)
	}
	d.Boxes = 4
	if _, err := d.plan(); err == nil {
		t.Error("a plan of three boxes serves four")
	}
}

func TestNamesAreDifferent(t *testing.T) {
	seen := map[string]bool{}
	for i := range 9 {
		for _, name := range []string{boxOf(i), houseOf(i), keeperOf(i)} {
			if name == "" || seen[name] || name == person {
				t.Errorf("house %d: the name %q comes twice", i, name)
			}
			seen[name] = true
		}
	}
}
