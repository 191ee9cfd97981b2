package appliancetest_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/provision/p2p"
)

// diarist writes a small file at a box every half second, and knows which were answered.
type diarist struct {
	at   *appliancetest.Box
	stop func()

	mu      sync.Mutex
	answers map[string]int // by path: houses that had it, as answered
	slowest time.Duration
	failed  []error
}

// keepWriting has zoe write at a box until stop.
func keepWriting(t *testing.T, at *appliancetest.Box) *diarist {
	t.Helper()
	round := time.Now().UnixMilli()
	ctx, cancel := context.WithCancel(context.Background())
	d := &diarist{at: at, answers: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			d.write(ctx, fmt.Sprintf("/%s %d-%d.txt", at.Name, round, i))
			time.Sleep(500 * time.Millisecond)
		}
	}()
	d.stop = func() { cancel(); <-done }
	t.Cleanup(d.stop)
	return d
}

func (d *diarist) write(ctx context.Context, path string) {
	begun := time.Now()
	a, err := d.at.TryWrite(ctx, "zoe", path, []byte(path))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slowest = max(d.slowest, time.Since(begun))
	switch {
	case err == nil:
		d.answers[path] = a.Kept
	case ctx.Err() == nil:
		d.failed = append(d.failed, err)
	}
}

// check stops writing and looks at every box for everything that was answered.
func (d *diarist) check(t *testing.T, c houses) {
	t.Helper()
	d.stop()
	kept := map[int]int{}
	for path, n := range d.answers {
		kept[n]++
		for _, b := range c.Boxes() {
			if b.Appliance != nil {
				b.Shows("zoe", path, []byte(path), time.Minute)
			}
		}
	}
	t.Logf("%s: answers by houses %v, slowest %v", d.at.Name, kept, d.slowest)
	if len(d.answers) == 0 || len(d.failed) > 0 {
		t.Errorf("%s: %d writes answered, %d failed: %v", d.at.Name, len(d.answers), len(d.failed), d.failed)
	}
}

// event is something that happens to a circle every few weeks.
type event struct {
	name   string
	what   func(c houses)
	within time.Duration // all houses reach each other after it is over
}

func events() []event {
	return []event{
		{"a box crashes and restarts", func(c houses) {
			c.hill.Crash()
			time.Sleep(20 * time.Second)
			c.hill.Start()
		}, 30 * time.Second},
		{"a router gets another address", func(c houses) {
			c.hillR.Move()
			moved := time.Now()
			c.Until("hill has new links", time.Minute, func() bool {
				return !slices.ContainsFunc(c.hill.Host().Links(), func(l p2p.Link) bool {
					return l.State != p2p.Direct || l.Since.Before(moved)
				})
			})
			c.T.Logf("hill has direct links again after %v", time.Since(moved))
		}, 30 * time.Second},
		{"the public house is off for two minutes", func(c houses) {
			c.oak.Crash()
			time.Sleep(2 * time.Minute)
			c.oak.Start()
		}, 30 * time.Second},
		{"the public house restarts as planned", func(c houses) {
			c.oak.Stop()
			time.Sleep(10 * time.Second)
			c.oak.Start()
		}, 30 * time.Second},
		{"the internet of a house is cut for a minute", func(c houses) {
			c.hillR.Cut(true)
			time.Sleep(time.Minute)
			c.hillR.Cut(false)
		}, 45 * time.Second},
	}
}

// A box restarts, a router gets another address, the one house with a public
// address is off for a while. The circle comes back by itself, writing goes on at the
// other houses, and nothing that was answered is lost.
func TestTheCircleComesBack(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		for _, e := range events() {
			d := keepWriting(t, c.mill)
			time.Sleep(5 * time.Second)
			e.what(c)
			begun := time.Now()
			for _, b := range c.Boxes() {
				c.Until(e.name+": "+b.Name+" reaches all", e.within, func() bool { return reachesAll(b) })
			}
			reached := time.Since(begun)
			d.check(t, c)
			c.AwaitComplete(3, e.within)
			t.Logf("%s: all links are back after %v, all is complete after %v", e.name, reached, time.Since(begun))
		}
	})
}

func reachesAll(b *appliancetest.Box) bool {
	st := b.Status()
	for _, other := range st.Boxes {
		if !other.Alive {
			return false
		}
	}
	return len(st.Boxes) > 0
}

// A box that crashes in the moment after it was let in needs no second ticket.
func TestACrashRightAfterJoining(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		late := c.Box("late", "Late House", c.Net.Spot())
		a := late.Ask(c.oak.Invite(), "lena")
		a.AwaitPending(c.oak)
		if err := c.oak.Circle().Desk().Approve(t.Context(), late.ID()); err != nil {
			t.Fatal(err)
		}
		if err := a.Answer(); err != nil {
			t.Fatal(err)
		}
		t.Logf("the circle is known already: %v", late.About().Claimed)
		late.Crash()
		late.Start()
		c.Until("late knows its circle", time.Minute, func() bool { return late.About().Claimed })
		c.AwaitComplete(3, 2*time.Minute)
	})
}
