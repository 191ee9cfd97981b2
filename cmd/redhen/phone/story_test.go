package phone

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"

	"redhen/cmd/redhen/child"
)

// The people of the story, by the passwords that they choose.
const (
	annas  = "brown hens at noon"
	bens   = "an oak and a robin"
	claras = "seven warm eggs"
)

// house is a box in its house.
type house struct {
	*child.Box
	ended bool
}

func newHouse(t *testing.T, dir, name string) *house {
	t.Helper()
	b, err := child.New(t.Context(), os.Getenv(program), dir, name)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Box: b}
	t.Cleanup(func() {
		if !h.ended {
			h.Stop()
		}
		if said, err := os.ReadFile(b.Log); err == nil && (t.Failed() || bytes.Contains(said, []byte("panic:"))) {
			t.Logf("%s ends:\n%s", name, child.LastLines(string(said), 12))
		}
	})
	return h
}

// burn kills the box and wipes its disk.
func (h *house) burn(t *testing.T) {
	t.Helper()
	h.ended = true
	h.Kill()
	if err := os.RemoveAll(h.Dir); err != nil {
		t.Fatal(err)
	}
}

// TestTheFirstHour is the story of three people with phones: Anna begins a circle,
// Ben joins it with a box of his own, Clara is invited and has none. Ben's house
// burns; Clara goes on at Anna's.
func TestTheFirstHour(t *testing.T) { story(t, false) }

// TestTheFirstHourWithoutScripts is the same story in browsers that run no script.
func TestTheFirstHourWithoutScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("the short run tells the story once: make e2e tells it with scripts switched off, too")
	}
	story(t, true)
}

func story(t *testing.T, plain bool) {
	dir := t.TempDir()
	mill, oak := newHouse(t, dir, "mill"), newHouse(t, dir, "oak")
	anna := newPhone(t, "Anna", mill.HTTP)
	ben := newPhone(t, "Ben", oak.HTTP)
	if plain {
		anna.withoutJS()
		ben.withoutJS()
	} else if !testing.Short() {
		anna.slow()
	}
	anna.claims(mill)
	anna.pairs(ben, oak)
	anna.tours(mill)
	anna.entersByCode(mill, ben)
	invitation := anna.invites("Clara")
	clara := ben // she is visiting, and takes his phone
	clara.forgets()
	clara.accepts(invitation)
	pictures := drawPictures(t, 23)
	clara.uploads(oak, pictures[:20])
	ben.t.Log("Ben's house burns")
	oak.burn(t)
	clara.goesOn(mill, pictures)
	anna.takesOver(mill)
}

// claims begins a circle at a fresh box.
func (p *phone) claims(at *house) {
	p.t.Helper()
	p.open(at.URL() + "/")
	p.sees("belongs to nobody yet")
	p.look("hello")
	p.tap("Begin a circle of my own")
	p.sees("Where are we?")
	p.look("claim")
	p.fill("circle", "Riverside", "house", "Mill Lane", "person", "Anna Brown", "login", "anna", "password", annas)
	p.tap("Begin")
	p.sees("Everything is in one house only", "Welcome, Anna Brown")
	p.look("home-alone")
}

// pairs invites a friend's box by a code on the screen, which the friend's phone
// reads at home.
func (p *phone) pairs(friend *phone, at *house) {
	p.t.Helper()
	p.open(value[string](p, "location.origin") + "/circle")
	p.sees("Invite a friend’s box")
	p.tap("Invite a friend’s box")
	p.sees("plugged in at their house")
	p.look("invite-box")
	p.tap("Make an invite")
	p.sees("Show this to your friend")
	p.look("ticket")
	link := p.readCode()
	if !strings.HasPrefix(link, "http://redhen.local/p#") {
		p.t.Fatalf("the code says %q", link)
	}
	if friend.noJS { // its camera opens the link, and the page sees no fragment
		friend.open(at.URL() + "/p")
		friend.sees("Join your friend’s circle")
		friend.fill("ticket", link)
	} else {
		friend.open(link)
		friend.sees("Join your friend’s circle")
	}
	friend.look("join")
	friend.fill("house", "Oak Street", "person", "Ben Carter", "login", "ben", "password", bens)
	friend.tap("Ask to join")
	friend.sees("Are they these?")
	friend.look("joining")
	p.sees("asks to join")
	p.look("ticket-asked")
	if mine, theirs := p.words(), friend.words(); mine != theirs || strings.Count(mine, "\n") != 4 {
		p.t.Errorf("Anna sees\n%s\nand Ben\n%s", mine, theirs)
	}
	p.tap("Yes, that is my friend")
	friend.sees("Welcome to Riverside")
	friend.look("joined")
	p.open(value[string](p, "location.origin") + "/")
	p.sees("Everything is safe", "Oak Street")
	p.look("home")
}

