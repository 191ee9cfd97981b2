package web

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"redhen/appliance/account"
)

// TestARevokedAccountIsOut: when an account ends, so do its sessions and what they
// have begun.
func TestARevokedAccountIsOut(t *testing.T) {
	w, b := ada(t)
	body, _ := b.post("/invite/person", "person", "Clara")
	clara := w.browser()
	clara.post(pathIn(t, body, "/welcome/"), "person", "Clara", "login", "clara", "password", password)
	code := func() string {
		body, _ := clara.post("/me/another")
		return pathIn(t, body, "/enter/")
	}()
	upload, _ := clara.piece("POST", "/upload/clara/x.txt?size=5", "")
	if err := w.RemoveAccount(t.Context(), "clara"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/files/clara", "/get/clara/x.txt", "/zip/clara/", "/live/home", "/me", "/uploads/" + upload.ID} {
		if res := clara.do(httptest.NewRequest("GET", path, nil)); res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	thief := w.browser()
	thief.post(code)
	if res := thief.do(httptest.NewRequest("GET", "/me", nil)); res.StatusCode == http.StatusOK {
		t.Error("her code still logs somebody in")
	}
}

// TestOwnersHearOfGuessing: wrong passwords are refused, then slowed, and whoever
// they were meant for reads it when they log in.
func TestOwnersHearOfGuessing(t *testing.T) {
	w := newWorld(t)
	w.found()
	thief := w.browser()
	for i := range 40 {
		thief.post("/login", "login", "ada", "password", fmt.Sprint("guess number ", i))
	}
	if body, code := thief.post("/login", "login", "ada", "password", "one more guess"); code != 422 || !strings.Contains(body, "tried too often") {
		t.Errorf("not slowed: %d", code)
	}
	if was, tell := w.server.guesses.take("ada"); !tell || was.wrong != 41 {
		t.Errorf("%+v", was)
	}
	for range 7 {
		w.server.guesses.count("ada", account.ErrWrong)
	}
	w.server.guesses.count("ada", account.ErrBusy) // says nothing about the password
	own := w.browser()
	own.cookies = map[string]string{}
	login := func(from string) *http.Response {
		r := httptest.NewRequest("POST", "/login", strings.NewReader("login=ben&password=three+brown+hens"))
		r.RemoteAddr = from
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://"+own.host)
		return own.do(r)
	}
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	for range 7 {
		w.server.guesses.count("ben", account.ErrWrong)
	}
	res := login("192.168.1.77:4711")
	body, _ := own.get(res.Header.Get("Location"))
	has(t, body, "Somebody typed a wrong password for you 7 times", "Nobody got in.")
	if _, tell := w.server.guesses.take("ben"); tell {
		t.Error("he is told twice")
	}
}

// TestAZipBombStaysAZip: nothing that people store is unpacked here.
func TestAZipBombStaysAZip(t *testing.T) {
	_, b := ada(t)
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	f, err := z.Create("zeros")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b.upload("/files/ada?do=upload", "files", "bomb.zip", bomb.String(), "bomb.txt", bomb.String(), "bomb.png", bomb.String())
	for _, path := range []string{"/files/ada/bomb.zip", "/files/ada/bomb.txt", "/files/ada/bomb.png"} {
		if body, code := b.get(path); code != http.StatusOK || len(body) > 200<<10 {
			t.Errorf("%s: %d, %d bytes", path, code, len(body))
		}
	}
	if got := b.body(b.do(httptest.NewRequest("GET", "/get/ada/bomb.zip", nil))); got != bomb.String() {
		t.Error("it is not what was stored")
	}
	res := b.do(httptest.NewRequest("GET", "/get/ada/bomb.zip", nil))
	if res.Header.Get("Content-Encoding") != "" || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v", res.Header)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestNoPageIsFramedOrAsksElsewhere: each page forbids frames and strangers' things.
func TestNoPageIsFramedOrAsksElsewhere(t *testing.T) {
	_, b := ada(t)
	b.upload("/files/ada?do=upload", "files", "hens.txt", "red hens")
	for _, path := range []string{"/", "/files/ada", "/files/ada?pick", "/files/ada/hens.txt", "/circle", "/me", "/box", "/invite/box", "/invite/person", "/removed/ada", "/forgot", "/nothing"} {
		res := b.do(httptest.NewRequest("GET", path, nil))
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || res.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, res.Header)
		}
		body := b.body(res)
		for _, bad := range []string{` style="`, ` onclick=`, "<style", "<script>", `src="http`, "javascript:"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s has %q in place", path, bad)
			}
		}
	}
}
