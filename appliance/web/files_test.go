package web

import (
	"fmt"
	"html"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"redhen/appliance/space"
	"redhen/appliance/web/thumb"
)

func ada(t *testing.T) (*world, *browser) {
	t.Helper()
	w := newWorld(t)
	w.found()
	return w, w.loggedIn("ada")
}

func TestUploadAndDownload(t *testing.T) {
	_, b := ada(t)
	body, _ := b.upload("/files/ada?do=upload", "files", "hens.txt", "red hens", "eggs.txt", "three")
	has(t, body, "2 files are here.", "Kept in 2 houses.", "hens.txt", "eggs.txt")
	body, _ = b.upload("/files/ada?do=upload", "files", "hens.txt", "brown hens")
	has(t, body, "“hens.txt” is here.", "its older version is kept")
	res := b.do(httptest.NewRequest("GET", "/get/ada/hens.txt", nil))
	if got := b.body(res); got != "brown hens" {
		t.Errorf("got %q", got)
	}
	for name, want := range map[string]string{"Content-Type": "text/plain; charset=utf-8", "Content-Security-Policy": "sandbox", "Content-Disposition": "inline"} {
		if !strings.Contains(res.Header.Get(name), want) {
			t.Errorf("%s: %q", name, res.Header.Get(name))
		}
	}
	r := httptest.NewRequest("GET", "/get/ada/hens.txt?save", nil)
	r.Header.Set("Range", "bytes=6-9")
	res = b.do(r)
	if got := b.body(res); res.StatusCode != http.StatusPartialContent || got != "hens" || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%d %q %v", res.StatusCode, got, res.Header)
	}
	r = httptest.NewRequest("GET", "/get/ada/hens.txt", nil)
	r.Header.Set("If-None-Match", res.Header.Get("ETag"))
	if res = b.do(r); res.StatusCode != http.StatusNotModified {
		t.Errorf("unchanged: %d", res.StatusCode)
	}
	body, _ = b.upload("/files/ada?do=upload", "files")
	has(t, body, "Please choose a file first.")
}

// TestFilmsAreSoughtIn: a film is shown in the page, and a browser gets the part of it that
// somebody jumps to: the middle, the end, and what is left.
func TestFilmsAreSoughtIn(t *testing.T) {
	_, b := ada(t)
	film := strings.Repeat("0123456789", 300_000) // three chunks
	b.upload("/files/ada?do=upload", "files", "hens.mp4", film)
	body, _ := b.get("/files/ada/hens.mp4")
	has(t, body, `<video src="/get/ada/hens.mp4" controls preload="metadata">`)
	get := func(asked, tag string) (*http.Response, string) {
		r := httptest.NewRequest("GET", "/get/ada/hens.mp4", nil)
		r.Header.Set("Range", asked)
		if tag != "" {
			r.Header.Set("If-Range", tag)
		}
		res := b.do(r)
		return res, b.body(res)
	}
	for asked, want := range map[string]string{
		"bytes=0-": film, "bytes=1048570-1048580": film[1048570:1048581], "bytes=-7": film[len(film)-7:], "bytes=2999990-9999999": film[2999990:],
	} {
		res, got := get(asked, "")
		if got != want || res.StatusCode != http.StatusPartialContent || res.Header.Get("Content-Type") != "video/mp4" || res.Header.Get("Accept-Ranges") != "bytes" {
			t.Errorf("%s: %d, %d bytes, %v", asked, res.StatusCode, len(got), res.Header)
		}
	}
	if res, _ := get("bytes=3000000-", ""); res.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("beyond the end: %d", res.StatusCode)
	}
	if res, got := get("bytes=5-6", `"another version"`); res.StatusCode != http.StatusOK || got != film {
		t.Errorf("of another version: %d, %d bytes", res.StatusCode, len(got))
	}
}

// TestTwoRenameTheSame: a page that is old by the time somebody sends it changes nothing,
// and leads to where the file is now.
func TestTwoRenameTheSame(t *testing.T) {
	_, b := ada(t)
	b.upload("/files/ada?do=upload", "files", "hens.txt", "red hens")
	b.post("/files/ada/hens.txt?do=rename", "name", "our hens.txt")
	for _, old := range [][3]string{{"rename", "name", "the hens.txt"}, {"move", "to", "/"}, {"remove", "", ""}} {
		if old[0] == "move" {
			b.post("/files/ada?do=mkdir", "folder", "Garden")
			old[2] = "/Garden"
		}
		body, code := b.post("/files/ada/hens.txt?do="+old[0], old[1], old[2])
		if code != http.StatusOK {
			t.Errorf("%s: %d", old[0], code)
		}
		has(t, body, "Somebody else gave “hens.txt” another name or place in the meantime", "nothing is lost", "our hens.txt")
	}
	if got := b.body(b.do(httptest.NewRequest("GET", "/get/ada/our%20hens.txt", nil))); got != "red hens" {
		t.Errorf("got %q", got)
	}
}

