package roster

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"redhen/provision/ident"
)

func with[T any](b T, edits ...func(*T)) T {
	for _, edit := range edits {
		edit(&b)
	}
	return b
}

func TestFoundRefuses(t *testing.T) {
	a := someone(1)
	found := func(edit func(*FoundBody)) Change { return NewFound(with(a.found(), edit), a.box) }
	for name, tt := range map[string]struct {
		c    Change
		want error
	}{
		"signed by another":      {NewFound(a.found(), someone(2).box), ErrSignature},
		"signed by the keeper":   {NewFound(a.found(), a.keeper), ErrSignature},
		"one signature too many": {AddSignature(NewFound(a.found(), a.box), someone(2).box), ErrSignature},
		"no circle name":         {found(func(b *FoundBody) { b.CircleName = "" }), ErrName},
		"no house name":          {found(func(b *FoundBody) { b.HouseName = "" }), ErrName},
		"box name with a tab":    {found(func(b *FoundBody) { b.BoxName = "a\tb" }), ErrName},
		"keeper's key of box":    {found(func(b *FoundBody) { b.KeeperKey = a.box.Public() }), ErrKeeper},
		"short keeper's key":     {found(func(b *FoundBody) { b.KeeperKey = b.KeeperKey[:31] }), ErrMalformed},
		"no box":                 {found(func(b *FoundBody) { b.Box = "" }), ErrMalformed},
		"house in capitals":      {found(func(b *FoundBody) { b.House = "00000000000000AB" }), ErrMalformed},
		"keeper too long":        {found(func(b *FoundBody) { b.Keeper += "0" }), ErrMalformed},
		"time before the epoch":  {found(func(b *FoundBody) { b.Time = -1 }), ErrMalformed},
		"time out of mind":       {found(func(b *FoundBody) { b.Time = maxTime + 1 }), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) { refused(t, nil, tt.c, tt.want) })
	}
	s := circle(t, 1)
	refused(t, s, NewFound(a.found(), a.box), ErrFounded)
	refused(t, s, NewFound(someone(2).found(), someone(2).box), ErrFounded)
}

func TestAdmitRefuses(t *testing.T) {
	a, b, c, d := someone(1), someone(2), someone(3), someone(4)
	s := circle(t, 3)
	left := apply(t, s, NewRetire(c.retire(s), c.box))
	stolen := apply(t, s, NewStolen(c.gone(s), a.keeper, b.keeper))
	admit := func(edit func(*AdmitBody)) Change {
		return NewAdmit(with(d.admit(s, a), edit), a.box, d.box)
	}
	again := func(s *State) Change { return NewAdmit(c.admit(s, a), a.box, c.box) }
	for name, tt := range map[string]struct {
		s    *State
		c    Change
		want error
	}{
		"without the joiner":         {s, NewAdmit(d.admit(s, a), a.box), ErrSignature},
		"without the inviter":        {s, NewAdmit(d.admit(s, a), d.box), ErrSignature},
		"another member signs":       {s, NewAdmit(d.admit(s, a), b.box, d.box), ErrSignature},
		"the inviter's keeper signs": {s, NewAdmit(d.admit(s, a), a.keeper, d.box), ErrSignature},
		"inviter is a stranger":      {s, NewAdmit(d.admit(s, someone(5)), someone(5).box, d.box), ErrNotActive},
		"inviter has left":           {left, NewAdmit(d.admit(left, c), c.box, d.box), ErrNotActive},
		"inviter is stolen":          {stolen, NewAdmit(d.admit(stolen, c), c.box, d.box), ErrNotActive},
		"a box invites itself":       {s, NewAdmit(d.admit(s, d), d.box), ErrMalformed},
		"a member":                   {s, again(s), ErrMember},
		"a stolen box":               {stolen, again(stolen), ErrStolen},
		"back, but signed before":    {left, again(s), ErrOutdated},
		"a newcomer with a past":     {s, admit(func(b *AdmitBody) { b.Rev = 1 }), ErrOutdated},
		"another circle":             {s, admit(func(b *AdmitBody) { b.Circle = "0123456789abcdef0123456789abcdef" }), ErrCircle},
		"no circle":                  {s, admit(func(b *AdmitBody) { b.Circle = "" }), ErrMalformed},
		"box name taken":             {s, admit(func(b *AdmitBody) { b.BoxName = "BOX 2" }), ErrNameTaken},
		"house name taken":           {s, admit(func(b *AdmitBody) { b.HouseName = "2 mill lane" }), ErrNameTaken},
		"a new house without name":   {s, admit(func(b *AdmitBody) { b.HouseName = "" }), ErrName},
		"a house under another name": {s, admit(func(b *AdmitBody) { b.House = a.house() }), ErrName},
		"another's keeper account":   {s, admit(func(b *AdmitBody) { b.Keeper = a.account() }), ErrKeeper},
		"another's keeper's key":     {s, admit(func(b *AdmitBody) { b.KeeperKey = a.keeper.Public() }), ErrKeeper},
		"a box's key as keeper's":    {s, admit(func(b *AdmitBody) { b.KeeperKey = a.box.Public() }), ErrKeeper},
		"own box's key as keeper's":  {s, admit(func(b *AdmitBody) { b.KeeperKey = d.box.Public() }), ErrKeeper},
		"a keeper's key as box's":    {s, keeperAsBox(s, a, d), ErrKeeper},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tt.s, tt.c, tt.want) })
	}
}

