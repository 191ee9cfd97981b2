// Package appliancetest runs a whole circle of real boxes in one process, on a
// simulated internet and a simulated clock: only the sockets are not real.
//
// It is for tests inside a testing/synctest bubble:
//
//	synctest.Test(t, func(t *testing.T) {
//		w := appliancetest.New(t, appliancetest.Config{Net: p2ptest.Config{Latency: 25 * time.Millisecond}})
//		oak := w.Box("oak", "Oak Street", w.Net.Spot())
//		oak.Found("Henhouse", "ada")
//		mill := w.Box("mill", "Mill Lane", w.Net.Router(p2ptest.PortRestricted).Spot())
//		mill.Join(oak, "bert")
//		…
//	})
//
// Helpers end the test when what they do does not work.
package appliancetest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"redhen/appliance"
	"redhen/provision/ident"
	"redhen/provision/p2ptest"
)

// Config says how the boxes of a World run.
type Config struct {
	Net          p2ptest.Config // how the simulated internet behaves
	PromoteAfter time.Duration  // see raftnode.Config; 0: 5 seconds
}

// World is a simulated internet and the boxes on it.
type World struct {
	T   testing.TB
	Net *p2ptest.Net

	cfg   Config
	dir   string
	boxes []*Box
}

// New makes a world without boxes. It ends with the test.
func New(t testing.TB, cfg Config) *World {
	if cfg.PromoteAfter == 0 {
		cfg.PromoteAfter = 5 * time.Second
	}
	w := &World{T: t, Net: p2ptest.New(cfg.Net), cfg: cfg, dir: t.TempDir()}
	t.Cleanup(w.end)
	return w
}

func (w *World) end() {
	for _, b := range w.boxes {
		if w.T.Failed() {
			w.T.Logf("%s said at last:\n%s", b.Name, b.Log.tail(40))
		}
	}
	var wg sync.WaitGroup
	for _, b := range w.boxes {
		wg.Go(b.Stop)
	}
	wg.Wait()
}

// Boxes returns the boxes in the order in which they came.
func (w *World) Boxes() []*Box { return w.boxes }

// Box is one box. Its fields stay when it stops and starts again.
type Box struct {
	Name, House          string
	Keeper               string // login of its keeper, once it is in a circle
	Spot                 *p2ptest.Spot
	Log                  *Log   // what it logged since its first start
	Dir                  string // its state directory
	Boot                 string // the folder that is its card; "" = none
	*appliance.Appliance        // nil while it is off

	w     *World
	stop  func()
	doors context.Context // ends before the box does
	under sync.WaitGroup  // what is under way at the doors
}

// Box starts a fresh box on a spot; it is in no circle.
func (w *World) Box(name, house string, at *p2ptest.Spot) *Box {
	w.T.Helper()
	b := &Box{Name: name, House: house, Spot: at, Log: &Log{}, Dir: filepath.Join(w.dir, name), w: w}
	w.boxes = append(w.boxes, b)
	b.Start()
	return b
}

// ID returns the name of the box among boxes.
func (b *Box) ID() ident.BoxID { return b.About().ID }

// Start puts the cable back, and starts the box from what is on its disk.
func (b *Box) Start() {
	b.w.T.Helper()
	b.Spot.Cut(false)
	a, err := appliance.Open(appliance.Config{
		Dir: b.Dir, Boot: b.Boot, PromoteAfter: b.w.cfg.PromoteAfter, Underlay: b.Spot.Config,
		Machine: fstest.MapFS{}, // no temperature of the day changes a test
		Socket:  func(string) (net.Listener, error) { return newSilence(), nil },
		Logger:  slog.New(slog.NewTextHandler(b.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		b.w.T.Fatalf("open %s: %v", b.Name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.Appliance = a
	var closeDoors context.CancelFunc
	b.doors, closeDoors = context.WithCancel(ctx)
	b.stop = func() {
		closeDoors()
		b.under.Wait()
		cancel()
		if err := <-done; err != nil {
			b.w.T.Errorf("box %s: %v", b.Name, err)
		}
	}
}

// AtTheDoor has somebody do something at a door of the box. Its context ends when
// the box goes off, which waits for it, as a door does.
func (b *Box) AtTheDoor(ctx context.Context, do func(context.Context) error) error {
	if b.Appliance == nil {
		return errOff
	}
	b.under.Add(1)
	defer b.under.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.doors, cancel)()
	return do(ctx)
}

var errOff = errors.New("box is off")

// Stop ends the box as a planned stop does. It does nothing when the box is off.
func (b *Box) Stop() {
	if b.Appliance != nil {
		b.stop()
		b.Appliance = nil
	}
}

// Crash pulls the plug: on its disk stays what its files held at this moment, and
// nothing that the program would have put down before a planned stop.
func (b *Box) Crash() {
	b.w.T.Helper()
	b.Spot.Cut(true)
	synctest.Wait() // nobody writes a file now
	aside := b.Dir + ".crashed"
	if err := os.CopyFS(aside, os.DirFS(b.Dir)); err != nil {
		b.w.T.Fatal(err)
	}
	b.Stop()
	if err := os.RemoveAll(b.Dir); err != nil {
		b.w.T.Fatal(err)
	}
	if err := os.Rename(aside, b.Dir); err != nil {
		b.w.T.Fatal(err)
	}
}

// Burn crashes the box and destroys its disk.
func (b *Box) Burn() {
	b.w.T.Helper()
	b.Spot.Cut(true)
	b.Stop()
	if err := os.RemoveAll(b.Dir); err != nil {
		b.w.T.Fatal(err)
	}
}

// Until waits until cond holds, and returns how long that took. It looks ten times
// a second, and ends the test after max.
func (w *World) Until(what string, max time.Duration, cond func() bool) time.Duration {
	w.T.Helper()
	begun := time.Now()
	for !cond() {
		if time.Since(begun) > max {
			w.T.Fatalf("not within %v: %s", max, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(begun)
}