// words are the four pictures and their names, a line each.
func (p *phone) words() string {
	p.t.Helper()
	return value[string](p, `[...document.querySelectorAll("ol.pictures li")].map(e => e.innerText.replace(/\s+/g, " ") + "\n").join("")`)
}

// invites a person, and returns what the code on the screen says.
func (p *phone) invites(name string) string {
	p.t.Helper()
	p.open(value[string](p, "location.origin") + "/circle")
	p.tap("Invite a person")
	p.sees("account of their own")
	p.look("invite-person")
	p.fill("person", name)
	p.tap("Make an invitation")
	p.sees("An invitation for " + name)
	p.look("invitation")
	return p.readCode()
}

// accepts an invitation and comes home.
func (p *phone) accepts(invitation string) {
	p.t.Helper()
	p.open(invitation)
	p.sees("Welcome to Riverside", "Anna Brown invites you")
	p.look("welcome")
	p.fill("password", claras)
	p.tap("Begin")
	p.sees("You log in as “clara”")
	p.look("home-clara")
}

// uploads logs in at a house and sends pictures, until two houses have them.
func (p *phone) uploads(at *house, files []string) {
	p.t.Helper()
	p.logsIn(at, "clara", claras)
	p.open(at.URL() + "/files")
	p.sees("Nothing is here yet")
	p.look("files-empty")
	p.sends(files)
	p.sees(fmt.Sprintf("%d files are here", len(files)), "Kept in 2 houses")
	p.look("files")
}

// sends chooses files in the form of a folder.
func (p *phone) sends(files []string) {
	p.t.Helper()
	p.do("choose files", chooseFiles(files))
	if p.noJS {
		p.tap("Upload")
	}
}

// forgets makes the browser one that nobody has used yet.
func (p *phone) forgets() {
	p.t.Helper()
	call(p, "forget who it is", network.ClearBrowserCookies, cdp.Empty{})
}

func (p *phone) logsIn(at *house, name, password string) {
	p.t.Helper()
	p.logsInAt(at.URL(), name, password)
}

func (p *phone) logsInAt(base, name, password string) {
	p.t.Helper()
	p.forgets()
	p.open(base + "/login")
	p.sees("Log in")
	p.look("login")
	p.fill("login", name, "password", password)
	p.tap("Log in")
	p.sees("Is everything safe?")
}

// goesOn finds everything at the house that is left, and adds to it.
func (p *phone) goesOn(at *house, pictures []string) {
	p.t.Helper()
	p.logsIn(at, "clara", claras)
	p.sees("Oak Street")
	p.open(at.URL() + "/files")
	p.sees("p01.jpg", "p20.jpg")
	for _, path := range pictures[:20] {
		name := filepath.Base(path)
		want, err := os.ReadFile(path)
		if err != nil {
			p.t.Fatal(err)
		}
		if got := p.fetches(at, "/get/clara/"+url.PathEscape(name)); !bytes.Equal(got, want) {
			p.t.Errorf("%s: %d bytes instead of %d, or others", name, len(got), len(want))
		}
	}
	p.sends(pictures[20:])
	p.sees("3 files are here", "Kept in one house, and on its way to the others.")
	p.open(at.URL() + "/")
	p.sees("No other house is in reach from Mill Lane")
	p.look("home-fire")
}

// takesOver has the circle go on without the house that burnt.
func (p *phone) takesOver(at *house) {
	p.t.Helper()
	p.logsIn(at, "anna", annas)
	// Until the box has waited some seconds for the other one, it asks as if enough houses were left.
	for end := time.Now().Add(patience); !strings.Contains(p.text(), "Go on without a house") && time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		p.open(at.URL() + "/circle/gone?box=Oak%20Street")
	}
	p.sees("Go on without a house", "Oak Street has not been in reach since")
	p.look("takeover")
	p.fill("house1", "Oak Street", "password", annas)
	p.tap("Go on without")
	p.sees("The circle goes on without Oak Street.")
	p.look("home-after")
	p.open(at.URL() + "/circle")
	p.sees("Invite a friend’s box")
	p.look("circle-after")
}

// fetches returns the bytes of an address, with the phone's cookies.
func (p *phone) fetches(at *house, path string) []byte {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	b, err := fetch(ctx, at.URL()+path)
	if err != nil {
		p.fail(fmt.Sprintf("fetch %s: %v", path, err))
	}
	return b
}

// drawPictures makes photos that all differ, and returns their paths.
func drawPictures(t *testing.T, n int) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		img := image.NewRGBA(image.Rect(0, 0, 320, 240))
		r := rand.New(rand.NewPCG(uint64(i), 7))
		hue := uint8(r.IntN(120))
		for y := range 240 {
			for x := range 320 {
				img.Set(x, y, color.RGBA{220 - hue, uint8(90+y/2) + hue/4, uint8(60+x/3) + uint8(r.IntN(24)), 255})
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, nil); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprintf("p%02d.jpg", i+1))
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}
