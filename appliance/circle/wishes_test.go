package circle

import (
	"slices"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// TestWhatTheKeeperDecides: a keeper decides about their own box, nobody else does,
// and one wish leaves the others as they are.
func TestWhatTheKeeperDecides(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	anna, err := w.Account("anna")
	if err != nil {
		t.Fatal(err)
	}
	mia, err := w.AddAccount(ctx, anna.ID, somebody("mia"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Wish(ctx, anna.ID, func(s *directory.BoxSettings) { s.Given = 5e11 }); err != nil {
		t.Fatal(err)
	}
	if err := w.Wish(ctx, anna.ID, func(s *directory.BoxSettings) { s.Refuses = append(s.Refuses, mia.ID) }); err != nil {
		t.Fatal(err)
	}
	w.wants("by somebody without a box", w.Wish(ctx, mia.ID, func(s *directory.BoxSettings) { s.Given = 1 }), "not-keeper")
	w.wants("by nobody", w.Wish(ctx, "", func(s *directory.BoxSettings) { s.Given = 1 }), "not-keeper")
	got, err := w.BoxWishes()
	if err != nil || got.Given != 5e11 || !slices.Equal(got.Refuses, []ident.AccountID{mia.ID}) {
		t.Errorf("%+v, %v", got, err)
	}
	w.node.apart = true
	w.wants("apart", w.Wish(ctx, anna.ID, func(*directory.BoxSettings) {}), "apart")
}

func TestCopiesWanted(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	if n, err := w.Copies("anna"); err != nil || n != 3 {
		t.Errorf("%d copies, %v", n, err)
	}
	if err := w.SetCopies(ctx, "anna", 5); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Copies("anna"); err != nil || n != 5 {
		t.Errorf("%d copies, %v", n, err)
	}
	if err := w.SetCopies(ctx, "anna", directory.MaxCopies+1); err == nil {
		t.Error("more than there may be")
	}
	w.wants("of nobody", w.SetCopies(ctx, "nobody", 2), "no-account")
}

// A box tells what it reads; an update takes the circle's one turn and gives it back.
func TestWhatABoxTellsOfItsRelease(t *testing.T) {
	w := founded(t)
	ctx := t.Context()
	if err := w.Reads(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if agreed, told, err := w.Formats(); err != nil || agreed != 3 || told != 3 {
		t.Errorf("agreed %d, told %d, %v", agreed, told, err)
	}
	if err := w.BeginUpdate(ctx, time.UnixMilli(15*60*1000)); err != nil {
		t.Fatal(err)
	}
	if got, err := w.BoxWishes(); err != nil || got.Updating == 0 || got.Reads != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := w.BeginUpdate(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, err := w.BoxWishes(); err != nil || got.Updating != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
