package web

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
)

// pathIn returns the path of the one link below prefix that a page shows.
func pathIn(t *testing.T, body, prefix string) string {
	t.Helper()
	i := strings.Index(body, "http://192.168.1.20"+prefix)
	if i < 0 {
		t.Fatalf("no link to %s in %s", prefix, body[strings.Index(body, "<main"):])
	}
	rest := body[i+len("http://192.168.1.20"):]
	return rest[:strings.IndexAny(rest, "<\" ")]
}

// TestOneMorePhone: a code logs somebody in on another phone, once, and only after a tap.
func TestOneMorePhone(t *testing.T) {
	w, b := ada(t)
	body, _ := b.post("/me/another")
	has(t, body, "It works once", "<svg")
	path := pathIn(t, body, "/enter/")
	other := w.browser()
	body, _ = other.get(path)
	has(t, body, "Log in as Ada Brown?")
	if len(other.cookies) != 0 {
		t.Error("looking at it logs in")
	}
	body, _ = other.post(path)
	has(t, body, "Is everything safe?")
	if body, code := w.browser().post(path); code != 410 || !strings.Contains(body, "This code is used up.") {
		t.Errorf("a second time: %d", code)
	}
	if body, code := w.browser().get("/enter/GUESS"); code != 410 || !strings.Contains(body, "used up") {
		t.Errorf("a guess: %d", code)
	}
}

func TestPasses(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	s := newPasses(func() time.Time { return now })
	code, ok := s.issue(pass{purpose: passEnter, account: "ada"}, time.Minute)
	if _, found := s.look(code, passEnter); !ok || !found {
		t.Error("it does not hold")
	}
	if _, found := s.use(code, passReset); found {
		t.Error("for another purpose")
	}
	newer, _ := s.issue(pass{purpose: passEnter, account: "ada"}, time.Minute)
	if _, found := s.look(code, passEnter); found {
		t.Error("the older one of two holds")
	}
	now = now.Add(2 * time.Minute)
	if _, found := s.use(newer, passEnter); found {
		t.Error("too late")
	}
	for i := range maxPasses {
		if _, ok := s.issue(pass{purpose: passReset, account: ident.AccountID(fmt.Sprint(i))}, time.Minute); !ok {
			t.Fatalf("no room for %d", i)
		}
	}
	if _, ok := s.issue(pass{purpose: passReset, account: "one more"}, time.Minute); ok {
		t.Error("there is no end to them")
	}
}

// TestForgottenPassword: a keeper who is asked makes a link; it works once, ends the
// old sessions, and stands in the diary.
func TestForgottenPassword(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	ben := w.loggedIn("ben")
	body, _ := w.browser().get("/login")
	has(t, body, `href="/forgot"`)
	body, _ = w.browser().get("/forgot")
	has(t, body, "Nothing of yours is lost.", "Ada Brown", "Mill Lane")
	body, _ = b.get("/circle")
	has(t, body, `href="/circle/help?who=ben"`)
	if strings.Contains(body, "who=ada") {
		t.Error("ada helps herself")
	}
	body, _ = b.post("/circle/help", "who", "ben", "password", "not hers at all")
	has(t, body, "do not belong together")
	body, _ = b.post("/circle/help", "who", "ben", "password", password)
	has(t, body, "Let Ben Carter point")
	path := pathIn(t, body, "/reset/")
	friend := w.browser()
	body, _ = friend.get(path)
	has(t, body, "You log in as “ben”.", "Another keeper can still say so.")
	body, _ = friend.post(path, "password", "short")
	has(t, body, "easy to guess")
	body, _ = friend.post(path, "password", "a new one for ben")
	has(t, body, "Your new password holds.", "Ben Carter has a new password, set with the help of Ada Brown.")
	if _, code := w.browser().post(path, "password", "one more for ben"); code != 410 {
		t.Errorf("a second time: %d", code)
	}
	if res := ben.do(httptest.NewRequest("GET", "/files/ben", nil)); res.StatusCode != 303 {
		t.Errorf("his old session still holds: %d", res.StatusCode)
	}
}

func TestOnlyKeepersHelp(t *testing.T) {
	w, b := ada(t)
	body, _ := b.post("/invite/person", "person", "Clara")
	path := pathIn(t, body, "/welcome/")
	has(t, body, "Other doors", "http://mabel.local"+path)
	clara := w.browser()
	clara.post(path, "person", "Clara", "login", "clara", "password", password)
	body, _ = clara.get("/circle/help?who=ada")
	has(t, body, "Ask somebody who keeps a box.")
	if body, _ := clara.post("/circle/help", "who", "ada", "password", password); strings.Contains(body, "/reset/") {
		t.Error("clara got a link to ada's account")
	}
	body, _ = clara.get("/box")
	has(t, body, "This is somebody else’s box.")
	body, _ = clara.post("/box", "given", "1")
	has(t, body, "This is somebody else’s box.")
	if wishes, err := w.BoxWishes(); err != nil || wishes.Given != 0 {
		t.Errorf("%+v, %v", wishes, err)
	}
}

func TestInvitationsAreSeenAndTakenBack(t *testing.T) {
	w, b := ada(t)
	body, _ := b.post("/invite/person", "person", "Clara")
	path := pathIn(t, body, "/welcome/")
	body, _ = b.get("/circle")
	has(t, body, "Invited", "<strong>Clara</strong>", "by Ada Brown, until", "2 of at most 100 people.")
	body, _ = b.post("/circle/uninvite", "which", between(body, `name="which" value="`, `"`))
	has(t, body, "The invite is taken back.", "1 of at most 100 people.")
	if _, code := w.browser().get(path); code != 410 {
		t.Errorf("it still holds: %d", code)
	}
}

func TestMyBox(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	body, _ := b.get("/me")
	has(t, body, "My box: Mabel", `<option selected>3</option>`)
	body, _ = b.get("/box")
	has(t, body, "It stands at Mill Lane", "Ben Carter", `value="ben" checked`)
	for _, bad := range []string{"much", "-3", "NaN", "1e99"} {
		body, _ = b.post("/box", "given", bad, "hold", "ben")
		has(t, body, "such as 500")
	}
	body, _ = b.post("/box", "given", "0,5")
	has(t, body, "Your box does as you say.", `value="0.5"`, `value="ben">`)
	wishes, err := w.BoxWishes()
	ben, _ := w.Account("ben")
	if err != nil || wishes.Given != 500_000_000 || len(wishes.Refuses) != 1 || wishes.Refuses[0] != ben.ID {
		t.Errorf("%+v, %v", wishes, err)
	}
	body, _ = b.post("/me/copies", "copies", "2")
	has(t, body, "2 copies are kept from now on", `<option selected>2</option>`)
	body, _ = b.post("/me/copies", "copies", "99")
	has(t, body, "Please choose a number.")
}

// TestApartIsSaid: what the circle cannot decide now is said in words, on the form.
func TestApartIsSaid(t *testing.T) {
	w, b := ada(t)
	w.node.apart = true
	for _, form := range [][]string{{"/box", "given", "5"}, {"/me/copies", "copies", "2"}, {"/me/devices", "device", "laptop"}, {"/invite/person", "person", "Clara"}} {
		body, code := b.post(form[0], form[1:]...)
		if code != 422 && code != 503 {
			t.Errorf("%s: %d", form[0], code)
		}
		has(t, body, "Too few houses are in reach to decide that just now. Nothing is lost")
	}
}
