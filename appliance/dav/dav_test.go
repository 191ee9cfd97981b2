package dav

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"redhen/appliance/space"
	"redhen/appliance/space/spacetest"
	"redhen/provision/ident"
)

// fakeSpaces are spaces by name, the same for everybody.
type fakeSpaces map[string]*spacetest.Store

func (f fakeSpaces) Names(context.Context, ident.AccountID) ([]string, error) {
	var names []string
	for n := range f {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

func (f fakeSpaces) Space(_ context.Context, a ident.AccountID, name string) (*space.FS, error) {
	s, ok := f[name]
	if !ok {
		return nil, space.ErrNotFound
	}
	usage := func(context.Context) (space.Usage, error) {
		return space.Usage{Used: 1000, Available: 2000, Known: true}, nil
	}
	return space.New(space.Config{Store: s, Account: a, Usage: usage, Now: s.Now}), nil
}

// A door is a handler over one space, "anna", and a client of it.
type door struct {
	t     *testing.T
	store *spacetest.Store
	url   string // of the space, without a slash at the end
	cfg   Config
}

func openDoor(t *testing.T) *door {
	t.Helper()
	store := spacetest.New(t)
	cfg := Config{Auth: NewPasswords(fakeSecrets{}, testRealm, nil), Spaces: fakeSpaces{"anna": store, "family": spacetest.New(t)}, Now: store.Now}
	return serve(t, store, cfg)
}

func serve(t *testing.T, store *spacetest.Store, cfg Config) *door {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/dav/", New(cfg))
	mux.Handle("/dav", New(cfg))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return &door{t: t, store: store, url: s.URL + "/dav/anna", cfg: cfg}
}

// An answer is what came back.
type answer struct {
	status int
	head   http.Header
	body   string
}

// do sends a request; headers are "Name: value" lines.
func (d *door) do(method, path, body string, headers ...string) answer {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.SetBasicAuth(testName, testPassword)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// want sends a request and wants a status.
func (d *door) want(status int, method, path, body string, headers ...string) answer {
	d.t.Helper()
	a := d.do(method, path, body, headers...)
	if a.status != status {
		d.t.Errorf("%s %s %q: got %d %s, want %d", method, path, headers, a.status, a.body, status)
	}
	return a
}

func (d *door) wantBody(path, body string) {
	d.t.Helper()
	if a := d.want(200, "GET", path, ""); a.body != body {
		d.t.Errorf("GET %s: got %q, want %q", path, a.body, body)
	}
}

func TestPutAnswersWhatBecameOfIt(t *testing.T) {
	d := openDoor(t)
	d.store.Houses = 2
	first := d.want(201, "PUT", "/a.txt", "one")
	if first.head.Get("Redhen-Kept") != "2" || first.head.Get("ETag") == "" {
		t.Errorf("got headers %v", first.head)
	}
	d.store.Houses = 1
	second := d.want(204, "PUT", "/a.txt", "two")
	if second.head.Get("Redhen-Kept") != "1" || second.head.Get("ETag") == first.head.Get("ETag") {
		t.Errorf("got headers %v", second.head)
	}
	got := d.want(200, "GET", "/a.txt", "")
	if got.body != "two" || got.head.Get("ETag") != second.head.Get("ETag") {
		t.Errorf("got %q with %v", got.body, got.head)
	}
	if !strings.HasPrefix(got.head.Get("Content-Type"), "text/plain") {
		t.Errorf("got type %q", got.head.Get("Content-Type"))
	}
}

func TestPutInsistsOnHouses(t *testing.T) {
	d := openDoor(t)
	d.store.Houses = 1
	a := d.want(503, "PUT", "/a", "x", "Redhen-Insist: 2")
	if !strings.Contains(a.body, "second house") || a.head.Get("Retry-After") == "" {
		t.Errorf("got %q, %v", a.body, a.head)
	}
	d.want(404, "GET", "/a", "")
	d.store.Houses = 2
	d.want(201, "PUT", "/a", "x", "Redhen-Insist: 2")
	d.want(400, "PUT", "/a", "x", "Redhen-Insist: many")
}

func TestPutConditions(t *testing.T) {
	d := openDoor(t)
	d.want(412, "PUT", "/a", "x", "If-Match: *")
	tag := d.want(201, "PUT", "/a", "one", "If-None-Match: *").head.Get("ETag")
	d.want(412, "PUT", "/a", "x", "If-None-Match: *")
	d.want(412, "PUT", "/a", "x", "If-None-Match: "+tag)
	d.want(412, "PUT", "/a", "x", `If-Match: "nonsense"`)
	newer := d.want(204, "PUT", "/a", "two", "If-Match: "+tag).head.Get("ETag")
	d.want(412, "PUT", "/a", "x", "If-Match: "+tag)
	d.want(204, "PUT", "/a", "three", `If-Match: "other", `+newer)
	d.wantBody("/a", "three")
}

func TestPutRefuses(t *testing.T) {
	d := openDoor(t)
	d.want(201, "MKCOL", "/dir", "")
	d.want(409, "PUT", "/none/a", "x")
	d.want(405, "PUT", "/dir", "x")
	d.want(405, "PUT", "/dir/", "x")
	d.want(405, "PUT", "", "x")
	d.want(400, "PUT", "/a", "x", "Content-Range: bytes 0-0/2")
	d.want(400, "PUT", "/a%00b", "x")
	d.want(400, "PUT", "/a", "x", "X-OC-Mtime: yesterday")
	d.want(201, "PUT", "/file", "x")
	d.want(409, "PUT", "/file/a", "x")
}

func TestPutKeepsTheTimeOfTheClient(t *testing.T) {
	d := openDoor(t)
	a := d.want(201, "PUT", "/a", "x", "X-OC-Mtime: 1234567890.5")
	if a.head.Get("X-OC-Mtime") != "accepted" {
		t.Errorf("got %v", a.head)
	}
	if got := d.do("HEAD", "/a", "").head.Get("Last-Modified"); got != "Fri, 13 Feb 2009 23:31:30 GMT" {
		t.Errorf("got %s", got)
	}
}

func TestABrokenUploadChangesNothing(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "whole")
	w := d.handle("PUT", "/a", io.MultiReader(strings.NewReader("par"), brokenReader{}))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "in part") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	d.wantBody("/a", "whole")
}

// watchedBody gives size zero bytes, and calls at on the way.
type watchedBody struct {
	size int64
	at   func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if b.size == 0 {
		return 0, io.EOF
	}
	b.at()
	n := min(b.size, int64(len(p)))
	clear(p[:n])
	b.size -= n
	return int(n), nil
}

// handle lets the handler answer without a network between.
func (d *door) handle(method, path string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/dav/anna"+path, body)
	r.SetBasicAuth(testName, testPassword)
	w := httptest.NewRecorder()
	New(d.cfg).ServeHTTP(w, r)
	return w
}

func TestAnEditMeanwhileIsKeptBeside(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a.txt", "old")
	once := false
	w := d.handle("PUT", "/a.txt", &watchedBody{4, func() {
		if !once {
			once = true
			d.want(204, "PUT", "/a.txt", "theirs")
		}
	}})
	beside := w.Header().Get("Redhen-Beside")
	if w.Code != 204 || !strings.Contains(beside, "kept") || w.Header().Get("ETag") != "" {
		t.Errorf("got %d, %v", w.Code, w.Header())
	}
	d.wantBody("/a.txt", "theirs")
	d.wantBody(beside, "\x00\x00\x00\x00")
}

func TestAnUploadIsNeverWholeInMemory(t *testing.T) {
	d := openDoor(t)
	var most, reads uint64
	w := d.handle("PUT", "/big", &watchedBody{96 << 20, func() {
		if reads++; reads%64 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}})
	if w.Code != 201 || most == 0 || most > 32<<20 {
		t.Errorf("got %d, %d bytes of memory", w.Code, most)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRanges(t *testing.T) {
	d := openDoor(t)
	big := strings.Repeat("0123456789abcdef", 3<<16) // three chunks
	tag := d.want(201, "PUT", "/big", big).head.Get("ETag")
	a := d.want(206, "GET", "/big", "", "Range: bytes=1048570-1048585")
	if want := big[1048570:1048586]; a.body != want || a.head.Get("Content-Range") != "bytes 1048570-1048585/3145728" {
		t.Errorf("got %q, %v", a.body, a.head)
	}
	d.want(416, "GET", "/big", "", "Range: bytes=99999999-")
	d.want(304, "GET", "/big", "", "If-None-Match: "+tag)
	d.want(200, "GET", "/big", "", "Range: bytes=0-1", `If-Range: "other"`)
	if a := d.want(200, "HEAD", "/big", ""); a.head.Get("Content-Length") != "3145728" {
		t.Errorf("got %v", a.head)
	}
	d.wantBody("/big", big)
}

func TestAFileWhoseBytesAreNotInReach(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/big", strings.Repeat("x", 1<<20))
	d.store.LoseBytes()
	a := d.want(503, "GET", "/big", "")
	if !strings.Contains(a.body, "not in reach") || a.head.Get("ETag") != "" {
		t.Errorf("got %q, %v", a.body, a.head)
	}
	d.want(200, "HEAD", "/big", "")
}

func TestNothingIsShownWithoutAPassword(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "secret")
	for _, method := range []string{"GET", "PUT", "DELETE", "PROPFIND", "MOVE", "COPY", "LOCK", "UNLOCK", "MKCOL", "PROPPATCH", "POST"} {
		r := httptest.NewRequest(method, "/dav/anna/a", nil)
		w := httptest.NewRecorder()
		New(d.cfg).ServeHTTP(w, r)
		if w.Code != 401 || len(w.Result().Header.Values("WWW-Authenticate")) != 2 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: got %d %s", method, w.Code, w.Body)
		}
	}
}

func TestStoredPagesCannotActAsOurs(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/evil.html", "<script>alert(1)</script>")
	head := d.want(200, "GET", "/evil.html", "").head
	if head.Get("Content-Security-Policy") != "sandbox" || head.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %v", head)
	}
}

