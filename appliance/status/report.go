package status

import (
	"time"

	"redhen/appliance/words"
	"redhen/provision/ident"
)

// Verdict answers the question "is everything safe?".
type Verdict string

// The verdicts.
const (
	// Yes: every space has all its copies, complete, in different houses, and nothing waits.
	Yes Verdict = "yes"
	// NotYet: something is missing, and it is on its way or waits for somebody.
	NotYet Verdict = "not yet"
	// No: if one more thing went wrong now, something could be lost, or is.
	No Verdict = "no"
)

// How says in which way a box or house is reached from this box.
type How string

// The ways.
const (
	Here    How = "here"
	Direct  How = "direct"
	Through How = "through" // another box: see Via
	Unknown How = "heard"   // heard, and not known how
	Away    How = "away"
)

// Report is how a circle is, seen from one box at one moment.
type Report struct {
	Circle string    `json:"circle"`
	Key    string    `json:"key,omitempty"` // of the circle, for a rented relay
	Box    string    `json:"box"`           // that reports
	House  string    `json:"house"`         // of that box
	Time   time.Time `json:"time"`

	Safe     Verdict `json:"safe"`
	Sentence string  `json:"sentence"`

	Houses []House `json:"houses"`
	Spaces []Space `json:"spaces"`
	Faults []Fault `json:"faults"` // the gravest first
	// Drill is the last fire drill; nil when there was none.
	Drill *Drill `json:"drill,omitempty"`

	// Machine is what this box runs on.
	Machine Machine `json:"machine"`
	// Strangers says how far people outside the circle help its boxes to find each other.
	Strangers Strangers `json:"strangers"`
}

// House is one house of the circle.
type House struct {
	Name string `json:"name"`
	Here bool   `json:"here,omitempty"`
	// Reached is how the house's best reached box is.
	Reached Reached `json:"reached"`
	// Way says why it is reached as it is, and what would help.
	Way   Way   `json:"way"`
	Boxes []Box `json:"boxes"`
	// Spaces counts those that the house has completely, of the circle's spaces.
	Spaces int `json:"spaces"`
}

// Reached says how a box is reached.
type Reached struct {
	How How `json:"how"`
	// Via is the name of the box that passes everything on.
	Via string `json:"via,omitempty"`
	// Since is when it began to be so; zero when it is not known.
	Since time.Time `json:"since,omitzero"`
	// Words says the same.
	Words string `json:"words"`
}

// Box is one box of a house.
type Box struct {
	ID      ident.BoxID `json:"id"`
	Name    string      `json:"name"`
	Keeper  string      `json:"keeper,omitempty"`
	Reached Reached     `json:"reached"`
	// LastSeen is when anybody heard it last; zero when nobody did since the start.
	LastSeen time.Time `json:"lastSeen,omitzero"`
	// Used is the room its copies take, Given what its keeper allows (0: no limit), in bytes.
	Used  int64 `json:"used"`
	Given int64 `json:"given,omitempty"`
	// Known is false while the box does not answer: Used and Check are then not known.
	Known bool   `json:"known"`
	Check *Check `json:"check,omitempty"`
}

// Space is how one space is kept.
type Space struct {
	ID ident.ShardID `json:"-"`
	// Name is empty for the circle's own records.
	Name  string `json:"name"`
	Title string `json:"title"`
	// Wanted is the number of copies wanted, Possible that number or the number of houses if that is smaller.
	Wanted   int `json:"wanted"`
	Possible int `json:"possible"`
	// Copies is the number of boxes in reach that have everything.
	Copies int `json:"copies"`
	// Houses are the names of the houses in reach that have everything.
	Houses []string `json:"houses"`
	// Deciding is the number of houses in which a copy counts when a write is settled,
	// Deciders how many there are to be: a fresh copy waits until its house has proved steady.
	Deciding int `json:"deciding"`
	Deciders int `json:"deciders"`
	// Late are the boxes that do not have everything.
	Late []Late `json:"late,omitempty"`
	// Waiting counts the writes that are kept in one house, on their way to others;
	// Moving those that are being stored this moment.
	Waiting int `json:"waiting,omitempty"`
	Moving  int `json:"moving,omitempty"`
	// Apart: too few houses are in reach to settle writes.
	Apart bool `json:"apart,omitempty"`
	// Known is false when no box in reach could say how the copies are.
	Known bool `json:"known"`
	// Words says the same in one sentence.
	Words string `json:"words"`
}

// Late is a copy that is not complete.
type Late struct {
	Box   string `json:"box"`
	House string `json:"house"`
	// Behind counts the changes it has not got; Bytes says that it lacks bytes of files.
	Behind uint64 `json:"behind,omitempty"`
	Bytes  bool   `json:"bytes,omitempty"`
	// Away: the box is not in reach, so that neither is known.
	Away bool `json:"away,omitempty"`
}

// Complete reports whether the space has all copies that are possible, and nothing waits.
func (s Space) Complete() bool {
	return s.Known && len(s.Houses) >= s.Possible && s.Waiting == 0 && !s.Apart
}

// Build makes the report of the facts. It is pure.
func Build(f Facts) Report {
	t := newTally(f)
	r := Report{Circle: f.Circle.Name, Key: string(f.Circle.Key), Time: f.Now, Spaces: t.spaces(), Machine: f.Hardware.machine()}
	r.Houses = t.houses(r.Spaces)
	t.explainWays(r.Houses)
	r.Strangers = strangersWords(f)
	for _, b := range f.Circle.Boxes {
		if b.ID == f.Self {
			r.Box, r.House = b.Name, t.houseName(b.House)
		}
	}
	if f.Circle.Drill != nil {
		r.Drill = f.Circle.Drill.in(f.Words, f.Now)
	}
	r.Faults = findFaults(&scene{Facts: f, tally: t, report: &r})
	r.Safe, r.Sentence = judge(f.Words, r)
	return r
}

// judge gives the one answer. Invariant: Yes only if every space is complete and
// no fault says otherwise.
func judge(w *words.Words, r Report) (Verdict, string) {
	verdict, cause := Yes, ""
	for _, s := range r.Spaces {
		if !s.Complete() {
			verdict, cause = NotYet, s.Words
			break
		}
	}
	for _, f := range r.Faults { // the gravest is the first
		if f.Weight == Danger {
			return No, w.Say("report.no", "why", f.What)
		}
		if f.Weight == Care {
			return NotYet, w.Say("report.not-yet", "why", f.What)
		}
	}
	if verdict == NotYet {
		return NotYet, w.Say("report.not-yet", "why", cause)
	}
	return Yes, w.Say("report.yes", "why", yesWords(w, r))
}
