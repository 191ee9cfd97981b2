package web

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/appliance/home"
	"redhen/appliance/web/care"
	"redhen/appliance/web/gift"
	"redhen/appliance/web/lost"
	"redhen/appliance/web/naming"
	"redhen/appliance/web/page"
	webwifi "redhen/appliance/web/wifi"
	"redhen/appliance/words"
	"redhen/provision/ident"
)

// inRunes is a language in which every text is a few signs and what is filled in.
func inRunes(t *testing.T) *words.Words {
	t.Helper()
	var file strings.Builder
	en := words.English()
	holes := regexp.MustCompile(`\{[a-z-]+\}`)
	for key := range en.Keys() {
		fmt.Fprintf(&file, "%s = § %s\n", key, strings.Join(holes.FindAllString(textOf(en, key), -1), " § "))
	}
	w, err := words.Parse("xx", file.String())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// textOf is a text with its holes: nothing is filled in.
func textOf(w *words.Words, key string) string { return w.Say(key) }

var (
	unseen = regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)>|<textarea.*?</textarea>`)
	read   = regexp.MustCompile(`(?:aria-label|placeholder|alt|title)="([^"]*)"`)
	tags   = regexp.MustCompile(`<[^>]*>`)
	word   = regexp.MustCompile(`[A-Za-z]{2,}`)
)

// TestASecondLanguageIsOneFile: with all texts in another language, no page has a word
// left that is not the name of somebody or something.
func TestASecondLanguageIsOneFile(t *testing.T) {
	w, _ := two(t)
	w.away[boxKey(2).BoxID()] = true
	w.care.returns = []home.Return{{Box: boxKey(3).BoxID(), Name: "Hilda", House: "Hill Farm", Since: time.Now()}}
	w.care.parted = &home.Parted{Since: time.Now(), Here: []string{"Mill Lane"}, There: []string{"Oak Street"}}
	w.near = []ident.BoxID{boxKey(2).BoxID()}
	cfg := w.server.site.Config
	cfg.Languages = []*words.Words{inRunes(t)}
	site, err := page.New(cfg, templates, lost.Templates, care.Templates, gift.Templates, naming.Templates, webwifi.Templates)
	if err != nil {
		t.Fatal(err)
	}
	w.server.site = site
	b := w.loggedIn("ada")
	b.upload("/files/ada?do=upload", "files", "hens.txt", "…", "eggs.txt", "…")
	b.post("/files/ada/eggs.txt?do=remove")
	invite, _ := b.post("/invite/box")
	wrong, _ := b.post("/circle/sides")
	silly, _ := b.post("/circle/sides", "house", "Nowhere", "password", password)
	gone, _ := b.post("/circle/takeover", "house1", "Oak Street", "password", password)
	bodies := map[string]string{"invite": invite, "sides, empty": wrong, "sides, no house": silly, "takeover": gone}
	for _, path := range []string{
		"/", "/files/ada", "/files/ada?pick", "/files/ada/hens.txt", "/files/ada/nothing", "/removed/ada", "/circle", "/circle/help?who=ben", "/circle/drill", "/circle/home",
		"/circle/sides", "/circle/takeover", "/circle/name?way=desec", "/circle/gone?box=Olive", "/me", "/box", "/box/care", "/invite/box", "/invite/person", "/invite/gift", "/forgot", "/p", "/nothing",
	} {
		bodies[path], _ = b.get(path)
	}
	bodies["/login"], _ = w.browser().get("/login")
	names := strings.Fields("Ada Brown ada Ben Carter ben Riverside Mill Lane Mabel Oak Street Olive Hilda Hill Farm hens eggs txt redhen http local dav kB GB MB Files")
	for path, body := range bodies {
		body = unseen.ReplaceAllString(body, " ")
		text := tags.ReplaceAllString(body, " ")
		for _, m := range read.FindAllStringSubmatch(body, -1) {
			text += " " + m[1]
		}
		for _, found := range word.FindAllString(html.UnescapeString(text), -1) {
			if !slices.Contains(names, found) {
				t.Errorf("%s says %q, which is not in the file", path, found)
			}
		}
	}
}