func TestOptions(t *testing.T) {
	d := openDoor(t)
	a := d.want(200, "OPTIONS", "/", "")
	if a.head.Get("DAV") != "1, 2" || !strings.Contains(a.head.Get("Allow"), "PROPFIND") {
		t.Errorf("got %v", a.head)
	}
	d.want(405, "POST", "/a", "x")
}

func TestMkcol(t *testing.T) {
	d := openDoor(t)
	d.want(201, "MKCOL", "/a", "")
	d.want(405, "MKCOL", "/a", "")
	d.want(409, "MKCOL", "/x/y", "")
	d.want(415, "MKCOL", "/b", "<xml/>")
	d.want(405, "GET", "/a", "")
}

func TestDelete(t *testing.T) {
	d := openDoor(t)
	d.want(201, "MKCOL", "/a", "")
	tag := d.want(201, "PUT", "/a/f", "x").head.Get("ETag")
	d.want(412, "DELETE", "/a/f", "", `If-Match: "other"`)
	d.want(204, "DELETE", "/a/f", "", "If-Match: "+tag)
	d.want(404, "DELETE", "/a/f", "")
	d.want(201, "PUT", "/a/g", "x")
	d.want(204, "DELETE", "/a/", "")
	d.want(404, "GET", "/a/g", "")
	d.want(405, "DELETE", "/", "")
}

