package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/drill"
	"redhen/appliance/home"
	"redhen/images/bundle"
	"redhen/images/datadisk"
	"redhen/images/flash"
	"redhen/images/layout"
	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/scrub"
)

// careful stands for what drills, checks, updates and other boxes do.
type careful struct {
	w *world

	mu        sync.Mutex // guards what follows
	returns   []home.Return
	parted    *home.Parted
	picked    string // house, and key
	drilled   string
	hold      chan struct{} // a drill or a leave waits for it; nil: it does not
	strangers *bool
	updated   string
	postponed time.Time
	leaveErr  error
	disks     usbDisks
}

func (c *careful) Returns() []home.Return {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.returns
}

func (c *careful) Parted() *home.Parted { return c.parted }

func (c *careful) Keep(house string, key ident.Key) error {
	if c.parted == nil {
		return home.ErrNotParted
	}
	if house != c.parted.Here[0] && house != c.parted.There[0] {
		return home.ErrNoSide
	}
	c.picked = house + " by " + string(key.Public())
	return nil
}

func (c *careful) LetIn(_ context.Context, box ident.BoxID) error { return c.Refuse(box) }

func (c *careful) Refuse(box ident.BoxID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.returns) == 0 || c.returns[0].Box != box {
		return home.ErrNotWaiting
	}
	c.returns = nil
	return nil
}

func (c *careful) Run(ctx context.Context, house, keeper, password string, tell func(drill.Step)) (drill.Report, error) {
	if house == "Nowhere" {
		return drill.Report{}, drill.ErrNoHouse
	}
	tell(drill.Step{Stage: drill.StageSilent})
	tell(drill.Step{Stage: drill.StageProof, Proof: &drill.Proof{Box: "Mabel", Login: true, Read: true, Write: true, Kept: 1}})
	if c.hold != nil {
		<-c.hold
	}
	c.mu.Lock()
	c.drilled = house + " by " + keeper
	c.mu.Unlock()
	return drill.Report{House: house, Keeper: keeper, Silent: true, Back: true, Ended: time.Now().UnixMilli(),
		Proofs: []drill.Proof{{Box: "Mabel", Login: true, Read: true, Write: true, Kept: 1}}}, nil
}

func (c *careful) Last() (drill.Report, bool) { return drill.Report{}, false }

func (c *careful) SetConsent(ctx context.Context, consents bool) error {
	var owner ident.AccountID
	for _, b := range c.w.Roster().Members() {
		if b.ID == c.w.key.BoxID() {
			owner = b.Keeper
		}
	}
	return c.w.Wish(ctx, owner, func(s *directory.BoxSettings) { s.NoDrills = !consents })
}

func (c *careful) Scrub(_ context.Context, tell func(scrub.Status)) (scrub.Round, error) {
	tell(scrub.Status{Round: scrub.Round{Began: 1, Bytes: 50}, Total: 100})
	return scrub.Round{Began: 1, Ended: 2, Bytes: 100_000_000}, nil
}

func (c *careful) SetStrangers(on bool) error { c.strangers = &on; return nil }

func (c *careful) Postpone(until time.Time) error { c.postponed = until; return nil }

func (c *careful) Postponed() time.Time { return c.postponed }

func (c *careful) Running() layout.About { return layout.About{Release: "2026-11", Number: 4} }

func (c *careful) Install(_ context.Context, r io.Reader) (layout.About, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return layout.About{}, err
	}
	if !bytes.HasPrefix(b, []byte("signed ")) {
		return layout.About{}, bundle.ErrUnsigned
	}
	c.updated = string(b)
	return layout.About{Release: "2026-12"}, nil
}

// Retire implements Founder's leaving.
func (w *world) Retire(ctx context.Context, tell func(circle.Leaving)) error {
	tell(circle.Leaving{Waiting: 2, Spaces: 1})
	if w.care.hold != nil {
		select {
		case <-w.care.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return w.care.leaveErr
}

func (w *world) StayAfterAll(context.Context) error { return nil }

// running has what takes longer than a request be done until the test ends.
func (w *world) running() {
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		w.server.Run(ctx)
	}()
	w.t.Cleanup(func() { end(); <-done })
}

// until looks at a page again until it says something.
func (b *browser) until(path, want string) string {
	b.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if body, _ := b.get(path); strings.Contains(body, want) {
			return body
		}
		time.Sleep(5 * time.Millisecond)
	}
	body, _ := b.get(path)
	b.t.Fatalf("%s does not come to say %q: %s", path, want, body)
	return ""
}

// two is a circle of two houses, with ada logged in at the first.
func two(t *testing.T) (*world, *browser) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	return w, b
}

