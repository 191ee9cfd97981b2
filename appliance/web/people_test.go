package web

import (
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

var linkText = regexp.MustCompile(`http://[^<"]+/welcome/[a-z0-9]+`)

func TestInviteAPerson(t *testing.T) {
	w, b := ada(t)
	body, _ := b.post("/invite/person", "person", "")
	has(t, body, "Please write a name.")
	body, _ = b.post("/invite/person", "person", "Granny Mo")
	link := linkText.FindString(body)
	if link == "" {
		t.Fatalf("no link: %s", body)
	}
	has(t, body, "An invitation for Granny Mo", "<svg")
	granny := w.browser()
	path := link[strings.Index(link, "/welcome"):]
	body, _ = granny.get(path)
	has(t, body, "Ada Brown invites you.", `value="granny.mo"`, "could read what is stored")
	body, _ = granny.post(path, "person", "Granny Mo", "login", "ada", "password", password)
	has(t, body, "That name is taken.")
	body, _ = granny.post(path, "person", "Granny Mo", "login", "granny", "password", password)
	has(t, body, "You log in as “granny”.")
	body, _ = w.browser().get(path)
	has(t, body, "This invitation is used up.")
	body, _ = b.get("/circle")
	has(t, body, "Granny Mo", "invited by Ada Brown", "keeps Mabel", "Mill Lane")
	body, _ = granny.get("/invite/person")
	has(t, body, "Ask somebody who keeps a box.")
	body, _ = granny.post("/invite/box")
	has(t, body, "Ask somebody who keeps a box.")
}

// A box that asks to join is said to belong to whoever keeps it by the name that friends
// know: that of the circle, where the password was right, or the one that they gave.
func TestWhoseABoxIs(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	ben, err := w.Account("ben")
	if err != nil {
		t.Fatal(err)
	}
	record := func(fullName string) []byte {
		bytes, err := wire.Marshal(directory.Account{ID: ident.NewAccountID(), Name: "dora", FullName: fullName})
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	for _, c := range []struct {
		app   pair.Application
		known bool
		want  string
	}{
		{pair.Application{KeeperName: "ben", Keeper: ben.ID}, true, "belongs to Ben Carter."},
		{pair.Application{KeeperName: "ben", Keeper: ben.ID}, false, "belongs to ben."},
		{pair.Application{KeeperName: "dora", Account: record("Dora Quinn")}, false, "belongs to Dora Quinn."},
		{pair.Application{KeeperName: "dora", Account: record("")}, false, "belongs to dora."},
		{pair.Application{KeeperName: "dora", Account: record("Dora\x00\x1b[2J")}, false, "belongs to dora."},
		{pair.Application{KeeperName: "dora", Account: record(strings.Repeat("Dora ", 2000))}, false, "belongs to dora."},
		{pair.Application{KeeperName: "dora", Account: []byte("nonsense")}, false, "belongs to dora."},
	} {
		c.app.BoxName, c.app.HouseName = "Quentin", "Quay Cottage"
		w.desk.waiting = []pair.Pending{{Box: boxKey(9).BoxID(), Words: someWords(), Since: time.Now(), Known: c.known, Application: c.app}}
		body, _ := b.get("/invite/box")
		has(t, body, "It stands at Quay Cottage and "+c.want)
	}
}

func TestInviteABox(t *testing.T) {
	w, b := ada(t)
	body, _ := b.post("/invite/box")
	has(t, body, "http://redhen.local/p#", "<svg", "Waiting for your friend’s box to call", "It holds until")
	shown := b.path
	other := w.browser()
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	other.post("/login", "login", "ben", "password", password)
	if body, _ := other.get(shown); strings.Contains(body, "redhen.local/p#") {
		t.Error("somebody else sees the ticket")
	}
	waiting := pair.Pending{Box: boxKey(9).BoxID(), Words: someWords(), Since: time.Now(),
		Application: pair.Application{BoxName: "Quentin", HouseName: "Quay Cottage", KeeperName: "dora"}}
	w.desk.waiting = []pair.Pending{waiting}
	body, _ = b.get(shown)
	has(t, body, "Quentin asks to join", "Quay Cottage", "bicycle", "Yes, that is my friend")
	has(t, body, "It stands at Quay Cottage and belongs to dora.")
	body, _ = b.get("/")
	has(t, body, "A box asks to join.")
	body, _ = b.post("/invite/box/answer", "which", string(boxKey(8).BoxID()), "say", "yes")
	has(t, body, "That box waits no more.")
	body, _ = b.post("/invite/box/answer", "which", string(waiting.Box), "say", "yes")
	has(t, body, "Quentin is in.")
	w.desk.waiting = []pair.Pending{waiting}
	body, _ = b.post("/invite/box/answer", "which", string(waiting.Box), "say", "no")
	has(t, body, "Quentin was not let in.")
	if got := strings.Join(w.desk.said, " "); got != "yes no" {
		t.Errorf("said %q", got)
	}
	if open := w.desk.Tickets(); len(open) != 1 {
		t.Fatalf("%d tickets", len(open))
	}
	body, _ = b.post("/invite/box/revoke", "ticket", w.desk.Tickets()[0].ID)
	has(t, body, "The invite is taken back.")
	if w.desk.Tickets()[0].State != pair.TakenBack {
		t.Error("the ticket is open still")
	}
}

func TestConnectMyComputer(t *testing.T) {
	w, b := ada(t)
	body, _ := b.post("/me/devices", "device", "")
	has(t, body, "Please write what it is for.")
	body, _ = b.post("/me/devices", "device", "laptop")
	has(t, body, "http://192.168.1.20/dav/ada/", "hen-", "Map network drive")
	acc, err := w.Account("ada")
	if err != nil || len(acc.Devices) != 1 {
		t.Fatalf("%+v, %v", acc, err)
	}
	body, _ = b.get("/me")
	has(t, body, "laptop", "Shut out")
	body, _ = b.post("/me/devices/remove", "which", acc.Devices[0].ID)
	has(t, body, "It is shut out.")
	if body, _ = b.get("/me/devices/anything"); !strings.Contains(body, "Connect my computer") {
		t.Error("a password of nothing")
	}
}

func TestChangePassword(t *testing.T) {
	w, b := ada(t)
	elsewhere := w.loggedIn("ada")
	body, _ := b.post("/me/password", "old-password", "wrong", "password", "four black hens")
	has(t, body, "That is not your password.")
	body, _ = b.post("/me/password", "old-password", password, "password", "hen")
	has(t, body, "easy to guess")
	body, _ = b.post("/me/password", "old-password", password, "password", "four black hens")
	has(t, body, "Your password is changed.")
	if res := elsewhere.do(httptest.NewRequest("GET", "/me", nil)); res.StatusCode == 200 {
		t.Error("the other session goes on")
	}
}

func TestGone(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	body, _ := b.get("/circle")
	has(t, body, "/circle/gone?box=Olive")
	if strings.Contains(body, "box=Mabel") {
		t.Error("this box can be said to be gone")
	}
	body, _ = b.get("/circle/gone?box=Olive")
	has(t, body, "Is Olive gone for good?", "is in reach just now: it is not gone", "Mabel", "Your word is enough.")
	w.away[boxKey(2).BoxID()] = true
	body, _ = b.get("/circle/gone?box=Olive")
	has(t, body, "Olive at Oak Street has not been in reach since", "What was written at Oak Street alone since then is gone")
	body, _ = b.post("/circle/gone", "box", "Olive", "confirm", "Oak Lane", "password", password)
	has(t, body, "That is not the name of the house where that box stands.")
	body, _ = b.post("/circle/gone", "box", "Olive", "confirm", "Oak Street", "password", "wrong")
	has(t, body, "do not belong together")
	body, _ = b.post("/circle/gone", "box", "Olive", "confirm", "Oak Street", "password", password)
	has(t, body, "Olive is out of the circle.")
	if w.Roster().Active(boxKey(2).BoxID()) {
		t.Error("it is a member still")
	}
	if b.get("/circle/gone?box=Mabel"); b.path != "/circle" {
		t.Errorf("this box: at %s", b.path)
	}
}

// TestStolen: the page says what a thief can do before and after, and a box that is in
// reach, or gone already, may turn out to be stolen.
func TestStolen(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	body, _ := b.get("/circle/gone?box=Olive")
	has(t, body, "What happened to it?", "say so even while it is in reach", "Whoever has it can read what it kept", "They cannot get in elsewhere with it")
	body, _ = b.post("/circle/gone", "box", "Olive", "fate", "stolen", "confirm", "Oak Street", "password", "wrong")
	has(t, body, "do not belong together", `value="stolen" aria-describedby="h-fate" checked`)
	body, _ = b.post("/circle/gone", "box", "Olive", "fate", "stolen", "confirm", "Oak Street", "password", password)
	has(t, body, "Olive is shut out of the circle for good.", "Olive at Oak Street was marked as stolen on", `href="/me"`)
	w.admit(3, "Hill Farm", "Hilda", "cleo", "Cleo Hill")
	b.post("/circle/gone", "box", "Hilda", "fate", "burnt", "confirm", "Hill Farm", "password", password)
	if h, _ := w.Roster().Box(boxKey(3).BoxID()); h.Status != roster.StatusGone {
		t.Errorf("Hilda is %v", h.Status)
	}
	body, _ = b.get("/circle/gone?box=Hilda")
	has(t, body, "Was Hilda stolen?", "Hilda at Hill Farm is in the circle no more.", "Whoever has it can read what it kept")
	b.post("/circle/gone", "box", "Hilda", "confirm", "Hill Farm", "password", password)
	for _, n := range []int{2, 3} {
		if box, _ := w.Roster().Box(boxKey(n).BoxID()); box.Status != roster.StatusStolen {
			t.Errorf("%s is %v", box.Name, box.Status)
		}
	}
	if b.get("/circle/gone?box=Olive"); b.path != "/circle" {
		t.Errorf("of a stolen one, more can be said at %s", b.path)
	}
}

// TestAnInviteAtABoxThatIsTaken: it offers the new boxes on its network, and so does the
// page of whoever invites; nobody else's addresses are offered.
func TestAnInviteAtABoxThatIsTaken(t *testing.T) {
	w, b := ada(t)
	body, _ := w.browser().get("/p")
	has(t, body, "It belongs to Riverside, at Mill Lane.", "No new box is to be seen", "Look again")
	w.fresh = []netip.Addr{netip.MustParseAddr("192.168.1.41"), netip.MustParseAddr("203.0.113.9")}
	body, _ = w.browser().get("/p")
	has(t, body, `href="http://192.168.1.41/p" data-ticket`, "paste the line")
	if strings.Contains(body, "203.0.113.9") {
		t.Error("somebody far is offered")
	}
	body, _ = b.post("/invite/box")
	has(t, body, "Is it here already?", `href="http://192.168.1.41/p#`)
	if ticket := attr(t, body, `href="`, "http://192.168.1.41/p#"); len(ticket) < 60 {
		t.Errorf("%q has no invite", ticket)
	}
}
