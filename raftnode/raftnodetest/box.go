package raftnodetest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing/synctest"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/chunk"
	"redhen/raftnode/raftlog"
)

// Box is one box; its fields stay when it crashes and restarts.
type Box struct {
	Name, House string
	Key         ident.Key
	Keeper      ident.Key
	Account     ident.AccountID
	dir         string
	Node        *raftnode.Node // nil while it is down
	Chunks      *chunk.Store
	Log         *raftlog.Log
	Disk        Disk // of its raft log and chunks

	// Before is called before the Node is opened; an error ends the start there. nil: nothing.
	Before func(raftnode.Config) error

	c       *Circle
	running atomic.Pointer[raftnode.Node]
	life    atomic.Uint64 // grows when it starts and when it goes down
	mayFail atomic.Bool
	ended   atomic.Pointer[error]
	gone    chan struct{} // closed when the Node ends
	stop    func()
}

// Life tells one run of the box from another: it is odd while the box is up, and
// never the same again. An answer counts only when it is the same before and after.
func (b *Box) Life() uint64 { return b.life.Load() }

// ErrDown says that a box is down.
var ErrDown = errors.New("the box is down")

// Running returns the box's Node; ErrDown when there is none. Unlike the field it
// may be asked while another goroutine starts and stops the box.
func (b *Box) Running() (*raftnode.Node, error) {
	if n := b.running.Load(); n != nil {
		return n, nil
	}
	return nil, ErrDown
}

// MayFail lets the box end by itself without failing the test.
func (b *Box) MayFail() { b.mayFail.Store(true) }

// Ended returns why the box ended by itself since it was started; nil while it did not.
func (b *Box) Ended() error {
	if err := b.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// Start starts a box that is down, from what is on its disk.
func (b *Box) Start() error {
	logger := slog.New(b.c.Said.handler(b.Name, b.c.cfg.Logger))
	log, err := raftlog.Open(raftlog.Config{
		FS: &b.Disk, Dir: filepath.Join(b.dir, "raftlog"), SegmentBytes: 256 << 10, Logger: logger,
	})
	if err != nil {
		return err
	}
	chunks, err := chunk.Open(chunk.Config{FS: &b.Disk, Dir: filepath.Join(b.dir, "chunks"), Now: b.c.cfg.Now, Logger: logger})
	if err != nil {
		return err
	}
	endLog := b.runLog(log)
	cfg := raftnode.Config{
		Box: b.Key.BoxID(), Dir: b.dir, Log: log, Chunks: chunks, Net: b.c.Mesh.Join(b.Key.BoxID()),
		Logger: logger, PromoteAfter: b.c.cfg.PromoteAfter, Known: b.c.known(),
		KeepEntries: b.c.cfg.KeepEntries, CutEntries: b.c.cfg.CutEntries,
		SweepEvery: b.c.cfg.SweepEvery, GarbageAfter: b.c.cfg.GarbageAfter, Now: b.c.cfg.Now,
	}
	var node *raftnode.Node
	if b.Before != nil {
		err = b.Before(cfg)
	}
	if err == nil {
		node, err = raftnode.Open(cfg)
	}
	if err != nil {
		endLog()
		b.c.Mesh.Leave(b.Key.BoxID())
		return err
	}
	endNode := b.runNode(node)
	b.Node, b.Chunks, b.Log = node, chunks, log
	b.stop = func() {
		endNode()
		endLog()
		if err := chunks.Close(); err != nil {
			b.c.T.Errorf("box %s: %v", b.Name, err)
		}
	}
	b.running.Store(node)
	b.life.Add(1)
	return nil
}

func (b *Box) runLog(log *raftlog.Log) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = log.Run(ctx) }) // a stopped log stops the Node, which reports
	return func() {
		cancel()
		wg.Wait()
	}
}

func (b *Box) runNode(node *raftnode.Node) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	b.ended.Store(nil)
	gone := make(chan struct{})
	b.gone = gone
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(gone)
		err := node.Run(ctx)
		if err == nil {
			return
		}
		b.ended.Store(&err)
		if !b.mayFail.Load() && !errors.Is(err, raftnode.ErrAnew) {
			b.c.T.Errorf("box %s: %v", b.Name, err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// Crash ends a box as kill -9 does: at once off the network, and with what is on
// its disk at this moment. It needs a synctest bubble.
func (b *Box) Crash() {
	if b.Node == nil {
		return
	}
	b.life.Add(1) // what it answers from now on, nobody hears
	b.c.Mesh.Leave(b.Key.BoxID())
	synctest.Wait() // nobody is in the middle of a write
	disk := b.dir + ".crashed"
	if err := os.CopyFS(disk, os.DirFS(b.dir)); err != nil {
		b.c.T.Errorf("crash %s: %v", b.Name, err)
	}
	b.end()
	if err := os.RemoveAll(b.dir); err != nil {
		b.c.T.Errorf("crash %s: %v", b.Name, err)
	}
	if err := os.Rename(disk, b.dir); err != nil {
		b.c.T.Errorf("crash %s: %v", b.Name, err)
	}
}

// Stop ends a box as a planned stop does: leadership moves away first.
func (b *Box) Stop() {
	if b.Node != nil {
		b.end()
		b.c.Mesh.Leave(b.Key.BoxID())
	}
}

func (b *Box) end() {
	b.life.Store((b.life.Load() + 1) &^ 1) // even: down
	b.running.Store(nil)
	b.stop()
	b.Node = nil
}

// Burn crashes a box and destroys its disk.
func (b *Box) Burn() error {
	if b.Node != nil {
		b.life.Add(1)
		b.c.Mesh.Leave(b.Key.BoxID())
		b.end()
	}
	return os.RemoveAll(b.dir)
}
