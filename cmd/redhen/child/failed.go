package child

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"redhen/appliance/status"
)

// LastWords are the last lines of a box's log. See LastLines.
func LastWords(log string, lines int) string {
	said, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return LastLines(string(said), lines)
}

// LastLines are the last lines of what a program said, shortened: what a test that failed
// shows of each. The check is often read by its last screen alone.
func LastLines(said string, lines int) string {
	all := strings.Split(strings.TrimSpace(said), "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		all[i] = shorten(line)
	}
	return strings.Join(all, "\n")
}

var stamp = regexp.MustCompile(`^time=\S+T([0-9:.]+)\S* (level=INFO )?(msg=)?`)

// shorten leaves of a line the time of day and what a screen has room for.
func shorten(line string) string {
	const longest = 200
	line = stamp.ReplaceAllString(line, "$1 ")
	if len(line) > longest {
		return line[:longest] + " …"
	}
	return line
}

// Tell is a report in a few lines, for those who look for what went wrong.
func Tell(r status.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "safe: %s. %s\n", r.Safe, r.Sentence)
	for _, h := range r.Houses {
		fmt.Fprintf(&b, "  %s: %s; ", h.Name, h.Reached.Words)
	}
	for _, s := range r.Spaces {
		fmt.Fprintf(&b, "\n  %s (complete in %s; %d of %d decide, %d writes in one house)", s.Words, strings.Join(s.Houses, ", "), s.Deciding, s.Deciders, s.Waiting)
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "\n  %s: %s %v", f.Code, f.What, f.Details)
	}
	return b.String()
}
