package web

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/firstboot"
	"redhen/appliance/web/page"
	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/seed"
	"redhen/raftnode/directory"
)

// card is a Start of the test.
type card struct {
	state    firstboot.State
	received bool
	password string
}

func (c *card) State() firstboot.State   { return c.state }
func (c *card) Changed() <-chan struct{} { return nil }
func (c *card) Received()                { c.received = true }
func (c *card) Keeper() (string, error)  { return "ada", nil }
func (c *card) Reset(_ context.Context, password string) error {
	c.password, c.state.Doing = password, firstboot.Nothing
	return nil
}

// withCard is a box that was started from a card.
func withCard(t *testing.T, state firstboot.State) (*world, *card) {
	t.Helper()
	w, c := newWorld(t), &card{state: state}
	w.server.cfg.Start = c
	w.server.cfg.Proof = NewRule("", 0, nil).Or(func(code string) bool { return code == "ABCD-2345" })
	return w, c
}

func TestAFreshBoxSaysWhatItsCardHasItDo(t *testing.T) {
	w, c := withCard(t, firstboot.State{
		Doing: firstboot.Waiting, Sentence: "The box has found oak.", Words: []pair.Word{{Picture: "x", Text: "bicycle"}},
		Problems: []firstboot.Problem{{Found: seed.Problem{File: "redhen.toml", Line: 3, Code: seed.BadKind, Field: "<b>this</b>"}}},
		Names:    firstboot.Names{Circle: "Hens", House: "Mill Lane", Box: "mill", Keeper: "ada"},
	})
	b := w.browser()
	body, _ := b.get("/")
	has(t, body, "set up by its card", "The box has found oak.", "bicycle", "redhen.toml, line 3: &lt;b&gt;this&lt;/b&gt;: this has the wrong kind of value", "Begin a circle of my own", "Look again")
	body, _ = b.get("/claim")
	has(t, body, `value="Hens"`, `value="Mill Lane"`, `value="ada"`)
	body, _ = b.get("/p")
	has(t, body, `value="Mill Lane"`, `value="mill"`)
	c.state = firstboot.State{}
	body, _ = b.get("/")
	has(t, body, "belongs to nobody yet")
	if strings.Contains(body, "refresh") {
		t.Error("looks again though nothing happens")
	}
	for _, path := range []string{"/reset", "/receive"} {
		if body, _ = b.get(path); strings.Contains(body, "Code of the box") {
			t.Errorf("%s asks for a code", path)
		}
	}
}

// asGift makes the box a gift of zoe's, at Oak Street.
func (w *world) asGift() {
	w.t.Helper()
	giver := boxKey(2)
	hasher := account.NewHasher(account.Cost{Passes: 1, Memory: 64})
	zoe, err := hasher.NewKeeperAccount(context.Background(), "zoe", "Zoe", password)
	if err != nil {
		w.t.Fatal(err)
	}
	found := roster.NewFound(roster.FoundBody{
		CircleName: "Riverside", Box: giver.BoxID(), BoxName: "oak", House: ident.NewHouseID(), HouseName: "Oak Street",
		Keeper: zoe.ID, KeeperKey: zoe.KeeperKey, Time: 1, Nonce: roster.NewNonce(),
	}, giver)
	r, err := roster.Replay([]roster.Change{found})
	if err != nil {
		w.t.Fatal(err)
	}
	admit := roster.NewAdmit(roster.AdmitBody{
		Circle: r.Circle(), Inviter: giver.BoxID(), Box: w.key.BoxID(), BoxName: "Mabel", House: ident.NewHouseID(), HouseName: "Mill Lane",
		Keeper: zoe.ID, KeeperKey: zoe.KeeperKey, Time: 2, Gift: true,
	}, giver, w.key)
	for i, c := range []directory.Command{{Found: &directory.Found{Change: found, Account: zoe}}, {Admit: &directory.Admit{Change: admit}}} {
		c.ID, c.By, c.Time = [16]byte{byte(i + 1)}, giver.BoxID(), int64(i+1)
		w.node.index++
		if out, err := w.node.machine.Apply(w.node.state, w.node.index, c); err != nil || out.Code != directory.Done {
			w.t.Fatalf("%q, %v", out.Code, err)
		}
	}
}

