package raftnode_test

import (
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

// The faults of the two stories. "Apart": at the house that is left, while the other is
// away; more than that happens to two houses in loseEachOther.
//
//	fault                                                   3–5 houses   2 together   2 apart
//	one direction between two boxes is cut                      x            x
//	both directions, a partition, one box alone                 x            x           x
//	flapping: a line that comes and goes                        x            x
//	delay, loss, duplicates, other order                        x            x
//	power cut: any of what was not synced is left               x            x           x
//	power cut within a write: torn at any sector                x            x           x
//	the power goes everywhere at once                           x            x
//	kill -9; planned stop                                       x            x           x
//	a box is paused, and goes on with what it believed          x            x           x
//	a clock on the wall jumps, up to 14 days off, both ways     x            x           x
//	a full disk that later has room                             x            x           x
//	a disk that lies: no sync happens, then a power cut         x
//	a lost disk; the box returns with its old keys              x
//	a house burns, is declared gone, another replaces it        x
//	a house retires, and another comes before or after it       x            x
//	a drill: a house plays dead, whoever ordered it dies        x            x
//	a house burns, is given up by takeover, another follows                              x
//	a house is given up, wrongly, and comes home                                         x
//
// Whatever a disk lost that lied or was lost counts as burnt with that house: what was
// kept in two houses must be whole all the same.
type fault func(w *world, b, o *raftnodetest.Box)

var (
	faultsTogether = []fault{
		cutOneWay, cutBothWays, flap, roughLinks, (*world).cutPower, (*world).cutPowerSoon, (*world).powerGoesEverywhere,
		(*world).kill, (*world).planned, (*world).pause, (*world).clockJumps, (*world).fillUp,
	}
	faultsApart = []fault{
		(*world).cutPower, (*world).cutPowerSoon, (*world).kill, (*world).planned, (*world).pause, (*world).clockJumps, (*world).fillUp,
	}
	faultsOfMany = append([]fault{partition, alone, heal, heal}, faultsTogether...)
	faultsOnce   = []fault{(*world).fire, (*world).lieOfDisk, (*world).loseDisk, (*world).retire, (*world).drill} // each ends in peace
)

// faults has things go wrong for a while.
func (w *world) faults() {
	grave := w.rng.IntN(3)
	for range 10 + w.rng.IntN(12) {
		time.Sleep(200*time.Millisecond + w.upTo(6*time.Second))
		if grave > 0 && w.rng.IntN(6) == 0 {
			grave--
			w.healAll()
			w.oneOf2(faultsOnce, w.anyOne(), nil)
			continue
		}
		w.oneOf2(faultsOfMany, w.anyOne(), w.anyOne())
		for range 2 {
			w.start(w.anyOne())
		}
		w.holds()
	}
}

func (w *world) anyOne() *raftnodetest.Box { return w.oneOf(w.rng) }

func (w *world) oneOf2(fs []fault, b, o *raftnodetest.Box) { fs[w.rng.IntN(len(fs))](w, b, o) }

// down ends a box in one of three ways.
func (w *world) down(b *raftnodetest.Box) {
	switch w.rng.IntN(4) {
	case 0:
		b.Crash()
	case 1:
		b.Stop()
	default:
		b.CutPower()
	}
}

// start starts a box that is down, or whose power has gone.
func (w *world) start(b *raftnodetest.Box) {
	if b.Node != nil && b.Disk.Off() {
		b.CutPower()
	}
	if b.Node != nil {
		return
	}
	if err := b.Start(); err != nil {
		w.Errorf("start %s: %v", b.Name, err)
	}
}

// healAll ends all faults but those of the fires.
func (w *world) healAll() {
	w.c.Mesh.Heal()
	w.c.Mesh.SetLinks(transport.Link{Latency: 5 * time.Millisecond})
	for _, b := range w.standing() {
		b.Disk.CutAt(0)
		b.Disk.SetFull(false)
		w.start(b)
	}
}

func cutOneWay(w *world, b, o *raftnodetest.Box) { w.c.Mesh.Cut(b.Key.BoxID(), o.Key.BoxID()) }

func cutBothWays(w *world, b, o *raftnodetest.Box) {
	cutOneWay(w, b, o)
	cutOneWay(w, o, b)
}

func partition(w *world, b, o *raftnodetest.Box) {
	w.c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()}, []ident.BoxID{o.Key.BoxID()})
}

