package phone

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// call sends one command to the browser.
func call[P, R any](p *phone, what string, cmd cdp.Command[P, R], params P) {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	if _, err := chromedp.Call(ctx, cmd, params); err != nil {
		p.fail(what + ": " + err.Error())
	}
}

// look judges the page that is open: axe finds nothing, nothing sticks out
// sideways, everything that is touched is large enough; and keeps pictures of it.
// The long run looks by day and by night, at the phone and at a desk.
func (p *phone) look(page string) {
	p.t.Helper()
	if p.looked[page] {
		return
	}
	p.looked[page] = true
	variants := []struct{ desktop, dark bool }{{false, false}}
	if !testing.Short() && !p.noJS {
		variants = append(variants, struct{ desktop, dark bool }{true, false}, struct{ desktop, dark bool }{true, true}, struct{ desktop, dark bool }{false, true})
	}
	for _, v := range variants {
		if v.desktop != p.desktop {
			p.screen(v.desktop)
		}
		if len(variants) > 1 {
			p.dark(v.dark)
		}
		p.judge(page, v.desktop, v.dark)
	}
	if len(variants) > 1 {
		p.dark(false)
		p.reflows(page)
	}
}

// reflows looks at the page as it is on a desk at 400 %: nothing sticks out sideways; and
// nothing moves for who wants that.
func (p *phone) reflows(page string) {
	p.t.Helper()
	p.do("narrow screen", chromedp.EmulateViewport(320, 256))
	if wide := value[string](p, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > 321 && !e.closest(".hidden, svg")).map(e => e.outerHTML.slice(0, 100)).slice(0, 3).join("\n")`); wide != "" {
		p.t.Errorf("%s: at 320 px these stick out:\n%s", page, wide)
	}
	p.screen(p.desktop)
	if moving := value[int](p, "document.getAnimations().length"); moving > 0 {
		p.t.Errorf("%s: %d things move, though less motion is wanted", page, moving)
	}
}

// photo keeps a picture of the page, whole.
func (p *phone) photo(name string) {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.fail("take a picture: " + err.Error())
	}
	p.keep(name, png)
}

func (p *phone) judge(page string, desktop, dark bool) {
	p.t.Helper()
	name := fmt.Sprintf("%s-%s-%s", page, map[bool]string{true: "desk", false: "phone"}[desktop], map[bool]string{true: "dark", false: "light"}[dark])
	if p.noJS {
		name += "-plain"
	}
	p.size(desktop, max(screenHeight(desktop), value[int64](p, "document.documentElement.scrollHeight")))
	if !p.noJS { // without scripts nothing waits, and pictures are loaded at once
		value[bool](p, loaded)
	}
	p.photo(name)
	p.size(desktop, screenHeight(desktop))
	if wide := value[bool](p, "document.documentElement.scrollWidth > document.documentElement.clientWidth"); wide {
		p.t.Errorf("%s: sticks out sideways", name)
	}
	if small := value[string](p, tooSmall); small != "" {
		p.t.Errorf("%s: too small to touch: %s", name, small)
	}
	if p.noJS { // axe itself needs them; those of the page are not loaded any more
		p.scripts(true)
		defer p.scripts(false)
	}
	if found := p.axe(); found != "" {
		p.t.Errorf("%s: axe finds\n%s", name, found)
	}
}

// loaded waits for the pictures of a page, some seconds at most.
const loaded = `Promise.race([new Promise(r => setTimeout(r, 5000)), Promise.all([...document.images].map(i => i.complete || new Promise(r => { i.onload = i.onerror = r; })))]).then(() => true)`

// tooSmall lists what is touched and is below 44 px in height, but for links within text.
const tooSmall = `[...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter(e => {
	const r = e.getBoundingClientRect();
	if (!r.width || !r.height || e.type == "hidden" || e.closest(".skip, .hidden, .upload.simple input")) return false;
	if (e.matches("a") && getComputedStyle(e).display == "inline" && e.closest("p, li, td, th, dd")) return false;
	if (e.matches("input[type=checkbox], input[type=radio]")) return e.closest("label")?.getBoundingClientRect().height < 43.5;
	return r.height < 43.5 && r.width > 1;
}).map(e => e.outerHTML.slice(0, 120)).join("\n")`

// axe returns what axe-core finds wrong with the page, empty for nothing.
func (p *phone) axe() string {
	p.t.Helper()
	source, err := os.ReadFile(axePath)
	if err != nil {
		p.t.Logf("axe-core is missing, and did not judge this page (%v): make setup installs it", err)
		return ""
	}
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("window.axe ? true : ("+"(() => {"+string(source)+"})(), true)")); err != nil {
		p.fail("load axe: " + err.Error())
	}
	return value[string](p, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v =>
		v.id + ": " + v.help + "\n" + v.nodes.map(n => "    " + n.html.slice(0, 160) + "  " + n.failureSummary.replace(/\s+/g, " ").slice(0, 240)).join("\n")).join("\n"))`)
}

// TestLook looks at all pages of a box that runs already, for people who work on
// them: REDHEN_LOOK=http://127.0.0.1:8411 REDHEN_LOOK_AS=ada:password. It visits the
// paths given in REDHEN_LOOK_AT, separated by spaces.
func TestLook(t *testing.T) {
	base := os.Getenv("REDHEN_LOOK")
	if base == "" {
		t.Skip("for people: set REDHEN_LOOK to an address")
	}
	p := newPhone(t, "somebody", "")
	lookAt(p, base, os.Getenv("REDHEN_LOOK_AS"), os.Getenv("REDHEN_LOOK_AT"))
}

// settle waits until the page stops changing for a moment.
func (p *phone) settle() {
	for last := ""; ; time.Sleep(150 * time.Millisecond) {
		text := p.text()
		if text == last && text != "" {
			return
		}
		last = text
	}
}
