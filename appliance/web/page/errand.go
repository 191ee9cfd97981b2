package page

import (
	"context"
	"sync"

	"redhen/provision/ident"
)

// Errand is a thing that takes longer than a request, such as a fire drill: it goes on
// when the browser leaves, while Site.Run does. S is what it tells of itself. The zero
// Errand has not begun; it is safe for concurrent use.
type Errand[S any] struct {
	mu     sync.Mutex // guards what follows
	now    Doing[S]
	stop   func()
	change chan struct{} // closed and renewed at every change; nil before the first
}

// Doing is how far an errand is.
type Doing[S any] struct {
	Begun, Running bool
	By             ident.AccountID // who began it
	State          S
	// Err says why it ended; nil while it runs, and when it succeeded.
	Err error
}

// Begin has fn done in the name of the person who asks, false while it is being done
// already. fn tells how far it is by changing the state.
func (e *Errand[S]) Begin(q *Request, state S, fn func(ctx context.Context, tell func(func(*S))) error) bool {
	begun := false
	e.update(func(d *Doing[S]) {
		if begun = !d.Running; begun {
			*d = Doing[S]{Begun: true, Running: true, By: q.Who.Account, State: state}
		}
	})
	if !begun {
		return false
	}
	work := func(ctx context.Context) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		e.mu.Lock()
		e.stop = stop
		e.mu.Unlock()
		err := fn(ctx, func(change func(*S)) { e.update(func(d *Doing[S]) { change(&d.State) }) })
		e.update(func(d *Doing[S]) { d.Running, d.Err = false, err })
	}
	select {
	case q.errands <- work:
	case <-q.R.Context().Done():
		e.update(func(d *Doing[S]) { *d = Doing[S]{} })
		return false
	}
	return true
}

// Stop ends it, if it is being done.
func (e *Errand[S]) Stop() {
	e.mu.Lock()
	stop := e.stop
	e.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// Look returns how far it is, and a channel that is closed at the next change.
func (e *Errand[S]) Look() (Doing[S], <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.change == nil {
		e.change = make(chan struct{})
	}
	return e.now, e.change
}

func (e *Errand[S]) update(fn func(*Doing[S])) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fn(&e.now)
	if e.change != nil {
		close(e.change)
	}
	e.change = make(chan struct{})
}

// Run does errands until ctx ends, and waits for those that are under way.
func (s *Site) Run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case work := <-s.errands:
			under.Go(func() { work(ctx) })
		}
	}
}