func TestAFireDrill(t *testing.T) {
	w, b := two(t)
	w.running()
	w.care.hold = make(chan struct{})
	body, _ := b.get("/circle/drill")
	has(t, body, "plays dead for a minute", "<option>Oak Street</option>", "Does Mabel take part?")
	if strings.Contains(body, "<option>Mill Lane</option>") {
		t.Error("a house plays dead by its own word")
	}
	body, code := b.post("/circle/drill", "house", "Oak Street")
	if has(t, body, "Please type a password."); code != http.StatusUnprocessableEntity {
		t.Errorf("%d", code)
	}
	b.post("/circle/drill", "house", "Oak Street", "password", password)
	body = b.until("/circle/drill", "kept in one house")
	has(t, body, "Oak Street is silent, and the others carry on", "log in, read and write, kept in one house", "Look again")
	b.post("/circle/drill", "house", "Nowhere", "password", password) // one at a time
	close(w.care.hold)
	body = b.until("/circle/drill", "It is back by itself.")
	if w.care.drilled != "Oak Street by ada" {
		t.Errorf("%q", w.care.drilled)
	}
	has(t, body, "Begin the drill")
	b.post("/circle/drill", "house", "Nowhere", "password", password)
	b.until("/circle/drill", "The circle has no house of that name.")
	body, _ = b.post("/circle/drill/consent", "part", "no")
	has(t, body, "Mabel takes no part in fire drills.", "Take part")
	body, _ = b.post("/circle/drill/consent", "part", "yes")
	has(t, body, "Mabel takes part in fire drills.", "Take no part")
}

func TestReadingEverythingAgain(t *testing.T) {
	w, b := two(t)
	w.running()
	b.post("/box/scrub")
	b.until("/box/care", "Read everything again that this box keeps, 100 MB. All is good.")
}

func TestStrangersSwitch(t *testing.T) {
	w, b := two(t)
	body, _ := b.post("/box/strangers", "may", "no")
	if has(t, body, "No strangers are asked any more."); w.care.strangers == nil || *w.care.strangers {
		t.Error("not switched off")
	}
	body, _ = b.post("/box/strangers", "may", "yes")
	if has(t, body, "Strangers may help the boxes"); !*w.care.strangers {
		t.Error("not switched on")
	}
}

func TestAnUpdateIsUploaded(t *testing.T) {
	w, b := two(t)
	body, code := b.upload("/box/update", "update", "x.update", "not signed")
	if has(t, body, "This update is not signed", "Nothing was changed", "release 2026-11"); code != http.StatusUnprocessableEntity {
		t.Errorf("%d", code)
	}
	body, _ = b.upload("/box/update", "update")
	has(t, body, "Please choose a file first.")
	body, _ = b.upload("/box/update", "update", "x.update", "signed system")
	if has(t, body, "Release 2026-12 is installed.", "The box restarts now."); w.care.updated != "signed system" {
		t.Errorf("%q", w.care.updated)
	}
}

// usbDisks are the disks at the box's ports.
type usbDisks struct {
	mu     sync.Mutex // guards what follows
	free   []datadisk.Target
	erased string
	fails  error
}

func (d *usbDisks) Targets() []datadisk.Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free
}

func (d *usbDisks) Choose(_ context.Context, device, typed string) (datadisk.Target, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails != nil {
		return datadisk.Target{}, d.fails
	}
	d.erased = device + " " + typed
	return d.free[0], nil
}

// TestADiskIsErasedOnlyByItsName: the box moves to a disk when somebody typed its name.
func TestADiskIsErasedOnlyByItsName(t *testing.T) {
	w, b := two(t)
	w.running()
	if body, _ := b.get("/box/care"); strings.Contains(body, "Keep it on a disk") {
		t.Error("a disk is offered that is not there")
	}
	d := &w.care.disks
	d.free = []datadisk.Target{{Device: "/dev/sda", Name: "Extreme 55AE", Words: "USB disk Extreme 55AE, 931.5 GiB"}}
	body, _ := b.get("/box/care")
	has(t, body, "Keep it on a disk", "USB disk Extreme 55AE, 931.5 GiB")
	for typed, want := range map[string]string{"": "Please type the name of the disk.", "yes": "No disk here is called so. Nothing was changed."} {
		body, _ := b.post("/box/disk", "disk-name", typed)
		has(t, body, want)
	}
	if body, _ := w.loggedIn("ben").post("/box/disk", "disk-name", "Extreme 55AE"); !strings.Contains(body, "This is somebody else’s box.") || d.erased != "" {
		t.Errorf("%q was erased\n%s", d.erased, body)
	}
	for err, want := range map[error]string{
		io.ErrUnexpectedEOF: "what this box keeps is on its card as before",
		&flash.Refusal{Code: string(datadisk.Small), About: []any{"disk", "USB disk Extreme"}, Sentence: "in English"}: "USB disk Extreme is too small for what this box keeps. Nothing was changed. Take a larger disk.",
	} {
		d.mu.Lock()
		d.fails = err
		d.mu.Unlock()
		b.post("/box/disk", "disk-name", "Extreme 55AE")
		b.until("/box/care", want)
	}
	d.mu.Lock()
	d.fails = nil
	d.mu.Unlock()
	b.post("/box/disk", "disk-name", "extreme 55ae")
	b.until("/box/care", "Leave its power on.")
	if d.erased != "/dev/sda extreme 55ae" {
		t.Errorf("%q was erased", d.erased)
	}
}

