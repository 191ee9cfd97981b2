package fire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"redhen/cmd/redhen/child"
)

// load is a client that goes on until it is stopped.
type load struct {
	end   context.CancelFunc
	ended chan struct{}

	mu      sync.Mutex // guards what follows
	n       int
	retried int
	slowest time.Duration
	err     error // the first that one retry did not help against
}

// every runs step again and again; each may fail once and is tried again.
func every(ctx context.Context, gap time.Duration, step func(ctx context.Context, i int) error) *load {
	ctx, end := context.WithCancel(ctx)
	l := &load{end: end, ended: make(chan struct{})}
	go func() { // ends with ctx
		defer close(l.ended)
		for i := 0; pause(ctx, gap) == nil; i++ {
			l.once(ctx, i, step)
		}
	}()
	return l
}

func (l *load) once(ctx context.Context, i int, step func(context.Context, int) error) {
	start := time.Now()
	err := step(ctx, i)
	again := err != nil && ctx.Err() == nil
	if again {
		err = step(ctx, i)
	}
	if ctx.Err() != nil {
		return // broken off by us
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	l.slowest = max(l.slowest, time.Since(start))
	if again {
		l.retried++
	}
	if err != nil && l.err == nil {
		l.err = err
	}
}

// stop ends the load. It may be called twice.
func (l *load) stop() {
	l.end()
	<-l.ended
}

// report prints the figures under a name, and returns the error.
func (l *load) figures(s *story, name, unit string) error {
	l.stop()
	s.count(name, l.n, unit)
	s.count(name+"_retried", l.retried, unit)
	s.seconds(name+"_slowest", l.slowest)
	return l.err
}

// reader reads files that must be there.
type reader struct{ *load }

func startReader(ctx context.Context, box *child.Box, from *ledger, seed uint64) reader {
	client, rng := newDAV(box), rand.New(rand.NewPCG(seed, 2))
	return reader{every(ctx, 10*time.Millisecond, func(ctx context.Context, _ int) error {
		path, want, ok := from.pick(rng.IntN)
		if !ok {
			return nil
		}
		return check(ctx, client, path, want)
	})}
}

func (r reader) report(s *story, name string) error {
	if err := r.figures(s, name, "reads"); err != nil {
		return fmt.Errorf("a read failed twice: %w", err)
	}
	return nil
}

// writer writes small files.
type writer struct{ *load }

func startWriter(ctx context.Context, box *child.Box, into *ledger) writer {
	client := newDAV(box)
	return writer{every(ctx, 50*time.Millisecond, func(ctx context.Context, i int) error {
		return write(ctx, client, into, fmt.Sprintf("note %05d.txt", i), nil)
	})}
}

func (w writer) report(s *story) error {
	if err := w.figures(s, "fire_writes_during_replacement", "writes"); err != nil {
		return fmt.Errorf("a write failed twice: %w", err)
	}
	return nil
}

// write writes a small file and notes the answer; kept gets it, unless nil.
func write(ctx context.Context, client *dav, into *ledger, path string, kept *int) error {
	body := "this is " + path
	n, err := client.put(ctx, path, strings.NewReader(body))
	if err != nil {
		return err
	}
	into.answer(path, sha256.Sum256([]byte(body)), n)
	if kept != nil {
		*kept = n
	}
	return nil
}

// firstWrite writes until a write is answered, and until one is kept in two houses.
func firstWrite(ctx context.Context, client *dav, into *ledger, since time.Time) (answered, safe time.Duration, err error) {
	ctx, end := context.WithTimeout(ctx, safePatience)
	defer end()
	for i := 0; safe == 0; i++ {
		var kept int
		err = write(ctx, client, into, fmt.Sprintf("after the fire %03d.txt", i), &kept)
		if err == nil && answered == 0 {
			answered = time.Since(since)
		}
		if err == nil && kept >= 2 {
			safe = time.Since(since)
		}
		if gone := pause(ctx, 20*time.Millisecond); gone != nil {
			return 0, 0, fmt.Errorf("no write after the fire: %w", errors.Join(gone, err))
		}
	}
	return answered, safe, nil
}

func check(ctx context.Context, client *dav, path string, want sum) error {
	got, err := client.get(ctx, path)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s at %s is not what was written: %x, want %x", path, client.base, got, want)
	}
	return nil
}

// verify reads all files at a box; each may be tried twice.
func (s *story) verify(ctx context.Context, box *child.Box, files map[string]sum) error {
	client := newDAV(box)
	var mu sync.Mutex
	var lost []error
	group := errgroup.Group{}
	group.SetLimit(4)
	for path, want := range files {
		group.Go(func() error {
			err := check(ctx, client, path, want)
			if err != nil {
				err = check(ctx, client, path, want)
			}
			if err != nil {
				mu.Lock()
				lost = append(lost, err)
				mu.Unlock()
			}
			return nil
		})
	}
	group.Wait() // its functions return nothing
	if len(lost) > 0 {
		return fmt.Errorf("LOST %d of %d files at %s: %w", len(lost), len(files), client.base, errors.Join(lost[:min(len(lost), 5)]...))
	}
	return nil
}
