package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// liveOnce returns the first piece that a live address sends.
func (b *browser) liveOnce(path string) string {
	ctx, end := context.WithCancel(b.t.Context())
	answer := flushed{httptest.NewRecorder(), end}
	r := httptest.NewRequest("GET", path, nil).WithContext(ctx)
	r.Host = b.host
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: b.cookies[sessionCookie]})
	b.w.server.ServeHTTP(answer, r) // ends when the browser leaves, after the first piece
	return answer.Body.String()
}

// TestHousesAreCountedUp: while copies are made, the line under the title and the
// drawing of a file say in how many houses everything is already.
func TestHousesAreCountedUp(t *testing.T) {
	w, b := ada(t)
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	b.upload("/files/ada?do=upload", "files", "hens.txt", "red hens")
	w.away[boxKey(2).BoxID()] = true
	has(t, b.liveOnce("/live/kept/ada"), "data: ", "Everything here is in 1 of 2 houses so far: Mill Lane.")
	has(t, b.liveOnce("/live/where/ada/hens.txt"), "is not in reach", `class="egg"`)
	clear(w.away)
	has(t, b.liveOnce("/live/kept/ada"), "Everything here is in 2 houses")
	if body := b.liveOnce("/live/kept/ben"); len(body) == 0 || w.server.site.Live() != 0 {
		t.Errorf("somebody else’s: %q", body)
	}
}

// BenchmarkHome is what a box needs for the first page, and how much a browser loads for
// it: the page, its looks and its script.
func BenchmarkHome(b *testing.B) {
	w := newWorld(b)
	w.found()
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	person := w.loggedIn("ada")
	size := 0
	for b.Loop() {
		body, _ := person.get("/")
		size = len(body)
	}
	for _, path := range w.server.site.Assets() {
		body, _ := person.get(path)
		size += len(body)
	}
	b.ReportMetric(float64(size), "bytes")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms")
}
