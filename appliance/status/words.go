package status

import (
	"slices"
	"strings"
	"time"

	"redhen/appliance/words"
)

func byName(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

// When tells a moment in English; see words.Words.
func When(t, now time.Time) string { return words.English().When(t, now) }

// Bytes tells an amount of room in English: "4.2 GB".
func Bytes(n int64) string { return words.English().Bytes(n) }

func reachedWords(w *words.Words, r Reached, now time.Time) string {
	switch r.How {
	case Here:
		return w.Say("reached.here")
	case Direct:
		return w.Say("reached.direct")
	case Through:
		return w.Say("reached.through", "via", orElse(r.Via, w.Say("another-house")))
	case Unknown:
		return w.Say("reached.heard")
	}
	if r.Since.IsZero() {
		return w.Say("reached.not-since-start")
	}
	return w.Say("reached.not-since", "since", w.When(r.Since, now))
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// titleWords names a space that has no title of its own.
func titleWords(w *words.Words, name string) string {
	if name == "" {
		return w.Say("space.records")
	}
	return w.Say("space.files", "name", name)
}

// spacesWords names several spaces; a long list is cut.
func spacesWords(w *words.Words, spaces []Space) string {
	var titles []string
	for _, s := range spaces {
		titles = append(titles, s.Title)
	}
	if len(titles) > 3 {
		rest := len(titles) - 2
		titles = append(titles[:2:2], w.Count(rest, "space"))
	}
	return w.List(titles)
}

func spaceWords(w *words.Words, s Space) string {
	title := words.Capital(s.Title)
	switch {
	case s.Apart:
		return w.Say("space.apart", "title", title)
	case !s.Known:
		return w.Say("space.unknown", "title", title)
	case len(s.Houses) == 0:
		return w.Say("space.nowhere", "title", title)
	}
	where := w.Say("space.complete", "title", title, "n", len(s.Houses), "houses", w.List(s.Houses))
	for _, l := range s.Late {
		where += " " + lateWords(w, l)
	}
	if s.Waiting > 0 {
		where += " " + w.Say("space.waiting", "n", s.Waiting)
	}
	return where
}

func lateWords(w *words.Words, l Late) string {
	switch {
	case l.Away:
		return w.Say("space.late.away", "house", l.House)
	case l.Behind > 0:
		return w.Say("space.late.behind", "house", l.House, "n", l.Behind)
	}
	return w.Say("space.late.bytes", "house", l.House)
}

// yesWords says in how many houses everything is.
func yesWords(w *words.Words, r Report) string {
	var common []string
	for _, h := range r.Houses {
		if !slices.ContainsFunc(r.Spaces, func(s Space) bool { return !slices.Contains(s.Houses, h.Name) }) {
			common = append(common, h.Name)
		}
	}
	least := len(r.Houses)
	for _, s := range r.Spaces {
		least = min(least, len(s.Houses))
	}
	if len(common) == least {
		return w.Say("report.complete", "number", w.Number(least), "houses", w.List(common))
	}
	return w.Say("report.complete.more", "number", w.Number(least))
}
