package web

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/appliance/circle"
	"redhen/provision/pair"
	"redhen/provision/qr"
	"redhen/provision/ticket"
)

// has reports what a page lacks of what it should say.
func has(t *testing.T, body string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(body, want) {
			main := body[max(0, strings.Index(body, "<main")):]
			main = main[:min(len(main), 1500)]
			t.Errorf("the page lacks %q:\n%s", want, main)
		}
	}
}

func TestClaim(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	body, _ := b.get("/")
	has(t, body, "belongs to nobody yet")
	body, code := b.post("/claim", "circle", "Riverside", "house", "", "person", "Ada Brown", "password", "short")
	if code != http.StatusUnprocessableEntity || strings.Contains(body, `value="short"`) {
		t.Errorf("%d, or the password is sent back", code)
	}
	has(t, body, "Please give this house a name.", "easy to guess", `value="Riverside"`, `aria-invalid="true"`)
	body, _ = b.post("/claim", "circle", "Riverside", "house", "Mill\x00Lane", "person", "Ada", "password", password)
	has(t, body, "without unusual characters")
	body, code = b.post("/claim", "circle", "Riverside", "house", "Mill Lane", "person", "Ada Brown", "password", password)
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, body)
	}
	has(t, body, "You log in as “ada.brown”.", "Everything is in one house only")
	body, _ = w.browser().get("/claim")
	has(t, body, "This box is taken.")
	body, _ = w.browser().post("/claim", "circle", "Mine", "house", "H", "person", "Eve", "password", password)
	has(t, body, "This box is taken.")
}

func TestClaimFromAfarNeedsTheCode(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	body, _ := b.get("/claim") // httptest's address is not of this network
	has(t, body, "Code of the box")
	r := httptest.NewRequest("POST", "/claim", strings.NewReader("circle=C&house=H&person=Eve&code=guess&password=three+brown+hens"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "http://"+b.host)
	has(t, b.body(b.do(r)), "That is not the code of this box.")
	if w.Claimed() {
		t.Error("claimed without the code")
	}
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	w.found()
	b := w.browser()
	body, _ := b.get("/files/ada/Garden?x=1")
	has(t, body, "Log in", `value="/files/ada/Garden?x=1"`)
	body, code := b.post("/login", "login", "ada", "password", "not this")
	if code != http.StatusUnprocessableEntity || len(b.cookies) != 0 {
		t.Errorf("%d, cookies %v", code, b.cookies)
	}
	has(t, body, "do not belong together")
	b.post("/login", "login", " ADA ", "password", password, "to", "/me")
	if b.path != "/me" {
		t.Errorf("led to %s", b.path)
	}
	for i := range 10 {
		body, _ = w.browser().post("/login", "login", "ada", "password", fmt.Sprint("guess ", i))
	}
	has(t, body, "tried too often")
	b.post("/logout")
	if b.cookies[sessionCookie] != "" || b.path != "/login" {
		t.Errorf("still logged in, at %s", b.path)
	}
}

// The browser is told how long it may keep a session, and not until when: a box without
// the time, whose clock is years behind, could not be logged in at.
func TestCookie(t *testing.T) {
	w := newWorld(t)
	w.found()
	b := w.browser()
	r := httptest.NewRequest("POST", "/login", strings.NewReader("login=ada&password=three+brown+hens"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "http://"+b.host)
	c := b.do(r).Cookies()
	if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode || c[0].Path != "/" || c[0].MaxAge < 3600 || !c[0].Expires.IsZero() || c[0].Domain != "" {
		t.Errorf("cookie: %+v", c)
	}
}

func TestEveryPageNeedsASession(t *testing.T) {
	w := newWorld(t)
	w.found()
	for _, path := range []string{"/", "/files", "/files/ada", "/get/ada/x", "/removed/ada", "/circle", "/invite/box", "/invite/person", "/me", "/live/home", "/live/waiting", "/circle/gone?box=Mabel"} {
		b := w.browser()
		b.cookies[sessionCookie] = "forged"
		res := b.do(httptest.NewRequest("GET", path, nil))
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got, "/login") {
			t.Errorf("%s: %d %q", path, res.StatusCode, got)
		}
	}
	for _, path := range []string{"/files/ada?do=mkdir", "/invite/box", "/invite/box/answer", "/invite/person", "/me/devices", "/me/password", "/circle/gone"} {
		b := w.browser()
		if body, _ := b.post(path, "folder", "x", "person", "x"); !strings.Contains(body, "Name for logging in") {
			t.Errorf("POST %s: %s", path, body)
		}
	}
}

func TestHome(t *testing.T) {
	w := newWorld(t)
	w.found()
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	w.admit(3, "Hill Farm", "Hilda", "cleo", "Cleo Dunn")
	b := w.loggedIn("ada")
	body, _ := b.get("/")
	has(t, body, "Everything is safe.", "in three houses: Mill Lane, Hill Farm and Oak Street.", "<svg class=\"houses\"", "Olive at Oak Street joined the circle.", "The files of Ben Carter")
	w.away[boxKey(3).BoxID()] = true
	body, _ = b.get("/")
	has(t, body, "Not quite safe yet.", "Hill Farm has not been in reach since", "Is anything lost?", "Cleo Dunn, or whoever is at Hill Farm", `class="house away"`)
}

func TestLiveHome(t *testing.T) {
	w := newWorld(t)
	w.found()
	b := w.loggedIn("ada")
	ctx, end := context.WithCancel(t.Context())
	answer := flushed{httptest.NewRecorder(), end}
	r := httptest.NewRequest("GET", "/live/home", nil).WithContext(ctx)
	r.Host = b.host
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: b.cookies[sessionCookie]})
	w.server.ServeHTTP(answer, r) // ends when the browser leaves, after the first piece
	if got := answer.Header().Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("type %q", got)
	}
	body := answer.Body.String()
	for _, line := range strings.Split(strings.TrimSpace(body), "\n") {
		if line != "" && !strings.HasPrefix(line, "data: ") {
			t.Fatalf("not an event: %q", line)
		}
	}
	has(t, body, "Not quite safe yet.")
	if n := w.server.site.Live(); n != 0 {
		t.Errorf("%d pages still live", n)
	}
}

