package passkey

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

type nobody struct{}

func (nobody) AddPasskey(context.Context, directory.AddPasskey) error       { return nil }
func (nobody) RemovePasskey(context.Context, ident.AccountID, []byte) error { return nil }
func (nobody) Account(string) (directory.Account, error)                    { return directory.Account{}, nil }
func (nobody) Verify(string) (account.Session, error)                       { return account.Session{}, account.ErrSession }

func (nobody) Bind(string, string) (string, account.Session, error) {
	return "", account.Session{}, account.ErrSession
}

// Only at the public name, encrypted, and from its own pages.
func TestWhoMayCome(t *testing.T) {
	h, err := New(Config{Circle: nobody{}, Sessions: nobody{}, Logger: slog.New(slog.DiscardHandler), Party: func() (account.Party, bool) {
		return account.Party{Name: "hens.test", Circle: "Hens", Origins: []string{"https://hens.test", "https://oak.hens.test"}}, true
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		method, url, origin string
		clear               bool
		want                int
	}{
		"the page":         {"GET", "https://hens.test/passkey", "", false, 200},
		"a house's name":   {"GET", "https://oak.hens.test/passkey", "", false, 200},
		"another name":     {"GET", "https://foxes.test/passkey", "", false, 404},
		"in clear":         {"GET", "http://hens.test/passkey", "", true, 404},
		"from elsewhere":   {"POST", "https://hens.test/passkey/login", "https://foxes.test", false, 403},
		"from nowhere":     {"POST", "https://hens.test/passkey/login", "", false, 403},
		"nothing asked":    {"POST", "https://hens.test/passkey/login", "https://hens.test", false, 403},
		"nobody registers": {"POST", "https://hens.test/passkey/register", "https://hens.test", false, 403},
		"nobody removes":   {"POST", "https://hens.test/passkey/remove", "https://hens.test", false, 403},
	} {
		r := httptest.NewRequest(tc.method, tc.url, strings.NewReader(""))
		if !tc.clear {
			r.TLS = &tls.ConnectionState{}
		}
		if tc.origin != "" {
			r.Header.Set("Origin", tc.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, tc.want, w.Body)
		}
		if body := w.Body.String(); strings.Contains(body, "passkey.") && !strings.Contains(body, "/passkey") || w.Code == 200 && !strings.Contains(body, ">Log in with a passkey<") {
			t.Errorf("%s: %s", name, body)
		}
		if w.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("%s: no policy", name)
		}
	}
}

func TestNobodyIsLedAway(t *testing.T) {
	for to, want := range map[string]string{"/files?x=1": "/files?x=1", "": "/", "//foxes.test": "/", "https://foxes.test": "/", "/\\foxes": "/", "files": "/"} {
		if got := localPath(to); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
}
