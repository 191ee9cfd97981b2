package words

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// made lists the beginnings of keys that are put together where they are said.
var made = []string{"fault.", "way.", "diary.", "error.refused.", "domain.", "count.", "number.", "weekday.", "month.", "said.", "trouble.", "start.", "card.wrong.", "system.", "wifi.trouble.", "wifi.wrong.", "install.", "bake.", "update.said.", "need.", "field.", "hint."}

// TestWords: every text that is asked for is there, every text is asked for, and none
// has a word that people need not know.
func TestWords(t *testing.T) {
	w := English()
	asked, mentioned := usedWords(t)
	for key := range asked {
		if !w.Has(key) && !strings.HasSuffix(key, ".") {
			t.Errorf("no text for %q", key)
		}
	}
	for key := range w.Keys() {
		base := strings.TrimSuffix(key, ".one")
		known := mentioned[base] || mentioned[key]
		for _, prefix := range made {
			known = known || strings.HasPrefix(key, prefix)
		}
		if !known {
			t.Errorf("nobody says %q", key)
		}
		for _, word := range strings.FieldsFunc(strings.ToLower(w.texts[key]), func(r rune) bool { return strings.ContainsRune(" .,:;!?“”’", r) }) {
			switch strings.TrimSuffix(word, "s") {
			case "node", "quorum", "raft", "shard", "replica", "term", "peer", "cluster", "user", "device", "error":
				t.Errorf("%s says %q", key, word)
			}
		}
	}
}

// usedWords finds the keys that pages and code of the appliance ask for, and all
// that they mention.
func usedWords(t *testing.T) (asked, mentioned map[string]bool) {
	t.Helper()
	asked, mentioned = map[string]bool{}, map[string]bool{}
	ask := regexp.MustCompile(`(?:[Ss]ay|result)\("([a-z][a-z.-]*[a-z])"|Wrong\("[a-z-]+", "([a-z.-]+)"|Refuse\(http\.[A-Za-z]+, "([a-z.]+)"|"(error\.[a-z.-]+)"|say "([a-z.-]+)"|(?:label|hint)=([a-z.-]+)`)
	quoted := regexp.MustCompile(`["=]([a-z0-9][a-z0-9.-]*)`)
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".html" {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range ask.FindAllStringSubmatch(string(b), -1) {
			asked[strings.Join(m[1:], "")] = true
		}
		for _, m := range quoted.FindAllStringSubmatch(string(b), -1) {
			mentioned[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return asked, mentioned
}

// TestCodesHaveSentences: what lower layers only name is said here, each and no other.
func TestCodesHaveSentences(t *testing.T) {
	for _, c := range []struct {
		prefix, files, code string
		least               int
	}{
		{"card.wrong.", "../../provision/seed/*.go", `(?m)\bCode += "([a-z-]+)"`, 40},
		{"system.", "../../images/layout/*.go", `(?m)\bFaultCode += "([a-z-]+)"`, 5},
		{"wifi.trouble.", "../../board/wifi/*.go", `(?m)\bTrouble += "([a-z-]+)"`, 6},
	} {
		codes := constants(t, c.files, c.code)
		if len(codes) < c.least {
			t.Fatalf("%s: only %d codes found: the search is broken", c.files, len(codes))
		}
		for code := range codes {
			if !English().Has(c.prefix + code) {
				t.Errorf("no sentence for the code %q of %s", code, c.files)
			}
		}
		for key := range English().Keys() {
			if code, ours := strings.CutPrefix(key, c.prefix); ours && !codes[code] {
				t.Errorf("%s is for no code of %s", key, c.files)
			}
		}
	}
}

// constants finds the texts of constants in source files.
func constants(t *testing.T, files, pattern string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	names, err := filepath.Glob(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(b), -1) {
			all[m[1]] = true
		}
	}
	return all
}
