package web

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// unzip returns names and contents of a zip.
func unzip(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(text)
	}
	return got
}

func TestZip(t *testing.T) {
	_, b := ada(t)
	b.post("/files/ada?do=mkdir", "folder", "Garden")
	b.upload("/files/ada?do=upload", "files", "hens.txt", "red hens")
	b.upload("/files/ada/Garden?do=upload", "files", "Rüben & Äpfel.txt", "a list")
	res := b.do(httptest.NewRequest("GET", "/zip/ada/", nil))
	if got := res.Header.Get("Content-Disposition"); got != "attachment; filename*=UTF-8''ada.zip" {
		t.Errorf("%q", got)
	}
	got := unzip(t, []byte(b.body(res)))
	if len(got) != 3 || got["hens.txt"] != "red hens" || got["Garden/Rüben & Äpfel.txt"] != "a list" {
		t.Errorf("%q", got)
	}
	got = unzip(t, []byte(b.body(b.do(httptest.NewRequest("GET", "/zip/ada/Garden", nil)))))
	if len(got) != 2 || got["Garden/Rüben & Äpfel.txt"] != "a list" {
		t.Errorf("%q", got)
	}
	if body, code := b.get("/zip/ada/nothing"); code != 404 || !strings.Contains(body, "nothing of that name") {
		t.Errorf("%d", code)
	}
}

// TestAZipThatBreaksIsNotWhole: a line that is cut says more than a zip without its end.
func TestAZipThatBreaksIsNotWhole(t *testing.T) {
	w, b := ada(t)
	b.upload("/files/ada?do=upload", "files", "film.mp4", strings.Repeat("x", 3<<20))
	w.store("ada").LoseBytes()
	defer func() {
		if recover() == nil {
			t.Error("it ends as if all were there")
		}
	}()
	b.do(httptest.NewRequest("GET", "/zip/ada/", nil))
}

func TestSeveral(t *testing.T) {
	_, b := ada(t)
	b.post("/files/ada?do=mkdir", "folder", "Garden")
	b.upload("/files/ada?do=upload", "files", "a.txt", "1", "b.txt", "2", "c.txt", "3")
	body, _ := b.get("/files/ada?pick=b.txt")
	has(t, body, `value="b.txt" checked`, `value="a.txt">`, `<option value="/Garden">`)
	body, _ = b.post("/files/ada?do=several", "pick", "a.txt", "pick", "b.txt", "pick", "gone.txt", "what", "move", "to", "/Garden")
	has(t, body, "2 things are in “Garden” now.", `name="picks" value="a.txt/b.txt"`)
	if strings.Contains(body, `href="/files/ada/a.txt"`) {
		t.Error("it is still there")
	}
	body, _ = b.post("/files/ada/Garden?do=several", "picks", "a.txt/b.txt", "what", "move", "to", "/")
	has(t, body, "2 things are in “Files” now.")
	got := b.zipOf("/files/ada?do=several", "pick", "a.txt", "pick", "c.txt", "what", "zip")
	if names := slices.Sorted(keys(got)); !slices.Equal(names, []string{"a.txt", "c.txt"}) {
		t.Errorf("%q", names)
	}
	body, _ = b.post("/files/ada?do=several", "pick", "a.txt", "pick", "b.txt", "what", "remove")
	has(t, body, "2 things are removed.")
	nodes := between(body, `name="node" value="`, `"`)
	body, _ = b.post("/files/ada?do=undo", "node", nodes)
	has(t, body, "2 things are back.", "a.txt", "b.txt")
	body, _ = b.post("/files/ada?do=several", "what", "remove")
	has(t, body, "Nothing was ticked")
	if body, _ := b.post("/files/ada?do=several", "pick", "../x", "what", "remove"); !strings.Contains(body, "No file can have that name") {
		t.Error("a path is a name")
	}
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// between returns what stands between two texts.
func between(s, from, to string) string {
	_, rest, _ := strings.Cut(s, from)
	got, _, _ := strings.Cut(rest, to)
	return got
}

// zipOf sends a form that is answered by a zip.
func (b *browser) zipOf(path string, pairs ...string) map[string]string {
	b.t.Helper()
	body, code := b.post(path, pairs...)
	if code != 200 {
		b.t.Fatalf("%d: %s", code, body)
	}
	return unzip(b.t.(*testing.T), []byte(body))
}

func TestWhereIsThisFile(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	w.admit(3, "Hill Farm", "Hilda", "cleo", "Cleo Dunn")
	b.upload("/files/ada?do=upload", "files", "hens.txt", "red hens")
	body, _ := b.get("/files/ada/hens.txt")
	has(t, body, "Where is this file?", "Everything here is in 3 houses", "<strong>Oak Street</strong><span>has it</span>", `class="egg"`, `data-live="/live/where/ada/hens.txt"`)
	w.away[boxKey(3).BoxID()] = true
	body, _ = b.get("/files/ada/hens.txt")
	has(t, body, "Everything here is in 2 of 3 houses so far", "Hill Farm", "is not in reach")
}
