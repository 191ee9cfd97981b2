package roster

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// history makes a valid chain of n random changes among eight people.
func history(t testing.TB, seed uint64, n int) []Change {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	changes := []Change{NewFound(someone(1).found(), someone(1).box)}
	s := apply(t, nil, changes[0])
	for tries := 0; len(changes) < n; tries++ {
		c := randomChange(r, s)
		if next, err := s.Apply(c); err == nil {
			s, changes = next, append(changes, c)
		} else if tries > 100*n {
			t.Fatalf("no change found after %d tries: %v", tries, err)
		}
	}
	return changes
}

func randomChange(r *rand.Rand, s *State) Change {
	p, q := someone(byte(1+r.IntN(8))), someone(byte(1+r.IntN(8)))
	name := fmt.Sprintf("name %d", r.IntN(40))
	keepers := func() (keys []ident.Key) {
		for i := byte(1); i <= 8; i++ {
			if k := someone(i).keeper; s.MayRemove(k.Public(), p.id()) {
				keys = append(keys, k)
			}
		}
		return keys[:min(len(keys), 1+r.IntN(3))]
	}
	switch r.IntN(12) {
	case 0:
		return NewRename(p.rename(s, name), p.box)
	case 1:
		return NewRename(p.renameHouse(s, name), p.box)
	case 2:
		return NewRetire(p.retire(s), p.box)
	case 3:
		return NewGone(p.gone(s), keepers()...)
	case 10:
		return NewKeep(p.keep(s), p.box, p.keeper)
	case 11:
		return NewAdmit(p.gift(s, q), q.box, p.box)
	case 4:
		if r.IntN(8) > 0 {
			return NewGone(with(p.gone(s), func(b *GoneBody) { b.Replacement = q.id() }), keepers()...)
		}
		return NewStolen(p.gone(s), keepers()...)
	}
	return admission(s, p, q)
}

// head replays a chain and returns its head, or the error.
func head(changes []Change) ([32]byte, error) {
	s, err := Replay(changes)
	return s.Head(), err
}

func TestReplayIsApplyOneByOne(t *testing.T) {
	for seed := range uint64(4) {
		changes := history(t, seed, 30)
		one := apply(t, nil, changes...)
		all, err := Replay(changes)
		if err != nil || all.Head() != one.Head() || fmt.Sprint(all.Boxes(), all.Houses()) != fmt.Sprint(one.Boxes(), one.Houses()) {
			t.Fatalf("seed %d: replay and apply differ: %v", seed, err)
		}
		var s *State
		for n, c := range changes {
			if h, ok := one.HeadAt(n); !ok || h != s.Head() {
				t.Fatalf("seed %d: head %d differs", seed, n)
			}
			s = apply(t, s, c)
		}
	}
}

// No change can be left out, moved, repeated or cut off without the head telling.
func TestNoChainPassesForAnother(t *testing.T) {
	for seed := range uint64(5) {
		changes := history(t, seed, 12)
		want, err := head(changes)
		if err != nil {
			t.Fatal(err)
		}
		for i := range changes {
			others := map[string][]Change{
				"without": slices.Delete(slices.Clone(changes), i, i+1),
				"twice":   slices.Insert(slices.Clone(changes), i, changes[i]),
				"cut":     changes[:i],
			}
			for j := range i {
				swapped := slices.Clone(changes)
				swapped[i], swapped[j] = swapped[j], swapped[i]
				others[fmt.Sprint("swapped with ", j)] = swapped
			}
			for name, other := range others {
				if got, err := head(other); err == nil && got == want {
					t.Fatalf("seed %d: change %d %s gives the same head", seed, i, name)
				}
			}
			if _, err := head(others["twice"]); err == nil {
				t.Fatalf("seed %d: change %d applied twice", seed, i)
			}
		}
	}
}

// An old change never applies again, whatever happened since: what was signed
// once is done once, though signatures do not cover the position.
func TestNoChangeAppliesAgainLater(t *testing.T) {
	for seed := range uint64(5) {
		changes := history(t, seed, 30)
		s, err := Replay(changes)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range changes {
			if _, err := s.Apply(c); err == nil {
				t.Fatalf("seed %d: change %d (%s) applied again at the end", seed, i, c.Kind)
			}
		}
	}
}

// Two bodies signed for one departure: the unused one must not remove the box
// once it is back.
func TestASpareSignatureIsWorthNothingAfterTheReturn(t *testing.T) {
	a, b := someone(1), someone(2)
	s := circle(t, 2)
	spare := NewGone(with(b.gone(s), func(g *GoneBody) { g.Time++ }), a.keeper)
	spareAdmit := NewAdmit(with(b.admit(s, a), func(x *AdmitBody) { x.Rev, x.Time = 0, 9 }), a.box, b.box)
	s = apply(t, s, NewGone(b.gone(s), a.keeper))
	refused(t, s, spare, ErrNotActive)
	refused(t, s, spareAdmit, ErrOutdated)
	s = apply(t, s, admission(s, b, a))
	refused(t, s, spare, ErrOutdated)
}

