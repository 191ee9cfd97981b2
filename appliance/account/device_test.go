package account

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"redhen/raftnode/directory"
)

func (w *world) addDevice(name, label string) (directory.Device, string) {
	d, secret := NewDevice(name, label)
	w.do(directory.Command{AddDevice: &directory.AddDevice{Account: w.account(name).ID, Device: d}})
	return d, secret
}

func TestADevicePasswordNeedsNoHash(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	a.cfg.Hasher.slots <- struct{}{}
	a.cfg.Hasher.slots <- struct{}{} // an argon2 hash would wait for ever
	phone, secret := w.addDevice("hen1", "Phone")
	_, other := w.addDevice("hen1", "Laptop")
	for typed, want := range map[string]bool{
		secret: true, other: true, " " + strings.ToUpper(secret) + " ": true,
		strings.Replace(secret, secret[4:9], "00000", 1): false,
	} {
		if id, ok := a.CheckPassword(t.Context(), "hen1", typed); ok != want || ok && id != w.keepers[0].ID {
			t.Errorf("%q: got %v", typed, ok)
		}
	}
	if _, ok := a.CheckPassword(t.Context(), "hen2", secret); ok {
		t.Error("it opens another account")
	}
	if _, ok := a.CheckPassword(t.Context(), "nobody", secret); ok {
		t.Error("it opens no account")
	}
	w.do(directory.Command{RemoveDevice: &directory.RemoveDevice{Account: w.keepers[0].ID, Device: phone.ID}})
	for range 1000 { // a lost phone may go on trying: it is no guess at the account
		if _, ok := a.CheckPassword(from(t, "192.168.1.7"), "hen1", secret); ok {
			t.Fatal("a removed device gets in")
		}
	}
	if _, ok := a.CheckPassword(t.Context(), "hen1", other); !ok {
		t.Error("the other device was removed too")
	}
}

func TestADevicePasswordDoesNotLogInAtThePage(t *testing.T) {
	w := newWorld(t)
	_, secret := w.addDevice("hen1", "Phone")
	if _, _, err := w.at(1).Login(t.Context(), "hen1", secret); !errors.Is(err, ErrWrong) {
		t.Errorf("got %v, want ErrWrong", err)
	}
}

func TestDevicePasswordsAreRandomAndReadable(t *testing.T) {
	seen, used := map[string]bool{}, map[rune]int{}
	for range 2000 {
		s := drawDevicePassword()
		if clean, ok := cleanDevicePassword(s); !ok || clean != s || seen[s] {
			t.Fatalf("%q: %v", s, ok)
		}
		seen[s] = true
		for _, r := range strings.ReplaceAll(s[len(devicePrefix):], "-", "") {
			used[r]++
		}
	}
	for _, r := range deviceAlphabet {
		if n := used[r]; n < 1000 || n > 1500 { // 1250 expected
			t.Errorf("%q is drawn %d times", r, n)
		}
	}
	for _, s := range []string{"", "hen", "hen-", "hen-00000-00000-00000", "hen-00000-00000-00000-0000l", "cat-00000-00000-00000-00000",
		"hen-00000-00000-00000-00000-00000", strings.Repeat("hen-", 1000), "hen-0000-000000-00000-00000"} {
		if _, ok := cleanDevicePassword(s); ok {
			t.Errorf("%q has the shape of a device password", s)
		}
	}
}

func TestDeviceRecordsDoNotHoldThePassword(t *testing.T) {
	d, secret := NewDevice("hen1", "Phone")
	if bytes.Contains(d.Record, []byte(secret)) || d.Name != "Phone" || directory.CheckName(d.ID) != nil {
		t.Errorf("got %+v", d)
	}
}

// A client computes its response from name, realm and password (RFC 7616 §3.4.1);
// the box gets the same from what it stored.
func TestDigest(t *testing.T) {
	w := newWorld(t)
	_, one := w.addDevice("hen1", "Phone")
	_, two := w.addDevice("hen1", "Laptop")
	a := w.at(2)
	hash := map[Algorithm]func(string) string{
		MD5:    func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) },
		SHA256: func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) },
	}
	for alg, h := range hash {
		id, got := a.DigestsBy(t.Context(), alg, "hen1", Realm)
		want := []string{h("hen1:redhen:" + one), h("hen1:redhen:" + two)}
		if !slices.Equal(got, want) || id != w.keepers[0].ID {
			t.Errorf("%s: got %v, want %v", alg, got, want)
		}
	}
	if _, got := a.Digests(t.Context(), "hen1", Realm); len(got) != 2 || len(got[0]) != 2*md5.Size {
		t.Errorf("got %v", got)
	}
	for _, ask := range [][2]string{{"hen1", "elsewhere"}, {"hen2", Realm}, {"nobody", Realm}, {"Hen1", Realm}} {
		if _, got := a.Digests(t.Context(), ask[0], ask[1]); got != nil {
			t.Errorf("%v: got %v", ask, got)
		}
	}
	if _, got := a.DigestsBy(t.Context(), "SHA-1", "hen1", Realm); got != nil {
		t.Errorf("got %v", got)
	}
	w.damaged = true
	if id, got := a.Digests(t.Context(), "hen1", Realm); id != "" || got != nil {
		t.Errorf("got %v", got)
	}
}

// The record as the first release wrote it is read for ever.
func TestDeviceRecordIsGolden(t *testing.T) {
	const secret = "hen-00000-11111-22222-33333"
	record, err := hex.DecodeString("a50101025820941c4556ab78ed5266edba8f58ecc1568f517f6a34093f27d287f5eaecdf636603" +
		"6672656468656e045005dde59617e8b38588bb6a61b33af3a005" +
		"58209e0e7601895151a20114be57bad8d31fb7b40989a1e5614a6cfea2d976572082")
	if err != nil {
		t.Fatal(err)
	}
	if !matchDevice([]directory.Device{{Record: record}}, secret) {
		t.Error("the password is not known")
	}
	if matchDevice([]directory.Device{{Record: record[:9]}, {}}, secret) {
		t.Error("a broken record lets in")
	}
}
