// Package upload lets a file arrive in pieces: a phone that loses its connection
// asks how much of the file is here, and goes on from there.
//
// The bytes go into one store as they arrive, in bounded memory; only when the last
// one is here does the file appear. A box that restarts forgets what was half here,
// and the file begins anew.
package upload

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"redhen/appliance/space"
	"redhen/provision/ident"
)

// What may be under way at once: each upload holds a few chunks in memory.
const (
	MaxOpen   = 12
	MaxPerson = 6
	// Patience is how long an upload waits for its next piece.
	Patience = 2 * time.Hour
	// kept is how long the outcome of a finished one can be asked for.
	kept = 10 * time.Minute
	// maxDone bounds the finished ones.
	maxDone = 4096
)

// Errors beside those of the store.
var (
	// ErrUnknown: there is no such upload, or it was given up.
	ErrUnknown = errors.New("upload: unknown")
	// ErrBusy: too many are under way.
	ErrBusy = errors.New("upload: too many are under way")
	// ErrElsewhere: the piece does not begin where the last one ended.
	ErrElsewhere = errors.New("upload: a piece from elsewhere")
)

// Store stores all that r gives; it returns when the file is where it belongs.
type Store func(ctx context.Context, r io.Reader) (space.Answer, error)

// File says which file of which person it is. The same file, chosen again after the
// page was loaded anew, goes on where it was.
type File struct {
	Owner ident.AccountID
	// Space and Path are where it goes; Path is clean.
	Space, Path string
	// Size in bytes.
	Size int64
	// Modified is the file's own time, in milliseconds.
	Modified int64
}

// Uploads are those of a box. They are safe for concurrent use.
type Uploads struct {
	now func() time.Time

	mu   sync.Mutex // guards byID
	byID map[string]*entry
}

// entry is one upload.
type entry struct {
	file File
	id   string
	pipe *io.PipeWriter
	stop context.CancelFunc
	over chan struct{} // closed when the store has returned

	piece sync.Mutex // held while a piece arrives

	mu     sync.Mutex // guards what follows
	at     int64      // bytes that the store has taken
	last   time.Time  // when the last piece came, or when it was over
	answer space.Answer
	err    error
}

// New returns no uploads. A nil now is time.Now.
func New(now func() time.Time) *Uploads {
	if now == nil {
		now = time.Now
	}
	return &Uploads{now: now, byID: map[string]*entry{}}
}

// Begin begins an upload, or finds the one of the same file that is under way, and
// returns its ID and how many bytes are here. The store runs until the upload is
// over or ctx ends: ctx must not be that of one request.
func (u *Uploads) Begin(ctx context.Context, f File, store Store) (id string, at int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tidy()
	open, own := 0, 0
	for _, e := range u.byID {
		if e.ended() {
			continue
		}
		if e.file == f {
			return e.id, e.have(), nil
		}
		open++
		if e.file.Owner == f.Owner {
			own++
		}
	}
	if open >= MaxOpen || own >= MaxPerson || len(u.byID) >= maxDone {
		return "", 0, ErrBusy
	}
	r, w := io.Pipe()
	ctx, stop := context.WithCancel(ctx)
	e := &entry{file: f, id: rand.Text(), pipe: w, stop: stop, over: make(chan struct{}), last: u.now()}
	u.byID[e.id] = e
	go e.store(ctx, r, store, u.now) // ends with the last piece, with Stop, or with ctx
	return e.id, 0, nil
}

// store runs the store; e.over is closed at its end.
func (e *entry) store(ctx context.Context, r *io.PipeReader, store Store, now func() time.Time) {
	defer e.stop()
	defer context.AfterFunc(ctx, func() { r.CloseWithError(space.ErrCut) })()
	answer, err := store(ctx, r)
	r.CloseWithError(errors.Join(space.ErrCut, err))
	e.mu.Lock()
	e.answer, e.err, e.last = answer, err, now()
	e.mu.Unlock()
	close(e.over)
}

func (e *entry) ended() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

func (e *entry) have() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at
}

// tidy forgets what nobody asks for any more. mu is held.
func (u *Uploads) tidy() {
	for id, e := range u.byID {
		e.mu.Lock()
		quiet := u.now().Sub(e.last)
		e.mu.Unlock()
		switch {
		case e.ended() && quiet > kept:
			delete(u.byID, id)
		case !e.ended() && quiet > Patience:
			e.stop()
			delete(u.byID, id)
		}
	}
}

func (u *Uploads) find(owner ident.AccountID, id string) (*entry, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	e := u.byID[id]
	if e == nil || e.file.Owner != owner {
		return nil, ErrUnknown
	}
	return e, nil
}

// State is how far an upload is.
type State struct {
	// At is how many bytes are here.
	At int64
	// Done is true when the file is where it belongs, as Answer says.
	Done   bool
	Answer space.Answer
}

// Look returns how far an upload is; the error is the store's.
func (u *Uploads) Look(owner ident.AccountID, id string) (State, error) {
	e, err := u.find(owner, id)
	if err != nil {
		return State{}, err
	}
	return e.state()
}

func (e *entry) state() (State, error) {
	done := e.ended()
	e.mu.Lock()
	defer e.mu.Unlock()
	return State{At: e.at, Done: done && e.err == nil, Answer: e.answer}, e.err
}

// Piece takes the bytes of the file from an offset on, which must be where the last
// piece ended. A piece that breaks off counts as far as it came. With the last byte
// it waits for the store, or for ctx.
func (u *Uploads) Piece(ctx context.Context, owner ident.AccountID, id string, from int64, body io.Reader) (State, error) {
	e, err := u.find(owner, id)
	if err != nil {
		return State{}, err
	}
	if !e.piece.TryLock() { // the one before has not noticed yet that it is cut
		return State{At: e.have()}, ErrElsewhere
	}
	defer e.piece.Unlock()
	if e.ended() {
		return e.state()
	}
	if at := e.have(); from != at {
		return State{At: at}, ErrElsewhere
	}
	if err := e.take(u.now, body); err != nil {
		return State{At: e.have()}, err
	}
	if e.have() < e.file.Size {
		return State{At: e.have()}, nil
	}
	e.pipe.Close() // the end of the file
	select {
	case <-e.over:
		return e.state()
	case <-ctx.Done():
		return State{At: e.have()}, ctx.Err()
	}
}

// take hands the bytes on to the store. More than the file was to have are refused.
func (e *entry) take(now func() time.Time, body io.Reader) error {
	left := e.file.Size - e.have()
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if int64(n) > left {
			e.stop()
			return space.ErrCut
		}
		written, failed := e.pipe.Write(buf[:n])
		left -= int64(written)
		e.mu.Lock()
		e.at += int64(written)
		e.last = now()
		e.mu.Unlock()
		switch {
		case failed != nil: // the store has ended: its error says why
			<-e.over
			if _, why := e.state(); why != nil {
				return why
			}
			return failed
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.Join(space.ErrCut, err)
		}
	}
}

// Stop gives an upload up; nothing of it is seen.
func (u *Uploads) Stop(owner ident.AccountID, id string) error {
	e, err := u.find(owner, id)
	if err != nil {
		return err
	}
	u.mu.Lock()
	delete(u.byID, id)
	u.mu.Unlock()
	e.stop()
	<-e.over
	return nil
}

// Close gives all uploads up that are under way, and waits for their stores.
func (u *Uploads) Close() {
	u.mu.Lock()
	open := slices.Collect(maps.Values(u.byID))
	clear(u.byID)
	u.mu.Unlock()
	for _, e := range open {
		e.stop()
	}
	for _, e := range open {
		<-e.over
	}
}
