package account

import (
	"bytes"
	"errors"
	"testing"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

func TestAKeepersKeyOpensWithThePasswordOnly(t *testing.T) {
	h := quick()
	public, sealed, err := h.NewKeeper(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	key, err := h.OpenKeeper(t.Context(), sealed, password)
	if err != nil || !key.Public().Equal(public) {
		t.Fatalf("got %v, %v", key, err)
	}
	if bytes.Contains(sealed, key.Seed()) {
		t.Error("the sealed key holds the seed")
	}
	if _, err := h.OpenKeeper(t.Context(), sealed, "another password"); !errors.Is(err, ErrWrong) {
		t.Errorf("another password: got %v, want ErrWrong", err)
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := h.OpenKeeper(t.Context(), broken, password); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
	}
}

func TestASealedKeyIsBoundToItsPublicHalf(t *testing.T) {
	h := quick()
	_, sealed, err := h.NewKeeper(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeSealed(sealed)
	if err != nil {
		t.Fatal(err)
	}
	s.Public = boxKey(9).Public()
	if _, err := h.OpenKeeper(t.Context(), wire.MustMarshal(s), password); !errors.Is(err, ErrWrong) {
		t.Errorf("got %v, want ErrWrong", err)
	}
}

func TestChangingThePasswordSealsTheKeyAgain(t *testing.T) {
	w := newWorld(t)
	a, id := w.at(2), w.keepers[0].ID
	const fresh = "four white hens"
	token, _, err := a.Login(t.Context(), "hen1", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.ChangePassword(t.Context(), id, "not the old one", fresh); !errors.Is(err, ErrWrong) {
		t.Errorf("without the old password: got %v", err)
	}
	if _, err := a.ChangePassword(t.Context(), id, password, "hen1"); !errors.Is(err, ErrWeak) {
		t.Errorf("a weak password: got %v", err)
	}
	put, err := a.ChangePassword(t.Context(), id, password, fresh)
	if err != nil {
		t.Fatal(err)
	}
	w.do(directory.Command{PutAccount: &put})
	before, after := w.keepers[0], w.account("hen1")
	if !after.KeeperKey.Equal(before.KeeperKey) || bytes.Equal(after.SealedKey, before.SealedKey) || after.Epoch != before.Epoch+1 {
		t.Errorf("epoch %d; key kept: %v", after.Epoch, after.KeeperKey.Equal(before.KeeperKey))
	}
	key, err := a.KeeperKey(t.Context(), id, fresh)
	if err != nil || !key.Public().Equal(before.KeeperKey) {
		t.Errorf("got %v, %v", key, err)
	}
	if _, err := a.KeeperKey(t.Context(), id, password); !errors.Is(err, ErrWrong) {
		t.Errorf("the old password: got %v", err)
	}
	if _, err := w.hasher.OpenKeeper(t.Context(), after.SealedKey, password); !errors.Is(err, ErrWrong) {
		t.Errorf("the old password opens the new seal: %v", err)
	}
	if _, err := a.Verify(token); !errors.Is(err, ErrSession) {
		t.Errorf("an older session: got %v, want ErrSession", err)
	}
}

func TestAForgottenPasswordTakesTheKeyAlong(t *testing.T) {
	w := newWorld(t)
	a, id := w.at(1), w.keepers[1].ID
	put, err := a.ResetPassword(t.Context(), id, "four white hens")
	if err != nil {
		t.Fatal(err)
	}
	w.do(directory.Command{PutAccount: &put})
	if _, _, err := a.Login(t.Context(), "hen2", "four white hens"); err != nil {
		t.Errorf("login: %v", err)
	}
	if _, err := a.KeeperKey(t.Context(), id, "four white hens"); !errors.Is(err, ErrNotKeeper) {
		t.Errorf("got %v, want ErrNotKeeper", err)
	}
	if _, err := a.ResetPassword(t.Context(), "00000000000000ff", "four white hens"); !errors.Is(err, ErrUnknown) {
		t.Errorf("nobody's password: got %v, want ErrUnknown", err)
	}
}

// Who keeps no box gets a key with every password that is set without one: there is
// none to lose, and a box may come.
func TestAPasswordBringsAKey(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	guest, err := w.hasher.NewAccount(t.Context(), "guest", "", password)
	if err != nil {
		t.Fatal(err)
	}
	w.do(directory.Command{PutAccount: &directory.PutAccount{Account: guest}})
	reset, err := a.ResetPassword(t.Context(), guest.ID, "four white hens")
	if err != nil {
		t.Fatal(err)
	}
	w.do(directory.Command{PutAccount: &reset})
	key, err := a.KeeperKey(t.Context(), guest.ID, "four white hens")
	if err != nil || !bytes.Equal(key.Public(), reset.Account.KeeperKey) {
		t.Errorf("after a reset: %v", err)
	}
	change, err := a.ChangePassword(t.Context(), guest.ID, "four white hens", "five brown hens")
	if err != nil || !bytes.Equal(change.Account.KeeperKey, reset.Account.KeeperKey) {
		t.Errorf("a changed password changes the key: %v", err)
	}
}

// Guesses at a keeper's key count like those at the login page.
func TestGuessingAtAKeepersKeyIsSlowed(t *testing.T) {
	w := newWorld(t)
	a := w.at(1)
	n := looked(t, 1000, func(i int) error {
		_, err := a.KeeperKey(t.Context(), w.keepers[0].ID, string(rune('a'+i))+" guess")
		return err
	})
	if n > freePerAccount {
		t.Errorf("%d guesses were hashed", n)
	}
}

func TestNewAccounts(t *testing.T) {
	h := quick()
	guest, err := h.NewAccount(t.Context(), "guest", "A Guest", password)
	if err != nil || guest.KeeperKey != nil || guest.SealedKey != nil || guest.ID == "" {
		t.Errorf("got %+v, %v", guest, err)
	}
	if _, err := h.NewAccount(t.Context(), "Guest", "", password); !errors.Is(err, ErrName) {
		t.Errorf("got %v, want ErrName", err)
	}
	if _, err := h.NewKeeperAccount(t.Context(), "guest", "", "guest"); !errors.Is(err, ErrWeak) {
		t.Errorf("got %v, want ErrWeak", err)
	}
}

func FuzzRecords(f *testing.F) {
	h := quick()
	ctx := f.Context()
	record, _ := h.Password(ctx, password)
	_, sealed, _ := h.NewKeeper(ctx, password)
	device, _ := NewDevice("anna", "phone")
	f.Add(record)
	f.Add(sealed)
	f.Add(device.Record)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodePassword(b); err == nil && !bytes.Equal(wire.MustMarshal(r), b) {
			if again, err := decodePassword(wire.MustMarshal(r)); err != nil || !bytes.Equal(again.Sum, r.Sum) {
				t.Error("a password record changes when it is written again")
			}
		}
		if s, err := decodeSealed(b); err == nil && s.KDF.Memory > MaxMemory {
			t.Error("a sealed key asks for too much")
		}
		if _, err := decodeDevice(b); err == nil && len(b) > maxRecord {
			t.Error("a device record is too long")
		}
	})
}

func TestAKeeperAccountSignsForItsKeeper(t *testing.T) {
	w := newWorld(t)
	key, err := w.at(3).KeeperKey(t.Context(), w.keepers[2].ID, password)
	if err != nil {
		t.Fatal(err)
	}
	if sig := key.Sign("test", []byte("x")); !ident.Verify(w.account("hen3").KeeperKey, "test", []byte("x"), sig) {
		t.Error("the signature does not verify by the directory")
	}
}
