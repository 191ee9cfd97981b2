package rental

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// Rule: a name leads to the boxes that say they serve it, while they are of the circle
// that said so first; what a box does not say again is forgotten.
func TestNamesLeadToTheirCircle(t *testing.T) {
	a, b, x := keyOf(t, 1), keyOf(t, 2), keyOf(t, 4)
	s, chain := chainOf(t, a, b)
	o, other := chainOf(t, x)
	r := New([]ident.CircleID{s.Circle(), o.Circle()}, 0)
	now := time.Unix(1_800_000_000, 0)
	if err := r.Name(a.BoxID(), []string{"hens.test"}, now); !errors.Is(err, ErrNotAllowed) {
		t.Fatalf("named before its chain was shown: %v", err)
	}
	for _, c := range [][][]byte{chain, other} {
		if err := r.Learn(c); err != nil {
			t.Fatal(err)
		}
	}
	say := func(box ident.Key, at time.Time, names ...string) {
		t.Helper()
		if err := r.Name(box.BoxID(), names, at); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name string, at time.Time, boxes ...ident.BoxID) {
		t.Helper()
		slices.Sort(boxes)
		house, others := r.Serving(name, at)
		got := slices.Sorted(slices.Values(append(house, others...)))
		if !slices.Equal(got, boxes) {
			t.Errorf("%s: %v, want %v", name, got, boxes)
		}
	}
	say(a, now, "hens.test", "mill.hens.test")
	say(b, now, "hens.test")
	say(x, now, "hens.test", "foxes.test")
	want("hens.test", now, a.BoxID(), b.BoxID())
	want("mill.hens.test", now, a.BoxID())
	want("foxes.test", now, x.BoxID())
	want("nobody.test", now)
	both := []ident.BoxID{a.BoxID(), b.BoxID()}
	slices.Sort(both)
	named := r.Named(now)
	slices.SortFunc(named, func(x, y []ident.BoxID) int { return len(x) - len(y) })
	if len(named) != 2 || !slices.Equal(named[0], []ident.BoxID{x.BoxID()}) || !slices.Equal(named[1], both) {
		t.Errorf("boxes of the circles with names: %v", named)
	}
	say(a, now, "hens.test")
	want("mill.hens.test", now)
	later := now.Add(nameLife)
	want("hens.test", later)
	if named := r.Named(later); len(named) != 0 {
		t.Errorf("named after all was forgotten: %v", named)
	}
	say(x, later.Add(time.Second), "hens.test") // the first have forgotten it
	want("hens.test", later.Add(time.Second), x.BoxID())
}

// Rule: a house's name leads to the boxes of that house first, whoever says that it
// serves it; the name of the circle, and one that only looks like a house's, to all alike.
func TestAHousesNameLeadsToItsHouse(t *testing.T) {
	a, b, x := keyOf(t, 1), keyOf(t, 2), keyOf(t, 4)
	s, chain := chainOf(t, a, b) // in the houses "box 0" and "box 1"
	o, other := chainOf(t, x)
	r := New([]ident.CircleID{s.Circle(), o.Circle()}, 0)
	now := time.Unix(1_800_000_000, 0)
	for _, c := range [][][]byte{chain, other} {
		if err := r.Learn(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, box := range []ident.Key{a, b} {
		if err := r.Name(box.BoxID(), []string{"hens.test", "box-0.hens.test", "box-1.hens.test", "box-1.test", "box-1.foxes.test"}, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Name(x.BoxID(), []string{"foxes.test"}, now); err != nil {
		t.Fatal(err)
	}
	both := []ident.BoxID{a.BoxID(), b.BoxID()}
	slices.Sort(both)
	for name, want := range map[string][2][]ident.BoxID{
		"box-0.hens.test":  {{a.BoxID()}, {b.BoxID()}},
		"box-1.hens.test":  {{b.BoxID()}, {a.BoxID()}},
		"hens.test":        {nil, both},
		"box-1.test":       {nil, both},
		"box-1.foxes.test": {nil, both},
	} {
		if house, others := r.Serving(name, now); !slices.Equal(house, want[0]) || !slices.Equal(others, want[1]) {
			t.Errorf("%s: house %v, others %v, want %v", name, house, others, want)
		}
	}
	if err := r.Name(a.BoxID(), nil, now); err != nil { // the house is away
		t.Fatal(err)
	}
	if house, others := r.Serving("box-0.hens.test", now); len(house) != 0 || !slices.Equal(others, []ident.BoxID{b.BoxID()}) {
		t.Errorf("without the house: %v, %v", house, others)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	a := keyOf(t, 1)
	s, chain := chainOf(t, a)
	r := New([]ident.CircleID{s.Circle()}, 0)
	if err := r.Learn(chain); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat(strings.Repeat("a", 63)+".", 4)
	for _, bad := range []string{"", "hens", "Hens.test", "hens..test", ".test", "hens.test.", "a b.test", "-a.test", "a-.test", "a/b.test", long + "a"} {
		if err := r.Name(a.BoxID(), []string{"good.test", bad}, time.Now()); !errors.Is(err, ErrBadNames) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var many []string
	for i := range MaxNames + 1 {
		many = append(many, fmt.Sprintf("h%d.test", i))
	}
	if err := r.Name(a.BoxID(), many, time.Now()); !errors.Is(err, ErrBadNames) {
		t.Errorf("%d names: %v", len(many), err)
	}
	if len(r.names) != 0 {
		t.Errorf("kept %d", len(r.names))
	}
	if err := r.Name(a.BoxID(), many[1:], time.Now()); err != nil {
		t.Error(err)
	}
}

func FuzzNames(f *testing.F) {
	f.Add(wire.MustMarshal([]string{"hens.test"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var names []string
		if wire.Unmarshal(b, &names) != nil {
			return
		}
		a := keyOf(t, 1)
		s, chain := chainOf(t, a)
		r := New([]ident.CircleID{s.Circle()}, 0)
		if err := r.Learn(chain); err != nil {
			t.Fatal(err)
		}
		err := r.Name(a.BoxID(), names, time.Unix(1, 0))
		for _, n := range names {
			house, others := r.Serving(n, time.Unix(2, 0))
			if served := len(house)+len(others) == 1; served != (err == nil) {
				t.Errorf("%q: %v", n, err)
			}
		}
	})
}