// TestNothingStoredRuns: what people store is never run by a browser as ours.
func TestNothingStoredRuns(t *testing.T) {
	_, b := ada(t)
	for _, name := range []string{"page.html", "picture.svg", "code.js", "x.xhtml", "data.xml", "old.pdf"} {
		b.upload("/files/ada?do=upload", "files", name, "<script>alert(1)</script>")
		h := b.do(httptest.NewRequest("GET", "/get/ada/"+name, nil)).Header
		if !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || strings.Contains(h.Get("Content-Type"), "html") ||
			h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", name, h)
		}
	}
	body, _ := b.upload("/files/ada?do=upload", "files", `"><img src=x onerror=alert(1)>.txt`, "x")
	if strings.Contains(body, "<img src=x") {
		t.Error("a name stands in the page as it is")
	}
}

func TestFoldersAndNames(t *testing.T) {
	_, b := ada(t)
	body, _ := b.post("/files/ada?do=mkdir", "folder", "Garden")
	has(t, body, "The folder “Garden” is made.")
	body, code := b.post("/files/ada?do=mkdir", "folder", "Garden")
	if code != http.StatusUnprocessableEntity {
		t.Errorf("%d", code)
	}
	has(t, body, "Something of that name is here already.", `value="Garden"`)
	body, _ = b.post("/files/ada?do=mkdir", "folder", " ")
	has(t, body, "Please give the folder a name.")
	body, _ = b.post("/files/ada?do=mkdir", "folder", "a/b")
	has(t, body, "No file can have that name here.")
	b.upload("/files/ada?do=upload", "files", "a.txt", "x")
	body, _ = b.post("/files/ada/a.txt?do=rename", "name", "b.txt")
	has(t, body, "“a.txt” is called “b.txt” now.", "Undo")
	body, _ = b.post("/files/ada/b.txt?do=rename", "name", "Garden")
	has(t, body, "Something of that name is here already.")
	body, _ = b.post("/files/ada/b.txt?do=rename", "name", "x/y")
	has(t, body, "No file can have that name here.")
	body, _ = b.post("/files/ada/b.txt?do=move", "to", "/Garden")
	has(t, body, "“b.txt” is in “Garden” now.")
	body, _ = b.get("/files/ada/Garden")
	has(t, body, "b.txt", `href="/files/ada"`)
	body, _ = b.get("/files/ada?q=B.T")
	has(t, body, "Found for “B.T”", "b.txt", "/Garden")
	body, _ = b.get("/files/ada?q=nothing")
	has(t, body, "Nothing has “nothing” in its name.")
}

var nodeField = regexp.MustCompile(`name="node" value="([0-9a-f]+)"`)

func TestRemoveAndUndo(t *testing.T) {
	_, b := ada(t)
	b.upload("/files/ada?do=upload", "files", "a.txt", "x")
	body, _ := b.post("/files/ada/a.txt?do=remove")
	has(t, body, "“a.txt” is removed. It can come back for 30 days.", "Undo")
	removed, _ := b.get("/removed/ada")
	has(t, removed, "a.txt", "by Ada Brown", "Bring back")
	node := nodeField.FindStringSubmatch(removed)
	if node == nil {
		t.Fatal("no node")
	}
	body, _ = b.post("/files/ada?do=undo", "node", node[1])
	has(t, body, "“a.txt” is back.")
	if removed, _ = b.get("/removed/ada"); !strings.Contains(removed, "Nothing was removed") {
		t.Errorf("still removed: %s", removed)
	}
	if _, code := b.post("/files/ada?do=undo", "node", "zz"); code != http.StatusNotFound {
		t.Errorf("a node of nothing: %d", code)
	}
}

var versionField = regexp.MustCompile(`name="version" value="([^"]+)"`)

