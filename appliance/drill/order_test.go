package drill

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

func key(t testing.TB, n byte) ident.Key {
	t.Helper()
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var noon = time.Date(2026, 11, 12, 12, 0, 0, 0, time.UTC)

// oneBox is a circle of box 1 in one house, kept by the key 2.
func oneBox(t *testing.T) *roster.State {
	t.Helper()
	r, err := roster.Replay([]roster.Change{roster.NewFound(roster.FoundBody{
		CircleName: "Riverside", Box: key(t, 1).BoxID(), BoxName: "oak", House: "0000000000000001", HouseName: "Oak Street",
		Keeper: "0000000000000002", KeeperKey: key(t, 2).Public(), Time: 1,
	}, key(t, 1))})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An order holds only as it was signed, by a keeper, for this house and about now.
func TestOrdersThatHold(t *testing.T) {
	r := oneBox(t)
	good := func() Order { return Order{Circle: r.Circle(), House: "0000000000000001", Time: noon.UnixMilli()} }
	for name, tc := range map[string]struct {
		make func() Order
		want error
	}{
		"good":            {func() Order { o := good(); o.sign(key(t, 2)); return o }, nil},
		"the box's key":   {func() Order { o := good(); o.sign(key(t, 1)); return o }, errOrder},
		"a stranger":      {func() Order { o := good(); o.sign(key(t, 9)); return o }, errOrder},
		"unsigned":        {func() Order { o := good(); o.Key = key(t, 2).Public(); return o }, errOrder},
		"changed":         {func() Order { o := good(); o.sign(key(t, 2)); o.ID[3]++; return o }, errOrder},
		"another circle":  {func() Order { o := good(); o.Circle = "x"; o.sign(key(t, 2)); return o }, errOrder},
		"another house":   {func() Order { o := good(); o.House = "0000000000000002"; o.sign(key(t, 2)); return o }, errOther},
		"yesterday":       {func() Order { o := good(); o.Time -= 24 * 3600_000; o.sign(key(t, 2)); return o }, errStale},
		"of tomorrow":     {func() Order { o := good(); o.Time += 24 * 3600_000; o.sign(key(t, 2)); return o }, errStale},
		"a key too short": {func() Order { o := good(); o.sign(key(t, 2)); o.Key = o.Key[:7]; return o }, errOrder},
	} {
		if err := tc.make().check(r, key(t, 1).BoxID(), noon); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

func report(t testing.TB) Report {
	o := Order{Circle: "c", House: "h", Time: 5}
	o.sign(key(t, 2))
	r := Report{Order: o, House: "Mill Lane", Keeper: "Ada", Began: 1, Ended: 2, Silent: true, Back: true, Proofs: []Proof{
		{Box: "oak", House: "Oak Street", Login: true, Read: true, Write: true, Kept: 2},
		{Box: "hill", House: "Hill Top", Login: true, Read: true, Write: true, Kept: 2},
	}}
	r.sign(key(t, 2))
	return r
}

func TestReportsInWords(t *testing.T) {
	for want, change := range map[string]func(*Report){
		"Mill Lane played dead for a minute, and people carried on at hill and oak: log in, read and write. It is back by itself. Nothing is lost.":                                                                   func(*Report) {},
		"The drill did not come about: Mill Lane was in reach all the time, or back too early. Nothing is lost. Try again in ten minutes.":                                                                            func(r *Report) { r.Silent = false },
		"Mill Lane played dead for a minute, and not all went well: at hill reading did not work. Nothing is lost. See how the circle is, and show the report to somebody who can help.":                              func(r *Report) { r.Proofs[1].Read = false },
		"Mill Lane played dead for a minute, and not all went well: at oak logging in did not work; Mill Lane is not back yet. Nothing is lost. See how the circle is, and show the report to somebody who can help.": func(r *Report) { r.Proofs[0].Login, r.Back = false, false },
	} {
		r := report(t)
		change(&r)
		if got := r.Sentence(nil); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if r.Good() != strings.Contains(want, "carried on") {
			t.Errorf("good %v: %s", r.Good(), want)
		}
	}
}

// Every refusal has a sentence with what happened, that nothing changed, and what to do.
func TestRefusalsInWords(t *testing.T) {
	for _, err := range []error{
		ErrOneHouse, ErrOwnHouse, ErrNoHouse, ErrNotNow, ErrRunning,
		&RefusedError{"Mabel", refusedByKeeper}, &RefusedError{"Mabel", refusedAgain}, &RefusedError{"Mabel", refusedOrder}, &RefusedError{"Mabel", noAnswer},
	} {
		w, ok := Explain(err)
		if !ok || w.Code == "" || !strings.Contains(w.Sentence, ". Nothing was changed. ") || !strings.HasSuffix(w.Sentence, ".") {
			t.Errorf("%v: %+v", err, w)
		}
	}
	if _, ok := Explain(errStale); ok {
		t.Error("an error of the inside is shown to people")
	}
}

// FuzzReport: whatever comes, only what its keeper signed is a report.
func FuzzReport(f *testing.F) {
	good := wire.MustMarshal(report(f))
	f.Add(good)
	f.Add([]byte{})
	f.Add(bytes.Replace(good, []byte("Mill"), []byte("Hill"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			return
		}
		if !ident.Verify(r.Order.Key, reportPurpose, r.message(), r.Sig) {
			t.Error("not signed")
		}
		if _, err := DecodeReport(wire.MustMarshal(r)); err != nil {
			t.Errorf("encoded again: %v", err)
		}
	})
}
