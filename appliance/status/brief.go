package status

import (
	"slices"
	"strings"
	"time"

	"redhen/appliance/words"
	"redhen/provision/ident"
)

// Brief is what a person should know before saying that a box, or a house, is lost for good.
type Brief struct {
	Box     string // empty when it is about a whole house
	House   string
	Keeper  string // of the box
	InReach bool
	// LastSeen is when a box in reach heard it last; zero: not since the start.
	LastSeen time.Time
	// Elsewhere names what other houses in reach have completely, Doubtful what none has.
	Elsewhere []string
	Doubtful  []string
	// Place is the box with its house, or the house where that has the same name.
	Place string
	// Known and Lost say the same in sentences.
	Known string
	Lost  string
}

// Brief tells what is known of a box, false when it is not in the report.
func (r Report) Brief(w *words.Words, box ident.BoxID) (Brief, bool) {
	for _, h := range r.Houses {
		for _, b := range h.Boxes {
			if b.ID == box {
				brief := Brief{Box: b.Name, House: h.Name, Keeper: b.Keeper, LastSeen: b.LastSeen, InReach: b.Reached.How != Away}
				brief.tell(w, r)
				return brief, true
			}
		}
	}
	return Brief{}, false
}

// Former tells of a box that is in the circle no more.
func Former(w *words.Words, box, house string) Brief {
	b := Brief{Box: box, House: house, Place: placeWords(w, box, house), Elsewhere: []string{}}
	b.Known = w.Say("brief.former", "place", b.Place)
	return b
}

// Stolen is what to know before saying that the box was stolen: Known and Lost differ.
func (b Brief) Stolen(w *words.Words) Brief {
	if b.InReach {
		b.Known = w.Say("brief.here.stolen", "place", b.Place)
	}
	b.Lost = w.Say("brief.stolen", "house", b.House) + b.doubt(w)
	return b
}

// Dark tells of each house that is not in reach.
func (r Report) Dark(w *words.Words) (list []Brief) {
	for _, h := range r.Houses {
		if h.Reached.How != Away {
			continue
		}
		brief := Brief{House: h.Name}
		for _, b := range h.Boxes {
			if b.LastSeen.After(brief.LastSeen) {
				brief.LastSeen = b.LastSeen
			}
		}
		brief.tell(w, r)
		list = append(list, brief)
	}
	return list
}

// tell puts it into sentences.
func (b *Brief) tell(w *words.Words, r Report) {
	b.Elsewhere = []string{}
	for _, sp := range r.Spaces {
		if slices.ContainsFunc(sp.Houses, func(h string) bool { return h != b.House }) {
			b.Elsewhere = append(b.Elsewhere, sp.Title)
		} else if sp.Known && !sp.Apart { // of others nobody in reach can tell
			b.Doubtful = append(b.Doubtful, sp.Title)
		}
	}
	since := w.Say("brief.start")
	if !b.LastSeen.IsZero() {
		since = w.When(b.LastSeen, r.Time)
	}
	b.Place = placeWords(w, b.Box, b.House)
	if b.Known = w.Say("brief.away", "place", b.Place, "since", since); b.InReach {
		b.Known = w.Say("brief.here", "place", b.Place)
	}
	b.Lost = w.Say("brief.lost", "house", b.House) + b.doubt(w)
}

// placeWords names a box with its house, or the house where that has the same name or is
// all that is meant.
func placeWords(w *words.Words, box, house string) string {
	if box == "" || box == house {
		return house
	}
	return w.Say("brief.place", "box", box, "house", house)
}

// doubt is a sentence about what no other house in reach has, empty where all is elsewhere.
func (b Brief) doubt(w *words.Words) string {
	if len(b.Doubtful) == 0 {
		return ""
	}
	return " " + w.Say("brief.doubtful", "spaces", strings.Join(b.Doubtful, ", "))
}
