// Package status answers "is everything safe?": it turns what boxes know of
// themselves into one report in the words of people, holds the one table of faults,
// keeps the diary, and gives figures to Prometheus.
package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Node is what status asks the box's node.
type Node interface {
	CircleStatus(ctx context.Context) ([]raftnode.Status, error)
	Directory(fn func(directory.View) error) error
	// Command proposes a row of the diary.
	Command(ctx context.Context, c directory.Command) (directory.Outcome, error)
}

var _ Node = (*raftnode.Node)(nil)

// Config is what a Watch looks at. Box and Node are needed.
type Config struct {
	Box  ident.BoxID
	Node Node
	// Links tells how this box reaches the others; nil: by its beats alone. (*p2p.Host).Links fits.
	Links func() []p2p.Link
	// Outside tells whether some box of the circle can be reached from the internet; nil: yes.
	Outside func() bool
	// Strangers tells whether strangers may help boxes to find each other, and whether they do
	// now; Relays the rented ones through which this box is reached; nil: no.
	Strangers func() (on, used bool)
	Relays    func() []addrbook.Rented
	// Outlook and Reach tell what keeps this box and others from being called from the
	// internet; nil: not known. (*p2p.Host).Outlook and ReachOf fit.
	Outlook func() p2p.Outlook
	Reach   func(ident.BoxID) addrbook.Reach
	// Disk tells the room of the state directory; nil: not known. See DiskOf.
	Disk func() (Disk, error)
	// Hardware tells of the machine; nil: not known. See ReadHardware.
	Hardware func() Hardware
	// CardProblems tells what on the card with settings cannot be used; nil: nothing.
	CardProblems func() []Sentence
	Wifi         func() Wifi // nil: there is none
	// Public tells of the circle's public name, nil when it has none; nil: it has none.
	Public func() *PublicName
	// Home tells whether this box was given up, which boxes that were ask to come home, and
	// whether another side went on alone, too; nil: none of it.
	Home func() (*Outcast, []Return, *Parted)
	// Near are the boxes that are reached on this box's own network; nil: none are.
	Near func() []ident.BoxID

	Now    func() time.Time // nil: time.Now; its location is that of the words
	Logger *slog.Logger     // nil: none

	// Fresh is how old a report may be that is given out again; 0: one second.
	Fresh time.Duration
	// AwayAfter is how long a house is silent before the diary says so; 0: two minutes.
	AwayAfter time.Duration
}

// Watch gives reports. It is safe for concurrent use.
type Watch struct {
	cfg     Config
	started time.Time

	mu   sync.Mutex // guards what follows, and that one question is asked at a time
	last Facts
	at   time.Time
	seen int                     // changes of the circle that last knew of
	told map[*words.Words]Report // of last, in the languages that were asked for

	hwMu sync.Mutex // guards hw and hwAt
	hw   Hardware
	hwAt time.Time
}

// New returns a Watch.
func New(cfg Config) (*Watch, error) {
	if cfg.Node == nil || cfg.Box == "" {
		return nil, errors.New("status: incomplete config")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Fresh == 0 {
		cfg.Fresh = time.Second
	}
	if cfg.AwayAfter == 0 {
		cfg.AwayAfter = 2 * time.Minute
	}
	return &Watch{cfg: cfg, started: cfg.Now()}, nil
}

// Report asks all boxes in reach and says how the circle is, in the language of ctx. It
// fails on a box that is in no circle.
func (w *Watch) Report(ctx context.Context) (Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes()
	if now := w.cfg.Now(); w.at.IsZero() || changes != w.seen || now.Sub(w.at).Abs() >= w.cfg.Fresh {
		f, err := w.facts(ctx)
		if err != nil {
			return Report{}, err
		}
		w.last, w.at, w.seen, w.told = f, w.cfg.Now(), changes, map[*words.Words]Report{}
	}
	in := words.In(ctx)
	r, ok := w.told[in]
	if !ok {
		f := w.last
		f.Words = in
		r = Build(f)
		w.told[in] = r
	}
	return r, nil
}

// Neighbours are the boxes that seem to stand in this house; see Facts.Neighbours.
func (w *Watch) Neighbours(ctx context.Context) ([]BoxFacts, error) {
	if _, err := w.Report(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.Neighbours(), nil
}

// changes counts what happened to the circle: a report from before one is none any more.
func (w *Watch) changes() (n int) {
	_ = w.cfg.Node.Directory(func(v directory.View) error { // without a circle, facts says so
		n = v.Roster().Len()
		return nil
	})
	return n
}

func (w *Watch) facts(ctx context.Context) (f Facts, err error) {
	f = Facts{Started: w.started, Self: w.cfg.Box, Outside: true}
	err = w.cfg.Node.Directory(func(v directory.View) (err error) {
		f.Circle, err = ReadCircle(v)
		return err
	})
	if err != nil {
		return f, err
	}
	if f.Boxes, err = w.cfg.Node.CircleStatus(ctx); err != nil {
		return f, fmt.Errorf("ask the boxes: %w", err)
	}
	f.Now = w.cfg.Now()
	f.Hardware = w.hardware(f.Now)
	if w.cfg.CardProblems != nil {
		f.CardProblems = w.cfg.CardProblems()
	}
	if w.cfg.Wifi != nil {
		f.Wifi = w.cfg.Wifi()
	}
	if w.cfg.Links != nil {
		f.Links = w.cfg.Links()
	}
	if w.cfg.Outside != nil {
		f.Outside = w.cfg.Outside()
	}
	if w.cfg.Strangers != nil {
		f.StrangersOn, f.StrangersUsed = w.cfg.Strangers()
	}
	if w.cfg.Relays != nil {
		f.Relays = w.cfg.Relays()
	}
	if w.cfg.Outlook != nil && w.cfg.Reach != nil {
		f.Outlook, f.Walls = w.cfg.Outlook(), map[ident.BoxID]addrbook.Wall{}
		for _, b := range f.Circle.Boxes {
			f.Walls[b.ID] = w.cfg.Reach(b.ID).Wall
		}
	}
	if w.cfg.Public != nil {
		f.Public = w.cfg.Public()
	}
	if w.cfg.Home != nil {
		f.Outcast, f.Returns, f.Parted = w.cfg.Home()
	}
	if w.cfg.Near != nil {
		f.Near = w.cfg.Near()
	}
	if w.cfg.Disk != nil {
		if f.Disk, err = w.cfg.Disk(); err != nil {
			w.cfg.Logger.Warn("room of the disk is not known", "err", err)
		}
	}
	return f, nil
}

// The room of a disk. Below ReserveBytes no files are taken any more, so that the box
// itself goes on; it counts as full a little before.
const (
	ReserveBytes = 64 << 20
	FullBytes    = ReserveBytes + 16<<20
)

// DiskOf returns the room of the file system that holds dir.
func DiskOf(dir string) (Disk, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Disk{}, fmt.Errorf("room of %s: %w", dir, err)
	}
	size := int64(st.Bsize)
	return Disk{Total: int64(st.Blocks) * size, Free: int64(st.Bavail) * size}, nil
}
