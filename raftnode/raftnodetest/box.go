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
	"redhen/raftnode/vfs"
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
	Disk        *Disk

	// Before is called before the Node is opened; an error ends the start there. nil: nothing.
	Before func(raftnode.Config) error

	c       *Circle
	running atomic.Pointer[raftnode.Node]
	life    atomic.Uint64 // grows when it starts and when it goes down
	mayFail atomic.Bool
	ended   atomic.Pointer[error]
	gone    chan struct{} // closed when the Node ends
	jump    atomic.Int64  // seconds by which its clock on the wall is wrong
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
	log, err := b.openLog(logger)
	if err != nil {
		return err
	}
	chunks, err := chunk.Open(chunk.Config{FS: b.fs(), Dir: filepath.Join(b.dir, "chunks"), Now: b.now, Logger: logger})
	if err != nil {
		return err
	}
	endLog := b.runLog(log)
	cfg := raftnode.Config{
		Box: b.Key.BoxID(), Dir: b.dir, Log: log, Chunks: chunks, Net: b.c.Mesh.Join(b.Key.BoxID()),
		Logger: logger, PromoteAfter: b.c.cfg.PromoteAfter, Known: b.c.known(), FS: b.fs(),
		KeepEntries: b.c.cfg.KeepEntries, CutEntries: b.c.cfg.CutEntries,
		SweepEvery: b.c.cfg.SweepEvery, GarbageAfter: b.c.cfg.GarbageAfter, Now: b.now, Salvaged: b.salvaged,
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
		if err := chunks.Close(); err != nil && !b.Disk.Off() {
			b.c.T.Errorf("box %s: %v", b.Name, err)
		}
	}
	b.running.Store(node)
	b.life.Add(1)
	return nil
}

// silence has nobody hear anything of the box from now on.
func (b *Box) silence() {
	if life := b.life.Load(); life%2 == 1 {
		b.life.CompareAndSwap(life, life+1)
	}
	b.c.Mesh.Leave(b.Key.BoxID())
}

func (b *Box) fs() vfs.FS {
	if b.c.cfg.OnDisk {
		return vfs.OS{}
	}
	return b.Disk
}

// openLog opens the raft log; one that is damaged is set aside, as a box does.
func (b *Box) openLog(logger *slog.Logger) (*raftlog.Log, error) {
	cfg := raftlog.Config{FS: b.fs(), Dir: filepath.Join(b.dir, "raftlog"), SegmentBytes: 256 << 10, Logger: logger}
	log, err := raftlog.Open(cfg)
	if !errors.Is(err, raftlog.ErrDamaged) || b.c.cfg.OnDisk {
		return log, err
	}
	logger.Error("raft log damaged", "err", err)
	if err := b.Disk.moveAll(cfg.Dir, b.aside()); err != nil {
		return nil, err
	}
	return raftlog.Open(cfg)
}

// aside is where a damaged raft log is kept.
func (b *Box) aside() string { return filepath.Join(b.dir, "raftlog.damaged") }

func (b *Box) salvaged() (raftlog.Entries, error) {
	return raftlog.Salvage(raftlog.Config{FS: b.fs(), Dir: b.aside(), Logger: slog.New(slog.DiscardHandler)})
}

// LoseLog takes the raft log away from a box that is down.
func (b *Box) LoseLog() error { return b.Disk.emptied(filepath.Join(b.dir, "raftlog")) }

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
	over := make(chan struct{})
	b.ended.Store(nil)
	b.gone = over
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(over)
		defer func() {
			if r := recover(); r != nil && !b.Disk.Off() { // without power its end may be any
				panic(r)
			}
		}()
		err := node.Run(ctx)
		if err == nil {
			return
		}
		b.ended.Store(&err)
		if !b.mayFail.Load() && !b.Disk.Off() && !errors.Is(err, raftnode.ErrAnew) {
			b.c.T.Errorf("box %s: %v", b.Name, err)
		}
	})
	wg.Go(func() {
		select {
		case <-b.Disk.Dark(): // the power of the disk is that of the box
			b.silence()
		case <-over:
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// Crash ends a box as kill -9 does: at once off the network, and with everything that
// was written on its disk, synced or not. It needs a synctest bubble.
func (b *Box) Crash() { b.pullPlug(false) }

// CutPower ends a box as a power cut does: of what was not synced, anything may be on
// its disk. After CutAt it follows the cut that has happened.
func (b *Box) CutPower() { b.pullPlug(true) }

func (b *Box) pullPlug(cut bool) {
	if b.Node == nil {
		return
	}
	b.silence()
	synctest.Wait() // nobody is in the middle of a write
	b.Disk.Cut()
	left := b.dir + ".left"
	if err := copyDir(left, b.dir); err != nil {
		b.c.T.Errorf("crash %s: %v", b.Name, err)
	}
	b.end()
	if err := errors.Join(os.RemoveAll(b.dir), os.Rename(left, b.dir), b.Disk.goOn(cut)); err != nil {
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
		b.silence()
		b.end()
	}
	b.Disk = newDisk(b.c.cfg.Seed+1, b.Name, b.dir)
	return os.RemoveAll(b.dir)
}