func TestMove(t *testing.T) {
	d := openDoor(t)
	d.want(201, "MKCOL", "/a", "")
	d.want(201, "PUT", "/a/f", "one")
	d.want(201, "PUT", "/g", "two")
	d.want(201, "MOVE", "/a/f", "", "Destination: "+d.url+"/a/new%20name")
	d.wantBody("/a/new%20name", "one")
	d.want(404, "GET", "/a/f", "")
	d.want(412, "MOVE", "/g", "", "Destination: "+d.url+"/a/new%20name", "Overwrite: F")
	d.want(204, "MOVE", "/g", "", "Destination: "+d.url+"/a/new%20name")
	d.wantBody("/a/new%20name", "two")
	d.want(201, "MOVE", "/a", "", "Destination: /dav/anna/b")
	d.wantBody("/b/new%20name", "two")
	d.want(403, "MOVE", "/b", "", "Destination: "+d.url+"/b/c")
	d.want(403, "MOVE", "/b", "", "Destination: "+d.url+"/b")
	d.want(409, "MOVE", "/b", "", "Destination: "+d.url+"/none/c")
	d.want(404, "MOVE", "/none", "", "Destination: "+d.url+"/c")
	d.want(502, "MOVE", "/b", "", "Destination: http://elsewhere.example/dav/anna/c")
	d.want(502, "MOVE", "/b", "", "Destination: /dav/family/c")
	d.want(400, "MOVE", "/b", "")
}

func TestCopyCopiesNoBytes(t *testing.T) {
	d := openDoor(t)
	big := strings.Repeat("x", 2<<20)
	d.want(201, "MKCOL", "/a", "")
	d.want(201, "MKCOL", "/a/sub", "")
	d.want(201, "PUT", "/a/sub/big", big)
	d.want(201, "PUT", "/a/f", "one")
	uploads := d.store.Uploads()
	a := d.want(201, "COPY", "/a", "", "Destination: "+d.url+"/b")
	if a.head.Get("Redhen-Kept") != "1" {
		t.Errorf("got %v", a.head)
	}
	if n := d.store.Uploads() - uploads; n != 0 {
		t.Errorf("%d uploads", n)
	}
	d.wantBody("/b/sub/big", big)
	d.wantBody("/a/f", "one")
	d.want(201, "COPY", "/a", "", "Destination: "+d.url+"/shallow", "Depth: 0")
	d.want(404, "GET", "/shallow/f", "")
	d.want(412, "COPY", "/a/f", "", "Destination: "+d.url+"/b/f", "Overwrite: F")
	d.want(204, "COPY", "/a/sub/big", "", "Destination: "+d.url+"/b/f")
	d.wantBody("/b/f", big)
	d.want(204, "COPY", "/a/f", "", "Destination: "+d.url+"/b/sub")
	d.wantBody("/b/sub", "one")
	d.want(403, "COPY", "/a", "", "Destination: "+d.url+"/a/sub/a")
}
