package status

import (
	"strconv"
	"strings"
	"time"

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
func (w *Watch) Diary(limit int) (lines []Line, err error) {
	now := w.cfg.Now()
	err = w.cfg.Node.Directory(func(v directory.View) error {
		for _, e := range v.Diary(limit) {
			if line, ok := Tell(e, now); ok {
				lines = append(lines, line)
			}
		}
		return nil
	})
	return lines, err
}

// Tell puts a row into words; false for a row of a newer version.
func Tell(e directory.Entry, now time.Time) (Line, bool) {
	text, lost := happened(e, now)
	if text == "" {
		text, lost = decided(e)
	}
	if text == "" {
		return Line{}, false
	}
	t := time.UnixMilli(e.Time).In(now.Location())
	return Line{Time: t, Day: day(t, now), House: e.About["house"], What: text, Lost: lost}, true
}

// decided tells what people decided.
func decided(e directory.Entry) (text, lost string) {
	a := e.About
	box := a["box"] + " at " + a["house"]
	switch e.What {
	case "circle-founded":
		return "The circle " + a["name"] + " began.", ""
	case whatAdmitted:
		return box + " joined the circle.", ""
	case whatRetired:
		return box + " left the circle.", nothingLost
	case whatGone:
		if a["replacement"] != "" {
			return a["replacement"] + " takes the place of " + box + ", which is gone.", "Only what that box alone had."
		}
		return box + " was declared gone.", "Only what that box alone had."
	case whatTaken:
		return "The circle goes on without " + box + ", which was given up.", "Only what that house alone had, unless its box returns."
	case whatGoesOn:
		return "The files of " + a["space"] + " go on from " + a["box"] + ".", "Only what a lost house alone had, unless its box returns."
	case whatStolen:
		return box + " was marked as stolen and shut out.", "Only what that box alone had."
	case "box-kept":
		return capital(a["keeper"]) + " keeps " + box + " now.", ""
	case "box-renamed":
		return "The box " + a["was"] + " is called " + a["box"] + " now.", ""
	case "house-renamed":
		return "The house " + a["was"] + " is called " + a["house"] + " now.", ""
	case "account-added":
		return capital(a["name"]) + " has an account now.", ""
	case "passkey-added":
		return capital(a["name"]) + " can log in with a passkey now. If that was not " + a["name"] + ", take the passkey away under “Me”.", ""
	case "password-reset":
		if a["by"] != "" {
			return capital(a["name"]) + " has a new password, set with the help of " + a["by"] + ".", ""
		}
		return "The password of " + a["name"] + " was set anew by somebody who had " + box + " in hand. If that was not " + a["name"] + ", ask another keeper for help.", nothingLost
	case "account-removed":
		return "The account of " + a["name"] + " was ended.", "Its files are kept."
	}
	return "", ""
}

// happened tells what boxes saw.
func happened(e directory.Entry, now time.Time) (text, lost string) {
	a := e.About
	at := time.UnixMilli(e.Time)
	since := number(a["since"], at)
	switch e.What {
	case whatAway:
		return a["house"] + " has not been in reach since " + When(since, now) + ".", ""
	case whatBack:
		return a["house"] + " is back, after " + spell(at.Sub(since)) + ".", nothingLost
	case whatChecked:
		return checkedWords(a)
	case whatDrill:
		return drillWords(a)
	case whatUpdated:
		return a["box"] + " at " + a["house"] + " was updated to release " + a["release"] + ".", nothingLost
	case whatFellBack:
		return a["box"] + " at " + a["house"] + " tried release " + a["release"] + ", did not do well with it, and went back by itself.", nothingLost
	case "visitors-flood":
		return "Strangers crowded the door of " + a["house"] + ": " + a["n"] + " or more were turned away. Nobody in the circle was held up.", nothingLost
	case whatWhole:
		return "All copies are complete, in " + count(amount(a["houses"]), "house", "houses") + ".", nothingLost
	}
	return "", ""
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

func day(t, now time.Time) string {
	when := When(t, now)
	name, _, dated := strings.Cut(when, " ")
	switch {
	case !strings.Contains(when, ":"):
		return when
	case !dated:
		return "Today"
	}
	return capital(name)
}