// Flip every byte of every encoded change: each is refused.
func TestNoByteOfAChangeCanBeForged(t *testing.T) {
	changes := everyKind(t)
	var s *State
	for i, c := range changes {
		b := Encode(c)
		for at := range b {
			forged := bytes.Clone(b)
			forged[at] ^= 1 << (at % 8)
			c, err := Decode(forged)
			if err != nil {
				continue
			}
			if _, err := s.Apply(c); err == nil {
				t.Fatalf("change %d (%s): byte %d forged", i, c.Kind, at)
			}
		}
		for n := range b {
			if _, err := Decode(b[:n]); err == nil {
				t.Fatalf("change %d cut at %d of %d accepted", i, n, len(b))
			}
		}
		s = apply(t, s, c)
	}
}

// States share their past; a branch must not write into its sibling.
func TestBranchesDoNotTouchEachOther(t *testing.T) {
	a := someone(1)
	s := circle(t, 3)
	one := apply(t, s, NewRename(a.rename(s, "one"), a.box))
	oneHead := one.Head()
	two := apply(t, s, NewRename(a.rename(s, "two"), a.box), NewRename(a.renameHouse(s, "three"), a.box))
	if one.Head() != oneHead || a.current(one).Name != "one" || a.current(two).Name != "two" || a.current(s).Name != "box 1" {
		t.Error("one branch changed another")
	}
	box := a.current(s)
	box.KeeperKey[0] ^= 1
	key, _ := s.KeeperKey(a.account())
	key[0] ^= 1
	for _, b := range s.Boxes() {
		b.KeeperKey[0] ^= 1
	}
	if !a.current(s).KeeperKey.Equal(a.keeper.Public()) {
		t.Error("a caller can write into the state")
	}
}

func TestCompare(t *testing.T) {
	a := someone(1)
	s := circle(t, 2)
	longer := apply(t, s, NewRename(a.rename(s, "one"), a.box))
	fork := apply(t, s, NewRename(a.rename(s, "two"), a.box))
	other := apply(t, nil, NewFound(with(a.found(), func(b *FoundBody) { b.Nonce[0]++ }), a.box))
	for _, tt := range []struct {
		mine, theirs *State
		want, byHead Relation
	}{
		{nil, nil, Same, Same},
		{s, s, Same, Same},
		{nil, s, Older, Longer},
		{s, nil, Newer, Newer},
		{s, longer, Older, Longer},
		{longer, s, Newer, Newer},
		{longer, fork, Forked, Forked},
		{s, other, Forked, Forked},
		{other, s, Forked, Longer},
	} {
		if got := Compare(tt.mine, tt.theirs); got != tt.want {
			t.Errorf("%d and %d changes: got %s, want %s", tt.mine.Len(), tt.theirs.Len(), got, tt.want)
		}
		if got := tt.mine.CompareHead(tt.theirs.Len(), tt.theirs.Head()); got != tt.byHead {
			t.Errorf("by head, %d and %d changes: got %s, want %s", tt.mine.Len(), tt.theirs.Len(), got, tt.byHead)
		}
	}
	if got := s.CompareHead(-1, [32]byte{}); got != Forked {
		t.Errorf("negative length: got %s", got)
	}
}

// extends checks that a suffix leads to the whole, and nothing shorter does.
func extends(t *testing.T, s *State, suffix []Change, whole *State) {
	t.Helper()
	got, err := s.Extend(suffix, whole.Head())
	if err != nil || got.Head() != whole.Head() {
		t.Fatalf("the last %d: %v", len(suffix), err)
	}
	if len(suffix) == 0 {
		return
	}
	if _, err := s.Extend(suffix[:len(suffix)-1], whole.Head()); !errors.Is(err, ErrFork) {
		t.Fatalf("the last %d, one short: got %v", len(suffix), err)
	}
}

