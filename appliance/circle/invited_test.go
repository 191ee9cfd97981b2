package circle

import (
	"testing"
	"time"

	"redhen/raftnode/directory"
)

func TestInvitationsCanBeTakenBack(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	anna, err := w.Account("anna")
	if err != nil {
		t.Fatal(err)
	}
	w.now = time.UnixMilli(0) // the node's time is its index
	inv, err := w.InviteAccount(ctx, anna.ID, "", "Clara")
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.Invitations()
	if err != nil || len(list) != 1 || list[0].FullName != "Clara" || list[0].By != anna.ID {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := w.Uninvite(ctx, list[0].Hash, anna.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.Invited(inv.Code); ok {
		t.Error("it still holds")
	}
	if list, err := w.Invitations(); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestACircleIsOfFriends: there is an end to inviting.
func TestACircleIsOfFriends(t *testing.T) {
	w := founded(t)
	anna, err := w.Account("anna")
	if err != nil {
		t.Fatal(err)
	}
	for range MaxPeople - 1 {
		if _, err := w.InviteAccount(t.Context(), anna.ID, "", "somebody"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.InviteAccount(t.Context(), anna.ID, "", "one more")
	w.wants("one more", err, string(directory.Full))
}

func TestHelpWithAForgottenPassword(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	anna, err := w.Account("anna")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddAccount(ctx, anna.ID, somebody("mia")); err != nil {
		t.Fatal(err)
	}
	if err := w.HelpWithPassword(ctx, "mia", "an egg a day helps", anna.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.cfg.Accounts.Login(ctx, "mia", "an egg a day helps"); err != nil {
		t.Errorf("log in: %v", err)
	}
	var told []directory.Entry
	if err := w.look(func(v directory.View) error { told = v.Diary(1); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].What != "password-reset" || told[0].About["name"] != "mia" || told[0].About["by"] != "anna" {
		t.Errorf("the diary says %+v", told)
	}
	w.wants("nobody", w.HelpWithPassword(ctx, "nobody", "an egg a day helps", anna.ID), "no-account")
}
