package roster

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
)

// person is one box with its keeper, by a small number.
type person struct {
	box, keeper ident.Key
	n           byte
}

func someone(n byte) person {
	return person{box: keyOf(n), keeper: keyOf(n + 100), n: n}
}

func keyOf(n byte) ident.Key {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return k
}

func (p person) id() ident.BoxID      { return p.box.BoxID() }
func (p person) house() ident.HouseID { return ident.HouseID(fmt.Sprintf("%016x", p.n)) }
func (p person) account() ident.AccountID {
	return ident.AccountID(fmt.Sprintf("%016x", 0xa000+int(p.n)))
}
func (p person) boxName() string            { return fmt.Sprintf("box %d", p.n) }
func (p person) houseName() string          { return fmt.Sprintf("%d Mill Lane", p.n) }
func (p person) current(s *State) (box Box) { box, _ = s.Box(p.id()); return box }

func (p person) found() FoundBody {
	return FoundBody{
		CircleName: "Hens", Box: p.id(), BoxName: p.boxName(), House: p.house(), HouseName: p.houseName(),
		Keeper: p.account(), KeeperKey: p.keeper.Public(), Time: 1_000, Nonce: [16]byte{1, 2, 3},
	}
}

func (p person) admit(s *State, inviter person) AdmitBody {
	return AdmitBody{
		Circle: s.Circle(), Inviter: inviter.id(), Box: p.id(), Rev: p.current(s).Rev, BoxName: p.boxName(),
		House: p.house(), HouseName: p.houseName(), Keeper: p.account(), KeeperKey: p.keeper.Public(), Time: 2_000,
	}
}

func (p person) rename(s *State, name string) RenameBody {
	return RenameBody{Circle: s.Circle(), Box: p.id(), Rev: p.current(s).NameRev, Name: name, Time: 3_000}
}

func (p person) renameHouse(s *State, name string) RenameBody {
	h, _ := s.House(p.house())
	return RenameBody{Circle: s.Circle(), House: p.house(), Rev: h.NameRev, Name: name, Time: 3_000}
}

func (p person) retire(s *State) RetireBody {
	return RetireBody{Circle: s.Circle(), Box: p.id(), Rev: p.current(s).Rev, Time: 4_000}
}

func (p person) gone(s *State) GoneBody {
	return GoneBody{Circle: s.Circle(), Box: p.id(), Rev: p.current(s).Rev, Time: 5_000}
}

// circle returns a circle of people 1…n, invited by 1.
func circle(t testing.TB, n byte) *State {
	t.Helper()
	s := apply(t, nil, NewFound(someone(1).found(), someone(1).box))
	for i := byte(2); i <= n; i++ {
		s = apply(t, s, admission(s, someone(i), someone(1)))
	}
	return s
}

func admission(s *State, joiner, inviter person) Change {
	return NewAdmit(joiner.admit(s, inviter), inviter.box, joiner.box)
}

