package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	onto "redhen/images/card"
	"redhen/images/flash"
	"redhen/provision/seed"
)

// TestAGift: a keeper makes a box for a friend; the settings hold the ticket, the card
// holds the code, and nobody else fetches them.
func TestAGift(t *testing.T) {
	w, b := two(t)
	body, code := b.post("/invite/gift", "invitee", "", "house", "Quay Cottage")
	if has(t, body, "Please write their name."); code != http.StatusUnprocessableEntity {
		t.Errorf("%d", code)
	}
	body, _ = b.post("/invite/gift", "invitee", "Dora", "house", "Oak Street")
	has(t, body, "That name is taken in this circle.")
	body, _ = b.post("/invite/gift", "invitee", "Dora", "house", "Quay Cottage", "wifi", "Quay", "wifi-password", "short")
	has(t, body, "That Wi-Fi cannot be put onto the card")
	if strings.Contains(body, `value="short"`) {
		t.Error("the Wi-Fi's password is sent back")
	}
	if len(w.desk.Tickets()) != 0 {
		t.Error("a ticket was made for a gift that was not")
	}
	body, _ = b.post("/invite/gift", "invitee", "Dora Finch", "house", "Quay Cottage", "wifi", "Quay", "wifi-password", "a long password", "country", "gb")
	has(t, body, "The box for Quay Cottage", "you say yes once", "Take the gift back")
	at := b.path
	get := func(b *browser, path string) *http.Response { return b.do(httptest.NewRequest("GET", path, nil)) }
	res := get(b, at+"/redhen.toml")
	settings := b.body(res)
	if res.Header.Get("Content-Disposition") != `attachment; filename="redhen.toml"` {
		t.Errorf("%v", res.Header)
	}
	has(t, settings, "Quay Cottage", "dora.finch", "a long password", "ticket")
	res = get(b, at+"/card")
	card := b.body(res)
	has(t, card, "A box for Quay Cottage", "present from Ada Brown", "It joins the Wi-Fi Quay by itself", "opens a Wi-Fi of its own, redhen-")
	ticket := w.desk.Tickets()[0]
	if strings.Contains(card, "a long password") || ticket.Gift != "Quay Cottage" || strings.Contains(card, settings[strings.Index(settings, "ticket"):][10:60]) {
		t.Errorf("the card says too much, or the ticket is another's: %+v", ticket)
	}
	if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "sandbox") {
		t.Errorf("%q", policy)
	}
	ben := w.loggedIn("ben")
	for _, path := range []string{at, at + "/redhen.toml", at + "/card"} {
		if res := get(ben, path); res.StatusCode != http.StatusSeeOther {
			t.Errorf("somebody else fetches %s: %d", path, res.StatusCode)
		}
	}
	body, _ = b.get("/invite/gift")
	has(t, body, "On their way", "Quay Cottage")
	body, _ = b.post("/invite/box/revoke", "ticket", ticket.ID)
	has(t, body, "The invite is taken back.")
	if body, _ = b.get("/invite/gift"); strings.Contains(body, "On their way") {
		t.Error("a gift that was taken back is on its way")
	}
}

// TestTheFileForImager: it comes back with the house in it; anything else is refused.
func TestTheFileForImager(t *testing.T) {
	_, b := two(t)
	b.post("/invite/gift", "invitee", "Dora", "house", "Quay Cottage")
	at := b.path
	img := seed.Image{Version: "1", URL: "https://example.org/redhen.img.xz", Size: 2, DownloadSize: 1, SHA256: [32]byte{1}, DownloadSHA256: [32]byte{2}, Released: time.Unix(0, 0)}
	manifest, err := seed.Manifest(img)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := b.upload(at+"/imager", "manifest", "redhen.rpi-imager-manifest", string(manifest))
	has(t, body, `"name": "redhen for Quay Cottage"`, "https://example.org/redhen.img.xz")
	for _, bad := range []string{"", "{}", `{"os_list":[{"url":"javascript:x"}]}`, strings.Repeat("x", 1<<20)} {
		if body, _ := b.upload(at+"/imager", "manifest", "x", bad); !strings.Contains(body, "That is not the file of a redhen release") && !strings.Contains(body, "Please choose a file first.") {
			t.Errorf("%.30q: %s", bad, body)
		}
	}
}

// oven writes cards, when it is let.
type oven struct {
	cards []flash.Target
	heat  chan error
	baked chan string
}

func (o *oven) Cards() []flash.Target { return o.cards }

func (o *oven) Look(path string, anyDisk bool) (flash.Target, error) {
	for _, c := range o.cards {
		if c.Path == path && (c.Sure || anyDisk) {
			return c, nil
		}
	}
	return flash.Target{}, &flash.Refusal{Sentence: "It is none."}
}

func (o *oven) Bake(ctx context.Context, to flash.Target, s seed.Seed) error {
	o.baked <- to.Path + " for " + s.House
	select {
	case err := <-o.heat:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestTheBoxWritesTheCard: only what looks like a card, only when that was said to be
// well, one at a time, and by the keeper of the box; what came of it is said in words.
func TestTheBoxWritesTheCard(t *testing.T) {
	o := &oven{heat: make(chan error), baked: make(chan string, 1), cards: []flash.Target{{Path: "/dev/sdb", Words: "card SD32G, 29.7 GiB", Sure: true}, {Path: "/dev/sda", Words: "disk"}}}
	w := newWorldWith(t, func(c *Config) { c.Care.Bakery = o })
	w.found()
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	w.running()
	b := w.loggedIn("ada")
	body, _ := b.post("/invite/gift", "invitee", "Dora", "house", "Quay Cottage")
	at := b.path
	has(t, body, "This box can write the card itself", "card SD32G, 29.7 GiB")
	if strings.Contains(body, "/dev/sda") {
		t.Error("the disk of the box is offered")
	}
	body, _ = b.post(at+"/bake", "onto", "/dev/sdb")
	has(t, body, "Please say first")
	body, _ = b.post(at+"/bake", "onto", "/dev/sda", "gone", "yes")
	has(t, body, "That card is not there any more")
	ben := w.loggedIn("ben")
	body, _ = ben.post(at+"/bake", "onto", "/dev/sdb", "gone", "yes")
	has(t, body, "This is somebody else’s box.")
	body, _ = b.post(at+"/bake", "onto", "/dev/sdb", "gone", "yes")
	has(t, body, "SD32G, 29.7 GiB is being written for Quay Cottage", "Look again")
	if got := <-o.baked; got != "/dev/sdb for Quay Cottage" {
		t.Errorf("bakes %s", got)
	}
	body, _ = b.post(at+"/bake", "onto", "/dev/sdb", "gone", "yes")
	has(t, body, "Another card is being written.")
	o.heat <- fmt.Errorf("verify: %w", onto.ErrDiffers)
	b.until(at, "worn out or a fake")
	b.post(at+"/bake", "onto", "/dev/sdb", "gone", "yes")
	<-o.baked
	o.heat <- nil
	b.until(at, "is written for Quay Cottage, with all settings")
}
