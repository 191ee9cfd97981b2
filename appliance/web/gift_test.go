package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
	has(t, card, "A box for Quay Cottage", "present from Ada Brown", "It joins the Wi-Fi Quay by itself")
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
