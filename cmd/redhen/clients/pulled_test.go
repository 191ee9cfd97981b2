package clients

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Bounds of what a person has to wait for after a plug was pulled, on a slow machine.
const (
	carryOn = 2 * time.Minute // until a write is answered at another box
	large   = 96 << 20
)

// upload is a PUT whose body is held back in its middle.
type upload struct {
	half   chan struct{} // closed when the first half is sent
	goOn   chan struct{} // to be closed
	answer answer
	err    error
	sum    sum
	ended  chan struct{}
}

// startUpload sends the first half of a file to a box, and the rest after goOn.
func (c *circle) startUpload(i int, file string, seed uint64) *upload {
	u := &upload{half: make(chan struct{}), goOn: make(chan struct{}), ended: make(chan struct{})}
	src := drawn(seed, large)
	body := io.MultiReader(io.LimitReader(src, large/2), &gate{u: u}, src)
	go func() { // ends with the request
		defer close(u.ended)
		u.answer, u.err = c.dav(context.WithoutCancel(c.ctx), i, http.MethodPut, file, body)
		u.sum = src.sum()
	}()
	return u
}

// gate is a reader without bytes that holds its caller up once.
type gate struct{ u *upload }

func (g *gate) Read([]byte) (int, error) {
	close(g.u.half)
	<-g.u.goOn
	return 0, io.EOF
}

// TestPulledAwayUnderAnUpload pulls the plug of the box that a client uploads to:
// the client sees a broken connection, nothing half-done is there, and the same
// upload to another box works at once.
func TestPulledAwayUnderAnUpload(t *testing.T) {
	t.Parallel()
	long(t)
	c := newCircle(t, 3)
	before := c.put(1, "kept before.bin", 1, 3<<20)
	up := c.startUpload(0, "film.mkv", 2)
	<-up.half
	c.boxes[0].Kill()
	close(up.goOn)
	<-up.ended
	if up.err == nil {
		t.Errorf("the client was answered by a box that is off: %v", up.answer)
	}
	t.Logf("the client sees: %v", up.err)
	for _, i := range []int{1, 2} {
		if a, err := c.dav(c.ctx, i, http.MethodGet, "film.mkv", nil); err != nil || a.code != http.StatusNotFound {
			t.Errorf("half a file is there: %v, %v", a, err)
		}
	}
	began := time.Now()
	again := c.put(1, "film.mkv", 2, large)
	if took := time.Since(began); took > carryOn {
		t.Errorf("the upload to another box took %v, at most %v", took, carryOn)
	}
	t.Logf("the same upload at another box: %v, kept in %d houses", again, again.kept())
	c.wait("the file is kept in two houses", func(context.Context) error {
		if s := c.report(1).Spaces; s[len(s)-1].Waiting > 0 {
			return fmt.Errorf("%+v", s[len(s)-1])
		}
		return nil
	})
	c.want(2, "film.mkv", again.sum)
	c.start(0)
	c.awaitSafe(0)
	for i := range c.boxes {
		c.want(i, "film.mkv", again.sum)
		c.want(i, "kept before.bin", before.sum)
		if got := c.tree(i, ""); len(got) != 2 {
			t.Errorf("%s has %v, want two files", boxNames()[i], got)
		}
	}
}

// TestAnotherBoxPulledAwayUnderAnUpload pulls the plug of another box than the one
// that a client uploads to, of the leader and of a follower: the client notices nothing.
func TestAnotherBoxPulledAwayUnderAnUpload(t *testing.T) {
	t.Parallel()
	long(t)
	c := newCircle(t, 3)
	for round, off := range []int{1, 2} {
		file := fmt.Sprintf("film %d.mkv", round)
		up := c.startUpload(0, file, uint64(round))
		<-up.half
		c.boxes[off].Kill()
		began := time.Now()
		close(up.goOn)
		<-up.ended
		if up.err != nil || up.answer.code != http.StatusCreated {
			t.Fatalf("without %s: %v, %v", boxNames()[off], up.answer, up.err)
		}
		t.Logf("%s goes: answered %.1f s later, kept in %d houses", boxNames()[off], time.Since(began).Seconds(), up.answer.kept())
		if took := time.Since(began); took > carryOn {
			t.Errorf("answered %v after the plug was pulled, at most %v", took, carryOn)
		}
		c.want(0, file, up.sum)
		if up.answer.kept() > 1 { // else it is on its way, as the answer said
			c.want(3-off, file, up.sum)
		}
		c.start(off)
		c.awaitSafe(0)
		c.want(off, file, up.sum)
		c.want(3-off, file, up.sum)
	}
}

// written is a file that was answered.
type written struct {
	sum  sum
	kept int
}

// TestAllBoxesPulledAwayAtOnce pulls all plugs at once while programs write at every
// box: what was answered as kept in two houses or more is there when the power is back.
// What was answered as kept in one is there too: no disk was lost.
func TestAllBoxesPulledAwayAtOnce(t *testing.T) {
	t.Parallel()
	rounds, load := 3, 4*time.Second // at least, and until something is kept in two houses
	if raced || testing.Short() {
		rounds, load = 1, 3*time.Second
	}
	c := newCircle(t, 3)
	all := map[string]written{}
	for round := range rounds {
		fresh := c.writeUntilOff(t, round, load)
		for i := range c.boxes {
			c.start(i)
		}
		c.awaitSafe(0)
		kept := map[int]int{}
		for file, w := range fresh {
			all[file] = w
			kept[w.kept]++
		}
		t.Logf("round %d: answered as kept in 1, 2, 3 houses: %d, %d, %d writes", round, kept[1], kept[2], kept[3])
		if kept[2]+kept[3] == 0 {
			t.Error("nothing was kept in two houses: this proves nothing")
		}
	}
	for i := range c.boxes {
		got := c.tree(i, "")
		for file, w := range all {
			if is := got[file]; is != w.sum {
				t.Errorf("%s, answered as kept in %d houses: %x at %s, want %x", file, w.kept, is[:4], boxNames()[i], w.sum[:4])
			}
		}
	}
}

// writeUntilOff writes small and large files at every box for a while, then kills
// all boxes at once. It returns what was answered.
func (c *circle) writeUntilOff(t *testing.T, round int, load time.Duration) map[string]written {
	t.Helper()
	ctx, end := context.WithCancel(c.ctx)
	var mu sync.Mutex
	answered := map[string]written{}
	safe := make(chan struct{})
	var once sync.Once
	var writers sync.WaitGroup
	for w := range 2 * len(c.boxes) {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				file := fmt.Sprintf("round %d writer %d file %d", round, w, n)
				seed := uint64(round*1_000_000 + w*10_000 + n)
				src := drawn(seed, []int64{100, 40_000, 2_500_000}[n%3])
				a, err := c.dav(ctx, w%len(c.boxes), http.MethodPut, file, src)
				if err != nil || a.code != http.StatusCreated {
					continue // it was not answered as kept
				}
				mu.Lock()
				answered[file] = written{src.sum(), a.kept()}
				mu.Unlock()
				if a.kept() > 1 {
					once.Do(func() { close(safe) })
				}
			}
		})
	}
	time.Sleep(load) // of real processes
	select {
	case <-safe:
	case <-time.After(patience):
	}
	var all sync.WaitGroup
	for _, b := range c.boxes {
		all.Go(b.Kill)
	}
	all.Wait()
	end()
	writers.Wait()
	return answered
}
