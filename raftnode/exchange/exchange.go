// Package exchange moves chunks and files between boxes: it is the path by which
// what people keep reaches the other houses.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
	"redhen/raftnode/transport"
)

// The services, each version of a protocol under its own name.
const (
	haveService = "redhen/have/1"
	putService  = "redhen/chunk-put/1"
	getService  = "redhen/chunk-get/1"
	fileService = "redhen/file/1"
)

// What bounds the memory and the patience of both sides.
const (
	window        = 4                  // chunks under way on one stream: 4 MiB
	perPeer       = 4                  // streams of one service that a box serves to one other, and asks of it
	storeSlots    = 16                 // chunks that are in memory to be stored for others, over all streams
	batch         = 1024               // hashes in one question
	leaseTime     = 7 * 24 * time.Hour // how long the other side keeps what we asked for
	maxLease      = 8 * 24 * time.Hour // how long we let others have it
	slotWait      = 5 * time.Minute    // how long a peer may wait for a slot
	sayWaiting    = 5 * time.Second    // how often a peer is told that we are at it
	usualPatience = 30 * time.Second
)

var (
	// ErrFull says that the disk of the other box is full.
	ErrFull = errors.New("disk of the other box is full")
	// ErrRefused says that the other box could not do it and that asking again does not help now.
	ErrRefused = errors.New("the other box could not do it")
	// ErrStalled says that the other side made no progress for as long as Config.Patience.
	ErrStalled = errors.New("no progress")
	// ErrBusy says that the other box serves this box on enough streams already.
	ErrBusy = errors.New("the other box is busy")
	// ErrNotOffered says that the other box does not offer the file (any more).
	ErrNotOffered = errors.New("file not offered")
	// ErrContent says that a file or chunk arrived whole and is not what it was said to be.
	ErrContent = errors.New("not the bytes that were named")
	// errProtocol says that the other side broke the protocol.
	errProtocol = errors.New("protocol broken")
)

// Chunks is what exchange needs of the chunk store; *chunk.Store is one.
type Chunks interface {
	// Get returns a chunk verified, or an error that is chunk.ErrMissing or chunk.ErrDamaged.
	Get(h chunk.Hash) ([]byte, error)
	// PutNamed verifies and stores a chunk; on return it is on disk.
	PutNamed(h chunk.Hash, b []byte) error
	Has(h chunk.Hash) bool
	// Lease promises to keep chunks, also those yet to come, until a time in
	// milliseconds since the Unix epoch, and reports which are on disk.
	Lease(hs []chunk.Hash, until int64) ([]bool, error)
}

var _ Chunks = (*chunk.Store)(nil)

// Config says what an Exchange works with.
type Config struct {
	Net    transport.Network
	Chunks Chunks
	// Patience is how long a stream may rest without progress, whatever it carries
	// in all; 30 s when zero.
	Patience time.Duration
	// Now is the clock of the chunk store's leases; time.Now when nil.
	Now func() time.Time
	// Logger is told of boxes that send wrong bytes; slog.Default when nil.
	Logger *slog.Logger
}

func (c *Config) validate() error {
	if c.Net == nil || c.Chunks == nil {
		return errors.New("exchange: want a network and a chunk store")
	}
	if c.Patience == 0 {
		c.Patience = usualPatience
	}
	if c.Patience < 0 {
		return fmt.Errorf("exchange: patience of %v", c.Patience)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// Exchange serves the chunks and offered files of this box to others, and asks
// others for theirs. Its methods may be called from any goroutine.
type Exchange struct {
	cfg   Config
	slots chan struct{} // one for each chunk in memory that is to be stored for others
	lanes lanes

	mu     sync.Mutex // guards all below
	guests map[lane]int
	files  map[string]string // name → path
}

// New registers the services with the network.
func New(cfg Config) (*Exchange, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	x := &Exchange{
		cfg:    cfg,
		slots:  make(chan struct{}, storeSlots),
		guests: make(map[lane]int),
		files:  make(map[string]string),
	}
	x.lanes.open = make(map[lane]seats)
	x.serve(haveService, x.serveHave)
	x.serve(putService, x.servePut)
	x.serve(getService, x.serveGet)
	x.serve(fileService, x.serveFile)
	return x, nil
}

// serve registers a service that at most perPeer streams of one box use at a time.
// A handler's error ends its stream with a reset.
func (x *Exchange) serve(service string, fn func(context.Context, ident.BoxID, *flow) error) {
	x.cfg.Net.Handle(service, func(ctx context.Context, from ident.BoxID, s transport.Stream) {
		f := newFlow(ctx, s, x.cfg.Patience)
		if !x.enter(lane{from, service}) {
			f.close(f.write(answer{Code: codeBusy}))
			return
		}
		defer x.leave(lane{from, service})
		err := fn(ctx, from, f)
		f.close(err)
		if err != nil {
			x.cfg.Logger.Debug("serve", "service", service, "box", from.Short(), "err", err)
		}
	})
}

func (x *Exchange) enter(l lane) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.guests[l] >= perPeer {
		return false
	}
	x.guests[l]++
	return true
}

func (x *Exchange) leave(l lane) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.guests[l]--; x.guests[l] == 0 {
		delete(x.guests, l)
	}
}

// dial opens a stream to a service when fewer than perPeer are open, and waits for that.
// The caller ends the flow with close.
func (x *Exchange) dial(ctx context.Context, to ident.BoxID, service string) (*flow, error) {
	free, err := x.lanes.take(ctx, lane{to, service})
	if err != nil {
		return nil, err
	}
	dialing, cancel := context.WithTimeout(ctx, x.cfg.Patience)
	defer cancel()
	s, err := x.cfg.Net.Dial(dialing, to, service)
	if err != nil {
		free()
		return nil, err
	}
	f := newFlow(ctx, s, x.cfg.Patience)
	f.free = free
	return f, nil
}

// lane is a service of or for another box.
type lane struct {
	box     ident.BoxID
	service string
}

// lanes bounds the streams that this box opens. One of a lane is kept for what is the
// keeper's own (transport.Own), so that it never waits for the rest.
type lanes struct {
	mu   sync.Mutex
	open map[lane]seats // never more than boxes × services
}

type seats struct{ all, rest chan struct{} }

func (l *lanes) take(ctx context.Context, to lane) (free func(), err error) {
	l.mu.Lock()
	c, ok := l.open[to]
	if !ok {
		c = seats{make(chan struct{}, perPeer), make(chan struct{}, perPeer-1)}
		l.open[to] = c
	}
	l.mu.Unlock()
	leave := func() {}
	if !transport.IsOwn(ctx) {
		if err := sit(ctx, c.rest); err != nil {
			return nil, err
		}
		leave = func() { <-c.rest }
	}
	if err := sit(ctx, c.all); err != nil {
		leave()
		return nil, err
	}
	return func() { <-c.all; leave() }, nil
}

func sit(ctx context.Context, seats chan struct{}) error {
	select {
	case seats <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// final marks an error that another try would only repeat.
type final struct{ error }

// Unwrap returns the marked error.
func (f final) Unwrap() error { return f.error }

// patiently tries until it works, the error is final, or four tries in a row
// brought no progress.
func (x *Exchange) patiently(ctx context.Context, try func() (progress bool, err error)) error {
	waits := [...]time.Duration{250 * time.Millisecond, time.Second, 4 * time.Second}
	for n := 0; ; n++ {
		progress, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f, ok := errors.AsType[final](err); ok {
			return f.error
		}
		if progress {
			n = 0
		}
		if n == len(waits) {
			return err
		}
		if err := pause(ctx, waits[n]); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