func TestVersions(t *testing.T) {
	_, b := ada(t)
	b.upload("/files/ada?do=upload", "files", "a.txt", "first")
	b.upload("/files/ada?do=upload", "files", "a.txt", "second")
	body, _ := b.get("/files/ada/a.txt")
	has(t, body, "<pre class=\"preview\">second</pre>", "Older versions", "the newest", "by Ada Brown")
	v := versionField.FindStringSubmatch(body)
	if v == nil {
		t.Fatal("no version")
	}
	res := b.do(httptest.NewRequest("GET", "/get/ada/a.txt?version="+url.QueryEscape(v[1]), nil))
	if got := b.body(res); got != "first" {
		t.Errorf("the old version: %q", got)
	}
	body, _ = b.post("/files/ada/a.txt?do=restore", "version", v[1])
	has(t, body, "<pre class=\"preview\">first</pre>", "is the newest again")
	if _, code := b.get("/get/ada/a.txt?version=nonsense"); code != http.StatusNotFound {
		t.Errorf("a version of nothing: %d", code)
	}
}

// TestPathTricks: no path leads out of a space, or into somebody else's.
func TestPathTricks(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	for _, path := range []string{"/files/ben", "/get/ben/x", "/files/nobody", "/files/ada/%2e%2e/%2e%2e/etc", "/get/ada/..%2f..%2fetc/passwd", "/get/ada/%00", "/removed/ben", "/files/ada/nothing"} {
		res := b.do(httptest.NewRequest("GET", path, nil))
		if body := b.body(res); res.StatusCode < 300 || res.StatusCode >= 500 || strings.Contains(body, "root:") {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	if _, code := b.post("/files/ben?do=mkdir", "folder", "mine"); code != http.StatusNotFound {
		t.Errorf("a folder at ben's: %d", code)
	}
	if _, code := b.post("/files/ada?do=anything"); code != http.StatusNotFound {
		t.Errorf("an unknown wish: %d", code)
	}
}

// TestTroubleInWords: what goes wrong below is a sentence, and nothing else.
func TestTroubleInWords(t *testing.T) {
	w, b := ada(t)
	w.store("ada").Fail(space.ErrFull)
	body, _ := b.upload("/files/ada?do=upload", "files", "a.txt", "x")
	has(t, body, "No file could be stored.", "There is no room left for this.", "ask a keeper to give more room")
	w.store("ada").Fail(os.ErrInvalid)
	body, _ = b.post("/files/ada?do=mkdir", "folder", "x")
	if strings.Contains(body, "invalid argument") {
		t.Errorf("an error of the program is shown: %s", body)
	}
	has(t, body, "Something went wrong inside this box.")
}

func TestUploadStopsHalfway(t *testing.T) {
	_, b := ada(t)
	body, _ := b.send("/files/ada?do=upload", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=files; filename=a.txt\r\n\r\nhalf a fi"))
	has(t, body, "No file could be stored.")
	if body, _ = b.get("/files/ada"); strings.Contains(body, "a.txt") {
		t.Error("half a file is there")
	}
}

// TestSmallPictures: a list shows what photos show; of what is no picture, or a broken
// one, there is no small one, and it is not tried again.
func TestSmallPictures(t *testing.T) {
	w, b := ada(t)
	b.upload("/files/ada?do=upload", "files", "sunset.jpg", aPicture(), "broken.jpg", "\xff\xd8\xff\xe0 no picture", "hens.txt", "red hens")
	body, _ := b.get("/files/ada")
	if n := strings.Count(body, `src="/small/ada/`); n != 2 {
		t.Errorf("%d small pictures in %s", n, body)
	}
	small := html.UnescapeString(attr(t, body, `src="`, "/small/ada/sunset.jpg"))
	for range 2 {
		res := b.do(httptest.NewRequest("GET", small, nil))
		img, err := jpeg.Decode(res.Body)
		if res.StatusCode != http.StatusOK || err != nil || img.Bounds().Dx() != thumb.Side || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Fatalf("%d, %v", res.StatusCode, err)
		}
	}
	for _, path := range []string{"/small/ada/broken.jpg", "/small/ada/hens.txt", "/small/ada/nothing.jpg", "/small/ben/sunset.jpg"} {
		for range 2 {
			if res := b.do(httptest.NewRequest("GET", path, nil)); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	}
	if res := w.browser().do(httptest.NewRequest("GET", small, nil)); res.StatusCode != http.StatusSeeOther {
		t.Errorf("a stranger gets %d", res.StatusCode)
	}
	for i := range maxSmall + 10 {
		w.server.smalls.put(fmt.Sprint(i), nil)
	}
	if n := len(w.server.smalls.made); n != maxSmall || len(w.server.smalls.last) != n {
		t.Errorf("%d are kept", n)
	}
}

// attr returns the value of an attribute that begins so.
func attr(t *testing.T, body, name, begins string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, name+begins)
	if !ok {
		t.Fatalf("no %s%s in %s", name, begins, body)
	}
	rest, _, _ = strings.Cut(rest, `"`)
	return begins + rest
}
