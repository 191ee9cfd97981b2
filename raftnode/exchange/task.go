package exchange

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"redhen/raftnode/chunk"
)

// tooSlow is how long a holder may take for a chunk before an idle one is asked for it too.
const tooSlow = 3 * time.Second

// task is what one Fetch still wants, and who is asked for it.
//
// Invariant: a chunk in wants was not asked for yet (it is in order, from cursor on), is
// asked for (in flying), or waits for another holder (in again).
type task struct {
	done func(chunk.Hash)
	over chan struct{} // closed when nothing is left to do

	calling sync.Mutex // held while done is called

	mu      sync.Mutex    // guards all below
	changed chan struct{} // closed and replaced when something may be asked for
	order   []chunk.Hash
	cursor  int
	again   []chunk.Hash
	wants   map[chunk.Hash]*want
	flying  map[chunk.Hash]*want
	staying []bool // holders that may still bring something
	lost    int    // chunks that no holder can bring
	errs    []error
	failed  error // of this box
	ended   bool
}

// want is one chunk that is not here.
type want struct {
	lacks  []bool // holders that do not have it
	asking []int  // holders that are asked now
	since  time.Time
}

func newTask(holders int, done func(chunk.Hash)) *task {
	t := &task{
		done:    done,
		over:    make(chan struct{}),
		changed: make(chan struct{}),
		wants:   make(map[chunk.Hash]*want),
		flying:  make(map[chunk.Hash]*want),
		staying: make([]bool, holders),
	}
	for i := range t.staying {
		t.staying[i] = true
	}
	return t
}

// add names a chunk that is not here, before the work begins.
func (t *task) add(h chunk.Hash) {
	t.order = append(t.order, h)
	t.wants[h] = &want{lacks: make([]bool, len(t.staying))}
}

// next gives holder i something to ask for; fresh chunks first.
func (t *task) next(i int) (h chunk.Hash, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok = t.peek(i)
	if !ok {
		return h, false
	}
	if t.cursor < len(t.order) {
		t.cursor++
	} else if n := slices.Index(t.again, h); n >= 0 {
		t.again = slices.Delete(t.again, n, n+1)
	}
	w := t.wants[h]
	w.asking, w.since = append(w.asking, i), time.Now()
	t.flying[h] = w
	return h, true
}

// peek returns what next would. t.mu is held.
func (t *task) peek(i int) (chunk.Hash, bool) {
	if t.ended {
		return chunk.Hash{}, false
	}
	if t.cursor < len(t.order) {
		return t.order[t.cursor], true
	}
	for _, h := range t.again {
		if !t.wants[h].lacks[i] {
			return h, true
		}
	}
	var slowest chunk.Hash
	var since time.Time
	for h, w := range t.flying {
		if len(w.asking) == 1 && w.asking[0] != i && !w.lacks[i] && time.Since(w.since) >= tooSlow &&
			(since.IsZero() || w.since.Before(since)) {
			slowest, since = h, w.since
		}
	}
	return slowest, !since.IsZero()
}

// await waits until there is something to ask holder i for; false when the task or ctx has ended.
func (t *task) await(ctx context.Context, i int) bool {
	for ctx.Err() == nil {
		t.mu.Lock()
		_, ok := t.peek(i)
		changed, ended := t.changed, t.ended
		t.mu.Unlock()
		if ok || ended {
			return ok
		}
		timer := time.NewTimer(tooSlow / 3) // somebody may have become too slow
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return false
}

// giveBack says that holder i will not answer what it was asked.
func (t *task) giveBack(i int, hs []chunk.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range hs {
		t.release(i, h)
	}
	t.settle()
}

// lacks says that holder i does not have the chunk.
func (t *task) lacks(i int, h chunk.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.wants[h]; w != nil {
		w.lacks[i] = true
	}
	t.release(i, h)
	t.settle()
}

// release ends the asking of holder i. t.mu is held.
func (t *task) release(i int, h chunk.Hash) {
	w := t.wants[h]
	if w == nil || !slices.Contains(w.asking, i) {
		return
	}
	w.asking = slices.DeleteFunc(w.asking, func(j int) bool { return j == i })
	if len(w.asking) == 0 {
		delete(t.flying, h)
		t.again = append(t.again, h)
	}
}

// leave says that holder i brings nothing more.
func (t *task) leave(i int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.staying[i] = false
	if err != nil && !t.ended {
		t.errs = append(t.errs, err)
	}
	t.settle()
}

// fail ends the task with an error of this box.
func (t *task) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
	t.settle()
}

// look ends a task that has nothing to do from the start.
func (t *task) look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle()
}

// arrived stores a chunk that was asked for, unless another holder was quicker.
func (t *task) arrived(chunks Chunks, h chunk.Hash, b []byte) error {
	t.mu.Lock()
	wanted := t.wants[h] != nil
	t.mu.Unlock()
	if !wanted {
		return nil
	}
	if err := chunks.PutNamed(h, b); err != nil {
		return err
	}
	t.mu.Lock()
	wanted = t.wants[h] != nil
	delete(t.wants, h)
	delete(t.flying, h)
	t.again = slices.DeleteFunc(t.again, func(g chunk.Hash) bool { return g == h })
	t.settle()
	t.mu.Unlock()
	if wanted {
		t.call(h)
	}
	return nil
}

// call tells the caller of Fetch, who is not called again before it returns.
func (t *task) call(h chunk.Hash) {
	t.calling.Lock()
	defer t.calling.Unlock()
	t.done(h)
}

// settle finds what no holder can bring, ends the task when nothing is left, and
// wakes who waits. t.mu is held.
func (t *task) settle() {
	if t.ended {
		return
	}
	if t.cursor == len(t.order) || !slices.Contains(t.staying, true) {
		t.again = slices.DeleteFunc(t.again, t.hopeless)
		for _, h := range t.order[t.cursor:] {
			if t.hopeless(h) {
				t.cursor++
			}
		}
	}
	if len(t.wants) == 0 || t.failed != nil {
		t.ended = true
		close(t.over)
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// hopeless reports and counts a chunk that no staying holder may have. t.mu is held.
func (t *task) hopeless(h chunk.Hash) bool {
	for i, staying := range t.staying {
		if staying && !t.wants[h].lacks[i] {
			return false
		}
	}
	delete(t.wants, h)
	t.lost++
	return true
}

// result is the error of the whole; cancelled is that of the caller's context.
func (t *task) result(cancelled error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.failed != nil:
		return t.failed
	case cancelled != nil && (t.lost > 0 || len(t.wants) > 0):
		return cancelled
	case t.lost > 0:
		return fmt.Errorf("%d chunks: %w", t.lost, unlessMissing(t.errs))
	}
	return nil
}
