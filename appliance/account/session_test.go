package account

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
)

func (w *world) session(box int, name string) string {
	w.t.Helper()
	token, _, err := w.at(box).Issue(w.account(name).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func TestAnyBoxVerifiesASession(t *testing.T) {
	w := newWorld(t)
	token := w.session(2, "hen1")
	for box := 1; box <= 3; box++ {
		s, err := w.at(box).Verify(token)
		if err != nil || s.Account != w.keepers[0].ID || s.Box != boxKey(2).BoxID() || s.Renew {
			t.Errorf("box %d: got %+v, %v", box, s, err)
		}
	}
}

func TestSessionsEndAndAreRenewed(t *testing.T) {
	w := newWorld(t)
	a, token := w.at(1), w.session(2, "hen1")
	w.pass(renewAfter + time.Second)
	s, err := a.Verify(token)
	if err != nil || !s.Renew {
		t.Fatalf("after a week: got %+v, %v", s, err)
	}
	fresh, s, err := a.Renew(token)
	if err != nil || s.Renew || s.Box != boxKey(1).BoxID() || !s.Expires.Equal(w.clock().Add(SessionLife)) {
		t.Fatalf("renewed: got %+v, %v", s, err)
	}
	w.pass(SessionLife - renewAfter - 2*time.Second)
	if _, err := a.Verify(token); err != nil {
		t.Errorf("a second before the end: %v", err)
	}
	w.pass(time.Second)
	if _, err := a.Verify(token); !errors.Is(err, ErrSession) {
		t.Errorf("at the end: got %v, want ErrSession", err)
	}
	if _, _, err := a.Renew(token); !errors.Is(err, ErrSession) {
		t.Errorf("renew at the end: got %v, want ErrSession", err)
	}
	if _, err := a.Verify(fresh); err != nil {
		t.Errorf("the fresh one: %v", err)
	}
}

func TestAnEpochEndsAllOlderSessions(t *testing.T) {
	w := newWorld(t)
	mine, others := w.session(1, "hen1"), w.session(1, "hen2")
	put, err := w.at(3).EndSessions(w.keepers[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	w.do(directory.Command{PutAccount: &put})
	for box := 1; box <= 3; box++ {
		if _, err := w.at(box).Verify(mine); !errors.Is(err, ErrSession) {
			t.Errorf("box %d: got %v, want ErrSession", box, err)
		}
		if _, err := w.at(box).Verify(others); err != nil {
			t.Errorf("box %d: the other account's: %v", box, err)
		}
	}
	if _, err := w.at(1).Verify(w.session(2, "hen1")); err != nil {
		t.Errorf("a session of the new epoch: %v", err)
	}
}

func TestARemovedAccountHasNoSessions(t *testing.T) {
	w := newWorld(t)
	guest, err := w.hasher.NewAccount(t.Context(), "guest", "", password)
	if err != nil {
		t.Fatal(err)
	}
	w.do(directory.Command{PutAccount: &directory.PutAccount{Account: guest}})
	token := w.session(1, "guest")
	w.do(directory.Command{RemoveAccount: &directory.RemoveAccount{ID: guest.ID, If: w.account("guest").Version}})
	if _, err := w.at(1).Verify(token); !errors.Is(err, ErrSession) {
		t.Errorf("got %v, want ErrSession", err)
	}
	if _, _, err := w.at(1).Issue(guest.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("issue: got %v, want ErrUnknown", err)
	}
}

func TestSessionsOfABoxThatLeft(t *testing.T) {
	for _, tt := range []struct {
		kind   roster.Kind
		before bool // what it issued before it left is good
	}{
		{roster.Gone, true},
		{roster.Retire, false},
		{roster.Stolen, false},
	} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			w := newWorld(t)
			token := w.session(3, "hen1")
			w.pass(time.Hour)
			w.leaves(tt.kind)
			s, err := w.at(1).Verify(token)
			if (err == nil) != tt.before || err != nil && !errors.Is(err, ErrSession) || err == nil && !s.Renew {
				t.Errorf("from before: got %+v, %v", s, err)
			}
			w.pass(time.Minute)
			if _, err := w.at(1).Verify(w.session(3, "hen1")); !errors.Is(err, ErrSession) {
				t.Errorf("from after: got %v, want ErrSession", err)
			}
			w.pass(goneGrace)
			if _, err := w.at(1).Verify(token); !errors.Is(err, ErrSession) {
				t.Errorf("a week later: got %v, want ErrSession", err)
			}
		})
	}
}

func TestForgedSessionsAreRefused(t *testing.T) {
	w := newWorld(t)
	a, now := w.at(1), w.clock()
	good := claims{Account: w.keepers[0].ID, Box: boxKey(2).BoxID(), Issued: now.UnixMilli(), Expires: now.Add(time.Hour).UnixMilli()}
	sign := func(key ident.Key, change func(*claims)) string {
		c := good
		change(&c)
		return encodeToken(key, c)
	}
	if _, err := a.Verify(sign(boxKey(2), func(*claims) {})); err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(sign(boxKey(2), func(*claims) {}))
	other := boxKey(2).Sign("another purpose", raw[:len(raw)-64])
	for name, token := range map[string]string{
		"empty":             "",
		"garbage":           "!!!",
		"too long":          strings.Repeat("A", maxToken+1),
		"short":             "AAAA",
		"other key":         sign(boxKey(1), func(*claims) {}),
		"stranger's box":    sign(boxKey(9), func(c *claims) { c.Box = boxKey(9).BoxID() }),
		"no box":            sign(boxKey(2), func(c *claims) { c.Box = "" }),
		"other account":     sign(boxKey(2), func(c *claims) { c.Account = "00000000000000ff" }),
		"older epoch":       sign(boxKey(2), func(c *claims) { c.Epoch = 7 }),
		"endless life":      sign(boxKey(2), func(c *claims) { c.Expires += SessionLife.Milliseconds() }),
		"huge numbers":      sign(boxKey(2), func(c *claims) { c.Issued, c.Expires = -1<<62, 1<<62 }),
		"from far ahead":    sign(boxKey(2), func(c *claims) { c.Issued += (clockSlack + time.Minute).Milliseconds(); c.Expires = c.Issued + 1000 }),
		"expired":           sign(boxKey(2), func(c *claims) { c.Issued -= 2000; c.Expires = c.Issued + 1000 }),
		"ends before issue": sign(boxKey(2), func(c *claims) { c.Expires = c.Issued - 1 }),
		"other purpose":     base64.RawURLEncoding.EncodeToString(append(raw[:len(raw)-64:len(raw)-64], other...)),
		"padded":            sign(boxKey(2), func(*claims) {}) + "=",
	} {
		if s, err := a.Verify(token); !errors.Is(err, ErrSession) {
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
	for i := range raw {
		raw[i] ^= 1
		if _, err := a.Verify(base64.RawURLEncoding.EncodeToString(raw)); !errors.Is(err, ErrSession) {
			t.Errorf("byte %d changed: got %v", i, err)
		}
		raw[i] ^= 1
	}
}

func FuzzToken(f *testing.F) {
	key := boxKey(1)
	token := encodeToken(key, claims{Account: "0000000000000001", Box: key.BoxID(), Issued: 1, Expires: 2})
	f.Add(token)
	f.Add(token[1:])
	f.Fuzz(func(t *testing.T, s string) {
		c, err := decodeToken(s)
		if err != nil {
			if !errors.Is(err, ErrSession) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if c.Box.PublicKey() == nil {
			t.Fatal("a token of no box")
		}
	})
}
