package phone

import (
	"net/url"
	"strconv"
	"testing"
	"time"

	"redhen/cmd/redhen/child"
)

// restart starts the box again on the disk it had.
func (h *house) restart(t *testing.T) {
	t.Helper()
	b, err := child.Start(t.Context(), h.Config)
	if err != nil {
		t.Fatal(err)
	}
	h.Box, h.ended = b, false
}

// off ends the box as a power cut does.
func (h *house) off() {
	h.ended = true
	h.Kill()
}

// TestTheYear is what two houses live through after the first hour, all of it through
// their pages: a fire drill, a house that was taken for lost and comes home, two that
// give each other up, and one that leaves.
func TestTheYear(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e tells of the whole year")
	}
	dir := t.TempDir()
	mill, oak := newHouse(t, dir, "mill"), newHouse(t, dir, "oak")
	anna, ben := newPhone(t, "Anna", mill.HTTP), newPhone(t, "Ben", oak.HTTP)
	anna.claims(mill)
	anna.pairs(ben, oak)
	anna.renamesWith(ben, mill, oak)
	anna.drills(mill)
	ben.logsIn(oak, "ben", bens)
	ben.writes(oak, "before.txt")
	oak.off()
	anna.givesUp(mill, "Oak Street", annas)
	oak.restart(t)
	anna.welcomes(mill)
	anna.isSafe(mill)
	ben.logsIn(oak, "ben", bens) // the box is another one to the circle, and the people are the same
	ben.open(oak.URL() + "/files")
	ben.sees("before.txt")

	oak.off()
	anna.writes(mill, "by Anna alone.txt")
	anna.givesUp(mill, "Oak Street", annas)
	mill.off()
	oak.restart(t)
	ben.logsIn(oak, "ben", bens)
	ben.writes(oak, "by Ben alone.txt")
	ben.givesUp(oak, "Mill Lane", bens)
	mill.restart(t)
	anna.picks(mill, "Oak Street")
	ben.isSafe(oak)
	anna.isSafe(mill)
	anna.logsIn(mill, "anna", annas)
	anna.open(mill.URL() + "/files")
	anna.sees("by Anna alone.txt")
	ben.open(oak.URL() + "/files")
	ben.sees("by Ben alone.txt")

	ben.leaves(oak)
	anna.until(mill.URL()+"/", "Everything is in one house only")
}

// renamesWith gives the same file two names, at two boxes and in the same moment. One name
// holds at both, each page says what became of it, and nothing is lost.
func (p *phone) renamesWith(other *phone, here, there *house) {
	p.t.Helper()
	p.writes(here, "hens.txt")
	other.logsIn(there, "anna", annas)
	other.until(there.URL()+"/files/anna/hens.txt", "Where is this file?")
	p.open(here.URL() + "/files/anna/hens.txt")
	p.sees("Where is this file?")
	p.fill("name", "our hens.txt")
	other.fill("name", "the hens.txt")
	send := `(document.querySelector("form[action$='do=rename'] button").click(), true)`
	value[bool](p, send)
	value[bool](other, send)
	for _, one := range []*phone{p, other} {
		one.arrives("/files/anna")
		if !one.shows("is called “") && !one.shows("Somebody else gave “hens.txt”") {
			one.fail("says nothing of it")
		}
	}
	p.open(here.URL() + "/files/anna")
	p.sees(" hens.txt")
	name := "our hens.txt"
	if p.shows("the hens.txt") {
		name = "the hens.txt"
		if p.shows("our hens.txt") {
			p.fail("the file has two names")
		}
	}
	other.until(there.URL()+"/files/anna", name)
	for _, at := range []*house{here, there} {
		if got := p.fetches(at, "/get/anna/"+url.PathEscape(name)); string(got) != "hens\n" {
			p.t.Errorf("%s: %q", at.URL(), got)
		}
	}
}

// until looks at a page again until it shows something.
func (p *phone) until(url, want string) {
	p.t.Helper()
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		p.open(url)
		if p.shows(want) {
			return
		}
	}
	p.fail("waits for " + want)
}

// arrives waits until a form that was sent has led to a page.
func (p *phone) arrives(path string) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if value[bool](p, "location.pathname === "+strconv.Quote(path)+" && document.readyState === 'complete'") {
			return
		}
	}
	p.fail("waits for " + path)
}

// isSafe waits until everything is in two houses.
func (p *phone) isSafe(at *house) {
	p.t.Helper()
	p.until(at.URL()+"/", "Everything is safe.")
}

// writes stores a small text, wherever it is kept for now.
func (p *phone) writes(at *house, name string) {
	p.t.Helper()
	p.open(at.URL() + "/files")
	p.sends([]string{textFile(p.t, name, "hens\n")})
	p.sees("“" + name + "” is here.")
}

// drills has the other house play dead.
func (p *phone) drills(at *house) {
	p.t.Helper()
	p.open(at.URL() + "/circle/drill")
	p.sees("Which house plays dead?")
	p.fill("password", annas)
	p.tap("Begin the drill")
	p.sees("Oak Street is silent")
	p.look("drill-running")
	p.until(at.URL()+"/circle/drill", "It is back by itself.")
	p.look("drill-done")
	p.open(at.URL() + "/")
	p.sees("Last fire drill: Oak Street")
}

// givesUp goes on without a house that is dark.
func (p *phone) givesUp(at *house, lost, password string) {
	p.t.Helper()
	p.until(at.URL()+"/circle/takeover", "Lost for good? Then type its name: "+lost)
	p.fill("house1", lost, "password", password)
	p.tap("Go on without")
	p.sees("The circle goes on without " + lost + ".")
}

// welcomes lets the box come home that was taken for lost.
func (p *phone) welcomes(at *house) {
	p.t.Helper()
	p.until(at.URL()+"/", "is back, and asks to come home")
	p.look("home-returns")
	p.open(at.URL() + "/circle/home")
	p.sees("never in strange hands")
	p.look("returns-asked")
	p.tap("Yes, let it come home")
	p.sees("is home again.")
}

// picks the side of a house, when both boxes know of each other.
func (p *phone) picks(at *house, side string) {
	p.t.Helper()
	p.logsIn(at, "anna", annas)
	p.until(at.URL()+"/", "Two houses each went on alone")
	p.look("home-two-sides")
	p.tap("Pick a side")
	p.sees("Which side goes on for both?")
	p.look("sides")
	p.tap(side)
	p.fill("password", annas)
	p.tap("This side goes on")
	p.sees("The side of " + side + " goes on for both.")
}

// leaves has the box leave the circle for good.
func (p *phone) leaves(at *house) {
	p.t.Helper()
	p.open(at.URL() + "/box/care")
	p.sees("Type the name of the box")
	p.fill("box-name", "Oak Street")
	p.tap("Have it leave")
	p.arrives("/box/retire")
	p.until(at.URL()+"/box/retire", "It has left the circle.")
	p.look("left")
}
