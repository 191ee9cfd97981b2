package circle

import (
	"errors"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/roster"
)

func TestNothingWorksWithoutACircle(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.InviteBox(0)
	w.wants("invite a box", err, "no-circle")
	_, err = w.InviteAccount(ctx, ident.NewAccountID(), "mia", "")
	w.wants("invite a person", err, "no-circle")
	_, err = w.Accounts()
	w.wants("accounts", err, "no-circle")
	_, err = w.Box("hen")
	w.wants("box", err, "no-circle")
	_, err = w.Gone(ctx, "hen", "anna", "x")
	w.wants("gone", err, "no-circle")
	if w.Claimed() || w.Roster() != nil {
		t.Error("in a circle, before there is one")
	}
}

func TestFoundingIsDoneOnceAndWhole(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	good := Place{House: "Mill Lane", Box: "hen"}
	for code, try := range map[string]func() error{
		"bad-name":      func() error { return w.Found(ctx, "Hens", Place{House: "Mill Lane", Box: " hen"}, somebody("anna")) },
		"bad-login":     func() error { return w.Found(ctx, "Hens", good, somebody("an na")) },
		"weak-password": func() error { return w.Found(ctx, "Hens", good, Person{Login: "anna", Password: "1234"}) },
	} {
		w.wants("found", try(), code)
		if w.Claimed() {
			t.Fatalf("%s: a circle began", code)
		}
	}
	if err := w.Found(ctx, "Hens", good, somebody(" Anna ")); err != nil {
		t.Fatal(err)
	}
	w.wants("found again", w.Found(ctx, "Hens", good, somebody("anna")), "in-circle")
	w.wants("join then", w.Join(ctx, "x", good, somebody("anna"), nil), "in-circle")
	if r := w.Roster(); r.Name() != "Hens" || len(r.Members()) != 1 {
		t.Errorf("roster of %q with %d boxes", r.Name(), len(r.Members()))
	}
	if b, err := w.Box("Mill Lane"); err != nil || b.Name != "hen" {
		t.Errorf("box by its house: %v, %v", b.Name, err)
	}
}

func TestTicketsThatAreNone(t *testing.T) {
	w := newWorld(t)
	place := Place{House: "Oak Street", Box: "oak"}
	for text, code := range map[string]string{"": "no-ticket", "hello there": "no-ticket", "http://redhen.local/p#": "no-ticket"} {
		w.wants("join with "+text, w.Join(t.Context(), text, place, somebody("ben"), nil), code)
	}
	f := founded(t)
	ticket, err := f.InviteBox(0)
	if err != nil {
		t.Fatal(err)
	}
	text := ticket.Text()
	w.wants("join with half", w.Join(t.Context(), text[:len(text)-3], place, somebody("ben"), nil), "incomplete-ticket")
	w.wants("join without a name", w.Join(t.Context(), text, place, somebody(""), nil), "bad-login")
}

func TestBoxesAreFoundByNameIDAndHouse(t *testing.T) {
	w := founded(t)
	oak := w.admitBox("Oak Street", "oak", "ben")
	for _, name := range []string{"oak", string(oak), "Oak Street"} {
		if b, err := w.Box(name); err != nil || b.ID != oak {
			t.Errorf("box %q: %v, %v", name, b.ID.Short(), err)
		}
	}
	_, err := w.Box("elm")
	w.wants("unknown box", err, "no-box")
}

func TestGoneNeedsKeepersWhoHaveASay(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	_, err := w.Gone(ctx, "hen", "anna", password("anna"))
	w.wants("the last box", err, "last-box")
	oak := w.admitBox("Oak Street", "oak", "ben")
	_, err = w.Gone(ctx, "oak", "ben", password("ben"))
	w.wants("one's own box", err, "not-keeper")
	w.admitBox("Elm Road", "elm", "eva")
	_, err = w.Gone(ctx, "oak", "anna", "a wrong password")
	w.wants("wrong password", err, "wrong-password")
	_, err = w.Gone(ctx, "ash", "anna", password("anna"))
	w.wants("unknown box", err, "no-box")
	_, err = w.Replace(ctx, "oak", "oak", "anna", password("anna"))
	w.wants("replaced by itself", err, "bad-replacement")
	if _, err = w.Replace(ctx, "oak", "", "anna", password("anna")); !errors.Is(err, ErrNoBox) {
		t.Errorf("replaced by nothing: %v", err)
	}
	more, err := w.Replace(ctx, "oak", "elm", "anna", password("anna"))
	if err != nil || more != 1 {
		t.Fatalf("first keeper: %d more, %v; want 1", more, err)
	}
	w.now = w.now.Add(time.Hour) // the second keeper comes later, and means the same
	if more, err = w.Replace(ctx, "oak", "elm", "eva", password("eva")); err != nil || more != 0 {
		t.Fatalf("second keeper: %d more, %v; want 0", more, err)
	}
	b, err := w.Box(string(oak))
	if err != nil || b.Status != roster.StatusGone {
		t.Errorf("the box is %v, %v", b.Status, err)
	}
	_, err = w.Gone(ctx, "oak", "anna", password("anna"))
	w.wants("gone already", err, "no-box")
}

