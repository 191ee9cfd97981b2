package phone

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"redhen/cmd/redhen/child"
	"redhen/cmd/redhen/chromium"
	"redhen/provision/qr"
)

// patience is how long a page may take to show what is waited for: machines that
// run all tests at once are slow.
const patience = 2 * time.Minute

// phone is one person's phone: a browser with cookies of its own.
type phone struct {
	t       *testing.T
	ctx     context.Context
	name    string
	noJS    bool
	looked  map[string]bool // pages that were looked at
	desktop bool
}

// newPhone puts a phone of 390×844 into somebody's hand: a Chromium of its own. home is
// the address to which every name leads, as redhen.local does in a house; empty for none.
func newPhone(t *testing.T, name, home string) *phone {
	t.Helper()
	rules := "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
	if home != "" {
		rules = "MAP * " + home + ", EXCLUDE 127.0.0.1"
	}
	ctx := chromium.Start(t, chromedp.Flag("host-resolver-rules", rules))
	p := &phone{t: t, ctx: ctx, name: name, looked: map[string]bool{}}
	p.screen(false)
	return p
}

// slow gives the phone the processor of an old one.
func (p *phone) slow() {
	call(p, "slow processor", emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4})
}

// withoutJS switches the scripts of pages off.
func (p *phone) withoutJS() {
	p.noJS = true
	p.scripts(false)
}

func (p *phone) scripts(on bool) {
	p.t.Helper()
	call(p, "scripts", emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// screen makes the screen that of a desktop, or of a phone.
func (p *phone) screen(desktop bool) {
	p.t.Helper()
	p.desktop = desktop
	p.size(desktop, screenHeight(desktop))
}

func screenHeight(desktop bool) int64 { return map[bool]int64{true: 800, false: 844}[desktop] }

// size gives the screen a height; pictures of whole pages need a high one.
func (p *phone) size(desktop bool, height int64) {
	p.t.Helper()
	if desktop {
		p.do("screen", chromedp.EmulateViewport(1280, height))
		return
	}
	p.do("screen", chromedp.EmulateViewport(390, height, chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait))
}

// dark chooses the colours.
func (p *phone) dark(on bool) {
	p.t.Helper()
	value := map[bool]string{true: "dark", false: "light"}[on]
	call(p, "colours", emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// do carries steps out, and keeps a picture when one does not succeed.
func (p *phone) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.fail(fmt.Sprintf("%s: %v", what, err))
	}
}

// fail ends the test with what the page shows.
func (p *phone) fail(what string) {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href+'\\n'+document.body.innerText"))
	if png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100)); err == nil {
		p.keep("failed-"+strings.ReplaceAll(p.t.Name(), "/", "-"), png)
	}
	p.t.Fatalf("%s's phone: %s\nthe page ends:\n%s", p.name, what, child.LastLines(text, 25))
}

// keep writes a picture to out/screens.
func (p *phone) keep(name string, png []byte) {
	p.t.Helper()
	if err := os.MkdirAll(screens, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screens, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) open(url string) {
	p.t.Helper()
	p.do("open "+url, chromedp.Navigate(url))
}

// fill types into the fields of these names, given as pairs of name and text.
func (p *phone) fill(pairs ...string) {
	p.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		field := "main [name=" + strconv.Quote(pairs[i]) + "]"
		p.do("fill in "+pairs[i], chromedp.Focus(field, chromedp.NodeVisible))
		value[bool](p, "document.activeElement.select(), true") // what is typed takes its place
		p.do("fill in "+pairs[i], chromedp.SendKeys(field, pairs[i+1]))
	}
}

// tap touches the link or button with this text; it need not be in sight.
func (p *phone) tap(text string) {
	p.t.Helper()
	quoted := strconv.Quote(text)
	path := "//main//*[self::a or self::button or self::summary or self::label][contains(normalize-space(.), " + quoted + ") or contains(@aria-label, " + quoted + ")]"
	p.do("find “"+text+"”", chromedp.ScrollIntoView(path, chromedp.NodeVisible))
	// A person moves what they tap out from under the bar at the bottom.
	value[bool](p, "document.evaluate("+strconv.Quote(path)+", document, null, 9).singleNodeValue?.scrollIntoView({block: 'center', behavior: 'instant'}), true")
	p.do("tap “"+text+"”", chromedp.Click(path, chromedp.NodeVisible))
}

// text is what the page shows.
func (p *phone) text() string {
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
	if err != nil {
		return "" // between two pages
	}
	return text
}

// shows tells whether the page shows a text now.
func (p *phone) shows(text string) bool { return strings.Contains(p.text(), text) }

// sees waits until the page shows all of these texts.
func (p *phone) sees(wants ...string) {
	p.t.Helper()
	looked := time.Now()
	for end := looked.Add(patience); ; time.Sleep(50 * time.Millisecond) {
		text, missing := p.text(), ""
		for _, want := range wants {
			if !strings.Contains(text, want) {
				missing = want
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			p.fail(fmt.Sprintf("waits for %q", missing))
		}
		// A person looks again when they heard from their friend, not while a page is on its way.
		if p.noJS && time.Since(looked) > 2*time.Second && strings.Contains(text, "Look again") {
			p.tap("Look again")
			looked = time.Now()
		}
	}
}

// value evaluates an expression in the page.
func value[T any](p *phone, expression string) T {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.fail(fmt.Sprintf("%.200s: %v", expression, err))
	}
	return v
}

// readCode decodes the QR code that the screen shows, from a picture of the screen.
func (p *phone) readCode() string {
	p.t.Helper()
	p.do("look at the code", chromedp.ScrollIntoView("figure.qr"))
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.fail("take a picture: " + err.Error())
	}
	text, err := qr.Decode(bytes.NewReader(png))
	if err != nil {
		p.keep("failed-code", png)
		p.fail("read the code: " + err.Error())
	}
	return text
}