// keeperAsBox is the admission of a box whose key is a's keeper key.
func keeperAsBox(s *State, a, d person) Change {
	d.box = a.keeper
	return admission(s, d, a)
}

func TestAdmitAllows(t *testing.T) {
	a, c, d := someone(1), someone(3), someone(4)
	s := circle(t, 3)

	second := with(d.admit(s, a), func(b *AdmitBody) { b.Keeper, b.KeeperKey = a.account(), a.keeper.Public() })
	second.House, second.HouseName = a.house(), ""
	both := apply(t, s, NewAdmit(second, a.box, d.box))
	if h, _ := both.House(a.house()); len(h.Boxes) != 2 || h.Name != "1 Mill Lane" || h.NameRev != 1 {
		t.Errorf("a keeper's second box in the same house: got %+v", h)
	}

	left := apply(t, s, NewRetire(c.retire(s), c.box))
	taken := with(d.admit(left, a), func(b *AdmitBody) { b.BoxName, b.HouseName = c.boxName(), c.houseName() })
	apply(t, left, NewAdmit(taken, a.box, d.box))

	back := apply(t, left, NewAdmit(c.admit(left, a), a.box, c.box))
	if got := c.current(back); got.Status != StatusActive || got.Until != 0 || got.Rev != 5 {
		t.Errorf("a box that came back: got %+v", got)
	}
	heir := with(d.admit(left, a), func(b *AdmitBody) { b.House, b.HouseName = c.house(), "" })
	if h, _ := apply(t, left, NewAdmit(heir, a.box, d.box)).House(c.house()); h.Name != c.houseName() {
		t.Errorf("an empty house that is moved into keeps its name: got %+v", h)
	}
	heir.HouseName = "New House"
	if h, _ := apply(t, left, NewAdmit(heir, a.box, d.box)).House(c.house()); h.Name != "New House" || h.NameRev != 5 {
		t.Errorf("an empty house may be named anew: got %+v", h)
	}
}

