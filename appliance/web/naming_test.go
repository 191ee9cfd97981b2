package web

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/domain"
)

// named keeps a public name, which its provider gives for the token "right".
type named struct {
	set *domain.Settings
	off bool // no visitors are served
}

func (n *named) Name() (api.Name, error) {
	if n.set == nil {
		return api.Name{}, nil
	}
	return api.Name{Domain: n.set.Domain, Provider: n.set.Provider, Names: []string{n.set.Domain, "mill-lane." + n.set.Domain},
		Ends: time.Date(2027, 1, 30, 0, 0, 0, 0, time.UTC), Serves: !n.off, Door: true}, nil
}

func (n *named) SetName(_ context.Context, s domain.Settings) error {
	if s.Provider == domain.DeSEC && s.Token != "right" {
		return &domain.SettingError{}
	}
	n.set = &s
	return nil
}

func (n *named) RemoveName(context.Context) error { n.set = nil; return nil }

func (n *named) ServeVisitors(on bool) error { n.off = !on; return nil }

func TestTheCircleGetsAName(t *testing.T) {
	w, b := two(t)
	body, _ := b.get("/circle")
	has(t, body, `href="/circle/name"`, "A name in the world")
	body, _ = b.get("/circle/name")
	has(t, body, "opens from everywhere", "A free name", "By hand")
	body, _ = b.get("/circle/name?way=desec")
	has(t, body, "Token management", `type="password" value=""`)
	for _, c := range []struct{ token, password, want string }{
		{"", password, "Please paste the token."},
		{"right", "", "Please type a password."},
		{"right", "wrong horse", "do not belong together"},
		{"wrong", password, "domain."},
	} {
		body, code := b.post("/circle/name", "way", "desec", "domain", "hens.dedyn.io", "token", c.token, "password", c.password)
		if code != http.StatusUnprocessableEntity || !strings.Contains(body, c.want) || w.named.set != nil {
			t.Errorf("%+v: %d %s", c, code, body)
		}
		if strings.Contains(body, `value="right"`) {
			t.Error("the token is shown again")
		}
	}
	body, _ = b.post("/circle/name", "way", "desec", "domain", "hens.dedyn.io", "token", "right", "password", password)
	has(t, body, "The circle is called hens.dedyn.io now.", `href="https://mill-lane.hens.dedyn.io/"`, "holds until 30 January 2027", "Mabel serves visitors.")
	if got := *w.named.set; got.Token != "right" || got.Provider != domain.DeSEC {
		t.Errorf("%+v", got)
	}
	body, _ = b.get("/circle")
	has(t, body, "<strong>hens.dedyn.io</strong>")
	body, _ = b.get("/me")
	has(t, body, `href="https://hens.dedyn.io/passkey"`)
	body, _ = b.post("/circle/name/visitors", "serve", "no")
	if has(t, body, "Mabel serves no visitors any more."); !w.named.off {
		t.Error("it serves visitors")
	}
	body, _ = b.post("/circle/name", "way", "rfc2136", "domain", "hens.example.org", "server", "ns.example.org", "key-name", "k", "key", "a2V5", "zone", "example.org", "token", "x", "password", password)
	if has(t, body, "The circle is called hens.example.org now."); !reflect.DeepEqual(*w.named.set, domain.Settings{
		Domain: "hens.example.org", Provider: "rfc2136", Server: "ns.example.org", KeyName: "k", Key: "a2V5", Zone: "example.org"}) {
		t.Errorf("%+v", *w.named.set)
	}
	body, _ = b.post("/circle/name/forget", "password", "wrong horse")
	if has(t, body, "do not belong together"); w.named.set == nil {
		t.Error("forgotten without the password")
	}
	body, _ = b.post("/circle/name/forget", "password", password)
	if has(t, body, "no name in the world any more"); w.named.set != nil {
		t.Error("not forgotten")
	}
}

// TestTheNameIsForKeepers: whoever has no box sets no name, and whether a box serves
// visitors only its keeper says.
func TestTheNameIsForKeepers(t *testing.T) {
	w, b := two(t)
	page, _ := b.post("/invite/person", "person", "Clara")
	clara := w.browser()
	clara.post(pathIn(t, page, "/welcome/"), "person", "Clara", "login", "clara", "password", password)
	for _, path := range []string{"/circle/name", "/circle/name/forget"} {
		body, _ := clara.post(path, "way", "none", "domain", "hens.example.org", "password", password)
		if has(t, body, "Ask somebody who keeps a box."); w.named.set != nil {
			t.Error("she set it")
		}
	}
	body, _ := w.loggedIn("ben").post("/circle/name/visitors", "serve", "no")
	if has(t, body, "This is somebody else’s box."); w.named.off {
		t.Error("he switched it off")
	}
}

// TestPasskeysAreOfferedAtTheName: at home, unencrypted, no browser has them.
func TestPasskeysAreOfferedAtTheName(t *testing.T) {
	w, _ := two(t)
	w.named.set = &domain.Settings{Domain: "hens.dedyn.io"}
	for _, encrypted := range []bool{false, true} {
		r := httptest.NewRequest("GET", "/login", nil)
		r.Host = "mill-lane.local"
		if encrypted {
			r.TLS = &tls.ConnectionState{}
		}
		answer := httptest.NewRecorder()
		w.server.ServeHTTP(answer, r)
		if got := strings.Contains(answer.Body.String(), `href="/passkey"`); got != encrypted {
			t.Errorf("encrypted %v: offered %v", encrypted, got)
		}
	}
}
