package roster

import (
	"slices"
	"strings"
	"testing"

	"redhen/provision/ident"
)

// takeover is p's word that it goes on without others.
func (p person) takeover(s *State, others ...person) TakeoverBody {
	b := TakeoverBody{Circle: s.Circle(), Box: p.id(), Era: s.Era() + 1, Head: s.Head(), Time: 9}
	for _, o := range others {
		b.Lost = append(b.Lost, Lost{o.id(), o.current(s).Rev})
	}
	slices.SortFunc(b.Lost, func(x, y Lost) int { return strings.Compare(string(x.Box), string(y.Box)) })
	return b
}

func TestATakeoverGoesOnWithoutTheLost(t *testing.T) {
	a, b, c := someone(1), someone(2), someone(3)
	s := apply(t, circle(t, 3), NewTakeover(a.takeover(circle(t, 3), b, c), a.box, a.keeper))
	if s.Era() != 1 || !s.Active(a.id()) || s.Active(b.id()) || s.Active(c.id()) {
		t.Errorf("era %d, members %v", s.Era(), s.Members())
	}
	if got := b.current(s); got.Status != StatusGone || got.Until != 9 || got.Rev != uint64(s.Len()) {
		t.Errorf("the lost box: %+v", got)
	}
	back := apply(t, s, admission(s, b, a))
	if !back.Active(b.id()) || back.Era() != 1 {
		t.Error("a box that was taken for lost cannot come home")
	}
	again := apply(t, back, NewTakeover(a.takeover(back, b), a.box, a.keeper))
	if again.Era() != 2 {
		t.Errorf("era %d after two takeovers", again.Era())
	}
}

func TestTakeoverRefuses(t *testing.T) {
	a, b, c := someone(1), someone(2), someone(3)
	s := circle(t, 3)
	later := apply(t, s, NewRename(c.rename(s, "another name"), c.box))
	taken := func(edit func(*TakeoverBody)) Change {
		return NewTakeover(with(a.takeover(s, b), edit), a.box, a.keeper)
	}
	for name, tt := range map[string]struct {
		s    *State
		c    Change
		want error
	}{
		"without the keeper":      {s, NewTakeover(a.takeover(s, b), a.box), ErrSignature},
		"without the box":         {s, NewTakeover(a.takeover(s, b), a.keeper), ErrSignature},
		"another keeper signs":    {s, NewTakeover(a.takeover(s, b), a.box, c.keeper), ErrSignature},
		"a lost keeper signs":     {s, NewTakeover(a.takeover(s, b), a.box, b.keeper), ErrSignature},
		"another box signs":       {s, NewTakeover(a.takeover(s, b), c.box, a.keeper), ErrSignature},
		"by a stranger":           {s, NewTakeover(someone(9).takeover(s, b), someone(9).box, someone(9).keeper), ErrNotActive},
		"of itself":               {s, NewTakeover(a.takeover(s, a, b), a.box, a.keeper), ErrMalformed},
		"of nobody":               {s, taken(func(b *TakeoverBody) { b.Lost = nil }), ErrMalformed},
		"of one box twice":        {s, taken(func(b *TakeoverBody) { b.Lost = append(b.Lost, b.Lost[0]) }), ErrMalformed},
		"of a stranger":           {s, NewTakeover(a.takeover(s, someone(9)), a.box, a.keeper), ErrUnknown},
		"of no box":               {s, taken(func(b *TakeoverBody) { b.Lost[0].Box = "x" }), ErrMalformed},
		"of an earlier standing":  {s, taken(func(b *TakeoverBody) { b.Lost[0].Rev++ }), ErrOutdated},
		"of another circle":       {s, taken(func(b *TakeoverBody) { b.Circle = ident.CircleID(strings.Repeat("0", 32)) }), ErrCircle},
		"two eras at once":        {s, taken(func(b *TakeoverBody) { b.Era = 2 }), ErrOutdated},
		"elsewhere in the chain":  {later, NewTakeover(a.takeover(s, b), a.box, a.keeper), ErrOutdated},
		"a time out of all minds": {s, taken(func(b *TakeoverBody) { b.Time = -1 }), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tt.s, tt.c, tt.want) })
	}
}
