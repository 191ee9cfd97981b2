package status

import (
	"strconv"
	"strings"
	"time"

	"redhen/appliance/words"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/scrub"
)

// Check is what came of reading everything again that a box keeps. Began is zero
// while that has not come to an end yet.
type Check struct {
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	Bytes int64     `json:"bytes,omitempty"`
	// Bad counts the pieces of files that were damaged or could not be read, BadLists the lists; Left counts
	// the pieces that no house in reach had.
	Bad      int `json:"bad,omitempty"`
	BadLists int `json:"badLists,omitempty"`
	Left     int `json:"left,omitempty"`
	// Done is how much of the next one is done, in percent; zero between two.
	Done int `json:"done,omitempty"`
	// Words says the same.
	Words string `json:"words"`
}

// overdue is when a box that has not read everything again is told of.
const overdue = 45 * 24 * time.Hour

// CheckOf puts into words what a box says of its last scrub.
func CheckOf(w *words.Words, st scrub.Status, now time.Time) Check {
	last := st.Last
	c := Check{Began: milli(last.Began), Ended: milli(last.Ended), Bytes: last.Bytes, Bad: last.Bad, BadLists: last.BadLists, Left: last.Left}
	if st.Round.Began != 0 {
		c.Done = int(100 * min(st.Round.Bytes, st.Total) / max(st.Total, 1))
	}
	c.Words = w.Say("check.not-yet")
	if last.Ended != 0 {
		c.Words = w.Say("check.was", "when", w.When(c.Ended, now), "found", foundWords(w, c))
	}
	if st.Round.Began != 0 {
		c.Words = w.Say("check.now", "was", c.Words, "percent", c.Done)
	}
	return c
}

// foundWords says what a check found.
func foundWords(w *words.Words, c Check) string {
	switch {
	case c.Bad+c.BadLists == 0:
		return w.Say("check.good")
	case c.Left > 0:
		return w.Say("check.left", "bad", badWords(w, c), "left", c.Left)
	}
	return w.Say("check.mended", "bad", badWords(w, c))
}

func badWords(w *words.Words, c Check) string {
	var parts []string
	if c.Bad > 0 {
		parts = append(parts, w.Count(c.Bad, "piece"))
	}
	if c.BadLists > 0 {
		parts = append(parts, w.Count(c.BadLists, "list"))
	}
	return w.List(parts)
}

// Sentence tells the whole, for who asked for the check.
func (c Check) Sentence(w *words.Words) string {
	read := w.Say("check.read", "bytes", w.Bytes(c.Bytes))
	bad := words.Capital(badWords(w, c))
	switch {
	case c.Bad+c.BadLists == 0:
		return w.Say("check.read.good", "read", read)
	case c.Left > 0:
		return w.Say("check.read.left", "read", read, "bad", bad, "left", c.Left)
	}
	return w.Say("check.read.mended", "read", read, "bad", bad)
}

func isListRotten(trouble string) bool {
	return strings.Contains(trouble, raftnode.ErrStateRotten.Error())
}

func isJournalDamaged(trouble string) bool {
	return strings.Contains(trouble, raftnode.ErrJournalDamaged.Error())
}

func isOtherTrouble(trouble string) bool {
	return trouble != "" && !isListRotten(trouble) && !isJournalDamaged(trouble)
}

func findTroubles(kind func(trouble string) bool) func(*scene) []finding {
	return func(s *scene) []finding {
		return s.perBox(func(sh raftnode.ShardStatus) (string, bool) { return sh.Trouble, kind(sh.Trouble) })
	}
}

// findUnchecked tells of boxes that have not read everything again for long.
func findUnchecked(s *scene) (list []finding) {
	for _, st := range s.Boxes {
		last := milli(max(st.Care.Scrub.Last.Ended, st.Care.Scrub.First))
		if !last.IsZero() && s.Now.Sub(last) > overdue {
			list = append(list, s.aboutBox(st.Box, "for", s.Words.Span(s.Now.Sub(last))))
		}
	}
	return list
}

// longSilent is when redhen asks whether a house is gone for good.
const longSilent = 7 * 24 * time.Hour

// awaySince reads from the diary, the newest row first, which houses are away since when.
func awaySince(rows []directory.Entry) map[string]time.Time {
	since, seen := map[string]time.Time{}, map[string]bool{}
	for _, e := range rows {
		house := e.About["house"]
		if (e.What != whatAway && e.What != whatBack) || seen[house] {
			continue
		}
		seen[house] = true
		if e.What == whatAway {
			since[house] = number(e.About["since"], time.UnixMilli(e.Time))
		}
	}
	return since
}

// longAway returns since when a house is away, when that is long; whatever happened
// to this box meanwhile.
func (s *scene) longAway(h House) (since time.Time, ok bool) {
	since = h.Reached.Since
	if noted, known := s.Circle.AwaySince[h.Name]; known && (since.IsZero() || noted.Before(since)) {
		since = noted
	}
	return since, h.Reached.How == Away && !since.IsZero() && s.Now.Sub(since) >= longSilent
}

// findSilent tells of houses that may be gone for good.
func findSilent(s *scene) (list []finding) {
	for _, h := range s.report.Houses {
		since, ok := s.longAway(h)
		if !ok {
			continue
		}
		var boxes []string
		for _, b := range h.Boxes {
			boxes = append(boxes, b.Name)
		}
		f := about("house", h.Name, "boxes", s.Words.List(boxes),
			"days", s.Words.Span(s.Now.Sub(since)), "box", boxes[0])
		f.since = since
		list = append(list, f)
	}
	return list
}

// checkEvent tells that a box has read everything again.
func checkEvent(h House, b Box, rows []directory.Entry) (directory.Entry, bool) {
	if b.Check == nil || b.Check.Ended.IsZero() {
		return directory.Entry{}, false
	}
	key := string(b.ID) + " " + strconv.FormatInt(b.Check.Ended.UnixMilli(), 10)
	for _, e := range rows {
		if e.What == whatChecked && e.About["key"] == key {
			return directory.Entry{}, false
		}
	}
	return entry(whatChecked, key, "house", h.Name, "box", b.Name, "bytes", strconv.FormatInt(b.Check.Bytes, 10),
		"bad", strconv.Itoa(b.Check.Bad), "lists", strconv.Itoa(b.Check.BadLists), "left", strconv.Itoa(b.Check.Left)), true
}