func apply(t testing.TB, s *State, changes ...Change) *State {
	t.Helper()
	for _, c := range changes {
		next, err := s.Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	return s
}

func refused(t *testing.T, s *State, c Change, want error) {
	t.Helper()
	head := s.Head()
	next, err := s.Apply(c)
	if !errors.Is(err, want) || next != nil {
		t.Errorf("got %v, want %v", err, want)
	}
	if s.Head() != head {
		t.Error("a refused change left a trace")
	}
}

func TestALifeOfACircle(t *testing.T) {
	a, b, c := someone(1), someone(2), someone(3)
	s := circle(t, 3)
	s = apply(t, s, NewRename(b.rename(s, "attic"), b.box))
	s = apply(t, s, NewRename(b.renameHouse(s, "Oak Street"), b.box))
	gone := c.gone(s)
	gone.Replacement = b.id()
	s = apply(t, s, NewGone(gone, a.keeper, b.keeper))

	if s.Name() != "Hens" || s.Len() != 6 || s.Circle() == "" {
		t.Errorf("got circle %q %q of %d changes", s.Circle(), s.Name(), s.Len())
	}
	want := Box{
		ID: c.id(), Name: "box 3", House: c.house(), Keeper: c.account(), KeeperKey: c.keeper.Public(), Inviter: a.id(),
		Since: 2_000, Status: StatusGone, Until: 5_000, Replacement: b.id(), Rev: 6, NameRev: 3,
	}
	if d := cmp.Diff(want, c.current(s)); d != "" {
		t.Error(d)
	}
	houses := []House{
		{ID: a.house(), Name: "1 Mill Lane", NameRev: 1, Boxes: []ident.BoxID{a.id()}},
		{ID: b.house(), Name: "Oak Street", NameRev: 5, Boxes: []ident.BoxID{b.id()}},
	}
	if d := cmp.Diff(houses, s.Houses()); d != "" {
		t.Error(d)
	}
	if h, ok := s.House(c.house()); !ok || h.Name != "3 Mill Lane" || h.Boxes != nil {
		t.Errorf("the house that is gone: got %+v", h)
	}
	if !s.Active(a.id()) || s.Active(c.id()) || s.Active("") || len(s.Members()) != 2 || len(s.Boxes()) != 3 {
		t.Errorf("got members %v", s.Members())
	}
	if key, ok := s.KeeperKey(b.account()); !ok || !key.Equal(b.keeper.Public()) {
		t.Error("keeper's key is not known")
	}
	if _, ok := s.KeeperKey(c.account()); ok {
		t.Error("keeper without a box is still a keeper")
	}
}

func TestAnEmptyChainAnswersEverything(t *testing.T) {
	var s *State
	_, box := s.Box("x")
	_, house := s.House("x")
	_, key := s.KeeperKey("x")
	if s.Circle() != "" || s.Name() != "" || s.Len() != 0 || s.Head() != [32]byte{} || s.Boxes() != nil || s.Members() != nil ||
		s.Houses() != nil || s.Active("x") || box || house || key || s.NeedsSignatures(GoneBody{}) != 1 || s.MayRemove(nil, "x") {
		t.Error("an empty chain knows something")
	}
	if s, err := Replay(nil); s != nil || err != nil {
		t.Errorf("replay of nothing: got %v, %v", s, err)
	}
	refused(t, nil, admission(circle(t, 1), someone(2), someone(1)), ErrCircle)
}

// everyKind is a chain that has every kind of change.
func everyKind(t testing.TB) []Change {
	t.Helper()
	a, b, c := someone(1), someone(2), someone(3)
	var s *State
	var chain []Change
	for _, next := range []func() Change{
		func() Change { return NewFound(a.found(), a.box) },
		func() Change { return admission(s, b, a) },
		func() Change { return NewRename(b.rename(s, "Küche"), b.box) },
		func() Change { return NewRename(a.renameHouse(s, "Oak Street"), a.box) },
		func() Change { return NewRetire(b.retire(s), b.box) },
		func() Change { return admission(s, b, a) },
		func() Change { return NewGone(b.gone(s), a.keeper) },
		func() Change { return NewStolen(b.gone(s), a.keeper) },
		func() Change { return admission(s, c, a) },
		func() Change { return NewTakeover(a.takeover(s, c), a.box, a.keeper) },
	} {
		chain = append(chain, next())
		s = apply(t, s, chain[len(chain)-1])
	}
	return chain
}

// The golden values are what every later version must compute from the same
// keys: circle names and heads are stored and compared between versions.
func TestGoldenChain(t *testing.T) {
	var s *State
	var got []string
	for _, c := range everyKind(t) {
		s = apply(t, s, c)
		head := s.Head()
		got = append(got, fmt.Sprintf("%s %d %x", c.Kind, len(Encode(c)), head[:8]))
	}
	got = append(got, string(s.Circle()))
	if d := cmp.Diff(strings.Split(strings.TrimSpace(golden), "\n"), got); d != "" {
		t.Error(d)
	}
	body := NewRetire(RetireBody{Circle: s.Circle(), Box: someone(2).id(), Rev: 7, Time: 1}).Body
	if d := cmp.Diff(goldenBody, hex.EncodeToString(body)); d != "" {
		t.Error(d)
	}
}

const golden = `
found 286 a60c03dad57d4aa7
admit 455 f37883b7c72f04c0
rename 216 ef65e9e9542b9fd5
rename 183 be5c01821ea960ff
retire 208 60faa1de18a94f2f
admit 457 e1ad2707d73a7564
gone 208 941441af167510ac
stolen 208 f28c100f41f9b32b
admit 455 77d2cd364de942d9
takeover 404 ef4df55b3b0ebb9e
27d74ad7a545ce2ff8724164af0b0ddc
`

// A map of circle (text), box (text), rev 7 and time 1 under the keys 1, 2, 3, 5.
const goldenBody = "a4" +
	"01" + "7820" + "3237643734616437613534356365326666383732343136346166306230646463" +
	"02" + "7834" + "313244334b6f6f574a576f61715a6844616f454673684637526831627059396f68696846687a6357366436394c72324e41537571" +
	"03" + "07" + "05" + "01"
