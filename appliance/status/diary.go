package status

import (
	"maps"
	"strconv"
	"time"

	"redhen/appliance/words"
	"redhen/raftnode/directory"
)

// The codes of rows that this package writes, and of those of the directory that
// it looks for. They are stored and never change.
const (
	whatAway  = "house-away"   // house, since
	whatBack  = "house-back"   // house, since
	whatWhole = "copies-whole" // houses

	whatChecked  = "box-checked"     // house, box, bytes, bad, lists, left
	whatUpdated  = "box-updated"     // box, house, release
	whatFellBack = "box-update-back" // box, house, release

	whatAdmitted = "box-admitted"
	whatRetired  = "box-retired"
	whatGone     = "box-gone"
	whatStolen   = "box-stolen"
	whatTaken    = "box-taken-over"
	whatGoesOn   = "space-goes-on"
)

// Line is one row of the diary, in words.
type Line struct {
	Time time.Time `json:"time"`
	// Day is "Today", "Yesterday", "Tuesday" or "12 Nov".
	Day string `json:"day"`
	// House is the one that it is about; it may be empty.
	House string `json:"house,omitempty"`
	What  string `json:"what"`
	// Lost says whether anything was lost; empty where nothing could be.
	Lost string `json:"lost,omitempty"`
}

// Diary returns the newest lines, at most limit, the newest first.
func (w *Watch) Diary(in *words.Words, limit int) (lines []Line, err error) {
	now := w.cfg.Now()
	err = w.cfg.Node.Directory(func(v directory.View) error {
		for _, e := range v.Diary(limit) {
			if line, ok := Tell(in, inFull(v, e), now); ok {
				lines = append(lines, line)
			}
		}
		return nil
	})
	return lines, err
}

// inFull is a row in which people are called as their friends call them, as far as they
// still have an account; it is stored with the names by which they log in.
func inFull(v directory.View, e directory.Entry) directory.Entry {
	who := map[string]string{"account-added": "name", "password-reset": "name", "passkey-added": "name", whatGoesOn: "space", "box-kept": "keeper"}[e.What]
	if a, ok := v.AccountByName(e.About[who]); who != "" && ok && a.FullName != "" {
		e.About = maps.Clone(e.About)
		e.About[who] = a.FullName
	}
	return e
}

// Tell puts a row into words, "diary.CODE" and "diary.CODE.lost"; false for a row of a
// newer version.
func Tell(w *words.Words, e directory.Entry, now time.Time) (Line, bool) {
	key := "diary." + e.What
	switch a := e.About; {
	case e.What == whatGone && a["replacement"] != "":
		key += ".replaced"
	case e.What == "password-reset" && a["by"] != "":
		key += ".helped"
	case e.What == whatDrill && a["good"] != "yes":
		key += ".bad"
	case e.What == whatChecked && amount(a["left"]) > 0:
		key += ".left"
	case a["box"] == a["house"] && w.Has(key+".same"): // a house with one box, that bears its name
		key += ".same"
	}
	if !w.Has(key) {
		return Line{}, false
	}
	pairs := diaryPairs(w, e, now)
	t := time.UnixMilli(e.Time).In(now.Location())
	line := Line{Time: t, Day: w.Day(t, now), House: e.About["house"], What: words.Capital(w.Say(key, pairs...))}
	if lost := key + ".lost"; w.Has(lost) {
		line.Lost = w.Say(lost, pairs...)
	}
	return line, true
}

// diaryPairs are what the words of a row may name: what it is about, and what is made of that.
func diaryPairs(w *words.Words, e directory.Entry, now time.Time) (pairs []any) {
	a := e.About
	at := time.UnixMilli(e.Time)
	since := number(a["since"], at)
	for k, v := range a {
		switch k {
		case "since", "houses", "bytes", "bad", "lists", "left":
		default:
			pairs = append(pairs, k, v)
		}
	}
	read, _ := strconv.ParseInt(a["bytes"], 10, 64) // a text that is no number counts as none
	found := foundWords(w, Check{Bad: amount(a["bad"]), BadLists: amount(a["lists"]), Left: amount(a["left"])})
	return append(pairs, "since", w.When(since, now), "away", w.Span(at.Sub(since)), "houses", w.Count(amount(a["houses"]), "house"),
		"read", w.Bytes(read), "found", found)
}

// number reads a time in milliseconds, or takes the other.
func number(s string, other time.Time) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return other
	}
	return time.UnixMilli(ms)
}

func amount(s string) int {
	n, _ := strconv.Atoi(s) // a text that is no number counts as none
	return n
}
