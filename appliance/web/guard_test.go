package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/web/page"
	"redhen/provision/ident"
)

// TestHosts: a stranger's name that leads to our address gets nothing.
func TestHosts(t *testing.T) {
	w := newWorld(t)
	w.found()
	for host, want := range map[string]int{
		"192.168.1.20": 200, "192.168.1.20:8080": 200, "[fe80::1]:80": 200, "localhost": 200, "mill-lane.local": 200, "MILL-LANE.local.:80": 200,
		"evil.example": 421, "mill-lane.local.evil.example": 421, "": 421, "192.168.1.20.evil.example": 421,
	} {
		b := w.browser()
		b.host = host
		if res := b.do(httptest.NewRequest("GET", "/login", nil)); res.StatusCode != want {
			t.Errorf("%q: %d, want %d", host, res.StatusCode, want)
		}
	}
}

// TestForeignFormsDoNothing: a form on somebody else's page cannot act for a person.
func TestForeignFormsDoNothing(t *testing.T) {
	w := newWorld(t)
	w.found()
	b := w.loggedIn("ada")
	for _, origin := range []string{"", "null", "http://evil.example", "http://192.168.1.20.evil.example", "http://192.168.1.20:81", "%zz"} {
		r := httptest.NewRequest("POST", "/me/devices", strings.NewReader("device=laptop"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if res := b.do(r); res.StatusCode != http.StatusForbidden {
			t.Errorf("%q: %d", origin, res.StatusCode)
		}
	}
	if acc, err := w.Account("ada"); err != nil || len(acc.Devices) != 0 {
		t.Errorf("%d devices, %v", len(acc.Devices), err)
	}
}

func TestRedhenLocalOnlyLeadsOn(t *testing.T) {
	w := newWorld(t)
	w.found()
	b := w.browser()
	b.host = "redhen.local"
	res := b.do(httptest.NewRequest("GET", "/login?to=/me", nil))
	if got := res.Header.Get("Location"); got != "http://mill-lane.local/login?to=/me" {
		t.Errorf("leads to %q", got)
	}
	r := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"login": {"ada"}, "password": {password}}.Encode()))
	r.Header.Set("Origin", "http://redhen.local")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if res := b.do(r); len(res.Cookies()) != 0 {
		t.Error("redhen.local set a cookie")
	}
	if body, _ := b.get("/"); !strings.Contains(body, `href="http://mill-lane.local"`) || !strings.Contains(body, "Riverside") {
		t.Errorf("landing: %s", body)
	}
	w.admit(2, "Mill Lane Annexe", "Olive Tree", "ben", "Ben Carter")
	w.server.cfg.Near = func() []ident.BoxID { return []ident.BoxID{boxKey(2).BoxID(), "nobody"} }
	if body, _ := b.get("/"); !strings.Contains(body, `href="http://olive-tree.local/"`) {
		t.Errorf("the other box of the house is not listed: %s", body)
	}
	b.cookies = w.loggedIn("ada").cookies
	if body, _ := b.get("/"); strings.Contains(body, "Is everything safe?") {
		t.Error("a cookie counts at redhen.local")
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	h := w.browser().do(httptest.NewRequest("GET", "/", nil)).Header
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if !strings.Contains(h.Get(name), want) {
			t.Errorf("%s: %q", name, h.Get(name))
		}
	}
	if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
		t.Error("the policy allows what stands in pages")
	}
}

func TestStatic(t *testing.T) {
	w := newWorld(t)
	for _, name := range w.server.site.Assets() {
		res := w.browser().do(httptest.NewRequest("GET", name, nil))
		if res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
		}
	}
	if res := w.browser().do(httptest.NewRequest("GET", "/static/0/redhen.css", nil)); res.StatusCode != 404 {
		t.Errorf("an old address: %d", res.StatusCode)
	}
}

func TestLocalPath(t *testing.T) {
	for to, want := range map[string]string{
		"/files/ada": "/files/ada", "": "/", "http://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/", "/a\nb": "/", "files": "/",
	} {
		if got := page.LocalPath(to); got != want {
			t.Errorf("%q: %q, want %q", to, got, want)
		}
	}
}

func TestRule(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	rule := NewRule("hen-and-egg", 15*time.Minute, func() time.Time { return now })
	near, far := netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("203.0.113.7")
	if rule.NeedsCode(near) || rule.Check(near, "") != nil {
		t.Error("a neighbour needs the code in the first minutes")
	}
	if !rule.NeedsCode(far) || !rule.NeedsCode(netip.Addr{}) || rule.Check(far, "") != page.ErrCode {
		t.Error("a stranger needs none")
	}
	now = now.Add(16 * time.Minute)
	if !rule.NeedsCode(near) || rule.Check(near, "hen-and-egg") != nil {
		t.Error("later, the code opens")
	}
	for range 4 {
		if err := rule.Check(near, "guess"); err != page.ErrCode {
			t.Fatal(err)
		}
	}
	if err := rule.Check(near, "hen-and-egg"); err == nil {
		t.Error("after five wrong codes the next is taken at once")
	} else if slow, ok := err.(*account.SlowError); !ok || slow.Wait <= 0 {
		t.Errorf("not slowed: %v", err)
	}
	now = now.Add(time.Minute)
	if err := rule.Check(near, "hen-and-egg"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if err := NewRule("", 0, nil).Check(near, ""); err != page.ErrClosed {
		t.Errorf("a box without a code is claimed for ever: %v", err)
	}
}
