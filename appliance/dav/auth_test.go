package dav

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
)

const (
	testRealm    = "redhen"
	testName     = "anna"
	testPassword = "correct horse"
	testAccount  = ident.AccountID("00000000000000aa")
)

// fakeSecrets knows one account.
type fakeSecrets struct{}

func (fakeSecrets) CheckPassword(_ context.Context, name, password string) (ident.AccountID, bool) {
	return testAccount, name == testName && password == testPassword
}

func (fakeSecrets) Digests(_ context.Context, name, realm string) (ident.AccountID, []string) {
	if name != testName {
		return "", nil
	}
	return testAccount, []string{md5hex(name + ":" + realm + ":an older device"), md5hex(name + ":" + realm + ":" + testPassword)}
}

// digestRequest returns a request signed as RFC 7616 says, and the header's fields.
func digestRequest(method, uri, nonce, password string) *http.Request {
	r := httptest.NewRequest(method, uri, nil)
	response := md5hex(strings.Join([]string{
		md5hex(testName + ":" + testRealm + ":" + password), nonce, "00000001", "c", "auth", md5hex(method + ":" + uri)}, ":"))
	r.Header.Set("Authorization", `Digest username="`+testName+`", realm="`+testRealm+`", nonce="`+nonce+`", uri="`+uri+
		`", cnonce="c", nc=00000001, qop=auth, algorithm=MD5, response="`+response+`"`)
	return r
}

func TestBasic(t *testing.T) {
	p := NewPasswords(fakeSecrets{}, testRealm, nil)
	for password, want := range map[string]bool{testPassword: true, "wrong": false, "": false} {
		r := httptest.NewRequest("GET", "/dav/", nil)
		r.SetBasicAuth(testName, password)
		head := http.Header{}
		id, ok := p.Authenticate(head, r)
		if ok != want || ok && id != testAccount {
			t.Errorf("%q: got %v, %v", password, id, ok)
		}
		if challenged := len(head.Values("WWW-Authenticate")) == 2; challenged == want {
			t.Errorf("%q: challenges %v", password, head)
		}
	}
}

func TestDigest(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	p := NewPasswords(fakeSecrets{}, testRealm, func() time.Time { return now })
	other := NewPasswords(fakeSecrets{}, testRealm, func() time.Time { return now })
	otherMethod := digestRequest("GET", "/dav/x", p.nonce(now), testPassword)
	otherMethod.Method = "DELETE"
	otherPath := digestRequest("GET", "/dav/x", p.nonce(now), testPassword)
	otherPath.URL.Path, otherPath.RequestURI = "/dav/y", "/dav/y"
	tests := map[string]struct {
		r         *http.Request
		ok, stale bool
	}{
		"right":            {digestRequest("PUT", "/dav/x?y=1", p.nonce(now), testPassword), true, false},
		"wrong password":   {digestRequest("PUT", "/dav/x", p.nonce(now), "wrong"), false, false},
		"old nonce":        {digestRequest("PUT", "/dav/x", p.nonce(now.Add(-time.Hour)), testPassword), false, true},
		"old and wrong":    {digestRequest("PUT", "/dav/x", p.nonce(now.Add(-time.Hour)), "wrong"), false, false},
		"before a restart": {digestRequest("PUT", "/dav/x", other.nonce(now), testPassword), false, true},
		"other method":     {otherMethod, false, false},
		"other path":       {otherPath, false, false},
		"nothing":          {httptest.NewRequest("GET", "/dav/x", nil), false, false},
	}
	for name, c := range tests {
		head := http.Header{}
		id, ok := p.Authenticate(head, c.r)
		stale := strings.Contains(head.Get("WWW-Authenticate"), "stale=true")
		if ok != c.ok || stale != c.stale || ok != (id == testAccount) {
			t.Errorf("%s: got %q, %v, stale %v", name, id, ok, stale)
		}
	}
}

// The values are those of RFC 7616 §3.9.1.
func TestDigestArithmeticIsThatOfTheRFC(t *testing.T) {
	ha1 := md5hex("Mufasa:http-auth@example.org:Circle of Life")
	ha2 := md5hex("GET:/dir/index.html")
	got := md5hex(ha1 + ":7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:" + ha2)
	if want := "8ca523f5e9506fed4657c9700eebdbec"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseParams(t *testing.T) {
	got := parseParams(` username="a \"b\"", uri = "/x,y" ,nc=0001,qop=auth`)
	want := map[string]string{"username": `a "b"`, "uri": "/x,y", "nc": "0001", "qop": "auth"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzParseParams(f *testing.F) {
	f.Add(`username="a", nc=1`)
	f.Fuzz(func(t *testing.T, s string) {
		if n := len(parseParams(s)); n > maxParams {
			t.Errorf("%d parameters", n)
		}
	})
}
