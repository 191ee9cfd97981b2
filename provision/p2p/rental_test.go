package p2p

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

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
	a, b, c, x := newKey(t), newKey(t), newKey(t), newKey(t)
	s, chain := chainOf(t, a, b, c)
	_, foreign := chainOf(t, x, b)
	r := newRental([]ident.CircleID{s.Circle()})
	forged := append(bytes.Clone(chain[1][:len(chain[1])-1]), chain[1][len(chain[1])-1]^1)
	for name, bad := range map[string][][]byte{
		"another circle": foreign, "nothing": nil, "garbage": {{1, 2, 3}}, "a forged change": {chain[0], forged}, "no beginning": chain[1:],
	} {
		if err := r.learn(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := r.learn(foreign); !errors.Is(err, errNotAllowed) {
		t.Errorf("another circle: %v", err)
	}
	now := time.Now()
	if r.tenant(a.BoxID()) || r.mayPass(a.BoxID(), b.BoxID(), now) {
		t.Error("a box is known before any chain")
	}
	for _, shown := range [][][]byte{chain[:2], chain, chain[:1]} {
		if err := r.learn(shown); err != nil {
			t.Fatal(err)
		}
	}
	if !r.tenant(c.BoxID()) || r.tenant(x.BoxID()) || r.mayPass(a.BoxID(), x.BoxID(), now) {
		t.Error("not the boxes of the longest chain")
	}
	for range circuitsAMin {
		if !r.mayPass(a.BoxID(), c.BoxID(), now) {
			t.Fatal("refused below the limit")
		}
	}
	if r.mayPass(a.BoxID(), b.BoxID(), now.Add(time.Second)) || !r.mayPass(a.BoxID(), b.BoxID(), now.Add(time.Minute)) {
		t.Error("the limit of a minute is not kept")
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
		r := newRental([]ident.CircleID{s.Circle()})
		if r.learn(raw) == nil && !r.tenant(k.BoxID()) {
			t.Fatal("a chain without its founder")
		}
	})
}

func TestRentedRelaysInRecords(t *testing.T) {
	relay := Rented{newKey(t).BoxID(), addrs("8.0.0.1:4717")[0]}
	k := newKey(t)
	b, err := openBook("", k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.publish(addrs("8.0.0.2:1"), nil, time.Time{}, Reach{Wall: WallCarrier, rented: []Rented{relay}})
	other, err := openBook("", newKey(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, fresh, err := other.put(b.own(), func(ident.BoxID) bool { return true }); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	if got := other.rented(k.BoxID()); len(got) != 1 || got[0] != relay || len(other.allRented()) != 1 {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"", "x@1.2.3.4:5", string(relay.Box), string(relay.Box) + "@1.2.3.4", string(relay.Box) + "@1.2.3.4:0"} {
		if _, err := ParseRented(bad); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}
