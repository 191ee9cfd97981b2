package status

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

func byName(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

// listWords joins names as people do: "a, b and c".
func listWords(names []string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// count gives a number its noun: "1 house", "3 houses".
func count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// numberWord writes small numbers as words.
func numberWord(n int) string {
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
	if n >= 0 && n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}

// When tells a moment as people do: "14:02", "yesterday 14:02", "Tuesday 14:02",
// "12 Nov", "12 Nov 2024"; in now's location.
func When(t, now time.Time) string {
	t = t.In(now.Location())
	day := func(x time.Time) time.Time { return time.Date(x.Year(), x.Month(), x.Day(), 0, 0, 0, 0, time.UTC) }
	switch days := int(day(now).Sub(day(t)).Hours() / 24); {
	case days == 0:
		return t.Format("15:04")
	case days == 1:
		return "yesterday " + t.Format("15:04")
	case days > 1 && days < 7:
		return t.Format("Monday 15:04")
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// spell tells a duration roughly: "5 minutes", "3 hours", "2 days".
func spell(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return count(int(d.Minutes()), "minute", "minutes")
	case d < 48*time.Hour:
		return count(int(d.Hours()+0.5), "hour", "hours")
	}
	return count(int(d.Hours()/24), "day", "days")
}

// Bytes tells an amount of room: "4.2 GB".
func Bytes(n int64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	if n < 1000 {
		return count(int(n), "byte", "bytes")
	}
	v, i := float64(n)/1000, 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, units[i])
	}
	return fmt.Sprintf("%.0f %s", v, units[i])
}

func reachedWords(r Reached, now time.Time) string {
	switch r.How {
	case Here:
		return "this house"
	case Direct:
		return "direct"
	case Through:
		return "through " + orElse(r.Via, "another house")
	case Unknown:
		return "in reach"
	}
	if r.Since.IsZero() {
		return "not since this box was started"
	}
	return "not since " + When(r.Since, now)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// titleWords names a space that has no title of its own.
func titleWords(name string) string {
	if name == "" {
		return "the circle’s own records"
	}
	return "the files of " + name
}

// spacesWords names several spaces; a long list is cut.
func spacesWords(spaces []Space) string {
	var titles []string
	for _, s := range spaces {
		titles = append(titles, s.Title)
	}
	if len(titles) > 3 {
		rest := len(titles) - 2
		titles = append(titles[:2:2], count(rest, "more space", "more spaces"))
	}
	return listWords(titles)
}

func spaceWords(s Space) string {
	title := capital(s.Title)
	switch {
	case s.Apart:
		return title + ": too few houses are in reach to settle what is written."
	case !s.Known:
		return title + ": no box in reach could say how they are just now."
	case len(s.Houses) == 0:
		return title + ": no house in reach has everything."
	}
	where := fmt.Sprintf("%s: complete in %s (%s).", title, count(len(s.Houses), "house", "houses"), listWords(s.Houses))
	for _, l := range s.Late {
		where += " " + lateWords(l)
	}
	if s.Waiting > 0 {
		where += " " + capital(count(s.Waiting, "change is", "changes are")) + " kept in one house and on the way to others."
	}
	return where
}

func lateWords(l Late) string {
	switch {
	case l.Away:
		return l.House + " is away."
	case l.Behind > 0:
		return fmt.Sprintf("%s is %s behind.", l.House, count(l.Behind, "change", "changes"))
	}
	return l.House + " is still fetching files."
}

// capital makes the first letter a capital.
func capital(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[n:]
}

// yesWords says in how many houses everything is.
func yesWords(r Report) string {
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
		return fmt.Sprintf("Everything is complete in %s houses: %s.", numberWord(least), listWords(common))
	}
	return fmt.Sprintf("Everything is complete in %s houses or more.", numberWord(least))
}
