package account

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
)

func hens() Party {
	return Party{Name: "hens.dedyn.io", Circle: "Hens", Origins: []string{"https://hens.dedyn.io"}}
}

// What one box asked any other may judge, once, and for five minutes. (That a real browser's
// answer fits is shown by cmd/redhen/name.)
func TestWhatABoxAskedOfABrowser(t *testing.T) {
	w := newWorld(t)
	first, second := w.at(1).Passkeys(), w.at(2).Passkeys()
	ask := func() string {
		_, kept, err := first.Ask(hens())
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	kept := ask()
	if _, err := second.recall("login", kept); err != nil {
		t.Errorf("at another house: %v", err)
	}
	if _, err := second.recall("login", kept); !errors.Is(err, ErrPasskey) {
		t.Errorf("answered twice: %v", err)
	}
	kept = ask()
	for name, bad := range map[string]string{
		"nothing": "", "garbage": "%%", "long": strings.Repeat("a", maxChallenge+1), "cut": kept[:len(kept)-4],
		"changed": "A" + kept[1:], "short": "AAAA",
	} {
		if _, err := second.recall("login", bad); !errors.Is(err, ErrPasskey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := second.recall("register", kept); !errors.Is(err, ErrPasskey) {
		t.Errorf("asked for a log-in, used to register: %v", err)
	}
	stranger := &Passkeys{a: w.at(9), used: map[string]time.Time{}}
	forged, err := stranger.sign("login", &webauthn.SessionData{Challenge: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.recall("login", forged); !errors.Is(err, ErrPasskey) {
		t.Errorf("asked by a stranger: %v", err)
	}
	w.pass(passkeyWithin + time.Second)
	if _, err := second.recall("login", kept); !errors.Is(err, ErrPasskey) {
		t.Errorf("after five minutes: %v", err)
	}
	if len(second.used) > 1 {
		t.Errorf("%d challenges kept", len(second.used))
	}
}

func TestGarbageIsNoPasskey(t *testing.T) {
	w := newWorld(t)
	p := w.at(1).Passkeys()
	for _, answer := range []string{"", "{}", `{"id":"x","rawId":"x","type":"public-key","response":{}}`} {
		_, kept, err := p.Ask(hens())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Login(hens(), kept, []byte(answer)); !errors.Is(err, ErrPasskey) {
			t.Errorf("log in with %q: %v", answer, err)
		}
		_, kept, err = p.Register(hens(), w.keepers[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Registered(hens(), w.keepers[0].ID, kept, []byte(answer), "phone"); !errors.Is(err, ErrPasskey) {
			t.Errorf("register %q: %v", answer, err)
		}
	}
}