func TestExtend(t *testing.T) {
	changes := history(t, 5, 30)
	whole, err := Replay(changes)
	if err != nil {
		t.Fatal(err)
	}
	var before *State
	for n := range len(changes) + 1 {
		if n > 0 {
			before = apply(t, before, changes[n-1])
		}
		if n%4 == 0 || n > len(changes)-3 {
			extends(t, before, changes[n:], whole)
		}
	}
	s := circle(t, 2)
	fork := apply(t, s, NewRename(someone(1).rename(s, "one"), someone(1).box))
	mine := apply(t, s, NewRename(someone(2).rename(s, "two"), someone(2).box))
	suffix := []Change{NewRename(someone(1).renameHouse(s, "Oak Street"), someone(1).box)}
	theirs := apply(t, fork, suffix...)
	if _, err := mine.Extend(suffix, theirs.Head()); !errors.Is(err, ErrFork) {
		t.Errorf("a suffix of a fork that applies: got %v", err)
	}
	if _, err := mine.Extend(make([]Change, MaxSuffix+1), theirs.Head()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a suffix too long: got %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := NewFound(someone(1).found(), someone(1).box)
	edit := func(f func(*Change)) []byte {
		c := good
		c.Sigs = slices.Clone(c.Sigs)
		f(&c)
		return Encode(c)
	}
	two := AddSignature(good, someone(2).box)
	loose := wire.MustMarshal(map[int]any{1: 1, 2: good.Body, 3: good.Sigs, 4: 0})
	for name, b := range map[string][]byte{
		"nothing":              nil,
		"unknown field":        loose,
		"kind 0":               edit(func(c *Change) { c.Kind = 0 }),
		"kind 7":               edit(func(c *Change) { c.Kind = 7 }),
		"another kind":         edit(func(c *Change) { c.Kind = Admit }),
		"no body":              edit(func(c *Change) { c.Body = nil }),
		"body with more":       edit(func(c *Change) { c.Body = append(slices.Clone(c.Body), 0) }),
		"no signature":         edit(func(c *Change) { c.Sigs = nil }),
		"short key":            edit(func(c *Change) { c.Sigs[0].Key = c.Sigs[0].Key[1:] }),
		"long signature":       edit(func(c *Change) { c.Sigs[0].Sig = append(slices.Clone(c.Sigs[0].Sig), 0) }),
		"a signature twice":    edit(func(c *Change) { c.Sigs = append(c.Sigs, c.Sigs[0]) }),
		"signatures unordered": edit(func(c *Change) { c.Sigs = []Signature{two.Sigs[1], two.Sigs[0]} }),
		"too many signatures":  edit(func(c *Change) { *c = signedOften(good) }),
		"a long body":          edit(func(c *Change) { c.Body = make([]byte, MaxChangeSize+1) }),
		"too long":             make([]byte, MaxChangeSize+1),
	} {
		if c, err := Decode(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, c)
		}
	}
	if _, err := Decode(Encode(two)); err != nil {
		t.Errorf("two signatures: %v", err)
	}
}

func signedOften(c Change) Change {
	for i := range byte(MaxSignatures + 1) {
		c = AddSignature(c, keyOf(50+i))
	}
	return c
}

// A body has one encoding: the same values in a longer form are refused, though
// the signature is good.
func TestABodyHasOneEncoding(t *testing.T) {
	a := someone(1)
	s := circle(t, 2)
	body := NewRetire(a.retire(s)).Body
	long := bytes.Replace(body, []byte{0x03, 0x01, 0x05}, []byte{0x03, 0x18, 0x01, 0x05}, 1)
	if len(long) != len(body)+1 {
		t.Fatal("the test no longer finds the field")
	}
	refused(t, s, AddSignature(Change{Kind: Retire, Body: long}, a.box), ErrMalformed)
}

// What a name is, and which names are equal, must not change with a newer Go or
// x/text while boxes of two versions work together. When this fails after an
// update, characters were added: the new rule needs a format level (DESIGN §11).
func TestNameRulesHaveNotMoved(t *testing.T) {
	h := sha256.New()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.IsPrint(r) {
			fmt.Fprintln(h, r, unicode.SimpleFold(r), norm.NFC.IsNormalString(string(r)))
		}
	}
	const want = "679dcd2229e243ba" // Unicode 15.0.0
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
		t.Errorf("got %s, want %s (Unicode %s)", got, want, unicode.Version)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range everyKind(f) {
		f.Add(Encode(c))
	}
	s := circle(f, 3)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(Encode(c), b) {
			t.Error("a change has two encodings")
		}
		before := s.Head()
		next, err := s.Apply(c)
		if err == nil && (next.Len() != s.Len()+1 || next.Head() == before) {
			t.Error("an applied change left no trace")
		}
		if _, missing, err := s.Gather(c); err == nil && missing < 0 {
			t.Error("fewer than none missing")
		}
		if s.Head() != before {
			t.Error("the state moved")
		}
	})
}

func BenchmarkReplay(b *testing.B) {
	changes := history(b, 1, 100)
	for b.Loop() {
		if _, err := Replay(changes); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(changes)), "µs/change")
}