func alone(w *world, b, _ *raftnodetest.Box) { w.c.Mesh.Partition([]ident.BoxID{b.Key.BoxID()}) }

func heal(w *world, _, _ *raftnodetest.Box) { w.c.Mesh.Heal() }

func flap(w *world, b, o *raftnodetest.Box) {
	for range 4 + w.rng.IntN(8) {
		cutBothWays(w, b, o)
		time.Sleep(w.upTo(1500 * time.Millisecond))
		w.c.Mesh.Mend(b.Key.BoxID(), o.Key.BoxID())
		w.c.Mesh.Mend(o.Key.BoxID(), b.Key.BoxID())
		time.Sleep(w.upTo(1500 * time.Millisecond))
	}
}

func roughLinks(w *world, _, _ *raftnodetest.Box) {
	w.c.Mesh.SetLinks(transport.Link{
		Latency: w.upTo(100 * time.Millisecond), Jitter: w.upTo(50 * time.Millisecond),
		Loss: w.rng.Float64() / 5, Duplicate: w.rng.Float64() / 5,
	})
}

func (w *world) kill(b, _ *raftnodetest.Box) { w.thenBack(b, b.Crash) }

func (w *world) planned(b, _ *raftnodetest.Box) { w.thenBack(b, b.Stop) }

func (w *world) cutPower(b, _ *raftnodetest.Box) { w.thenBack(b, b.CutPower) }

// thenBack starts the box again: at once, soon, or with the next fault.
func (w *world) thenBack(b *raftnodetest.Box, down func()) {
	down()
	if w.rng.IntN(3) > 0 {
		time.Sleep(w.upTo(5 * time.Second))
		w.start(b)
	}
}

// cutPowerSoon cuts the power within one of the next writes.
func (w *world) cutPowerSoon(b, _ *raftnodetest.Box) {
	if b.Node == nil {
		return
	}
	b.Disk.Garbage(w.rng.IntN(2) == 0)
	b.Disk.CutAt(1 + w.rng.IntN(60))
	time.Sleep(w.upTo(10 * time.Second))
	b.Disk.CutAt(0)
	w.start(b)
}

func (w *world) powerGoesEverywhere(_, _ *raftnodetest.Box) {
	for _, b := range w.standing() {
		b.CutPower()
	}
	time.Sleep(w.upTo(5 * time.Second))
	for _, b := range w.standing() {
		w.start(b)
		time.Sleep(w.upTo(2 * time.Second))
	}
}

// pause has a box neither hear, say nor decide anything for a while, and then go on
// with what it believed before.
func (w *world) pause(b, _ *raftnodetest.Box) {
	if n, err := b.Running(); err == nil {
		n.Pause(w.upTo(15 * time.Second))
	}
}

// clockJumps keeps any two boxes within 30 days: a write that is so much younger than an
// older version of a file ends it.
func (w *world) clockJumps(b, _ *raftnodetest.Box) {
	const days = 86400
	b.SetClock(w.rng.Int64N(28*days) - 14*days)
}

func (w *world) fillUp(b, _ *raftnodetest.Box) {
	b.Disk.SetFull(true)
	time.Sleep(w.upTo(15 * time.Second))
	b.Disk.SetFull(false)
}

// fire burns one house, with all boxes in it, and has a fresh box take its place.
func (w *world) fire(old, _ *raftnodetest.Box) {
	house := slices.DeleteFunc(w.standing(), func(b *raftnodetest.Box) bool { return b.House != old.House })
	for _, b := range house {
		w.burn(b)
	}
	time.Sleep(w.upTo(20 * time.Second))
	fresh, err := w.c.Add(w.ctx, "new-"+old.Name, "new house of "+old.Name)
	if err != nil {
		w.Errorf("add the box after the fire: %v", err)
		return
	}
	by := fresh.Key.BoxID()
	for _, b := range house {
		if err := w.c.Gone(w.ctx, b.Name, by); err != nil {
			w.Errorf("declare %s gone: %v", b.Name, err)
			return
		}
		by = ""
	}
	w.peace("the fire")
	w.holds()
}

