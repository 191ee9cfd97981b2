package phone

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// sheet begins a sheet of paper in what Chromium prints.
var sheet = regexp.MustCompile(`/Type\s*/Page\b`)

// prints prints the page that is open, as its style for paper asks, and keeps the sheets
// and a picture of what is on them. On paper there is nothing to touch, black on white,
// and nothing sticks out of the sheet, as many as these at most.
func (p *phone) prints(name string, most int) {
	p.t.Helper()
	if testing.Short() {
		return
	}
	ctx, end := context.WithTimeout(p.ctx, patience)
	defer end()
	yes := true
	printed, err := chromedp.Call(ctx, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69, PreferCSSPageSize: &yes})
	if err != nil {
		p.fail("print: " + err.Error())
	}
	if err := os.WriteFile(filepath.Join(screens, name+".pdf"), printed.Data, 0o644); err != nil {
		p.t.Fatal(err)
	}
	if n := len(sheet.FindAll(printed.Data, -1)); n == 0 || n > most {
		p.t.Errorf("%s: %d sheets of paper", name, n)
	}
	call(p, "paper", emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	p.do("a sheet", chromedp.EmulateViewport(720, 1020))
	p.photo(name)
	if seen := value[string](p, touched); seen != "" {
		p.t.Errorf("%s: on paper there is\n%s", name, seen)
	}
	if wide := value[bool](p, "document.documentElement.scrollWidth > document.documentElement.clientWidth"); wide {
		p.t.Errorf("%s: sticks out of the sheet", name)
	}
	p.dark(false) // the screen again
	p.screen(false)
}

// touched lists what can be touched and is seen.
const touched = `[...document.querySelectorAll("nav, form, input, select, button, a.button")].filter(e => e.getClientRects().length).map(e => e.outerHTML.slice(0, 100)).slice(0, 5).join("\n")`