func TestRenameRefuses(t *testing.T) {
	a, b, c := someone(1), someone(2), someone(3)
	s := circle(t, 3)
	left := apply(t, s, NewRetire(c.retire(s), c.box))
	for name, tt := range map[string]struct {
		s    *State
		c    Change
		want error
	}{
		"by another box":   {s, NewRename(a.rename(s, "x"), b.box), ErrSignature},
		"by the keeper":    {s, NewRename(a.rename(s, "x"), a.keeper), ErrSignature},
		"house by another": {s, NewRename(a.renameHouse(s, "x"), b.box), ErrSignature},
		"name taken":       {s, NewRename(a.rename(s, "Box 2"), a.box), ErrNameTaken},
		"house name taken": {s, NewRename(a.renameHouse(s, "2 MILL LANE"), a.box), ErrNameTaken},
		"empty name":       {s, NewRename(a.rename(s, ""), a.box), ErrName},
		"box has left":     {left, NewRename(c.rename(left, "x"), c.box), ErrNotActive},
		"house is empty":   {left, NewRename(c.renameHouse(left, "x"), c.box), ErrNotActive},
		"unknown box":      {s, NewRename(someone(9).rename(s, "x"), someone(9).box), ErrUnknown},
		"unknown house":    {s, NewRename(someone(9).renameHouse(s, "x"), someone(9).box), ErrUnknown},
		"both":             {s, NewRename(with(a.rename(s, "x"), func(b *RenameBody) { b.House = a.house() }), a.box), ErrMalformed},
		"neither":          {s, NewRename(with(a.rename(s, "x"), func(b *RenameBody) { b.Box = "" }), a.box), ErrMalformed},
		"another circle":   {s, NewRename(with(a.rename(s, "x"), func(b *RenameBody) { b.Circle = "00000000000000000000000000000000" }), a.box), ErrCircle},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tt.s, tt.c, tt.want) })
	}
	apply(t, s, NewRename(a.rename(s, "BOX 1"), a.box)) // its own name in other letters
}

func TestLeavingRefuses(t *testing.T) {
	a, b, c := someone(1), someone(2), someone(3)
	one, s := circle(t, 1), circle(t, 3)
	left := apply(t, s, NewRetire(c.retire(s), c.box))
	stolen := apply(t, s, NewStolen(c.gone(s), a.keeper, b.keeper))
	to := func(r ident.BoxID) RetireBody {
		return with(c.retire(s), func(b *RetireBody) { b.Replacement = r })
	}
	for name, tt := range map[string]struct {
		s    *State
		c    Change
		want error
	}{
		"retire by another box":     {s, NewRetire(c.retire(s), a.box), ErrSignature},
		"retire by the keeper":      {s, NewRetire(c.retire(s), c.keeper), ErrSignature},
		"retire twice":              {left, NewRetire(c.retire(left), c.box), ErrNotActive},
		"retire of a stranger":      {s, NewRetire(someone(9).retire(s), someone(9).box), ErrUnknown},
		"the last box retires":      {one, NewRetire(a.retire(one), a.box), ErrLast},
		"the last box is gone":      {one, NewGone(a.gone(one), a.keeper), ErrLast},
		"the last box is stolen":    {one, NewStolen(a.gone(one), a.keeper), ErrLast},
		"replaced by itself":        {s, NewRetire(to(c.id()), c.box), ErrReplacement},
		"replaced by a stranger":    {s, NewRetire(to(someone(9).id()), c.box), ErrReplacement},
		"replaced by no box at all": {s, NewRetire(to("box"), c.box), ErrMalformed},
		"retire, old revision":      {s, NewRetire(with(c.retire(s), func(b *RetireBody) { b.Rev = 2 }), c.box), ErrOutdated},
		"gone, old revision":        {s, NewGone(with(c.gone(s), func(b *GoneBody) { b.Rev = 2 }), a.keeper, b.keeper), ErrOutdated},
		"gone after retired":        {left, NewGone(c.gone(left), a.keeper), ErrNotActive},
		"gone after stolen":         {stolen, NewGone(c.gone(stolen), a.keeper), ErrStolen},
		"stolen twice":              {stolen, NewStolen(c.gone(stolen), a.keeper), ErrStolen},
		"stolen, old revision":      {left, NewStolen(c.gone(s), a.keeper), ErrOutdated},
		"a stranger is stolen":      {s, NewStolen(someone(9).gone(s), a.keeper, b.keeper), ErrUnknown},
		"gone, said by a box":       {s, NewGone(c.gone(s), a.box, b.box), ErrSignature},
		"gone, said by its keeper":  {s, NewGone(c.gone(s), a.keeper, c.keeper), ErrSignature},
		"gone, said by a stranger":  {s, NewGone(c.gone(s), a.keeper, keyOf(200)), ErrSignature},
		"gone, another circle":      {s, NewGone(with(c.gone(s), func(b *GoneBody) { b.Circle = "00000000000000000000000000000000" }), a.keeper, b.keeper), ErrCircle},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tt.s, tt.c, tt.want) })
	}
	for _, was := range []*State{left, apply(t, s, NewGone(c.gone(s), a.keeper, b.keeper))} {
		after := apply(t, was, NewStolen(c.gone(was), a.keeper))
		if c.current(after).Status != StatusStolen {
			t.Error("a box that left cannot be marked as stolen")
		}
	}
}

