package rental

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

func keyOf(t testing.TB, seed byte) ident.Key {
	t.Helper()
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// chainOf makes a circle of the boxes, which the first one founds.
func chainOf(t testing.TB, keys ...ident.Key) (*roster.State, [][]byte) {
	t.Helper()
	var raw [][]byte
	var s *roster.State
	for i, k := range keys {
		id, name := fmt.Sprintf("%016x", i+1), fmt.Sprint("box ", i)
		keeper, err := ident.KeyFromSeed(bytes.Repeat([]byte{byte(i + 200)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		var c roster.Change
		if i == 0 {
			c = roster.NewFound(roster.FoundBody{
				CircleName: "Hens", Box: k.BoxID(), BoxName: name, House: ident.HouseID(id), HouseName: name,
				Keeper: ident.AccountID(id), KeeperKey: keeper.Public(), Time: 1, Nonce: [16]byte{1},
			}, k)
		} else {
			c = roster.NewAdmit(roster.AdmitBody{
				Circle: s.Circle(), Inviter: keys[0].BoxID(), Box: k.BoxID(), BoxName: name, House: ident.HouseID(id), HouseName: name,
				Keeper: ident.AccountID(id), KeeperKey: keeper.Public(), Time: 1,
			}, keys[0], k)
		}
		if s, err = s.Apply(c); err != nil {
			t.Fatal(err)
		}
		raw = append(raw, roster.Encode(c))
	}
	return s, raw
}

// Rule: a relay knows a box by the chain of an allowed circle alone, never forgets a
// newer chain for an older one, and bounds what one circle may begin in a minute.
func TestARelayKnowsItsCircles(t *testing.T) {
	a, b, c, x := keyOf(t, 1), keyOf(t, 2), keyOf(t, 3), keyOf(t, 4)
	s, chain := chainOf(t, a, b, c)
	_, foreign := chainOf(t, x, b)
	r := New([]ident.CircleID{s.Circle()}, 0)
	forged := append(bytes.Clone(chain[1][:len(chain[1])-1]), chain[1][len(chain[1])-1]^1)
	for name, bad := range map[string][][]byte{
		"another circle": foreign, "nothing": nil, "garbage": {{1, 2, 3}}, "a forged change": {chain[0], forged}, "no beginning": chain[1:],
	} {
		if err := r.Learn(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := r.Learn(foreign); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("another circle: %v", err)
	}
	now := time.Now()
	if r.Tenant(a.BoxID()) || r.MayPass(a.BoxID(), b.BoxID(), now) {
		t.Error("a box is known before any chain")
	}
	for _, shown := range [][][]byte{chain[:2], chain, chain[:1]} {
		if err := r.Learn(shown); err != nil {
			t.Fatal(err)
		}
	}
	if !r.Tenant(c.BoxID()) || r.Tenant(x.BoxID()) || r.MayPass(a.BoxID(), x.BoxID(), now) {
		t.Error("not the boxes of the longest chain")
	}
	for range circuitsAMin {
		if !r.MayPass(a.BoxID(), c.BoxID(), now) {
			t.Fatal("refused below the limit")
		}
	}
	if r.MayPass(a.BoxID(), b.BoxID(), now.Add(time.Second)) || !r.MayPass(a.BoxID(), b.BoxID(), now.Add(time.Minute)) {
		t.Error("the limit of a minute is not kept")
	}
}

// Rule: a circle has its bytes of a day, no more, and again the next day; another
// circle does not pay for it.
func TestACircleHasItsDay(t *testing.T) {
	a, b, x := keyOf(t, 1), keyOf(t, 2), keyOf(t, 4)
	s, chain := chainOf(t, a, b)
	o, other := chainOf(t, x)
	r := New([]ident.CircleID{s.Circle(), o.Circle()}, 1000)
	for _, c := range [][][]byte{chain, other} {
		if err := r.Learn(c); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	may := func(at time.Time) bool { return r.MayPass(a.BoxID(), b.BoxID(), at) }
	r.Passed(b.BoxID(), 999, now)
	if !may(now) || r.Spent(a.BoxID(), now) {
		t.Error("refused before the day was used up")
	}
	r.Passed(a.BoxID(), 1, now)
	if may(now) || !r.Spent(b.BoxID(), now) || r.Spent(x.BoxID(), now) {
		t.Error("not refused, or the other circle too")
	}
	next := now.Add(24 * time.Hour)
	if !may(next) || r.Spent(a.BoxID(), next) {
		t.Error("refused the next day")
	}
	for _, c := range r.Circles(func(ident.BoxID) bool { return false }) {
		if c.Circle == s.Circle() && (c.Bytes != 1000 || c.Today != 0 || c.Refused != 1) {
			t.Errorf("got %+v", c)
		}
	}
}

func FuzzRelayLearns(f *testing.F) {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	s, chain := chainOf(f, k)
	f.Add(wire.MustMarshal(chain))
	f.Fuzz(func(t *testing.T, b []byte) {
		var raw [][]byte
		if wire.Unmarshal(b, &raw) != nil {
			return
		}
		r := New([]ident.CircleID{s.Circle()}, 0)
		if r.Learn(raw) == nil && !r.Tenant(k.BoxID()) {
			t.Fatal("a chain without its founder")
		}
	})
}