// TestWhenToUpdate: the keeper has the box wait, stay, or go with the others.
func TestWhenToUpdate(t *testing.T) {
	w, b := two(t)
	body, _ := b.get("/box/care")
	has(t, body, "it takes by itself", "Not this week", "Stay with this release")
	body, _ = b.post("/box/update/when", "when", "later")
	if has(t, body, "takes nothing newer for a week", "Take what the others have"); time.Until(w.care.postponed) < 6*24*time.Hour {
		t.Errorf("until %v", w.care.postponed)
	}
	b.post("/box/update/when", "when", "never")
	if wishes, err := w.BoxWishes(); err != nil || !wishes.Pinned || !w.care.postponed.IsZero() {
		t.Errorf("%+v, %v", wishes, err)
	}
	body, _ = w.loggedIn("ben").post("/box/update/when", "when", "now")
	has(t, body, "This is somebody else’s box.")
	b.post("/box/update/when", "when", "now")
	if wishes, err := w.BoxWishes(); err != nil || wishes.Pinned {
		t.Errorf("%+v, %v", wishes, err)
	}
}

// TestOthersDoNotLookAfterABox: what its keeper decides nobody else does.
func TestOthersDoNotLookAfterABox(t *testing.T) {
	w, _ := two(t)
	ben := w.loggedIn("ben")
	for _, path := range []string{"/box/scrub", "/box/strangers", "/box/update", "/box/retire", "/box/stay", "/circle/drill/consent"} {
		if body, _ := ben.post(path, "may", "no", "box-name", "Mabel"); !strings.Contains(body, "This is somebody else’s box.") {
			t.Errorf("%s: %s", path, body)
		}
	}
	if w.care.strangers != nil || w.care.updated != "" {
		t.Error("it was done all the same")
	}
	body, _ := ben.get("/circle/takeover")
	has(t, body, "This is somebody else’s box.")
	b := w.loggedIn("ada")
	page, _ := b.post("/invite/person", "person", "Clara")
	clara := w.browser()
	clara.post(pathIn(t, page, "/welcome/"), "person", "Clara", "login", "clara", "password", password)
	for _, path := range []string{"/circle/drill", "/invite/gift", "/circle/home", "/circle/gone?box=Olive"} {
		if body, _ := clara.get(path); !strings.Contains(body, "Ask somebody who keeps a box.") {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestABoxLeaves(t *testing.T) {
	w, b := two(t)
	w.running()
	w.care.hold = make(chan struct{})
	body, _ := b.post("/box/retire", "box-name", "Olive")
	has(t, body, "That is not “Mabel”.")
	b.post("/box/retire", "box-name", "Mabel")
	b.until("/box/retire", "2 changes are still to go.")
	body, _ = b.post("/box/stay")
	has(t, body, "Mabel stays in the circle.")
	b.until("/box/retire", "stopped on the way")
	w.care.leaveErr = circle.ErrHoldsAlone
	close(w.care.hold)
	b.post("/box/retire", "box-name", "Mabel")
	b.until("/box/retire", "This box holds changes that no other house has")
	w.care.leaveErr = nil
	b.post("/box/retire", "box-name", "Mabel")
	b.until("/box/retire", "It may be switched off.")
	if body, _ := w.browser().get("/box/retire"); !strings.Contains(body, "It has left the circle.") {
		t.Error("nobody is known any more, and nobody reads that it is done")
	}
}

// TestGivingAHouseUp: what is known and what may be lost is said, the name is typed.
func TestGivingAHouseUp(t *testing.T) {
	w, b := two(t)
	body, _ := b.get("/circle/takeover")
	has(t, body, "All houses are in reach.")
	w.away[boxKey(2).BoxID()] = true
	body, _ = b.get("/circle/takeover")
	has(t, body, "Oak Street has not been in reach since", "What was written at Oak Street alone since then is gone", "You sign as the keeper of the box at Mill Lane", `name="house1"`)
	for _, c := range []struct {
		typed, password, want string
	}{
		{"Oak Lane", password, "That is not “Oak Street”."},
		{"", password, "Type the name of a house that is lost for good."},
		{"Oak Street", "", "Please type a password."},
		{"Oak Street", "wrong horse", "do not belong together"},
		{" oak  street ", password, "Enough houses are left to decide together"}, // says the node of this test
	} {
		if body, code := b.post("/circle/takeover", "house1", c.typed, "password", c.password); code != http.StatusUnprocessableEntity || !strings.Contains(body, c.want) {
			t.Errorf("%+v: %d %s", c, code, body)
		}
	}
	w.node.takeOver = func(lost []ident.BoxID, sign func(directory.View) (roster.Change, error)) error {
		if len(lost) != 1 || lost[0] != boxKey(2).BoxID() {
			t.Errorf("gives up %v", lost)
		}
		return nil
	}
	body, _ = b.post("/circle/takeover", "house1", "Oak Street", "password", password)
	has(t, body, "The circle goes on without Oak Street.")
	w.node.takeOver = func([]ident.BoxID, func(directory.View) (roster.Change, error)) error { return raftnode.ErrNotLost }
	body, _ = b.post("/circle/takeover", "house1", "Oak Street", "password", password)
	has(t, body, "That house answers: it is not lost.")
}

func TestABoxComesHome(t *testing.T) {
	w, b := two(t)
	back := home.Return{Box: boxKey(3).BoxID(), Name: "Hilda", House: "Hill Farm"}
	w.care.returns = []home.Return{back}
	for _, path := range []string{"/", "/circle"} {
		body, _ := b.get(path)
		has(t, body, "Hilda is back, and asks to come home.", `href="/circle/home"`)
	}
	body, _ := b.get("/circle/home")
	has(t, body, "never in strange hands", "What only Hilda has comes along")
	body, _ = b.post("/circle/home", "which", string(back.Box), "say", "yes")
	has(t, body, "Hilda is home again.")
	body, _ = b.post("/circle/home", "which", string(back.Box), "say", "yes")
	has(t, body, "That box waits no more.")
	w.care.returns = []home.Return{back}
	body, _ = b.post("/circle/home", "which", string(back.Box), "say", "no")
	has(t, body, "Hilda stays outside for now.")
}

// TestTwoSides: whoever has a say picks the side that goes on, with their password; both
// sides are shown by their houses.
func TestTwoSides(t *testing.T) {
	w, b := two(t)
	body, _ := b.get("/circle/sides")
	has(t, body, "There is nothing to pick.")
	w.care.parted = &home.Parted{Since: time.Now().Add(-time.Hour), Here: []string{"Mill Lane", "Hill Farm"}, There: []string{"Oak Street"}}
	body, _ = b.get("/circle/sides")
	has(t, body, "the circle is in two", "Mill Lane, Hill Farm", "this side", `value="Oak Street"`)
	for _, c := range []struct{ house, password, want string }{
		{"", password, `id="e-house">Which side`},
		{"Oak Street", "", "Please type a password."},
		{"Oak Street", "wrong horse", "do not belong together"},
		{"Nowhere", password, "That house is on neither side."},
	} {
		body, code := b.post("/circle/sides", "house", c.house, "password", c.password)
		if code != http.StatusUnprocessableEntity || !strings.Contains(body, c.want) || w.care.picked != "" {
			t.Errorf("%+v: %d %s", c, code, body)
		}
	}
	acc, err := w.Account("ada")
	if err != nil {
		t.Fatal(err)
	}
	body, _ = b.post("/circle/sides", "house", "Oak Street", "password", password)
	if has(t, body, "The side of Oak Street goes on for both."); w.care.picked != "Oak Street by "+string(acc.KeeperKey) {
		t.Errorf("%q", w.care.picked)
	}
	w.care.parted.Picked = "Oak Street"
	body, _ = b.get("/circle/sides")
	has(t, body, "The side of Oak Street was picked.", "The other one after all?")
}

// TestSameHouse: a box on the same network that is said to stand elsewhere is asked
// about, until the keeper has answered.
func TestSameHouse(t *testing.T) {
	w, b := two(t)
	if body, _ := b.get("/box/care"); strings.Contains(body, "Same house?") {
		t.Error("a box that is far is asked about")
	}
	w.near = []ident.BoxID{boxKey(2).BoxID(), w.key.BoxID()}
	body, _ := b.get("/")
	has(t, body, "Olive is on the same network as this box, as if Oak Street and Mill Lane were one house.")
	body, _ = b.get("/box/care")
	has(t, body, "Same house?", "No, in another house", "have it leave the circle")
	body, _ = b.post("/box/elsewhere", "which", "somebody else")
	has(t, body, "Same house?")
	body, _ = b.post("/box/elsewhere", "which", string(boxKey(2).BoxID()))
	has(t, body, "Olive stands in another house, by your word.")
	for _, path := range []string{"/", "/box/care"} {
		if body, _ := b.get(path); strings.Contains(body, "Same house?") || strings.Contains(body, "on the same network") {
			t.Errorf("%s asks again", path)
		}
	}
}
