package phone

import (
	"testing"
	"time"
)

// TestABoxThatDoesNotAnswer: when the box falls silent, the page says so within ten
// seconds, is quiet when it speaks again, and says of a form that it is still under way.
func TestABoxThatDoesNotAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e lets a box fall silent")
	}
	box := newHouse(t, t.TempDir(), "mill")
	p := newPhone(t, "Anna", "")
	p.claims(box)
	l := newLine(t, box.HTTP, 1<<40, 0)
	base := "http://" + l.listener.Addr().String()
	p.logsInAt(base, "anna", annas)
	const silent = "The box has not answered for a while"
	l.hold(true)
	begun := time.Now()
	p.sees(silent)
	if took := time.Since(begun); took > 30*time.Second { // ten, on a machine with nothing else to do
		t.Errorf("it is said after %v", took)
	}
	p.photo("silent")
	l.hold(false)
	p.awaitsGone(silent)
	p.open(base + "/me")
	p.sees("Change my password")
	p.fill("device", "laptop")
	l.hold(true)
	// The answer goes to another window, for a browser on its way to a page shows tests nothing.
	value[bool](p, `(f => { f.target = "_blank"; f.querySelector("button").click(); return true; })(document.querySelector("form[action='/me/devices']"))`)
	p.sees("The box is still working on it.")
}

// awaitsGone waits until the page does not show a text any more.
func (p *phone) awaitsGone(text string) {
	p.t.Helper()
	for end := time.Now().Add(patience); p.shows(text); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			p.fail("still shows " + text)
		}
	}
}
