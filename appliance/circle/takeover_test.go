package circle

import (
	"testing"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode"
)

func TestATakeoverIsSignedByTheKeeperOfThisBox(t *testing.T) {
	w, ctx := founded(t), t.Context()
	oak := w.admitBox("Oak Street", "oak", "ben")
	ash := w.admitBox("Ash Way", "ash", "cleo")
	pw := password("anna")
	w.wants("a house that there is not", w.TakeOver(ctx, []string{"Elm Road"}, "anna", pw), "no-house")
	w.wants("this house", w.TakeOver(ctx, []string{"Oak Street", "Mill Lane"}, "anna", pw), "own-house")
	w.wants("another keeper", w.TakeOver(ctx, []string{"Oak Street"}, "ben", password("ben")), "not-keeper")
	w.wants("a wrong password", w.TakeOver(ctx, []string{"Oak Street"}, "anna", "wrong"), "wrong-password")
	w.node.refuse = raftnode.ErrNotLost
	w.wants("a house that answers", w.TakeOver(ctx, []string{"Oak Street"}, "anna", pw), "not-lost")
	w.node.refuse = raftnode.ErrEnoughLeft
	w.wants("enough are left", w.TakeOver(ctx, []string{"Oak Street"}, "anna", pw), "enough-left")
	w.node.refuse = &raftnode.SurvivorError{Box: ash}
	err := w.TakeOver(ctx, []string{"Oak Street"}, "anna", pw)
	w.wants("another house is away", err, "other-box-away")
	if want := "box ash at Ash Way is not in reach"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	w.node.refuse = &raftnode.SurvivorError{Box: ash, Ahead: true}
	w.wants("another house has more", w.TakeOver(ctx, []string{"Oak Street"}, "anna", pw), "other-box-first")
	if w.Roster().Era() != 0 {
		t.Fatal("something has begun")
	}
	w.node.refuse = nil
	if err := w.TakeOver(ctx, []string{"Oak Street", "Ash Way"}, "anna", pw); err != nil {
		t.Fatal(err)
	}
	if r := w.Roster(); r.Era() != 1 || r.Active(oak) || r.Active(ash) || !r.Active(w.key.BoxID()) {
		t.Errorf("era %d, members %v", r.Era(), r.Members())
	}
	if b, _ := w.Roster().Box(oak); b.Status != roster.StatusGone {
		t.Errorf("the box of the lost house is %v", b.Status)
	}
	if p, _ := w.placement(ident.CircleShard); len(p.Replicas) != 1 || p.Era != 1 {
		t.Errorf("placement %+v", p)
	}
}
