package firstboot

import (
	"slices"
	"strings"

	"redhen/appliance/words"
	"redhen/images/layout"
	"redhen/provision/seed"
)

// Problem is one thing that a person should know of the card, in any language.
type Problem struct {
	Found  seed.Problem // on a card or a stick
	Stick  bool
	start  string       // otherwise: a text of the start, "start.KEY"
	system layout.Fault // otherwise: of the system's own start
}

// In says it in a language.
func (p Problem) In(w *words.Words) string {
	switch {
	case p.start != "":
		return w.Say("start." + p.start)
	case p.Stick:
		return w.Say("card.stick", "problem", Explain(w, p.Found))
	case p.Found.Code != "":
		return Explain(w, p.Found)
	}
	return w.Say("system."+string(p.system.Code), "disk", p.system.Disk, "why", p.system.Why)
}

// Explain says what is wrong on a card, and where.
func Explain(w *words.Words, p seed.Problem) string {
	text := w.Say("card.wrong."+string(p.Code), "n", p.N)
	if p.Network != "" {
		text = w.Say("card.of-network", "name", strings.ToValidUTF8(p.Network, "\uFFFD"), "problem", text)
	}
	if p.Field != "" {
		text = w.Say("card.of-field", "field", p.Field, "problem", text)
	}
	switch {
	case p.Line > 0:
		return w.Say("card.in-line", "file", p.File, "line", p.Line, "problem", text)
	case p.File != "":
		return w.Say("card.in-file", "file", p.File, "problem", text)
	}
	return text
}

// Told says all problems in a language.
func (st State) Told(w *words.Words) (all []string) {
	for _, p := range st.Problems {
		all = append(all, p.In(w))
	}
	return all
}

// note adds a problem, once.
func (s *Start) note(p Problem) {
	s.set(func(st *State) {
		if !slices.Contains(st.Problems, p) {
			st.Problems = append(slices.Clone(st.Problems), p)
		}
	})
}