// The words of keepers that a box is stolen count together, and not with those that it is
// gone; a box that is gone may turn out to be stolen, and a stolen one is nothing else ever.
func TestStolen(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	oak := w.admitBox("Oak Street", "oak", "ben")
	elm := w.admitBox("Elm Road", "elm", "eva")
	for _, say := range []struct {
		how  func(box, keeper string) (int, error)
		by   string
		more int
	}{
		{func(b, k string) (int, error) { return w.Gone(ctx, b, k, password(k)) }, "anna", 1},
		{func(b, k string) (int, error) { return w.Stolen(ctx, b, "", k, password(k)) }, "eva", 1},
		{func(b, k string) (int, error) { return w.Stolen(ctx, b, "", k, password(k)) }, "anna", 0},
	} {
		w.now = w.now.Add(time.Hour)
		if more, err := say.how("oak", say.by); err != nil || more != say.more {
			t.Fatalf("%s: %d more, %v; want %d", say.by, more, err, say.more)
		}
	}
	is := func(id ident.BoxID, want roster.Status) {
		t.Helper()
		if b, err := w.Box(string(id)); err != nil || b.Status != want {
			t.Errorf("the box is %v, %v; want %v", b.Status, err, want)
		}
	}
	is(oak, roster.StatusStolen)
	_, err := w.Stolen(ctx, "oak", "", "anna", password("anna"))
	w.wants("stolen twice", err, "no-box")
	if _, err := w.Gone(ctx, "elm", "anna", password("anna")); err != nil {
		t.Fatal(err)
	}
	_, err = w.Lost("elm", false)
	w.wants("gone twice", err, "no-box")
	if l, err := w.Lost("elm", true); err != nil || l.House != "Elm Road" || l.Needs != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	if more, err := w.Stolen(ctx, "elm", "", "anna", password("anna")); err != nil || more != 0 {
		t.Errorf("it turned out to be stolen: %d more, %v", more, err)
	}
	is(elm, roster.StatusStolen)
}

func TestTermsOfAnInvite(t *testing.T) {
	w := founded(t)
	ticket, err := w.Invite(pair.Terms{TTL: time.Hour, Waived: true})
	if err != nil {
		t.Fatal(err)
	}
	list := w.Desk().Tickets()
	if len(list) != 1 || list[0].ID != ticket.ID() || !list[0].Waived {
		t.Errorf("tickets: %+v", list)
	}
	w.wants("unknown", w.Desk().Revoke("x"), "no-open-ticket")
	w.wants("nobody", w.Desk().Approve(t.Context(), "x"), "not-waiting")
}

func TestApartADecisionWaits(t *testing.T) {
	w := founded(t)
	w.node.apart = true
	_, err := w.AddAccount(t.Context(), "", somebody("mia"))
	w.wants("add an account", err, "apart")
}

// A box that asks again for its welcome may have lost its disk: what it promised as
// a replica is forgotten, so it may not go on under the same number anywhere.
func TestABoxThatIsWelcomedAgainGetsNewNumbers(t *testing.T) {
	w := founded(t)
	oak := w.admitBox("Oak Street", "oak", "ben")
	before, err := w.welcome(oak)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.renumber(t.Context(), oak); err != nil {
		t.Fatal(err)
	}
	after, err := w.welcome(oak)
	if err != nil {
		t.Fatal(err)
	}
	if after.Replica <= before.Replica {
		t.Errorf("replica %d after %d, want a new number", after.Replica, before.Replica)
	}
}
