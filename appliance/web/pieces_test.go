package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"redhen/appliance/space"
)

// send sends a piece as the script of the pages does.
func (b *browser) piece(method, path, body string) (a pieceAnswer, code int) {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Origin", "http://"+b.host)
	if body != "" {
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	res := b.do(r)
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		b.t.Fatalf("%s %s: %d, %v", method, path, res.StatusCode, err)
	}
	return a, res.StatusCode
}

// TestUploadInPieces: a large file arrives in pieces, goes on after a broken line, and
// the page says what became of it.
func TestUploadInPieces(t *testing.T) {
	_, b := ada(t)
	film := strings.Repeat("a film about hens ", 200_000)
	begin := fmt.Sprintf("/upload/ada/Hens.mp4?size=%d&modified=1790000000000", len(film))
	a, code := b.piece("POST", begin, "")
	if code != http.StatusOK || a.ID == "" || a.At != 0 {
		t.Fatalf("%d %+v", code, a)
	}
	if p, code := b.piece("PUT", "/uploads/"+a.ID+"?at=0", film[:1_000_000]); code != http.StatusOK || p.At != 1_000_000 || p.Done {
		t.Fatalf("%d %+v", code, p)
	}
	if p, code := b.piece("PUT", "/uploads/"+a.ID+"?at=5", "nonsense"); code != http.StatusConflict || p.At != 1_000_000 || !p.Again {
		t.Errorf("a piece from elsewhere: %d %+v", code, p)
	}
	if p, _ := b.piece("POST", begin, ""); p.ID != a.ID || p.At != 1_000_000 {
		t.Errorf("the page was loaded anew: %+v", p)
	}
	if p, _ := b.piece("GET", "/uploads/"+a.ID, ""); p.At != 1_000_000 {
		t.Errorf("%+v", p)
	}
	p, code := b.piece("PUT", "/uploads/"+a.ID+"?at=1000000", film[1_000_000:])
	if code != http.StatusOK || !p.Done || p.Kept != 2 {
		t.Fatalf("%d %+v", code, p)
	}
	body, _ := b.post("/files/ada?do=uploaded", "id", a.ID, "failed", "Dogs.mp4", "why", "There is no room left for this.")
	has(t, body, "“Hens.mp4” is here.", "Kept in 2 houses.", "Dogs.mp4: There is no room left for this.")
	if got := b.body(b.do(httptest.NewRequest("GET", "/get/ada/Hens.mp4", nil))); got != film {
		t.Errorf("%d bytes are not those that were sent", len(got))
	}
}

// TestPiecesAreRefused: nobody goes on with somebody else's upload, and what cannot
// be stored is said in words.
func TestPiecesAreRefused(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	a, _ := b.piece("POST", "/upload/ada/x.txt?size=5", "")
	ben := w.loggedIn("ben")
	if p, code := ben.piece("PUT", "/uploads/"+a.ID+"?at=0", "hello"); code != http.StatusNotFound || p.Why == "" {
		t.Errorf("somebody else's: %d %+v", code, p)
	}
	if _, code := ben.piece("POST", "/upload/ada/y.txt?size=5", ""); code != http.StatusNotFound {
		t.Errorf("into somebody else's files: %d", code)
	}
	for _, bad := range []string{"/upload/ada/x?size=-1", "/upload/ada/x?size=many", "/upload/ada/x"} {
		if _, code := b.piece("POST", bad, ""); code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, code)
		}
	}
	if p, code := b.piece("POST", "/uploads/"+a.ID+"/stop", ""); code != http.StatusOK {
		t.Errorf("stop: %d %+v", code, p)
	}
	w.store("ada").Fail(space.ErrFull)
	f, _ := b.piece("POST", "/upload/ada/large?size=10000000000", "")
	p, code := b.piece("PUT", "/uploads/"+f.ID+"?at=0", strings.Repeat("x", 1<<20))
	if code != http.StatusInsufficientStorage || !strings.Contains(p.Why, "no room left") || p.Again {
		t.Errorf("ten gigabytes into a full box: %d %+v", code, p)
	}
	r := httptest.NewRequest("PUT", "/uploads/"+a.ID+"?at=0", strings.NewReader("hello"))
	r.Header.Set("Origin", "http://evil.example")
	if res := b.do(r); res.StatusCode != http.StatusForbidden {
		t.Errorf("from another page: %d", res.StatusCode)
	}
}

// TestRunEndsUploads: no store is left running when the box stops.
func TestRunEndsUploads(t *testing.T) {
	w, b := ada(t)
	a, _ := b.piece("POST", "/upload/ada/x.txt?size=5", "")
	w.server.uploads.Close()
	if _, code := b.piece("GET", "/uploads/"+a.ID, ""); code != http.StatusNotFound {
		t.Errorf("%d", code)
	}
	if body, _ := b.get("/files/ada"); strings.Contains(body, "x.txt") {
		t.Error("half a file is seen")
	}
}

// slowBody is a body that never ends.
type slowBody struct{}

func (slowBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestABrokenPieceCanBeSentAgain(t *testing.T) {
	_, b := ada(t)
	a, _ := b.piece("POST", "/upload/ada/x.txt?size=5", "")
	r := httptest.NewRequest("PUT", "/uploads/"+a.ID+"?at=0", io.MultiReader(strings.NewReader("he"), slowBody{}))
	r.Header.Set("Origin", "http://"+b.host)
	r.Header.Set("Content-Type", "application/octet-stream")
	res := b.do(r)
	var got pieceAnswer
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || !got.Again || got.At != 2 {
		t.Fatalf("%d %+v, %v", res.StatusCode, got, err)
	}
	if p, _ := b.piece("PUT", "/uploads/"+a.ID+"?at=2", "llo"); !p.Done {
		t.Errorf("%+v", p)
	}
}
