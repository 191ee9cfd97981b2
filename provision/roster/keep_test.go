package roster

import (
	"fmt"
	"testing"
)

// gift is a circle of n, and a further box that its first box gave to the person next.
func gift(t testing.TB, n byte) (s *State, giver, friend person) {
	t.Helper()
	s, giver, friend = circle(t, n), someone(1), someone(n+1)
	return apply(t, s, NewAdmit(friend.gift(s, giver), giver.box, friend.box)), giver, friend
}

// gift is the admission of the person's box, kept by the giver for now.
func (p person) gift(s *State, giver person) AdmitBody {
	return with(p.admit(s, giver), func(b *AdmitBody) {
		b.Gift, b.Keeper, b.KeeperKey = true, giver.account(), giver.keeper.Public()
	})
}

func (p person) keep(s *State) KeepBody {
	return KeepBody{Circle: s.Circle(), Box: p.id(), Rev: p.current(s).Rev, Keeper: p.account(), KeeperKey: p.keeper.Public(), Time: 6_000}
}

func TestAGiftGetsItsKeeper(t *testing.T) {
	s, giver, friend := gift(t, 2)
	if got := friend.current(s); !got.Gift || got.Keeper != giver.account() {
		t.Errorf("before: %+v", got)
	}
	if !s.MayRemove(someone(2).keeper.Public(), friend.id()) || s.MayRemove(giver.keeper.Public(), friend.id()) {
		t.Error("before: the giver counts as its keeper, and others may remove it")
	}
	kept := apply(t, s, NewKeep(friend.keep(s), friend.box, friend.keeper))
	if got := friend.current(kept); got.Gift || got.Keeper != friend.account() || got.Rev != uint64(kept.Len()) || got.Status != StatusActive {
		t.Errorf("after: %+v", got)
	}
	if key, ok := kept.KeeperKey(friend.account()); !ok || !key.Equal(friend.keeper.Public()) {
		t.Error("after: the friend is no keeper")
	}
	refused(t, kept, NewKeep(friend.keep(kept), friend.box, friend.keeper), ErrKeeper)
	other := someone(9)
	again := with(friend.keep(kept), func(b *KeepBody) { b.Keeper, b.KeeperKey = other.account(), other.keeper.Public() })
	refused(t, kept, NewKeep(again, friend.box, other.keeper), ErrKeeper)
}

// A member that keeps a box already may get another as a gift.
func TestAGiftForAKeeperOfTheCircle(t *testing.T) {
	s, _, friend := gift(t, 2)
	b := someone(2)
	body := with(friend.keep(s), func(k *KeepBody) { k.Keeper, k.KeeperKey = b.account(), b.keeper.Public() })
	if got := friend.current(apply(t, s, NewKeep(body, friend.box, b.keeper))); got.Keeper != b.account() {
		t.Errorf("got %+v", got)
	}
}

func TestKeepRefuses(t *testing.T) {
	s, giver, friend := gift(t, 2)
	b := someone(2)
	gone := apply(t, s, NewRetire(friend.retire(s), friend.box))
	edited := func(edit func(*KeepBody)) Change {
		return NewKeep(with(friend.keep(s), edit), friend.box, friend.keeper)
	}
	for name, tt := range map[string]struct {
		s    *State
		c    Change
		want error
	}{
		"without the box":       {s, NewKeep(friend.keep(s), friend.keeper), ErrSignature},
		"without the keeper":    {s, NewKeep(friend.keep(s), friend.box), ErrSignature},
		"the giver signs":       {s, NewKeep(friend.keep(s), giver.box, friend.keeper), ErrSignature},
		"one too many":          {s, NewKeep(friend.keep(s), friend.box, friend.keeper, giver.keeper), ErrSignature},
		"a box that is no gift": {s, NewKeep(b.keep(s), b.box, b.keeper), ErrKeeper},
		"a box that has left":   {gone, NewKeep(friend.keep(gone), friend.box, friend.keeper), ErrNotActive},
		"an unknown box":        {s, NewKeep(someone(9).keep(s), someone(9).box, someone(9).keeper), ErrUnknown},
		"an older standing":     {s, edited(func(k *KeepBody) { k.Rev-- }), ErrOutdated},
		"another circle":        {s, edited(func(k *KeepBody) { k.Circle = "0123456789abcdef0123456789abcdef" }), ErrCircle},
		"another's account":     {s, edited(func(k *KeepBody) { k.Keeper = b.account() }), ErrKeeper},
		"the box's own key":     {s, edited(func(k *KeepBody) { k.KeeperKey = friend.box.Public() }), ErrKeeper},
		"a box's key":           {s, edited(func(k *KeepBody) { k.KeeperKey = b.box.Public() }), ErrKeeper},
		"no account":            {s, edited(func(k *KeepBody) { k.Keeper = "" }), ErrMalformed},
		"time before the epoch": {s, edited(func(k *KeepBody) { k.Time = -1 }), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tt.s, tt.c, tt.want) })
	}
}

// A gift is kept by whoever's box invites: nobody is made the keeper of a box unasked.
func TestAGiftIsTheInvitersOwn(t *testing.T) {
	s := circle(t, 2)
	b, d := someone(2), someone(4)
	body := d.gift(s, someone(1))
	body.Inviter = b.id()
	refused(t, s, NewAdmit(body, b.box, d.box), ErrKeeper)
	body.Gift = false // a second box of the same keeper, invited by a friend
	apply(t, s, NewAdmit(body, b.box, d.box))
}

func TestGoldenGift(t *testing.T) {
	s, _, friend := gift(t, 1)
	s = apply(t, s, NewKeep(friend.keep(s), friend.box, friend.keeper))
	head := s.Head()
	if got := fmt.Sprintf("%x", head[:8]); got != goldenGift {
		t.Errorf("got %s, want %s", got, goldenGift)
	}
}

const goldenGift = "794cc70091e8b251"
