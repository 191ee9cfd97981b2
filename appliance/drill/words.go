package drill

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"redhen/appliance/circle"
)

const unchanged = " Nothing was changed. "

// Explain returns the words for an error of this package, false when it is none of them.
func Explain(err error) (circle.Words, bool) {
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return circle.Words{Code: "drill-refused", Sentence: r.Box + " does not play dead: " + r.Why.words() + unchanged + r.Why.do()}, true
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
func (r Report) Sentence() string {
	switch {
	case !r.Silent:
		return fmt.Sprintf("The drill did not come about: %s was in reach all the time, or back too early. Nothing is lost. Try again in ten minutes.", r.House)
	case r.Good():
		return fmt.Sprintf("%s played dead for a minute, and people carried on at %s: log in, read and write. It is back by itself. Nothing is lost.", r.House, r.where())
	}
	var bad []string
	for _, p := range r.Proofs {
		if !p.Good() {
			bad = append(bad, fmt.Sprintf("at %s %s did not work", p.Box, p.failed()))
		}
	}
	if !r.Back {
		bad = append(bad, r.House+" is not back yet")
	}
	return fmt.Sprintf("%s played dead for a minute, and not all went well: %s. Nothing is lost. Look at redhen status, and show the report to somebody who can help.", r.House, strings.Join(bad, "; "))
}

// failed names the first thing that a box did not show.
func (p Proof) failed() string {
	switch {
	case !p.Login:
		return "logging in"
	case !p.Read:
		return "reading"
	}
	return "writing"
}

func (r Report) where() string {
	var names []string
	for _, p := range r.Proofs {
		names = append(names, p.Box)
	}
	slices.Sort(names)
	if len(names) > 1 {
		return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
	return strings.Join(names, "")
}
