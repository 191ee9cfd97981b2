package drill

import (
	"errors"
	"slices"
	"strings"

	"redhen/appliance/circle"
	"redhen/appliance/words"
)

const unchanged = " Nothing was changed. "

// Explain returns the words for an error of this package, false when it is none of them.
func Explain(err error) (circle.Words, bool) {
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return circle.Words{Code: "drill-refused", Key: "drill-refused." + r.Why.key(), About: []any{"box", r.Box}, Sentence: r.Box + " does not play dead: " + r.Why.words() + unchanged + r.Why.do()}, true
	}
	for _, row := range []struct {
		err      error
		code     string
		what, do string
	}{
		{ErrOneHouse, "one-house", "The circle has one house only, so nobody could carry on.", "Invite a friend's box first."},
		{ErrOwnHouse, "own-house", "A house does not order its own boxes to play dead.", "Run the drill at a box of another house."},
		{ErrNoHouse, "no-house", "The circle has no house of that name.", "Look at the names with redhen houses."},
		{ErrRunning, "drill-runs", "A drill is under way at this box.", "Wait until it ends, two minutes at most."},
		{ErrNotNow, "not-whole", "A fire drill needs a circle that is whole, and just now not every box is there with everything.", "Look at redhen status, and try again when it says yes."},
	} {
		if errors.Is(err, row.err) {
			return circle.Words{Code: row.code, Sentence: row.what + unchanged + row.do}, true
		}
	}
	return circle.Words{}, false
}

// key names it in the keys of texts.
func (r refusal) key() string {
	switch r {
	case refusedByKeeper:
		return "keeper"
	case refusedAgain:
		return "again"
	case noAnswer:
		return "silent"
	}
	return "order"
}

func (r refusal) words() string {
	switch r {
	case refusedByKeeper:
		return "its keeper takes no part in fire drills."
	case refusedAgain:
		return "it did so a moment ago."
	case noAnswer:
		return "it did not answer."
	}
	return "it does not know this order as one of a keeper of the circle, or the clocks differ."
}

func (r refusal) do() string {
	switch r {
	case refusedByKeeper:
		return "Ask its keeper, or choose another house."
	case refusedAgain:
		return "Try again in ten minutes."
	}
	return "Look at redhen status, then try again."
}

// Sentence says what came of a drill.
func (r Report) Sentence(w *words.Words) string {
	switch {
	case !r.Silent:
		return w.Say("drill.report.not", "house", r.House)
	case r.Good():
		return w.Say("drill.report.good", "house", r.House, "boxes", r.where(w))
	}
	var bad []string
	for _, p := range r.Proofs {
		if !p.Good() {
			bad = append(bad, w.Say("drill.failed", "box", p.Box, "what", p.failed(w)))
		}
	}
	if !r.Back {
		bad = append(bad, w.Say("drill.not-back", "house", r.House))
	}
	return w.Say("drill.report.bad", "house", r.House, "bad", strings.Join(bad, "; "))
}

// failed names the first thing that a box did not show.
func (p Proof) failed(w *words.Words) string {
	switch {
	case !p.Login:
		return w.Say("drill.failed.login")
	case !p.Read:
		return w.Say("drill.failed.read")
	}
	return w.Say("drill.failed.write")
}

func (r Report) where(w *words.Words) string {
	var names []string
	for _, p := range r.Proofs {
		names = append(names, p.Box)
	}
	slices.Sort(names)
	return w.List(names)
}
