package status

import (
	"redhen/appliance/words"
	"slices"
	"time"
)

// Code names a kind of fault. The texts are shown by --json and never change.
type Code string

// Weight says how grave a fault is.
type Weight int

// The weights.
const (
	Note   Weight = iota // good to know; everything may still be safe
	Care                 // not everything is as wanted
	Danger               // something could be lost, or is
)

// String returns one word.
func (w Weight) String() string { return [...]string{"note", "care", "danger"}[w] }

// MarshalText writes the word.
func (w Weight) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads the word; an unknown one is Care.
func (w *Weight) UnmarshalText(b []byte) error {
	*w = Care
	for _, known := range []Weight{Note, Care, Danger} {
		if known.String() == string(b) {
			*w = known
		}
	}
	return nil
}

// Fault is something that is not as it should be, in the words of people.
type Fault struct {
	Code   Code      `json:"code"`
	Weight Weight    `json:"weight"`
	Since  time.Time `json:"since,omitzero"`
	// What happened.
	What string `json:"what"`
	// Lost says whether anything is lost.
	Lost string `json:"lost"`
	// Heals says what heals by itself.
	Heals string `json:"heals"`
	// Do is the one thing to do.
	Do string `json:"do"`
	// Help says who can help.
	Help string `json:"help"`
	// Details are for a helper; they may use any word.
	Details []string `json:"details,omitempty"`
}

// row is one kind of fault, and how it is found. Its words are "fault.CODE.what" and so
// on; {name} in them stands for what find says of it.
type row struct {
	code   Code
	weight Weight
	find   func(*scene) []finding
}

// finding is one fault that was found.
type finding struct {
	about   map[string]string
	since   time.Time
	details []string
}

// scene is what the rows look at.
type scene struct {
	Facts
	tally  *tally
	report *Report
}

// Known returns every fault that redhen knows, the gravest first. Its sentences have
// {names} where those of a real one say what it is about.
func Known(w *words.Words) []Fault {
	var list []Fault
	for _, r := range table() {
		list = append(list, r.tell(w, finding{}))
	}
	return list
}

func findFaults(s *scene) []Fault {
	faults := []Fault{}
	for _, r := range table() {
		for _, f := range r.find(s) {
			faults = append(faults, r.tell(s.Words, f))
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(b.Weight) - int(a.Weight) })
	return faults
}

func (r row) tell(w *words.Words, f finding) Fault {
	var pairs []any
	for k, v := range f.about {
		pairs = append(pairs, k, v)
	}
	text := func(part string) string { return words.Capital(w.Say("fault."+string(r.code)+"."+part, pairs...)) }
	return Fault{Code: r.code, Weight: r.weight, Since: f.since, Details: f.details,
		What: text("what"), Lost: text("lost"), Heals: text("heals"), Do: text("do"), Help: text("help")}
}
