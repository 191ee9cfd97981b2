package account

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/raftnode/directory"
)

func TestLogin(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	token, s, err := a.Login(t.Context(), " Hen2 ", password)
	if err != nil || s.Account != w.keepers[1].ID || s.Name != "hen2" {
		t.Fatalf("got %+v, %v", s, err)
	}
	if again, err := a.Verify(token); err != nil || again != s {
		t.Errorf("got %+v, %v, want %+v", again, err, s)
	}
	for name, try := range map[string][2]string{
		"wrong password":    {"hen2", "three brown ducks"},
		"no password":       {"hen2", ""},
		"unknown name":      {"duck", password},
		"no name":           {"", password},
		"endless password":  {"hen2", strings.Repeat("x", maxPassword+1)},
		"name with a slash": {"hen2/", password},
	} {
		if _, _, err := a.Login(t.Context(), try[0], try[1]); !errors.Is(err, ErrWrong) {
			t.Errorf("%s: got %v, want ErrWrong", name, err)
		}
	}
}

func TestLoginWithoutAPasswordSetIsRefused(t *testing.T) {
	w := newWorld(t)
	person := w.account("hen2")
	person.Password = nil
	w.do(directory.Command{PutAccount: &directory.PutAccount{Account: person, If: person.Version}})
	if _, _, err := w.at(1).Login(t.Context(), "hen2", ""); !errors.Is(err, ErrWrong) {
		t.Errorf("got %v, want ErrWrong", err)
	}
}

// An unknown name takes a hash, like a known one: it is counted, and waits for a slot.
func TestAnUnknownAccountCostsTheSame(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	for _, name := range []string{"hen1", "nobody"} {
		synctest.Test(t, func(t *testing.T) {
			a := w.at(1)
			a.cfg.Hasher = quick()
			a.cfg.Hasher.slots <- struct{}{}
			a.cfg.Hasher.slots <- struct{}{}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, _, err := a.Login(ctx, name, "a wrong password"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v without waiting for a slot", name, err)
			}
			<-a.cfg.Hasher.slots // the hash that nobody waits for ends too
			<-a.cfg.Hasher.slots
		})
	}
	r, err := decodePassword(a.nobody)
	real, err2 := decodePassword(w.account("hen1").Password)
	if err != nil || err2 != nil || r.KDF.Passes != real.KDF.Passes || r.KDF.Memory != real.KDF.Memory {
		t.Errorf("the record for nobody costs otherwise: %v %v", err, err2)
	}
}

func TestADirectoryThatCannotBeReadIsNoWrongPassword(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	token, _, err := a.Login(t.Context(), "hen1", password)
	if err != nil {
		t.Fatal(err)
	}
	w.damaged = true
	_, _, err = a.Login(t.Context(), "hen1", password)
	_, verr := a.Verify(token)
	if err == nil || errors.Is(err, ErrWrong) || verr == nil || errors.Is(verr, ErrSession) {
		t.Errorf("login: %v; verify: %v", err, verr)
	}
	if _, ok := a.CheckPassword(t.Context(), "hen1", password); ok {
		t.Error("a password was accepted blindly")
	}
}

// A program that opens many connections sends the right password on all of them.
func TestRequestsSideBySideCountAsOneGuess(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if id, ok := a.CheckPassword(t.Context(), "hen1", password); !ok || id != w.keepers[0].ID {
				t.Error("the right password was refused")
			}
		})
	}
	wg.Wait()
}

func TestOnlyTheFirstUseOfAPasswordIsHashed(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	check := func(password string) bool {
		_, ok := a.CheckPassword(t.Context(), "hen1", password)
		return ok
	}
	if !check(password) || check("an old password") {
		t.Fatal("wrong verdict")
	}
	for range atOnce {
		a.cfg.Hasher.slots <- struct{}{} // a hash would wait for ever now
	}
	if !check(password) || check("an old password") {
		t.Fatal("wrong verdict from memory")
	}
	for range atOnce {
		<-a.cfg.Hasher.slots
	}
	put, err := a.ChangePassword(t.Context(), w.keepers[0].ID, password, "four white hens")
	if err != nil {
		t.Fatal(err)
	}
	w.do(directory.Command{PutAccount: &put})
	if check(password) || !check("four white hens") {
		t.Error("the memory outlived a change of the password")
	}
}

// A phone that was not told of the new password repeats the old one all night.
func TestARepeatedWrongPasswordLocksNobodyOut(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	for range 500 {
		a.CheckPassword(from(t, "192.168.1.7"), "hen1", "an old password")
		w.pass(time.Minute)
	}
	if _, _, err := a.Login(from(t, "192.168.1.7"), "hen1", password); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	v := newVerdicts(func() time.Time { return now })
	for i := range 4 * maxVerdicts {
		now = now.Add(time.Millisecond)
		v.put([32]byte{byte(i), byte(i >> 8)}, false)
	}
	if len(v.list) != maxVerdicts {
		t.Errorf("%d verdicts, want %d", len(v.list), maxVerdicts)
	}
	last := [32]byte{byte((4*maxVerdicts - 1) & 255), byte((4*maxVerdicts - 1) >> 8)}
	if _, ok := v.get(last); !ok {
		t.Error("the newest was dropped")
	}
	now = now.Add(wrongFor)
	if _, ok := v.get(last); ok {
		t.Error("an old verdict still holds")
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("accepted")
	}
}
