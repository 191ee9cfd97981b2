package circle

import (
	"strings"
	"testing"
	"time"
)

func TestPeopleComeAndGo(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	mia, err := w.AddAccount(ctx, "", Person{Login: " Mia", FullName: "Mia Møller", Password: password("mia")})
	if err != nil || mia.Name != "mia" {
		t.Fatalf("add: %v, %v", mia.Name, err)
	}
	_, err = w.AddAccount(ctx, "", somebody("MIA"))
	w.wants("add twice", err, "name-taken")
	list, err := w.Accounts()
	if err != nil || len(list) != 2 || list[0].Name != "anna" || list[1].Name != "mia" {
		t.Errorf("accounts: %v, %v", list, err)
	}
	w.wants("remove a keeper", w.RemoveAccount(ctx, "anna"), "keeps-a-box")
	w.wants("remove nobody", w.RemoveAccount(ctx, "nobody"), "no-account")
	if err := w.RemoveAccount(ctx, "mia"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Account("mia")
	w.wants("removed", err, "no-account")
}

func TestPasswordsChange(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	w.wants("wrong old one", w.SetPassword(ctx, "anna", "a wrong guess", "another good one"), "wrong-password")
	w.wants("weak new one", w.SetPassword(ctx, "anna", password("anna"), "12345678"), "weak-password")
	if err := w.SetPassword(ctx, "anna", password("anna"), "another good one"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.cfg.Accounts.Login(ctx, "anna", "another good one"); err != nil {
		t.Errorf("log in with the new one: %v", err)
	}
	w.wants("reset of nobody", w.ResetPassword(ctx, "nobody", "another good one"), "no-account")
	if err := w.ResetPassword(ctx, "anna", "by presence here"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.cfg.Accounts.Login(ctx, "anna", "by presence here"); err != nil {
		t.Errorf("log in after the reset: %v", err)
	}
	w.admitBox("Oak Street", "oak", "ben")
	_, err := w.Gone(ctx, "oak", "anna", "by presence here")
	w.wants("sign after a reset", err, "not-keeper")
}

func TestDevicePasswords(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	id, secret, err := w.AddDevice(ctx, "anna", "laptop")
	if err != nil {
		t.Fatal(err)
	}
	if who, ok := w.cfg.Accounts.CheckPassword(ctx, "anna", secret); !ok || who == "" {
		t.Error("the device password does not work")
	}
	acc, err := w.Account("anna")
	if err != nil || len(acc.Devices) != 1 || acc.Devices[0].Name != "laptop" || strings.Contains(string(acc.Devices[0].Record), secret) {
		t.Errorf("devices: %+v, %v", acc.Devices, err)
	}
	_, _, err = w.AddDevice(ctx, "nobody", "laptop")
	w.wants("device of nobody", err, "no-account")
	if err := w.RemoveDevice(ctx, "anna", id); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.cfg.Accounts.CheckPassword(ctx, "anna", secret); ok {
		t.Error("the removed device password works")
	}
	w.wants("remove again", w.RemoveDevice(ctx, "anna", id), "missing")
}

func TestInvitationsHoldOnceAndForAWeek(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	anna := w.Roster().Members()[0].Keeper
	inv, err := w.InviteAccount(ctx, anna, "clara", "Clara Hill")
	if err != nil {
		t.Fatal(err)
	}
	typed := strings.ToUpper(inv.Code[:4]) + "-" + inv.Code[4:] + " "
	if said, ok := w.Invited(typed); !ok || said.FullName != "Clara Hill" {
		t.Errorf("invited: %+v, %t", said, ok)
	}
	if _, ok := w.Invited("wrong"); ok {
		t.Error("a wrong code holds")
	}
	acc, err := w.UseInvite(ctx, typed, somebody("clara"))
	if err != nil || acc.Name != "clara" {
		t.Fatalf("use: %v, %v", acc.Name, err)
	}
	_, err = w.UseInvite(ctx, inv.Code, somebody("second"))
	w.wants("used", err, "expired")
	late, err := w.InviteAccount(ctx, anna, "", "")
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(8 * 24 * time.Hour)
	_, err = w.UseInvite(ctx, late.Code, somebody("late"))
	w.wants("too late", err, "expired")
}
