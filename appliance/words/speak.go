package words

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// List joins names as people do: "a, b and c".
func (w *Words) List(names []string) string {
	switch last := len(names) - 1; last {
	case -1:
		return w.Say("list.none")
	case 0:
		return names[0]
	default:
		return w.Say("list.and", "rest", strings.Join(names[:last], w.Say("list.comma")+" "), "last", names[last])
	}
}

// Number writes small numbers as words.
func (w *Words) Number(n int) string {
	if key := fmt.Sprint("number.", n); w.Has(key) {
		return w.Say(key)
	}
	return fmt.Sprint(n)
}

// Count gives a number its noun, "count.NOUN": "1 house", "3 houses".
func (w *Words) Count(n int, noun string) string { return w.Say("count."+noun, "n", n) }

// Span tells a duration roughly: "5 minutes", "3 hours", "2 days".
func (w *Words) Span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < time.Minute:
		return w.Say("span.short")
	case d < time.Hour:
		return w.Count(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return w.Count(int(d.Hours()+0.5), "hour")
	}
	return w.Count(int(d.Hours()/24), "day")
}

// When tells a moment as people do: "14:02", "yesterday 14:02", "Tuesday 14:02",
// "12 Nov", "12 Nov 2024"; in now's location.
func (w *Words) When(t, now time.Time) string {
	t = t.In(now.Location())
	clock := t.Format("15:04")
	switch days := daysAgo(t, now); {
	case days == 0:
		return clock
	case days == 1:
		return w.Say("when.yesterday", "time", clock)
	case days > 1 && days < 7:
		return w.Say("when.weekday", "day", w.weekday(t), "time", clock)
	}
	return w.date(t, now)
}

// Day tells on which day a moment was, as a title: "Today", "Tuesday", "12 Nov".
func (w *Words) Day(t, now time.Time) string {
	t = t.In(now.Location())
	switch days := daysAgo(t, now); {
	case days == 0:
		return w.Say("when.day.today")
	case days == 1:
		return w.Say("when.day.yesterday")
	case days > 1 && days < 7:
		return Capital(w.weekday(t))
	}
	return w.date(t, now)
}

// Date tells a day of this year or the next: "12 November".
func (w *Words) Date(t time.Time) string {
	return w.Say("when.date", "day", t.Day(), "month", w.Say(fmt.Sprint("month.long.", int(t.Month()))))
}

// LongDate is the same with the year.
func (w *Words) LongDate(t time.Time) string {
	return w.Say("when.date.year", "day", t.Day(), "month", w.Say(fmt.Sprint("month.long.", int(t.Month()))), "year", t.Year())
}

// ShortDate tells a day of this year: "12 Nov".
func (w *Words) ShortDate(t time.Time) string {
	return w.Say("when.date", "day", t.Day(), "month", w.month(t))
}

func (w *Words) date(t, now time.Time) string {
	if t.Year() == now.Year() {
		return w.ShortDate(t)
	}
	return w.Say("when.date.year", "day", t.Day(), "month", w.month(t), "year", t.Year())
}

func (w *Words) month(t time.Time) string { return w.Say(fmt.Sprint("month.", int(t.Month()))) }

func (w *Words) weekday(t time.Time) string { return w.Say(fmt.Sprint("weekday.", int(t.Weekday()))) }

func daysAgo(t, now time.Time) int {
	day := func(x time.Time) time.Time { return time.Date(x.Year(), x.Month(), x.Day(), 0, 0, 0, 0, time.UTC) }
	return int(day(now).Sub(day(t)).Hours() / 24)
}

// Bytes tells an amount of room: "4.2 GB".
func (w *Words) Bytes(n int64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	if n < 1000 {
		return w.Count(int(n), "byte")
	}
	v, i := float64(n)/1000, 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if v < 9.95 {
		return strings.Replace(fmt.Sprintf("%.1f %s", v, units[i]), ".", w.Say("number.point"), 1)
	}
	return fmt.Sprintf("%.0f %s", v, units[i])
}

// Capital makes the first letter a capital.
func Capital(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[n:]
}

// Ended gives a sentence that has no end a full stop.
func Ended(s string) string {
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}
