package dav

import (
	"strings"
	"testing"
	"time"
)

const lockBody = `<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>` +
	`<D:locktype><D:write/></D:locktype><D:owner><D:href>mailto:anna &amp; co</D:href></D:owner></D:lockinfo>`

// lock takes a lock and returns its token.
func (d *door) lock(path string, headers ...string) string {
	d.t.Helper()
	a := d.do("LOCK", path, lockBody, headers...)
	if a.status != 200 && a.status != 201 {
		d.t.Fatalf("LOCK %s: got %d %s", path, a.status, a.body)
	}
	return strings.Trim(a.head.Get("Lock-Token"), "<>")
}

func TestALockIsHonoured(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "one")
	token := d.lock("/a", "Timeout: Second-600")
	d.want(423, "PUT", "/a", "x")
	d.want(423, "DELETE", "/a", "")
	d.want(423, "MOVE", "/a", "", "Destination: "+d.url+"/b")
	d.want(423, "PROPPATCH", "/a", `<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="u">1</x></D:prop></D:set></D:propertyupdate>`)
	d.want(423, "LOCK", "/a", lockBody)
	d.want(201, "COPY", "/a", "", "Destination: "+d.url+"/copy")
	d.want(423, "COPY", "/copy", "", "Destination: "+d.url+"/a")
	d.want(204, "PUT", "/a", "two", "If: (<"+token+">)")
	d.want(412, "PUT", "/a", "x", "If: (<urn:uuid:0>)")
	d.want(204, "UNLOCK", "/a", "", "Lock-Token: <"+token+">")
	d.want(409, "UNLOCK", "/a", "", "Lock-Token: <"+token+">")
	d.want(400, "UNLOCK", "/a", "", "Lock-Token: "+token)
	d.want(204, "PUT", "/a", "three")
}

func TestALockOfADirectory(t *testing.T) {
	d := openDoor(t)
	d.want(201, "MKCOL", "/dir", "")
	d.want(201, "PUT", "/dir/f", "one")
	token := d.lock("/dir")
	d.want(423, "PUT", "/dir/f", "x")
	d.want(423, "PUT", "/dir/new", "x")
	d.want(423, "LOCK", "/dir/f", lockBody)
	d.want(201, "PUT", "/dir/new", "x", "If: <"+d.url+"/dir> (<"+token+">)")
	d.want(204, "UNLOCK", "/dir/f", "", "Lock-Token: <"+token+">")

	token = d.lock("/dir", "Depth: 0")
	d.want(204, "PUT", "/dir/f", "x")
	d.want(423, "PUT", "/dir/new2", "x")
	d.want(423, "DELETE", "/dir/f", "")
	d.want(204, "DELETE", "/dir/f", "", "If: <"+d.url+"/dir> (<"+token+">)")
	d.want(204, "UNLOCK", "/dir", "", "Lock-Token: <"+token+">")

	token = d.lock("/dir/new")
	d.want(423, "LOCK", "/dir", lockBody, "Depth: infinity")
	d.want(423, "DELETE", "/dir", "")
	d.want(204, "DELETE", "/dir", "", "If: <"+d.url+"/dir/new> (<"+token+">)")
}

func TestLockOfNothingMakesAnEmptyFile(t *testing.T) {
	d := openDoor(t)
	a := d.want(201, "LOCK", "/new", lockBody)
	d.wantBody("/new", "")
	if !strings.Contains(a.body, "mailto:anna &amp; co") || !strings.Contains(a.body, "<D:href>/dav/anna/new</D:href>") {
		t.Errorf("got %s", a.body)
	}
	d.want(409, "LOCK", "/none/new", lockBody)
}

func TestLockRefuses(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "x")
	d.want(400, "LOCK", "/a", "<nonsense/>")
	d.want(400, "LOCK", "/a", lockBody, "Depth: 1")
	d.want(400, "LOCK", "/a", lockBody, "Timeout: soon")
	d.want(501, "LOCK", "/a", strings.Replace(lockBody, "exclusive", "shared", 1))
	d.want(400, "LOCK", "/a", strings.Replace(lockBody, "anna", strings.Repeat("x", 600), 1))
	d.want(400, "LOCK", "/a", "")
	d.want(412, "LOCK", "/a", "", "If: (<urn:uuid:0>)")
	d.want(204, "PUT", "/a", "x")
}

func TestRefreshAndDiscovery(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "x")
	token := d.lock("/a", "Timeout: Second-60")
	a := d.want(200, "LOCK", "/a", "", "If: (<"+token+">)", "Timeout: Second-600")
	if !strings.Contains(a.body, "Second-600") || !strings.Contains(a.body, token) {
		t.Errorf("got %s", a.body)
	}
	a = d.want(207, "PROPFIND", "/a", `<D:propfind xmlns:D="DAV:"><D:prop><D:lockdiscovery/></D:prop></D:propfind>`, "Depth: 0")
	if !strings.Contains(a.body, token) {
		t.Errorf("got %s", a.body)
	}
}

func TestALockEndsByItself(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "x")
	d.lock("/a", "Timeout: Second-60")
	d.store.Advance(59 * time.Second)
	d.want(423, "PUT", "/a", "x")
	d.store.Advance(2 * time.Second)
	d.want(204, "PUT", "/a", "x")
}

// A lock is in the catalog: a box that restarts, or another box, knows it.
func TestALockOutlivesTheDoor(t *testing.T) {
	d := openDoor(t)
	d.want(201, "PUT", "/a", "x")
	token := d.lock("/a")
	again := serve(t, d.store, d.cfg)
	again.want(423, "PUT", "/a", "x")
	again.want(204, "PUT", "/a", "x", "If: (<"+token+">)")
	again.want(204, "UNLOCK", "/a", "", "Lock-Token: <"+token+">")
}

func TestLockTime(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"": time.Hour, "Infinite": time.Hour, "Second-600": 10 * time.Minute, "Second-4100000000": time.Hour,
		"Infinite, Second-10": time.Hour, "Second-0": time.Second,
	} {
		if got, err := lockTime(in); err != nil || got != want {
			t.Errorf("%q: got %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"soon", "Second-", "Second--1", "Second-99999999999"} {
		if got, err := lockTime(in); err == nil {
			t.Errorf("%q: got %v", in, got)
		}
	}
}