func TestAGiftIsTakenWithItsCode(t *testing.T) {
	w, c := withCard(t, firstboot.State{Names: firstboot.Names{Keeper: "gil"}})
	w.asGift()
	b := w.browser()
	body, _ := b.get("/")
	has(t, body, "This box is yours now.", "It stands at Mill Lane and belongs to the circle Riverside.", `value="gil"`)
	body, code := b.post("/receive", "code", "ABCD-2346", "person", "Gil", "login", "gil", "password", password)
	has(t, body, "That is not the code of this box.")
	if code != http.StatusUnprocessableEntity || c.received || !w.Unreceived() {
		t.Errorf("taken without the code: %d", code)
	}
	body, _ = b.post("/receive", "code", "ABCD-2345", "person", "Gil", "login", "gil", "password", "short")
	has(t, body, "easy to guess")
	body, _ = b.post("/receive", "code", "ABCD-2345", "person", "Zoe", "login", "zoe", "password", "not hers at all")
	has(t, body, "do not belong together")
	body, code = b.post("/receive", "code", "ABCD-2345", "person", "Gil Smith", "login", "gil", "password", password)
	if code != http.StatusOK || !c.received || w.Unreceived() {
		t.Fatalf("%d: %s", code, body)
	}
	has(t, body, "You log in as “gil”.")
	me, _ := w.Roster().Box(w.key.BoxID())
	if gil, err := w.Account("gil"); err != nil || me.Keeper != gil.ID || gil.InvitedBy == "" {
		t.Errorf("kept by %v, %v", me.Keeper, err)
	}
	body, _ = w.browser().get("/receive")
	has(t, body, "This box is taken.")
	body, _ = w.browser().post("/receive", "code", "ABCD-2345", "person", "Eve", "login", "eve", "password", password)
	has(t, body, "This box is taken.")
}

// The code of a gift is guessed as slowly as any other.
func TestGuessingTheCodeOfAGift(t *testing.T) {
	w, _ := withCard(t, firstboot.State{})
	w.asGift()
	b := w.browser()
	var body string
	for range 7 {
		body, _ = b.post("/receive", "code", "AAAA-AAAA", "person", "Gil", "login", "gil", "password", password)
	}
	has(t, body, "That was tried too often.")
}

func TestAForgottenPasswordIsSetWithTheCode(t *testing.T) {
	w, c := withCard(t, firstboot.State{Doing: firstboot.AskReset, Sentence: "The card asks for a new password."})
	w.found()
	b := w.browser()
	body, _ := b.get("/login")
	has(t, body, `href="/reset"`)
	body, _ = b.get("/reset")
	has(t, body, "A new password", "for ada")
	body, _ = b.post("/reset", "code", "nonsense", "new-password", "five white hens")
	has(t, body, "That is not the code of this box.")
	body, _ = b.post("/reset", "code", "ABCD-2345", "new-password", "short")
	has(t, body, "easy to guess")
	if c.password != "" {
		t.Fatalf("set to %q", c.password)
	}
	b.post("/reset", "code", "ABCD-2345", "new-password", "five white hens")
	if c.password != "five white hens" || b.path != "/login" {
		t.Errorf("set to %q, at %s", c.password, b.path)
	}
	body, _ = b.post("/reset", "code", "ABCD-2345", "new-password", "six black hens")
	if c.password != "five white hens" {
		t.Errorf("set again: %s", body)
	}
}

func TestTheCodeOfACardClaimsTheBox(t *testing.T) {
	now := time.Now()
	r := NewRule("12345678", 0, func() time.Time { return now }).Or(func(code string) bool { return code == "card" })
	near := netip.MustParseAddr("192.168.1.5")
	for code, want := range map[string]error{"12345678": nil, "card": nil, "": page.ErrCode, "other": page.ErrCode} {
		if err := r.Check(near, code); err != want {
			t.Errorf("%q: %v, want %v", code, err, want)
		}
	}
	if err := NewRule("", 0, nil).Check(near, ""); err != page.ErrClosed {
		t.Errorf("without any code: %v", err)
	}
}