// Gone and stolen need another keeper, two where three keepers exist, and the
// keeper himself only where he keeps every box.
func TestWhoMayRemove(t *testing.T) {
	a, b, c, d := someone(1), someone(2), someone(3), someone(4)
	ofA := func(p person) person { p.keeper = a.keeper; return p }
	admitForA := func(s *State, p person) *State {
		body := with(p.admit(s, a), func(x *AdmitBody) { x.Keeper, x.KeeperKey = a.account(), a.keeper.Public() })
		return apply(t, s, NewAdmit(body, a.box, p.box))
	}
	alone := admitForA(circle(t, 1), ofA(b))
	two := admitForA(circle(t, 2), ofA(d))
	three := circle(t, 3)
	four := circle(t, 4)
	for name, tt := range map[string]struct {
		s    *State
		box  person
		need int
		yes  [][]ident.Key
		no   [][]ident.Key
	}{
		"one keeper":             {alone, b, 1, [][]ident.Key{{a.keeper}}, [][]ident.Key{{a.box}, {b.keeper}}},
		"two keepers":            {two, a, 1, [][]ident.Key{{b.keeper}}, [][]ident.Key{{a.keeper}, {a.keeper, b.keeper}}},
		"two keepers, the other": {two, b, 1, [][]ident.Key{{a.keeper}}, [][]ident.Key{{b.keeper}}},
		"three keepers":          {three, a, 2, [][]ident.Key{{b.keeper, c.keeper}}, [][]ident.Key{{b.keeper}, {c.keeper}, {a.keeper, b.keeper}}},
		"four keepers":           {four, a, 2, [][]ident.Key{{b.keeper, c.keeper}, {b.keeper, c.keeper, d.keeper}}, [][]ident.Key{{d.keeper}}},
	} {
		body := tt.box.gone(tt.s)
		if got := tt.s.NeedsSignatures(body); got != tt.need {
			t.Errorf("%s: needs %d signatures, want %d", name, got, tt.need)
		}
		for _, keys := range tt.yes {
			apply(t, tt.s, NewGone(body, keys...))
			apply(t, tt.s, NewStolen(body, keys...))
			for _, k := range keys {
				if !tt.s.MayRemove(k.Public(), tt.box.id()) {
					t.Errorf("%s: a signer may not remove", name)
				}
			}
		}
		for _, keys := range tt.no {
			refused(t, tt.s, NewGone(body, keys...), ErrSignature)
			refused(t, tt.s, NewStolen(body, keys...), ErrSignature)
		}
	}
}

func TestASignatureForGoneIsNotOneForStolen(t *testing.T) {
	s := circle(t, 2)
	c := NewGone(someone(2).gone(s), someone(1).keeper)
	for k := range Kind(8) {
		if k != Gone {
			if _, err := s.Apply(Change{Kind: k, Body: c.Body, Sigs: c.Sigs}); err == nil {
				t.Errorf("accepted as %s", k)
			}
		}
	}
}

