package phone

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tours looks at every page that a keeper has, at a circle with files in it.
func (p *phone) tours(at *house) {
	p.t.Helper()
	base := at.URL()
	p.open(base + "/files")
	p.sees("Nothing is here yet")
	p.tap("New folder")
	p.fill("folder", "Recipes")
	p.tap("Make it")
	p.sees("The folder “Recipes” is made.")
	p.sendsText("Apple cake.txt", "600 g apples\n200 g flour\n4 eggs from the brown hens\n")
	p.sendsText("Apple cake.txt", "500 g apples\n200 g flour\n3 eggs from the brown hens\n")
	p.sees("A file of that name was here already; its older version is kept.")
	p.open(base + "/files/anna/Apple%20cake.txt")
	p.sees("500 g apples", "Where is this file?", "Older versions")
	p.look("file")
	p.open(base + "/files/anna?pick=Apple%20cake.txt")
	p.sees("Tick what you mean")
	p.look("files-pick")
	p.tap("Remove")
	p.sees("is removed. It can come back for 30 days.")
	p.look("files-removed")
	p.open(base + "/removed/anna")
	p.sees("Apple cake.txt")
	p.look("removed")
	p.tap("Bring back")
	p.sees("“Apple cake.txt” is back.")
	p.drops(base)
	p.programs(at)
	p.keys(base)
	p.open(base + "/files/anna?q=apple")
	p.sees("Found for “apple”")
	p.look("files-found")
	p.visits(base, "circle", "/circle", "Houses")
	p.open(base + "/")
	p.sees("Everything is safe")
	p.prints("home-paper", 2)
	p.visits(base, "gone", "/circle/gone?box=Oak%20Street", "Gone for good", "gone for good")
	p.gives(base)
	p.visits(base, "drill", "/circle/drill", "plays dead for a minute")
	p.visits(base, "name", "/circle/name", "A free name")
	p.visits(base, "name-free", "/circle/name?way=desec", "Token of desec.io")
	p.visits(base, "name-server", "/circle/name?way=rfc2136", "Name of its key")
	p.visits(base, "returns", "/circle/home", "No box asks to come home")
	p.visits(base, "care", "/box/care", "Read everything again")
	p.tap("Check it now")
	p.sees("All is good.")
	p.visits(base, "me", "/me", "Connect my computer")
	p.visits(base, "box", "/box", "Room for the circle")
	p.visits(base, "forgot", "/forgot", "Ask a keeper")
	p.visits(base, "nothing", "/nothing", "There is nothing at this address.")
	p.visits(base, "trouble", "/files/anna/no-such-thing", "There is nothing of that name here.")
	p.visits(base, "help", "/circle/help?who=ben", "A new password for Ben Carter")
	p.fill("password", annas)
	p.tap("Make the link")
	p.sees("Let Ben Carter point")
	p.look("help-link")
	link := p.readCode()
	p.open(base + "/me")
	p.fill("device", "laptop")
	p.tap("Make a password")
	p.sees("only now", "Windows")
	p.look("connect")
	p.visits(base, "reset", strings.TrimPrefix(link, base), "Choose a new password")
}

// drops uploads a file that is dropped onto the page.
func (p *phone) drops(base string) {
	p.t.Helper()
	if p.noJS { // then it is chosen
		return
	}
	p.open(base + "/files")
	p.sees("Recipes")
	value[bool](p, `(() => { const files = new DataTransfer(); files.items.add(new File(["red hens"], "dropped.txt"));
		return document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true})), true; })()`)
	p.sees("“dropped.txt” is here.")
}

// programs: what a program stores through WebDAV is on the page at once, and what the
// page does is there for the program.
func (p *phone) programs(at *house) {
	p.t.Helper()
	dav := func(method, path string) int {
		r, err := http.NewRequestWithContext(p.t.Context(), method, at.URL()+"/dav/anna/"+path, strings.NewReader("eggs, flour"))
		if err != nil {
			p.t.Fatal(err)
		}
		r.SetBasicAuth("anna", annas)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if code := dav(http.MethodPut, "Shopping.txt"); code != http.StatusCreated {
		p.t.Errorf("put: %d", code)
	}
	p.open(at.URL() + "/files/anna/Shopping.txt")
	p.sees("eggs, flour")
	p.tap("Remove")
	p.sees("“Shopping.txt” is removed.")
	if code := dav(http.MethodGet, "Shopping.txt"); code != http.StatusNotFound {
		p.t.Errorf("a program still finds what the page removed: %d", code)
	}
}

// keys: the page can be used without touching it. The first key leads past the
// navigation, and whatever has the focus shows it.
func (p *phone) keys(base string) {
	p.t.Helper()
	p.open(base + "/files")
	p.sees("Recipes")
	p.do("press Tab", chromedp.KeyEvent(kb.Tab))
	if got := value[string](p, "document.activeElement.className"); got != "skip" {
		p.t.Errorf("the first key leads to %q", got)
	}
	for range 12 {
		p.do("press Tab", chromedp.KeyEvent(kb.Tab))
		seen := value[string](p, `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
			return e === document.body || s.outlineStyle !== "none" && r.width > 1 ? "" : e.outerHTML.slice(0, 120); })()`)
		if seen != "" {
			p.t.Errorf("the focus is not seen on %s", seen)
		}
	}
}

// visits opens a page and looks at it.
func (p *phone) visits(base, name, path string, wants ...string) {
	p.t.Helper()
	p.open(base + path)
	p.sees(wants[len(wants)-1])
	p.look(name)
}

// sendsText uploads a small text.
func (p *phone) sendsText(name, text string) {
	p.t.Helper()
	p.sends([]string{textFile(p.t, name, text)})
	p.sees("“"+name+"” is here.", "Kept in 2 houses.")
}

// entersByCode logs in on a second phone by the code that the first one shows.
func (p *phone) entersByCode(at *house, other *phone) {
	p.t.Helper()
	p.open(at.URL() + "/me")
	p.sees("Log in on another phone or computer")
	p.tap("Show a code")
	p.sees("It works once")
	p.look("another")
	link := p.readCode()
	other.open(link)
	other.sees("Log in as Anna Brown?")
	other.look("enter")
	other.tap("Yes, log in")
	other.sees("Is everything safe?")
}

// gives makes a box for a friend, and takes it back.
func (p *phone) gives(base string) {
	p.t.Helper()
	p.visits(base, "gift", "/invite/gift", "Whom is it for?")
	p.fill("invitee", "Dora", "house", "Quay Cottage", "wifi", "Quay", "wifi-password", "a long password")
	p.tap("Make it")
	p.sees("The box for Quay Cottage")
	p.look("present")
	here := value[string](p, "location.href")
	p.open(here + "/card")
	p.sees("A box for Quay Cottage")
	p.photo("gift-card") // a page for paper runs no script, not that of axe either
	p.prints("gift-card-paper", 1)
	p.open(here)
	p.sees("Take the gift back")
	p.tap("Take the gift back")
	p.sees("The invite is taken back.")
}

// textFile makes a file to be sent.
func textFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
