package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
)

// holders is how many are fetched from at a time.
const holders = 4

// Fetch brings chunks here from those that hold them, from several at once, and
// stores them. done, unless nil, is called once for every chunk that is here, one call at a time. A
// holder that sends wrong bytes is left; what a slow one owes is asked of others. After an
// error, what could be had is here; the error is chunk.ErrMissing only when every holder was reached
// and some chunks are with none of them.
func (x *Exchange) Fetch(ctx context.Context, from []ident.BoxID, hs []chunk.Hash, done func(chunk.Hash)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if done == nil {
		done = func(chunk.Hash) {}
	}
	t := newTask(len(from), done)
	seen := make(map[chunk.Hash]bool, len(hs))
	for _, h := range hs {
		switch {
		case seen[h]:
		case x.cfg.Chunks.Has(h):
			t.call(h)
		default:
			t.add(h)
		}
		seen[h] = true
	}
	t.look()
	var wg sync.WaitGroup
	seats := make(chan struct{}, holders)
	for i, box := range from {
		wg.Go(func() { // ends when nothing is left, when the box fails, or with ctx
			err := x.fetchFrom(ctx, t, seats, i, box)
			t.leave(i, err)
		})
	}
	select {
	case <-t.over:
	case <-ctx.Done():
	}
	cancelled := ctx.Err()
	cancel()
	wg.Wait()
	if err := t.result(cancelled); err != nil {
		return fmt.Errorf("fetch chunks: %w", err)
	}
	return nil
}

// fetchFrom works on the task with one holder, sitting down only while there is something to ask it for.
func (x *Exchange) fetchFrom(ctx context.Context, t *task, seats chan struct{}, i int, box ident.BoxID) error {
	for t.await(ctx, i) {
		select {
		case seats <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := x.patiently(ctx, func() (bool, error) {
			n, err := x.session(ctx, t, i, box)
			return n > 0, err
		})
		<-seats
		if err != nil {
			return fmt.Errorf("%s: %w", box.Short(), err)
		}
	}
	return nil
}

// session is one stream: it keeps a few requests under way, more as answers come, and ends
// when there is nothing to ask for. It returns how many answers it got.
func (x *Exchange) session(ctx context.Context, t *task, i int, box ident.BoxID) (n int, err error) {
	var asked []chunk.Hash
	defer func() { t.giveBack(i, asked) }()
	f, err := x.dial(ctx, box, getService)
	if err != nil {
		return 0, err
	}
	defer func() { f.close(err) }()
	for {
		for len(asked) < min(2+n, window) {
			h, ok := t.next(i)
			if !ok {
				break
			}
			asked = append(asked, h)
			if err := f.request(h); err != nil {
				return n, err
			}
		}
		if len(asked) == 0 {
			return n, nil
		}
		b, err := x.response(f, box, asked[0])
		switch {
		case errors.Is(err, chunk.ErrMissing):
			t.lacks(i, asked[0])
		case err != nil:
			return n, err
		default:
			if err := t.arrived(x.cfg.Chunks, asked[0], b); err != nil {
				t.fail(err)
				return n, final{err}
			}
		}
		asked = asked[1:]
		n++
	}
}
