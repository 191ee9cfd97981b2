package raftnode_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

var twoFlag = flag.Uint64("two", 0, "run TestRandomTwoHouses with this seed alone")

// TestRandomTwoHouses lets people write at both of two houses that lose each other,
// give each other up and come home, or burn and are followed by another, while more goes
// wrong (see the table of faults). Then all heals, and the promises of the package are checked.
func TestRandomTwoHouses(t *testing.T) {
	eachSeed(t, "two", *twoFlag, runTwo)
}

func runTwo(t *testing.T, seed uint64) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Minute)
	defer cancel()
	w := newWorld(t, ctx, seed, rand.NewPCG(seed, 7))
	defer w.end()
	for _, name := range []string{"a", "b"} {
		if _, err := w.c.Add(w.ctx, name, name+" house"); err != nil {
			t.Fatalf("add %s: %v", name, err)
		}
	}
	waitVoters(t, ctx, w.c, ident.CircleShard, 2)
	var err error
	if w.space, err = w.c.All()[0].NewSpace(ctx, "files"); err != nil {
		t.Fatal(err)
	}
	w.bothVote()
	w.c.Mesh.SetLinks(transport.Link{Latency: 5 * time.Millisecond, Jitter: 20 * time.Millisecond})
	w.comeIn(seed, 4, 20)
	for range 3 + w.rng.IntN(3) {
		for range w.rng.IntN(4) {
			w.oneOf2(faultsTogether, w.anyOne(), w.anyOne())
		}
		w.healAll()
		switch w.rng.IntN(10) {
		case 0:
			w.giveEachOtherUp()
		case 1:
			w.retireOne()
		case 2:
			w.togetherAgain()
			w.drill(w.anyOne(), nil)
		default:
			w.loseEachOther()
		}
	}
	w.healAll()
	time.Sleep(5 * time.Second)
	w.goHome()
	w.check()
}

// loseEachOther is one episode, after which both houses are together again.
func (w *world) loseEachOther() {
	time.Sleep(w.upTo(5 * time.Second))
	standing := w.standing()
	i := w.rng.IntN(2)
	lost, left := standing[i], standing[1-i]
	if w.rng.IntN(2) == 0 {
		w.c.Mesh.Partition([]ident.BoxID{lost.Key.BoxID()})
	} else {
		w.down(lost)
	}
	time.Sleep(w.upTo(20 * time.Second))
	for range w.rng.IntN(3) {
		w.oneOf2(faultsApart, left, lost)
	}
	switch w.rng.IntN(4) {
	case 0: // it was only the line, or the power
		w.healAll()
		time.Sleep(w.upTo(10 * time.Second))
	case 1, 2:
		w.giveUp(left, lost)
		time.Sleep(w.upTo(10 * time.Second))
		w.start(lost)
		time.Sleep(w.upTo(5 * time.Second))
		w.healAll()
		w.comeHome(lost)
	case 3:
		w.giveUp(left, lost)
		w.burn(lost)
		w.c.Mesh.Heal()
		w.follow(lost)
	}
}

// retireOne has one of two houses leave by its own word: the other decides alone, and nothing
// is lost. Another house follows.
func (w *world) retireOne() {
	w.togetherAgain()
	standing := w.standing()
	i := w.rng.IntN(2)
	old, left := standing[i], standing[1-i]
	w.leave(old)
	until(w.T, w.ctx, left.Name+" decides alone", func() bool {
		return shardAt(w.T, w.ctx, left, w.space).Leads && shardAt(w.T, w.ctx, left, ident.CircleShard).Leads
	})
	time.Sleep(w.upTo(10 * time.Second))
	w.follow(old)
}

// giveEachOtherUp is an episode in which both go on alone, until one is to go on for both.
func (w *world) giveEachOtherUp() {
	time.Sleep(w.upTo(5 * time.Second))
	standing := w.standing()
	i := w.rng.IntN(2)
	left, lost := standing[1-i], standing[i]
	w.c.Mesh.Partition([]ident.BoxID{lost.Key.BoxID()})
	w.inTwo(true)
	time.Sleep(45 * time.Second) // whoever is in the middle of something gives up
	w.giveUp(left, lost)
	time.Sleep(w.upTo(10 * time.Second))
	w.giveUp(lost, left)
	time.Sleep(w.upTo(20 * time.Second))
	if w.rng.IntN(3) == 0 {
		lost.Crash()
		time.Sleep(w.upTo(3 * time.Second))
		w.start(lost)
	}
	w.c.Mesh.Heal()
	time.Sleep(w.upTo(5 * time.Second))
	until(w.T, w.ctx, lost.Name+" gives way", func() bool {
		w.start(lost)
		ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
		defer cancel()
		err := w.c.GiveWay(ctx, lost.Name)
		if err != nil {
			w.Logf("give way: %v", err)
		}
		return err == nil
	})
	if w.rng.IntN(3) == 0 { // the line goes again, or the power
		w.c.Mesh.Partition([]ident.BoxID{lost.Key.BoxID()})
		time.Sleep(w.upTo(3 * time.Second))
		lost.Crash()
		time.Sleep(w.upTo(3 * time.Second))
		w.c.Mesh.Heal()
		w.start(lost)
	}
	w.togetherAgain()
	until(w.T, w.ctx, "the branch is home", func() bool { return len(branchesAt(w.T, lost)) == 0 })
	w.inTwo(false)
}

func (w *world) inTwo(apart bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.apart = apart; !apart {
		w.forks++
	}
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// giveUp has the keeper of one box go on without the other.
func (w *world) giveUp(left, lost *raftnodetest.Box) {
	until(w.T, w.ctx, left.Name+" gives "+lost.Name+" up", func() bool {
		w.start(left)
		return left.TakeOver(w.ctx, lost.Key.BoxID()) == nil
	})
	until(w.T, w.ctx, left.Name+" decides alone", func() bool { return shardAt(w.T, w.ctx, left, w.space).Leads })
}

func (w *world) comeHome(lost *raftnodetest.Box) {
	until(w.T, w.ctx, lost.Name+" comes home", func() bool {
		ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
		defer cancel()
		err := w.c.Home(ctx, lost.Name)
		if err != nil {
			w.Logf("home: %v", err)
		}
		return err == nil
	})
	if w.rng.IntN(3) == 0 { // the power goes, too
		time.Sleep(w.upTo(3 * time.Second))
		w.down(lost)
		time.Sleep(w.upTo(3 * time.Second))
		w.start(lost)
	}
	w.togetherAgain()
}

// follow has a fresh box take the place of one that burnt.
func (w *world) follow(burnt *raftnodetest.Box) {
	if _, err := w.c.Add(w.ctx, "after-"+burnt.Name, "new house of "+burnt.Name); err != nil {
		w.Fatalf("add the box after the fire: %v", err)
	}
	w.togetherAgain()
}

// bothVote waits until both houses that stand vote. Whoever alone votes decides alone, and a
// person who gives him up at that moment has two branches: that is another story.
func (w *world) bothVote() {
	waitAllVote(w.T, w.ctx, w.standing(), ident.CircleShard)
	waitAllVote(w.T, w.ctx, w.standing(), w.space)
}

func (w *world) togetherAgain() {
	w.bothVote()
	wait(w.T, w.ctx, "complete together", func() (bool, error) { return w.c.Complete(w.ctx, w.space) })
	w.holds()
}
