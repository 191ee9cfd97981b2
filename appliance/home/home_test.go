package home

import (
	"errors"
	"slices"
	"testing"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// parted is a circle of two houses, of which ash went on without elm.
func parted(t *testing.T) (w *world, ash, elm *box) {
	t.Helper()
	w = newWorld(t)
	ash, elm = w.box(1, "ash"), w.box(2, "elm")
	ash.found()
	ash.admit(elm)
	elm.copyOf(ash)
	ash.takeOver(elm)
	elm.apart = true
	return w, ash, elm
}

func TestABoxThatWasGivenUpIsLetInBySomebody(t *testing.T) {
	_, ash, elm := parted(t)
	if err := elm.look(); err != nil {
		t.Fatal(err)
	}
	if o := elm.Outcast(); o == nil || o.At != "ash at ash house" || o.Since.UnixMilli() != 3 {
		t.Errorf("outcast: %+v", o)
	}
	if elm.rejoined != 0 {
		t.Fatal("home without anybody's yes")
	}
	waiting := ash.Returns()
	if len(waiting) != 1 || waiting[0].Box != elm.id() || waiting[0].Name != "elm" || waiting[0].House != "elm house" {
		t.Fatalf("returns: %+v", waiting)
	}
	if err := ash.LetIn(t.Context(), "another box"); !errors.Is(err, ErrNotWaiting) {
		t.Errorf("another box: %v", err)
	}
	if err := ash.LetIn(t.Context(), elm.id()); err != nil {
		t.Fatal(err)
	}
	if err := elm.look(); err != nil {
		t.Fatal(err)
	}
	if elm.rejoined != 51 || len(elm.boxes) != 2 || elm.Outcast() != nil || len(ash.Returns()) != 0 {
		t.Errorf("replica %d, boxes %v, outcast %v, waiting %v", elm.rejoined, elm.boxes, elm.Outcast(), ash.Returns())
	}
	if elm.ahead == nil || elm.ahead.Era() != 1 || !elm.ahead.Active(elm.id()) {
		t.Error("the host is not told of the members")
	}
}

func TestARefusedBoxMayAskAgain(t *testing.T) {
	_, ash, elm := parted(t)
	if err := elm.look(); err != nil {
		t.Fatal(err)
	}
	if err := ash.Refuse(elm.id()); err != nil {
		t.Fatal(err)
	}
	if err := ash.LetIn(t.Context(), elm.id()); !errors.Is(err, ErrNotWaiting) {
		t.Errorf("let in after all: %v", err)
	}
	if err := errors.Join(elm.look(), ash.LetIn(t.Context(), elm.id())); err != nil {
		t.Error(err)
	}
}

// A survivor that was not the one to begin the new era has a place there already.
func TestAnotherSurvivorNeedsNobodysYes(t *testing.T) {
	w := newWorld(t)
	ash, elm, oak := w.box(1, "ash"), w.box(2, "elm"), w.box(3, "oak")
	ash.found()
	ash.admit(elm)
	ash.admit(oak)
	oak.copyOf(ash)
	ash.takeOver(elm)
	oak.apart = true
	if err := oak.look(); err != nil {
		t.Fatal(err)
	}
	if oak.rejoined != 51 || len(oak.boxes) != 2 {
		t.Errorf("replica %d, boxes %v", oak.rejoined, oak.boxes)
	}
}

func TestAnOrdinaryLagIsNoReasonToMove(t *testing.T) {
	w := newWorld(t)
	ash, elm, oak := w.box(1, "ash"), w.box(2, "elm"), w.box(3, "oak")
	ash.found()
	ash.admit(elm)
	elm.copyOf(ash)
	ash.admit(oak)
	if err := elm.look(); !errors.Is(err, errNoNews) || elm.rejoined != 0 || len(ash.Returns()) != 0 {
		t.Errorf("%v, replica %d, %v", err, elm.rejoined, ash.Returns())
	}
}

// Both went on without each other: that is for people to decide, and nothing moves.
func TestAForkMovesNothing(t *testing.T) {
	_, ash, elm := parted(t)
	elm.takeOver(ash)
	for _, b := range []*box{ash, elm} {
		if err := b.look(); err == nil || b.rejoined != 0 || b.Outcast() != nil {
			t.Errorf("%s: %v, replica %d", b.name, err, b.rejoined)
		}
	}
	if r, err := ash.answer(elm.id(), call{Circle: elm.roster().Circle(), Len: elm.roster().Len(), Head: elm.roster().Head()}); err != nil || !r.Forked {
		t.Errorf("%+v %v", r, err)
	}
}

func TestStrangersAndThievesHearNothing(t *testing.T) {
	w, ash, elm := parted(t)
	stranger := w.box(9, "yew")
	stranger.copyOf(elm)
	other := w.box(8, "fir")
	other.found()
	ask := call{Circle: ash.roster().Circle()}
	if _, err := ash.answer(stranger.id(), ask); err == nil {
		t.Error("a stranger heard the news")
	}
	if _, err := ash.answer(elm.id(), call{Circle: other.roster().Circle()}); err == nil {
		t.Error("another circle's news")
	}
	ash.must(directory.Command{Roster: &directory.RosterChange{Change: roster.NewStolen(ash.goneBody(elm), ash.keeper)}})
	if _, err := ash.answer(elm.id(), ask); err == nil {
		t.Error("a stolen box heard the news")
	}
	if err := elm.look(); err == nil || elm.rejoined != 0 {
		t.Errorf("a stolen box came home: %v", err)
	}
}

// What another box says is believed only as far as it is signed.
func TestForgedNewsMoveNothing(t *testing.T) {
	_, ash, elm := parted(t)
	mine := elm.roster()
	r, err := ash.answer(elm.id(), call{Circle: mine.Circle(), Len: mine.Len(), Head: mine.Head()})
	if err != nil || len(r.News) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err := extend(mine, r); err != nil {
		t.Fatal(err)
	}
	c, err := roster.Decode(r.News[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Sigs[0].Sig[7] ^= 1
	if _, err := extend(mine, reply{News: [][]byte{roster.Encode(c)}, Head: r.Head}); err == nil {
		t.Error("a forged signature is believed")
	}
	if _, err := extend(mine, reply{News: r.News, Head: [32]byte{1}}); err == nil {
		t.Error("another head is believed")
	}
	if _, err := extend(mine, reply{News: [][]byte{{1, 2, 3}}}); err == nil {
		t.Error("garbage is believed")
	}
}

// Nobody asks in another's name, nor through a box that was not asked.
func TestAnAdmissionIsTheAskersOwn(t *testing.T) {
	w, ash, elm := parted(t)
	then := ash.roster()
	self, _ := then.Box(elm.id())
	good := elm.admission(then, self, ash.id())
	ask := func(from ident.BoxID, change roster.Change) error {
		r, err := ash.answer(from, call{Circle: then.Circle(), Len: then.Len(), Head: then.Head(), Admit: roster.Encode(change)})
		if err == nil && !r.Waiting {
			t.Errorf("neither waiting nor refused: %+v", r)
		}
		return err
	}
	thief := w.box(7, "yew")
	forged := good
	forged.Sigs = roster.AddSignature(roster.Change{Kind: good.Kind, Body: good.Body}, thief.key).Sigs
	if ask(elm.id(), forged) == nil {
		t.Error("signed by another")
	}
	if ask(elm.id(), elm.admission(then, self, thief.id())) == nil {
		t.Error("through another inviter")
	}
	old := self
	old.Rev--
	if ask(elm.id(), elm.admission(then, old, ash.id())) == nil {
		t.Error("of an earlier standing")
	}
	if len(ash.Returns()) != 0 {
		t.Fatal("somebody waits")
	}
	if err := ask(elm.id(), good); err != nil {
		t.Error(err)
	}
}

func TestAHomeNameThatIsTakenIsChanged(t *testing.T) {
	w, ash, elm := parted(t)
	other := w.box(4, "oak")
	other.name = "elm" // and its house is called so, too
	acc := other.account()
	acc.ID, acc.Name = "00000000000000ff", "another"
	ash.must(directory.Command{Admit: &directory.Admit{Account: &acc, Change: roster.NewAdmit(roster.AdmitBody{
		Circle: ash.roster().Circle(), Inviter: ash.id(), Box: other.id(), BoxName: "elm", House: "00000000000000ee", HouseName: "elm house",
		Keeper: acc.ID, KeeperKey: other.keeper.Public(), Time: 5,
	}, ash.key, other.key)}})
	if err := elm.look(); err != nil {
		t.Fatal(err)
	}
	if err := ash.LetIn(t.Context(), elm.id()); err != nil {
		t.Fatal(err)
	}
	b, _ := ash.roster().Box(elm.id())
	if h, _ := ash.roster().House(b.House); b.Name != "elm again" || h.Name != "elm house again" {
		t.Errorf("box %q in %q", b.Name, h.Name)
	}
}

func FuzzAnswer(f *testing.F) {
	t := &testing.T{}
	w := newWorld(t)
	ash, elm := w.box(1, "ash"), w.box(2, "elm")
	ash.found()
	ash.admit(elm)
	elm.copyOf(ash)
	ash.takeOver(elm)
	then := ash.roster()
	self, _ := then.Box(elm.id())
	f.Add(wire.MustMarshal(call{Circle: then.Circle(), Len: then.Len(), Head: then.Head(), Admit: roster.Encode(elm.admission(then, self, ash.id()))}))
	f.Add(wire.MustMarshal(call{Circle: then.Circle(), Len: -1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c call
		if wire.Unmarshal(b, &c) != nil {
			return
		}
		r, err := ash.answer(elm.id(), c)
		if err == nil && len(wire.MustMarshal(r)) > maxReply {
			t.Fatal("over the limit")
		}
		if ash.roster().Active(elm.id()) {
			t.Fatal("a call alone let a box in")
		}
	})
}

// Both went on without each other: a person picks, at either box, and then the other
// side comes home without a second yes.
func TestAPersonPicksTheSideThatGoesOn(t *testing.T) {
	for _, at := range []string{"ash", "elm"} {
		t.Run(at, func(t *testing.T) {
			_, ash, elm := parted(t)
			elm.takeOver(ash)
			elm.apart = false
			for _, b := range []*box{ash, elm} {
				if err := b.visit(t.Context()); !errors.Is(err, errForked) {
					t.Errorf("%s: %v", b.name, err)
				}
			}
			p := elm.Parted()
			if p == nil || !slices.Equal(p.Here, []string{"elm house"}) || !slices.Equal(p.There, []string{"ash house"}) || p.Picked != "" {
				t.Fatalf("parted: %+v", p)
			}
			by := map[string]*box{"ash": ash, "elm": elm}[at]
			if err := by.Keep("oak house", by.keeper); !errors.Is(err, ErrNoSide) {
				t.Errorf("a third house: %v", err)
			}
			if err := by.Keep("ash house", by.key); !errors.Is(err, ErrNoSay) {
				t.Errorf("the key of a box: %v", err)
			}
			// Either keeper may say so at either box.
			if err := by.Keep("ash house", elm.keeper); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				_, _ = elm.visit(t.Context()), ash.visit(t.Context())
			}
			if elm.gaveWay == 0 || ash.gaveWay != 0 || elm.rejoined != 0 {
				t.Errorf("elm gave way to %d, ash to %d", elm.gaveWay, ash.gaveWay)
			}
			if !ash.roster().Active(elm.id()) || elm.ahead == nil || elm.ahead.Head() != ash.roster().Head() {
				t.Error("elm is not in the circle that goes on")
			}
			if len(ash.Returns()) != 0 {
				t.Error("somebody is asked once more")
			}
			if _ = ash.visit(t.Context()); ash.Parted() != nil {
				t.Error("all are home, and it is still told")
			}
		})
	}
}

// Each keeper picked the own side: nothing moves, until one of them picks again.
func TestTwoPicksMoveNothing(t *testing.T) {
	_, ash, elm := parted(t)
	elm.takeOver(ash)
	look := func() {
		for range 3 {
			_, _ = elm.visit(t.Context()), ash.visit(t.Context())
		}
	}
	look()
	if err := errors.Join(ash.Keep("ash house", ash.keeper), elm.Keep("elm house", elm.keeper)); err != nil {
		t.Fatal(err)
	}
	look()
	if elm.gaveWay != 0 || ash.gaveWay != 0 {
		t.Fatal("one gave way all the same")
	}
	if err := elm.Keep("ash house", elm.keeper); err != nil {
		t.Fatal(err)
	}
	look()
	if elm.gaveWay == 0 || ash.gaveWay != 0 {
		t.Errorf("elm gave way to %d, ash to %d", elm.gaveWay, ash.gaveWay)
	}
}

// A side that went on alone comes home to most of the circle as it was, whatever the
// number of its era, and nobody has to pick.
func TestMostOfTheCircleAsItWasGoesOn(t *testing.T) {
	w := newWorld(t)
	ash, elm, oak := w.box(1, "ash"), w.box(2, "elm"), w.box(3, "oak")
	ash.found()
	ash.admit(elm)
	ash.admit(oak)
	for _, b := range []*box{elm, oak} {
		b.copyOf(ash)
	}
	elm.takeOver(ash, oak) // it was only the line
	ash.apart, oak.apart = true, true
	if err := elm.visit(t.Context()); !errors.Is(err, errForked) || elm.gaveWay != 0 {
		t.Errorf("to one that knows nothing of most of them: %v", err)
	}
	ash.apart, oak.apart = false, false
	if err := elm.visit(t.Context()); err != nil || elm.gaveWay == 0 || elm.Parted() != nil {
		t.Errorf("%v, given way to %d", err, elm.gaveWay)
	}
	if err := ash.visit(t.Context()); err != nil || ash.gaveWay != 0 {
		t.Errorf("the majority: %v, %d", err, ash.gaveWay)
	}
}

// Of two houses one goes on alone, and the other is back in the same moment: that it is
// in touch with the first does not make the two most of the circle as it was.
func TestWhoAsksDoesNotCountForThoseFromBefore(t *testing.T) {
	w := newWorld(t)
	ash, elm := w.box(1, "ash"), w.box(2, "elm")
	ash.found()
	ash.admit(elm)
	elm.copyOf(ash)
	elm.takeOver(ash)
	ash.alone = true // and not apart: it hears elm
	if err := elm.visit(t.Context()); !errors.Is(err, errForked) || elm.gaveWay != 0 {
		t.Errorf("%v, given way to %d", err, elm.gaveWay)
	}
}

// A pick that is forged, or of another parting, moves nothing.
func TestAForgedPickMovesNothing(t *testing.T) {
	_, ash, elm := parted(t)
	elm.takeOver(ash)
	_, _ = elm.visit(t.Context()), ash.visit(t.Context())
	if err := ash.Keep("ash house", ash.keeper); err != nil {
		t.Fatal(err)
	}
	good := ash.picked()
	for name, spoil := range map[string]func(*signedPick){
		"signature": func(s *signedPick) { s.Sig = append([]byte{s.Sig[0] ^ 1}, s.Sig[1:]...) },
		"key":       func(s *signedPick) { s.Key = ash.key.Public() },
		"no key":    func(s *signedPick) { s.Key = nil },
		"garbage":   func(s *signedPick) { s.Pick = []byte{1, 2, 3} },
	} {
		bad := *good
		spoil(&bad)
		if c := elm.choose(elm.Parted(), &bad); c.theirs || c.mine {
			t.Errorf("%s: believed", name)
		}
	}
	if c := elm.choose(elm.Parted(), good); !c.theirs {
		t.Error("the right one is not believed")
	}
}
