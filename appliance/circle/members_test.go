package circle

import (
	"slices"
	"testing"

	"redhen/provision/ident"
)

// A box that was given up may connect, to come home; one that was stolen may not. The host is
// told by departed who is who, and lets nobody in who is not in it.
func TestTheWayHomeIsClosedToThieves(t *testing.T) {
	w, ctx := founded(t), t.Context()
	oak := w.admitBox("Oak Street", "oak", "ben")
	w.admitBox("Ash Way", "ash", "cleo")
	w.admitBox("Elm Road", "elm", "dora")
	for _, keeper := range []string{"anna", "dora"} {
		if _, err := w.Gone(ctx, "oak", keeper, password(keeper)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Stolen(ctx, "ash", "", keeper, password(keeper)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := departed(w.Roster()), []ident.BoxID{oak}; !slices.Equal(got, want) {
		t.Errorf("%v may come home, want %v", got, want)
	}
}
