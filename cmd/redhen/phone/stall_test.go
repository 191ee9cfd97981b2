package phone

import (
	"bytes"
	"os"
	"path/filepath"
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

// TestAnUploadThatStalls: an upload whose box falls silent, or whose line breaks, is
// never without words for longer than ten seconds, and then goes on by itself.
func TestAnUploadThatStalls(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e lets an upload stall")
	}
	box := newHouse(t, t.TempDir(), "mill")
	p := newPhone(t, "Anna", "")
	p.claims(box)
	l := newLine(t, box.HTTP, 1<<40, 0)
	path := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(path, bytes.Repeat([]byte("hen "), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.listener.Addr().String()
	p.logsInAt(base, "anna", annas)
	p.open(base + "/files")
	p.sees("Nothing is here yet")
	l.hold(true)
	begun := time.Now()
	p.sends([]string{path})
	p.sees("Waiting for the box. This goes on by itself")
	if took := time.Since(begun); took > 30*time.Second { // ten, on a machine with nothing else to do
		t.Errorf("it is said after %v", took)
	}
	p.photo("stalled")
	l.cut(10 * time.Second)
	p.sees("The line is broken. This goes on by itself")
	l.hold(false)
	p.sees("“film.mp4” is here.")
	if got := p.fetches(box, "/get/anna/film.mp4"); len(got) != 4<<20 {
		t.Errorf("%d bytes arrived", len(got))
	}
}