// flushed is a browser that leaves when it has something to show.
type flushed struct {
	*httptest.ResponseRecorder
	leave func()
}

func (f flushed) Flush() { f.leave() }

func aTicket(t *testing.T, w *world) ticket.Ticket {
	t.Helper()
	tk, err := ticket.New(boxKey(7).BoxID(), ticket.NewSecret(), []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:4717")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

func TestJoin(t *testing.T) {
	w := newWorld(t)
	release, refuse := make(chan struct{}), make(chan error, 1)
	w.join = func(ctx context.Context, progress func(pair.Progress)) error {
		progress(pair.Progress{Stage: pair.Waiting, CircleName: "Riverside", Inviter: "Mabel", Words: someWords(),
			Guide: pair.Guide{Houses: []pair.House{{Name: "Mill Lane"}, {Name: "Oak Street"}}, Known: &pair.Known{}}})
		close(release)
		select {
		case err := <-refuse:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	go w.server.Run(t.Context())
	b := w.browser()
	fields := []string{"house", "Oak Street", "person", "Ben", "password", password}
	body, _ := b.post("/join", append(fields, "ticket", "hello")...)
	has(t, body, "That is not an invite.")
	line := aTicket(t, w).Link()
	body, _ = b.post("/join", append(fields, "ticket", line[:len(line)-6])...)
	has(t, body, "mistyped")
	b.post("/join", append(fields, "ticket", line)...)
	if b.path != "/joining" {
		t.Fatalf("at %s", b.path)
	}
	<-release
	body, _ = b.get("/joining")
	has(t, body, "Found Riverside. Its houses: Mill Lane, Oak Street. Your account is there", "Your friend has to say yes", "🌷", "tulip", `<noscript><p class="act"><a class="button quiet" href="">Look again</a>`)
	refuse <- &pair.Refusal{Code: pair.NameTaken}
	w.waitJoin()
	body, _ = b.get("/joining")
	has(t, body, (&pair.Refusal{Code: pair.NameTaken}).Sentence(), `value="Oak Street"`)
	if b.path != "/p" || strings.Contains(body, password) {
		t.Errorf("at %s, or the password is shown", b.path)
	}
}

// What the circle has already is told in words, beside the field, and what was ticked
// stays ticked.
func TestJoiningUnderNamesThatAreThere(t *testing.T) {
	w := newWorld(t)
	guide := pair.Guide{Houses: []pair.House{{Name: "Mill Lane"}, {Name: "Oak Street"}}, Known: &pair.Known{}}
	reasons := []string{circle.HouseThere, circle.NoHouse, circle.LoginThere, circle.LoginBare}
	for _, reason := range reasons {
		no := &circle.JoinError{Reason: reason, Name: "Oak Street", Guide: guide}
		w.join = func(_ context.Context, progress func(pair.Progress)) error {
			progress(pair.Progress{Stage: pair.Waiting, CircleName: "Riverside", Guide: guide})
			return no
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.server.Run(ctx); close(done) }()
		b := w.browser()
		b.post("/join", "house", "Oak Street", "person", "Ben", "password", password, "same", "yes", "ticket", aTicket(t, w).Link())
		w.waitJoin()
		body, _ := b.get("/joining")
		said, _ := circle.Explain(no)
		has(t, body, html.EscapeString(said.Sentence), `value="Oak Street"`, `name="same" value="yes" checked`)
		end()
		<-done
	}
}

// waitJoin waits until the try has ended.
func (w *world) waitJoin() {
	for {
		w.server.join.mu.Lock()
		busy, change := w.server.join.busy, w.server.join.change
		w.server.join.mu.Unlock()
		if !busy {
			return
		}
		<-change
	}
}

func TestJoinEndsWell(t *testing.T) {
	w := newWorld(t)
	w.join = func(context.Context, func(pair.Progress)) error { w.found(); return nil }
	go w.server.Run(t.Context())
	b := w.browser()
	b.post("/join", "house", "Oak Street", "person", "Ben", "password", password, "ticket", aTicket(t, w).Text())
	w.waitJoin()
	body, _ := b.get("/joining")
	has(t, body, "Your box is part of the circle.", "http://192.168.1.20/login")
	body, _ = b.post("/join", "ticket", "x")
	has(t, body, "This box is taken.")
}

func TestJoinCanBeStopped(t *testing.T) {
	w := newWorld(t)
	w.join = func(ctx context.Context, _ func(pair.Progress)) error { <-ctx.Done(); return ctx.Err() }
	go w.server.Run(t.Context())
	b := w.browser()
	b.post("/join", "house", "Oak Street", "person", "Ben", "password", password, "ticket", aTicket(t, w).Text())
	for {
		b.post("/join/stop")
		w.server.join.mu.Lock()
		busy, change := w.server.join.busy, w.server.join.change
		w.server.join.mu.Unlock()
		if !busy {
			break
		}
		select {
		case <-change:
		case <-time.After(50 * time.Millisecond): // the stop came before the start: stop again
		}
	}
	body, _ := b.get("/p")
	has(t, body, `value="Oak Street"`)
	if strings.Contains(body, "That did not work") {
		t.Error("a stop is told as a failure")
	}
}

func TestJoinByPhoto(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	tk := aTicket(t, w)
	code, err := qr.Draw(tk.Link())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := b.upload("/p/photo", "photo", "code.png", string(code.PNG(6)))
	has(t, body, tk.Text())
	body, _ = b.upload("/p/photo", "photo", "cat.png", "no picture at all")
	has(t, body, "That is not a picture.")
	other, _ := qr.Draw("http://evil.example/") // any text can be drawn
	body, _ = b.upload("/p/photo", "photo", "other.png", string(other.PNG(6)))
	has(t, body, "That is not an invite.")
	body, _ = b.upload("/p/photo", "photo")
	has(t, body, "Please choose a picture first.")
}

// TestPagesFitTheBudget: the first page and all it needs are at most 60 kB, at a fresh box
// and at home. BenchmarkHome counts the time.
func TestPagesFitTheBudget(t *testing.T) {
	fresh, home := newWorld(t), newWorld(t)
	home.found()
	home.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	for _, b := range []*browser{fresh.browser(), home.loggedIn("ada")} {
		body, _ := b.get("/")
		n := len(body)
		for _, a := range b.w.server.site.Assets() {
			n += len(b.body(b.do(httptest.NewRequest("GET", a, nil))))
		}
		if n > 60<<10 {
			t.Errorf("%d bytes", n)
		}
		if strings.Contains(body, "http://") || strings.Contains(body, "https://") || strings.Contains(body, "style=") {
			t.Error("the page asks elsewhere, or styles in place")
		}
	}
}

// TestOneLineIsReadOut: on each page one line alone, and none of what changes by itself
// beside it, is read out when it changes.
func TestOneLineIsReadOut(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	for _, path := range []string{"/", "/files/ada", "/circle", "/circle/drill", "/box/care", "/invite/box", "/me", "/nothing"} {
		body, _ := b.get(path)
		if n := strings.Count(body, `role="status"`); n != 1 || strings.Contains(body, "aria-live") || strings.Count(body, `role="alert"`) != 0 {
			t.Errorf("%s: %d status lines", path, n)
		}
	}
}