// retire has a box leave by its own word, while people use it; then its disk is wiped.
// Nothing of it is excused. A fresh box comes before or after it.
func (w *world) retire(old, _ *raftnodetest.Box) {
	w.peace("the healing")
	first := w.rng.IntN(2) == 0
	if first {
		w.addAfter(old)
	}
	w.leave(old)
	if !first {
		w.addAfter(old)
	}
	w.peace("the leave")
	w.holds()
}

func (w *world) addAfter(old *raftnodetest.Box) {
	if _, err := w.c.Add(w.ctx, "next-"+old.Name, "next house of "+old.Name); err != nil {
		w.Fatalf("add a box for %s, which retires: %v", old.Name, err)
	}
}

// leave ends when the box is out of the circle and off.
func (w *world) leave(b *raftnodetest.Box) {
	if err := b.Retire(w.ctx); err != nil {
		w.Fatalf("%s retires: %v", b.Name, err)
	}
	w.mu.Lock()
	w.left[b.Name] = true
	w.mu.Unlock()
	if err := b.Burn(); err != nil {
		w.Error(err)
	}
}

// drill has a house play dead for a minute, which ends by itself: the box that ordered
// it may die meanwhile.
func (w *world) drill(b, _ *raftnodetest.Box) {
	w.togetherForDrill()
	for _, o := range w.standing() {
		if o.House == b.House {
			w.c.Mesh.Partition([]ident.BoxID{o.Key.BoxID()})
		}
	}
	const plays = time.Minute
	before := w.upTo(plays / 2)
	time.Sleep(before)
	others := slices.DeleteFunc(w.standing(), func(o *raftnodetest.Box) bool { return o.House == b.House })
	if by := others[w.rng.IntN(len(others))]; w.rng.IntN(2) == 0 {
		w.thenBack(by, by.Crash)
	}
	time.Sleep(plays - before)
	w.healAll()
	w.togetherForDrill()
	w.holds()
}

// togetherForDrill waits until the circle is whole: no drill begins before that.
func (w *world) togetherForDrill() {
	wait(w.T, w.ctx, "complete", func() (bool, error) { return w.c.Complete(w.ctx, w.space) })
}

func (w *world) burn(b *raftnodetest.Box) {
	w.mu.Lock()
	w.burnt[b.Name] = true
	w.mu.Unlock()
	if err := b.Burn(); err != nil {
		w.Error(err)
	}
}

// peace waits until three houses have everything.
func (w *world) peace(after string) {
	waitVoters(w.T, w.ctx, w.c, w.space, 3)
	wait(w.T, w.ctx, "complete after "+after, func() (bool, error) { return w.c.Complete(w.ctx, w.space) })
}

// lieOfDisk has a disk say that it synced for a while, and then loses the power. The
// box may find out or not. Until it is whole again, the others go on undisturbed: with
// that house they are short of one already.
//
// A shard whose log lost its end there begins anew under another number, found at the
// start or by the leader's word. Disks lie only with -lies, as in make torture, until
// many seeds have shown that this is all.
func (w *world) lieOfDisk(b, _ *raftnodetest.Box) {
	if !*liesFlag {
		return
	}
	w.peace("the healing")
	if err := b.Disk.Lie(); err != nil {
		w.Error(err)
	}
	time.Sleep(w.upTo(20 * time.Second))
	w.diskLoses(b)
	b.CutPower()
	time.Sleep(w.upTo(10 * time.Second))
	w.start(b)
	w.peace("the lie")
}

// diskLoses excuses what the box has kept alone so far.
func (w *world) diskLoses(b *raftnodetest.Box) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost[b.Name] = b.Life()
}

// loseDisk has a box come back with an empty disk and its old keys. It was promised
// much, and knows nothing of it. Its keepers declare it gone and let it in again.
func (w *world) loseDisk(b, _ *raftnodetest.Box) {
	w.peace("the healing")
	w.diskLoses(b)
	if err := b.Burn(); err != nil {
		w.Error(err)
	}
	time.Sleep(w.upTo(10 * time.Second))
	w.start(b)
	time.Sleep(w.upTo(20 * time.Second))
	if err := w.c.Gone(w.ctx, b.Name, ""); err != nil {
		w.Errorf("declare %s gone: %v", b.Name, err)
		return
	}
	time.Sleep(w.upTo(5 * time.Second))
	if err := w.c.Home(w.ctx, b.Name); err != nil {
		w.Errorf("%s comes back: %v", b.Name, err)
		return
	}
	w.peace("the lost disk")
}
