package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	for a, b := range map[string]string{"README": "readme", "ÄÖ": "äö", "Σας": "σασ", "K": "k", "ǅ": "ǆ", "plain": "plain", "1 (2)": "1 (2)"} {
		if fold(a) != fold(b) {
			t.Errorf("%q folds to %q, %q to %q", a, fold(a), b, fold(b))
		}
	}
	if fold("a") == fold("ä") || fold("ß") == fold("ss") {
		t.Error("different letters fold to one")
	}
}

// TestFoldTableIsFixed: names are keys by their folded form, so a Go release that
// folds other characters would make boxes disagree. If this fails after an update,
// the catalog needs its own table of the old version and a new format level.
func TestFoldTableIsFixed(t *testing.T) {
	h := sha256.New()
	for r := range rune(utf8.MaxRune + 1) {
		if f := foldRune(r); f != r {
			h.Write(utf8.AppendRune(utf8.AppendRune(nil, r), f))
		}
	}
	const want = "88b9200ce5403cec92c90c52dbbe241698db78df1927006e59b677c5efb773ee"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBesideName(t *testing.T) {
	for _, tt := range []struct {
		name, where string
		try         int
		want        string
	}{
		{"name.ext", "Oak Street", 1, "name (kept at Oak Street, 12 Nov).ext"},
		{"name.ext", "Oak Street", 2, "name (kept at Oak Street, 12 Nov, 2).ext"},
		{"name", "", 1, "name (kept, 12 Nov)"},
		{".profile", "A", 1, ".profile (kept at A, 12 Nov)"},
		{"a.b.tar", "A/B\n", 1, "a.b (kept at A-B, 12 Nov).tar"},
		{"Mr. and Mrs. Fox", "A", 1, "Mr. and Mrs. Fox (kept at A, 12 Nov)"},
		{"x (kept at B, 1 Jan, 3).txt", "A", 1, "x (kept at A, 12 Nov).txt"},
		{strings.Repeat("ä", 120) + ".jpeg", "A", 1, strings.Repeat("ä", 115) + " (kept at A, 12 Nov).jpeg"},
	} {
		got := besideName(tt.name, tt.where, start, tt.try)
		if got != tt.want {
			t.Errorf("%q at %q: got %q, want %q", tt.name, tt.where, got, tt.want)
		}
		if err := CheckName(got); err != nil {
			t.Error(err)
		}
	}
}

func FuzzBesideName(f *testing.F) {
	f.Add("name.ext", "Oak Street", int64(start), 1)
	f.Add(strings.Repeat("ß", 127), strings.Repeat("x", 64), int64(0), 1000)
	f.Fuzz(func(t *testing.T, name, where string, at int64, try int) {
		if CheckName(name) != nil || len(where) > maxWhere || at < 0 || at > 1<<50 || try < 1 || try > maxBeside {
			return
		}
		if err := CheckName(besideName(name, where, at, try)); err != nil {
			t.Error(err)
		}
	})
}
