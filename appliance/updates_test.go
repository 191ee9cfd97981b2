package appliance

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/status"
	"redhen/appliance/update"
	"redhen/board/boardtest"
	"redhen/images/bundle"
	"redhen/images/layout"
	"redhen/images/slot"
	"redhen/provision/pair"
)

// releaseKey signs the updates of these tests.
func releaseKey() ed25519.PrivateKey {
	sum := sha256.Sum256([]byte("releases"))
	return ed25519.NewKeyFromSeed(sum[:])
}

// newCard is a folder as the FAT of a card whose slot a works.
func newCard(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, layout.EntriesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	name, entry := slot.Entry(layout.A, "0.1", 1, "root=a")
	if err := os.WriteFile(filepath.Join(dir, layout.EntriesDir, name), entry, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "root"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runSlot runs a box from a slot of a card, as a release.
func runSlot(t *testing.T, dir, card string, s layout.Slot, number uint64, change ...func(*Config)) *box {
	t.Helper()
	cfg := config(dir)
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil)) // shown when the test fails
	cfg.Update = &update.Config{
		Loader: slot.NewUEFI(card, s), Running: layout.About{Board: layout.AMD64, Release: "0.1", Number: number, Level: 1},
		Keys: []ed25519.PublicKey{releaseKey().Public().(ed25519.PublicKey)}, Boot: card,
		Root: func(layout.Slot) string { return filepath.Join(card, "root") }, Every: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &box{a, end, make(chan error, 1)}
	go func() { b.ended <- a.Run(ctx) }() // ends with the test
	t.Cleanup(end)
	return b
}

// tryOnce does what the boot loader does when it starts slot b on trial.
func tryOnce(t *testing.T, card string) {
	t.Helper()
	dir := filepath.Join(card, layout.EntriesDir)
	if err := os.Rename(filepath.Join(dir, "redhen-b+3.conf"), filepath.Join(dir, "redhen-b+2-1.conf")); err != nil {
		t.Fatal(err)
	}
}

// release is the update file of a release.
func release(t *testing.T, number uint64) []byte {
	t.Helper()
	h := bundle.Header{Board: layout.AMD64, Release: "0.2", Number: number, Level: 1, Lines: bundle.Lines{UEFIA: "a", UEFIB: "b"}}
	for _, name := range []string{"boot/vmlinuz", "root"} {
		h.Files = append(h.Files, bundle.File{Name: name, Size: int64(len(name)), Sum: sha256.Sum256([]byte(name))})
	}
	var b bytes.Buffer
	err := bundle.Write(&b, h, releaseKey(), func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(name)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// restarts waits until a box ends for an update.
func (b *box) restarts(t *testing.T) {
	t.Helper()
	select {
	case err := <-b.ended:
		if !errors.Is(err, update.ErrRestart) {
			t.Fatalf("the box ended with %v, want ErrRestart", err)
		}
	case <-time.After(patience):
		t.Fatal("the box does not restart")
	}
}

// says waits until the diary has a line.
func (b *box) says(t *testing.T, want string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		lines, err := b.watch.Diary(nil, 10)
		for _, l := range lines {
			if err == nil && strings.Contains(l.What, want) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the diary does not say %q: %+v, %v", want, lines, err)
		}
		time.Sleep(20 * time.Millisecond) // a real box
	}
}

// The keeper of a box sends it an update; it restarts into the other slot, confirms
// that, and the diary says so.
func TestKeeperUpdatesTheBox(t *testing.T) {
	dir, card := t.TempDir(), newCard(t)
	b := runSlot(t, dir, card, layout.A, 10)
	b.found(t)
	bea := circle.Person{Login: "bea", Password: password}
	me, err := b.Circle().Account("anna")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Circle().AddAccount(t.Context(), me.ID, bea); err != nil {
		t.Fatal(err)
	}
	if status, _, text := b.do(t, "PUT", "/update", "", bytes.NewReader(release(t, 11))); status != 401 || !strings.Contains(text, "Nothing was changed") {
		t.Errorf("a stranger: %d %s", status, text)
	}
	if status, _, text := b.do(t, "PUT", "/update", password, strings.NewReader("a picture, and no update")); status != 422 {
		t.Errorf("no update: %d %s", status, text)
	}
	if status, _, text := b.do(t, "PUT", "/update", password, bytes.NewReader(release(t, 11))); status != 200 {
		t.Fatalf("the keeper: %d %s", status, text)
	}
	b.restarts(t)

	tryOnce(t, card)
	b = runSlot(t, dir, card, layout.B, 11)
	b.says(t, "Hen at Mill Lane was updated to release 0.2.")
	if trial, err := b.updater.OnTrial(); err != nil || trial {
		t.Errorf("the new slot is on trial %t, %v", trial, err)
	}
	b.stop(t)
}

// A box that is back on the old slot says so in the diary.
func TestFallingBackIsTold(t *testing.T) {
	dir, card := t.TempDir(), newCard(t)
	b := runSlot(t, dir, card, layout.A, 10)
	b.found(t)
	if status, _, text := b.do(t, "PUT", "/update", password, bytes.NewReader(release(t, 11))); status != 200 {
		t.Fatalf("update: %d %s", status, text)
	}
	b.restarts(t)
	b = runSlot(t, dir, card, layout.A, 10)
	b.says(t, "tried release 0.2, did not do well with it, and went back by itself")
	b.stop(t)
}

// A box that serves its pages and is in no circle is healthy; one that lost a friend
// who was in reach before the update is not.
func TestHealthAfterAnUpdate(t *testing.T) {
	b := runSlot(t, t.TempDir(), newCard(t), layout.A, 10)
	if err := b.healthy(t.Context()); err != nil {
		t.Errorf("a fresh box: %v", err)
	}
	b.found(t)
	deadline := time.Now().Add(patience)
	for err := b.healthy(t.Context()); err != nil; err = b.healthy(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatalf("a circle of one: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // a real box
	}
	if err := os.WriteFile(filepath.Join(b.cfg.Dir, updateFile), []byte(`{"release":"0.2","number":11,"links":["12D3KooWfriend"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.healthy(t.Context()); !errors.Is(err, errAlone) {
		t.Errorf("without its friend: %v, want errAlone", err)
	}
	b.stop(t)
}

// A keeper makes a gift at a box that runs from a card, from elsewhere in the house; what
// is no card is not written to, and no page of another site can ask for it.
func TestKeeperMakesGiftsByPassword(t *testing.T) {
	b := runSlot(t, t.TempDir(), newCard(t), layout.A, 10)
	b.found(t)
	order := func(onto string) io.Reader {
		return strings.NewReader(`{"house":"Oak Street","box":"oak","keeper":"ben","onto":"` + onto + `"}`)
	}
	if status, _, text := b.do(t, "GET", "/v1/cards", "", nil); status != 401 {
		t.Errorf("a stranger: %d %s", status, text)
	}
	if status, _, text := b.do(t, "GET", "/v1/cards", password, nil); status != 200 || !strings.HasPrefix(text, "[") {
		t.Errorf("cards: %d %s", status, text)
	}
	for onto, want := range map[string]string{"/dev/none": "Is the card in its reader?", "/perm/redhen/new.img": "is no card", "/dev/null": "neither a card nor a file"} {
		if status, _, text := b.do(t, "POST", "/v1/gifts", password, order(onto)); status != 400 || !strings.Contains(text, want) {
			t.Errorf("onto %s: %d %s", onto, status, text)
		}
	}
	if open := b.Circle().Desk().Tickets(); len(open) != 0 {
		t.Errorf("a gift that was not made left tickets: %+v", open)
	}
	if status, _, text := b.do(t, "POST", "/v1/gifts", password, order("")); status != 200 || !strings.Contains(text, "ticket = ") {
		t.Errorf("a gift: %d %s", status, text)
	}
	if status, _, text := b.do(t, "POST", "/v1/found", password, strings.NewReader("{}")); status == 200 || strings.Contains(text, "sentence") {
		t.Errorf("what is for this machine alone: %d %s", status, text)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+b.Addr()+"/v1/gifts", order(""))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("anna", password)
	req.Header.Set("Origin", "http://elsewhere.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another site: %s", resp.Status)
	}
	b.stop(t)
}

// joins brings a fresh box into the circle of another, in a house of its own.
func (b *box) joins(t *testing.T, inviter *box) {
	t.Helper()
	ticket, err := inviter.Circle().Invite(pair.Terms{TTL: time.Hour, Waived: true})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Circle().Join(t.Context(), ticket.Text(), circle.Place{House: "Oak Street", Box: "oak"}, circle.Person{Login: "ben", Password: password}, func(pair.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
}

// awaits waits for something of real boxes.
func awaits(t *testing.T, what string, wanted func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !wanted(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// A release that did well at the box whose keeper sent it goes on to a friend's box by
// itself: not before the canary's time is over, not where it is pinned, and never while
// another box is being updated.
func TestAReleaseGoesFromFriendToFriend(t *testing.T) {
	soon := func(c *Config) { c.Canary, c.LookForUpdates = 2*time.Second, 50*time.Millisecond }
	dir, card := t.TempDir(), newCard(t)
	hen := runSlot(t, dir, card, layout.A, 10, soon)
	hen.found(t)
	oakDir, oakCard := t.TempDir(), newCard(t)
	oak := runSlot(t, oakDir, oakCard, layout.A, 10, soon)
	oak.joins(t, hen)
	awaits(t, "the boxes are linked", func() bool { return len(hen.inReach()) == 1 && len(oak.inReach()) == 1 })
	// A box has another port after each restart here: it must know where the other one is.
	awaits(t, "the first knows where the friend is", func() bool { return len(hen.host.AddrsOf(oak.host.Self())) > 0 })

	if err := oak.circle.BeginUpdate(t.Context(), time.Now().Add(turnFor)); err != nil {
		t.Fatal(err)
	}
	awaits(t, "the first knows", func() bool { return errors.Is(hen.turn(t.Context(), true), circle.ErrAnotherUpdates) })
	if status, _, text := hen.do(t, "PUT", "/update", password, bytes.NewReader(release(t, 11))); status != 422 || !strings.Contains(text, "never are two at once") {
		t.Fatalf("while another is being updated: %d %s", status, text)
	}
	if err := oak.turn(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if status, _, text := hen.do(t, "PUT", "/update", password, bytes.NewReader(release(t, 11))); status != 200 {
		t.Fatalf("the keeper of the first: %d %s", status, text)
	}
	hen.restarts(t)
	tryOnce(t, card)
	hen = runSlot(t, dir, card, layout.B, 11, soon)
	awaits(t, "the first hands it on", func() bool { _, ok := hen.updater.Offer(); return ok })
	first, _ := hen.updater.Offer()
	oak.restarts(t)
	if age := time.Since(time.UnixMilli(first.Since)); age < 2*time.Second {
		t.Errorf("the friend took it after %v", age)
	}
	tryOnce(t, oakCard)
	oak = runSlot(t, oakDir, oakCard, layout.B, 11, soon)
	oak.says(t, "Oak at Oak Street was updated to release 0.2.")
	awaits(t, "the friend hands it on", func() bool { _, ok := oak.updater.Offer(); return ok })
	if second, _ := oak.updater.Offer(); second.Since != first.Since {
		t.Errorf("the friend counts from %d, the first from %d", second.Since, first.Since)
	}
	awaits(t, "the turn is given back", func() bool { w, err := oak.circle.BoxWishes(); return err == nil && w.Updating == 0 })
	hen.stop(t)
	oak.stop(t)
}

// A keeper pins and postpones, and has a release come from an address; what is there may be
// anything.
func TestKeeperDecidesAboutUpdates(t *testing.T) {
	b := runSlot(t, t.TempDir(), newCard(t), layout.A, 10)
	b.found(t)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			w.Write(release(t, 11))
		case "/picture":
			io.WriteString(w, "\x89PNG, and no update at all, for sure")
		default:
			http.NotFound(w, r)
		}
	}))
	defer at.Close()
	order := func(text string) (int, string) {
		status, _, said := b.do(t, "POST", "/v1/update", password, strings.NewReader(text))
		return status, said
	}
	for _, c := range []struct{ order, want string }{
		{`{"pin":true}`, `"pinned":true`}, {`{"pin":false,"hours":72}`, `"postponed":"20`}, {`{"hours":0}`, `"release":"0.1"`},
		{`{"hours":5000}`, "90 days at most"}, {`{"from":"` + at.URL + `/none"}`, "No update came from that address"},
		{`{"from":"file:///perm/redhen/box.key"}`, "No update came from that address"}, {`{"from":"` + at.URL + `/picture"}`, "no update file"},
	} {
		if status, said := order(c.order); status != 200 && status != 400 || !strings.Contains(said, c.want) {
			t.Errorf("%s: %d %s", c.order, status, said)
		}
	}
	if status, said := order(`{"from":"` + at.URL + `/good"}`); status != 200 {
		t.Errorf("good: %d %s", status, said)
	}
	b.restarts(t)
}

// What the start of the system found wrong with the card is on the page of a fresh box,
// and in the status of one that is in a circle.
func TestTroubleOfTheStartIsShown(t *testing.T) {
	const sentence = "Something was wrong with the file system of this box. What friends keep is not affected, and what is damaged here is fetched from them."
	cfg := config(t.TempDir())
	machine := boardtest.Tree("pi4")
	boardtest.Set(machine, layout.Trouble[1:], string(layout.FaultFile([]layout.Fault{{Code: layout.CardFaulty}})))
	cfg.Machine = machine
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &box{a, end, make(chan error, 1)}
	go func() { b.ended <- a.Run(ctx) }() // ends with the test
	t.Cleanup(end)
	if _, _, page := b.do(t, "GET", "/", "", nil); !strings.Contains(page, sentence) {
		t.Errorf("the first page does not say so: %s", page)
	}
	b.found(t)
	r, err := b.watch.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Faults, func(f status.Fault) bool { return strings.Contains(f.What, sentence) }) {
		t.Errorf("the status does not say so: %+v", r.Faults)
	}
	b.stop(t)
}

// A box without slots has no door for updates.
func TestNoSlotsNoDoor(t *testing.T) {
	b := runBox(t, t.TempDir())
	if status, _, text := b.do(t, "PUT", "/update", password, strings.NewReader("x")); status == 200 || strings.Contains(text, "installed") {
		t.Errorf("PUT /update: %d %s", status, text)
	}
}