func TestNamesAreCompared(t *testing.T) {
	for _, s := range []string{"a", "Küche", "Oak Street 7", "納屋", "Бабушка", "hen 🐔", strings.Repeat("x", MaxName)} {
		if err := CheckName(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{
		"", " a", "a ", "a\n", "a\x00b", "a\u200bb", "a\u202eb", "Ku\u0308che", "\xff", "a\u00a0b", "\u2028", strings.Repeat("x", MaxName+1), strings.Repeat("ü", MaxName),
	} {
		if CheckName(s) == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestACircleHasRoomForSoMany(t *testing.T) {
	s := circle(t, MaxBoxes)
	refused(t, s, admission(s, someone(MaxBoxes+1), someone(1)), ErrFull)
	s = apply(t, s, NewRetire(someone(9).retire(s), someone(9).box))
	apply(t, s, admission(s, someone(MaxBoxes+1), someone(1)))
}

// However full the chain, every active box can still leave or be removed.
func TestTheEndOfAChainIsKeptForDepartures(t *testing.T) {
	a, b, c := someone(1), someone(2), someone(3)
	s := circle(t, 4)
	s = apply(t, s, NewRetire(c.retire(s), c.box))
	s.heads = append(s.heads, make([][32]byte, MaxChanges-reserved-s.Len())...)
	refused(t, s, NewRename(a.rename(s, "x"), a.box), ErrFull)
	refused(t, s, admission(s, someone(5), a), ErrFull)
	refused(t, s, NewStolen(c.gone(s), a.keeper, b.keeper), ErrFull) // it has left already
	s = apply(t, s, NewGone(b.gone(s), a.keeper, someone(4).keeper))
	s.heads = append(s.heads, make([][32]byte, MaxChanges-s.Len())...)
	refused(t, s, NewRetire(a.retire(s), a.box), ErrFull)
}

func TestGather(t *testing.T) {
	a, b, c, d := someone(1), someone(2), someone(3), someone(4)
	s := circle(t, 4)
	body := a.gone(s)
	first := NewGone(body, b.keeper)
	got, missing, err := s.Gather(first)
	if err != nil || missing != 1 || len(got.Sigs) != 1 {
		t.Fatalf("one of two: got %d signatures, %d missing, %v", len(got.Sigs), missing, err)
	}
	forged := NewGone(body, c.keeper)
	forged.Sigs[0].Sig = slices.Clone(first.Sigs[0].Sig)
	got, missing, err = s.Gather(got, forged, NewGone(body, a.keeper), NewGone(body, keyOf(200)), NewGone(body, b.keeper))
	if err != nil || missing != 1 || len(got.Sigs) != 1 {
		t.Fatalf("signatures that do not count: got %d, %d missing, %v", len(got.Sigs), missing, err)
	}
	got, missing, err = s.Gather(got, NewGone(body, d.keeper), NewGone(body, c.keeper))
	if err != nil || missing != 0 || len(got.Sigs) != 3 {
		t.Fatalf("enough: got %d signatures, %d missing, %v", len(got.Sigs), missing, err)
	}
	if c.current(apply(t, s, got)).Status != StatusActive || a.current(apply(t, s, got)).Status != StatusGone {
		t.Error("wrong box gone")
	}

	// A keeper who has left meanwhile has no say any more.
	later := apply(t, s, NewRetire(d.retire(s), d.box))
	if got, missing, err = later.Gather(NewGone(body, d.keeper), first); err != nil || missing != 1 || !got.SignedBy(b.keeper.Public()) {
		t.Errorf("after a keeper left: %d missing, %v", missing, err)
	}
	for name, tt := range map[string]struct {
		c, other Change
		want     error
	}{
		"none counts":       {NewGone(body, a.keeper), first, nil},
		"nobody who counts": {NewGone(body, a.keeper), NewGone(body, keyOf(200)), ErrSignature},
		"different bodies":  {first, NewGone(b.gone(s), c.keeper), ErrMalformed},
		"different kinds":   {first, NewStolen(body, c.keeper), ErrMalformed},
		"outdated":          {NewGone(with(body, func(b *GoneBody) { b.Rev = 9 }), b.keeper), first, ErrOutdated},
		"no signature":      {NewGone(body), first, ErrSignature},
	} {
		if _, _, err := s.Gather(tt.c, tt.other); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

func TestAddSignatureTouchesNothing(t *testing.T) {
	a, b, c := someone(1), someone(2), someone(3)
	one := NewGone(a.gone(circle(t, 3)), b.keeper)
	before := Encode(one)
	two := AddSignature(one, c.keeper)
	if string(Encode(one)) != string(before) || len(two.Sigs) != 2 || len(AddSignature(two, c.keeper).Sigs) != 2 {
		t.Error("a signature was added in place, or twice")
	}
	if !two.SignedBy(c.keeper.Public()) || one.SignedBy(c.keeper.Public()) || two.SignedBy(nil) {
		t.Error("SignedBy is wrong")
	}
}
