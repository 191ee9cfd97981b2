package web

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/appliance/account"
	"redhen/provision/qr"
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

// TestACookieCountsAtItsHostAlone: a browser, or somebody who took it, shows it at
// another name of the same box in vain; it is made anew there, and by renewal only here.
func TestACookieCountsAtItsHostAlone(t *testing.T) {
	_, b := ada(t)
	at := func(host string) int {
		b.host = host
		return b.do(httptest.NewRequest("GET", "/me", nil)).StatusCode
	}
	home := b.host
	for host, want := range map[string]int{home: 200, home + ":8080": 200, "mill-lane.local": 303, "192.168.1.21": 303, "localhost": 303, "redhen.local": 303} {
		if got := at(host); got != want {
			t.Errorf("%s: %d, want %d", host, got, want)
		}
	}
	b.host = home
	plain, _, err := b.w.accounts.Login(t.Context(), "ada", password)
	if err != nil {
		t.Fatal(err)
	}
	b.cookies[sessionCookie] = plain // a session of no browser, such as a drill's
	if got := at(home); got != http.StatusSeeOther {
		t.Errorf("a session without a host: %d", got)
	}
}

// TestTenThousandGuesses: nearly all are refused before anything is hashed, the owner
// gets in from home all the while, and reads of it.
func TestTenThousandGuesses(t *testing.T) {
	w, _ := ada(t)
	now := time.Now()
	w.now = func() time.Time { return now }
	ctx := account.WithSource(t.Context(), netip.MustParseAddr("203.0.113.9"))
	hashed := 0
	for i := range 10_000 {
		now = now.Add(time.Second)
		_, _, err := w.accounts.Login(ctx, "ada", fmt.Sprint("guess number ", i))
		w.server.guesses.count("ada", err)
		if errors.Is(err, account.ErrWrong) {
			hashed++
		} else if _, slow := errors.AsType[*account.SlowError](err); !slow {
			t.Fatal(err)
		}
	}
	if hashed > 40 {
		t.Errorf("%d of 10,000 guesses were looked at", hashed)
	}
	own := w.browser()
	body, _ := own.post("/login", "login", "ada", "password", password)
	has(t, body, "Somebody typed a wrong password for you 10000 times", "Nobody got in.")
}

// TestNoPathLeadsOut: no way of writing a path leads out of one's own files.
func TestNoPathLeadsOut(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	w.loggedIn("ben").upload("/files/ben?do=upload", "files", "secret.txt", "ben's own words")
	for _, path := range []string{
		"/get/ada/../ben/secret.txt", "/get/ada/..%2fben/secret.txt", "/get/ada/%2e%2e/ben/secret.txt", "/get/ben/secret.txt", "/get/ada/..%5c..%5cben%5csecret.txt",
		"/get/ada//../../ben/secret.txt", "/get/ada/%00/secret.txt", "/get/..%2f..%2fetc/passwd", "/files/ben", "/zip/ben/", "/zip/ada/..%2fben", "/removed/ben",
		"/static/..%2f..%2fwords/en.txt", "/live/where/ben/secret.txt", "/live/kept/ben",
	} {
		for range 3 {
			res := b.do(httptest.NewRequest("GET", path, nil))
			if body := b.body(res); strings.Contains(body, "ben's own words") || strings.Contains(body, "root:") || strings.Contains(body, "secret.txt is") {
				t.Errorf("%s: %d %s", path, res.StatusCode, body)
			}
			if path = res.Header.Get("Location"); res.StatusCode/100 != 3 || path == "" {
				if res.StatusCode == http.StatusOK && !strings.HasPrefix(path, "/login") {
					t.Errorf("something is there: %s", path)
				}
				break
			}
		}
	}
	for _, name := range []string{"../x", "a/b", "..", "\x00", strings.Repeat("x", 300)} {
		if body, _ := b.post("/files/ada?do=mkdir", "folder", name); strings.Contains(body, "is made.") {
			t.Errorf("a folder %q", name)
		}
	}
}

// FuzzPicture: whatever somebody uploads as the photo of a code, the page answers in words.
func FuzzPicture(f *testing.F) {
	w := newWorld(f)
	b := w.browser()
	code, err := qr.Draw("http://redhen.local/p#X")
	if err != nil {
		f.Fatal(err)
	}
	whole := code.PNG(2)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("GIF89a\xff\xff\xff\xff"))
	f.Add([]byte("\xff\xd8\xff\xe0\x00\x10JFIF"))
	f.Fuzz(func(t *testing.T, picture []byte) {
		if body, code := b.upload("/p/photo", "photo", "x.png", string(picture)); code >= 500 || !strings.Contains(body, "</html>") {
			t.Errorf("%d: %s", code, body)
		}
	})
}
