// Package update installs a signed system into the slot that does not run, while the
// box serves, and confirms it after the restart once the box is healthy. If it never
// is, the box goes back by itself: the boot loader counts tries (images/slot) and the
// first program of the system watches the clock (images/init).
//
// On a Raspberry Pi the firmware's tryboot takes the place of the count. That half was
// not tried on hardware.
package update

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"redhen/images/bundle"
	"redhen/images/layout"
	"redhen/images/slot"
)

// The errors of Install, beside those of images/bundle.
var (
	ErrBoard   = errors.New("the update is for another kind of box")
	ErrOlder   = errors.New("the update is older than what runs")
	ErrSame    = errors.New("the update is what runs already")
	ErrLevel   = errors.New("the update does not understand what the circle keeps")
	ErrOnTrial = errors.New("what runs is itself on trial")
	ErrBusy    = errors.New("another update is being installed")
	ErrNotNow  = errors.New("another box is being updated")
)

// ErrRestart ends Run after an update was installed: the box is to be put down, and
// then Restart called.
var ErrRestart = errors.New("restart for the update")

// Config is where a box has its slots. All fields but the last five are needed.
type Config struct {
	Loader  slot.Loader
	Running layout.About
	Keys    []ed25519.PublicKey // whose updates are installed
	Boot    string              // where the FAT is mounted
	// Root is the device, or file, of a slot's root.
	Root func(layout.Slot) string

	// Level is the format level that the circle has agreed to; nil: the lowest.
	Level func() uint64
	// Healthy says why the box is not healthy yet; nil: it always is.
	Healthy func(ctx context.Context) error
	// Installed is told of an update before it is tried, so that the restarted box knows
	// of it; nil: nobody is.
	Installed func(release string, number uint64) error
	// Turn takes the circle's one turn to update a box, or gives it back. Its error says
	// that another box is being updated; nil: nobody else is there.
	Turn func(ctx context.Context, take bool) error
	// Dir keeps the update file for friends; "": it is not kept.
	Dir string
	// Log is where what happens is told; nil: nowhere.
	Log *slog.Logger
	// Every is the pause between two looks at the health; 0: two seconds.
	Every time.Duration
}

// Updater installs updates. It is safe for concurrent use.
type Updater struct {
	cfg      Config
	shelf    shelf
	busy     sync.Mutex    // held while one is installed
	offering sync.Mutex    // guards the shelf's offer
	restart  chan struct{} // one is installed; of room for one
}

// New returns an Updater.
func New(cfg Config) *Updater {
	if cfg.Level == nil {
		cfg.Level = func() uint64 { return 0 }
	}
	if cfg.Healthy == nil {
		cfg.Healthy = func(context.Context) error { return nil }
	}
	if cfg.Installed == nil {
		cfg.Installed = func(string, uint64) error { return nil }
	}
	if cfg.Turn == nil {
		cfg.Turn = func(context.Context, bool) error { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Every == 0 {
		cfg.Every = 2 * time.Second
	}
	return &Updater{cfg: cfg, shelf: shelf{cfg.Dir}, restart: make(chan struct{}, 1)}
}

// Here returns the Config of the running box without what the box adds. The error is
// slot.ErrNoSlots on a computer that does not run from a card.
func Here() (Config, error) {
	l, err := slot.Open()
	if err != nil {
		return Config{}, err
	}
	root := os.DirFS("/")
	about, err := layout.ReadAbout(root)
	if err != nil {
		return Config{}, err
	}
	disk, err := layout.RunningDisk(root)
	if err != nil {
		return Config{}, err
	}
	keys, err := trusted(root)
	if err != nil {
		return Config{}, err
	}
	return Config{
		Loader: l, Running: about, Keys: keys, Boot: layout.BootDir,
		Root: func(s layout.Slot) string { return disk.Part(s.RootPart()) },
	}, nil
}

// maxKeys bounds the keys of an image.
const maxKeys = 8

// trusted reads whose updates an image installs: keys in hex, one a line.
func trusted(root fs.FS) (keys []ed25519.PublicKey, err error) {
	b, err := layout.ReadSmall(root, path.Join(layout.AboutDir[1:], layout.TrustedFile))
	if err != nil {
		return nil, fmt.Errorf("whose updates are installed: %w", err)
	}
	for _, word := range strings.Fields(string(b)) {
		k, err := hex.DecodeString(word)
		if err != nil || len(k) != ed25519.PublicKeySize || len(keys) == maxKeys {
			return nil, fmt.Errorf("whose updates are installed: %.80q is no key", word)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Running is the release that runs.
func (u *Updater) Running() layout.About { return u.cfg.Running }

// OnTrial reports whether the release that runs has yet to be confirmed.
func (u *Updater) OnTrial() (bool, error) { return u.cfg.Loader.OnTrial() }

// Install writes the update that r gives to the slot that does not run, and has it
// start at the next restart, which Run then asks for. With an error the box goes on as
// before, now and after a restart. Explain puts the error into words.
func (u *Updater) Install(ctx context.Context, r io.Reader) (layout.About, error) {
	return u.install(ctx, r, 0)
}

// install installs what has done well somewhere since then, in milliseconds; 0: nowhere yet.
func (u *Updater) install(ctx context.Context, r io.Reader, since int64) (fresh layout.About, err error) {
	if !u.busy.TryLock() {
		return fresh, ErrBusy
	}
	defer u.busy.Unlock()
	copied, copying := u.shelf.begin(), &lenient{}
	if copied != nil {
		defer u.shelf.drop(copied) // of what was kept nothing is left there
		copying.w = copied
		r = io.TeeReader(r, copying)
	}
	d, err := bundle.Open(&reader{ctx, r}, u.cfg.Keys...)
	if err != nil {
		return fresh, err
	}
	fresh = layout.About{Board: d.Board, Release: d.Release, Number: d.Number, Level: d.Level}
	if err := u.mayInstall(fresh); err != nil {
		return fresh, err
	}
	if err := u.cfg.Turn(ctx, true); err != nil {
		return fresh, fmt.Errorf("%w: %w", ErrNotNow, err)
	}
	if err := u.write(d, fresh); err != nil {
		return fresh, errors.Join(fmt.Errorf("install update: %w", err), u.cfg.Turn(context.WithoutCancel(ctx), false))
	}
	if copied != nil && copying.err == nil {
		if err := u.shelf.keep(copied, fresh, since); err != nil {
			u.cfg.Log.Warn("update is not kept for friends", "err", err)
		}
	}
	u.AskRestart()
	return fresh, nil
}

// AskRestart has Run return ErrRestart.
func (u *Updater) AskRestart() {
	select {
	case u.restart <- struct{}{}:
	default: // one waits already
	}
}

// write fills the other slot, and then has it start.
func (u *Updater) write(d *bundle.Reader, fresh layout.About) error {
	to := u.cfg.Loader.Running().Other()
	u.cfg.Log.Info("update begins", "release", fresh.Release, "slot", string(to))
	if err := u.cfg.Loader.Clear(); err != nil {
		return err
	}
	if err := u.fill(d, to); err != nil {
		return err
	}
	if err := u.cfg.Installed(fresh.Release, fresh.Number); err != nil {
		return err
	}
	line := d.Lines.UEFI(to)
	if _, pi := u.cfg.Loader.(*slot.Pi); pi {
		line = d.Lines.Pi(to)
	}
	if err := u.cfg.Loader.Try(fresh.Release, line); err != nil {
		return err
	}
	u.cfg.Log.Info("update installed", "release", fresh.Release, "slot", string(to))
	return nil
}

// lenient writes as long as that works: a copy that is not whole is only not kept.
type lenient struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (l *lenient) Write(b []byte) (int, error) {
	if l.err == nil {
		_, l.err = l.w.Write(b)
	}
	return len(b), nil
}

// mayInstall judges an update by its list.
func (u *Updater) mayInstall(fresh layout.About) error {
	switch now := u.cfg.Running; {
	case fresh.Board != now.Board:
		return ErrBoard
	case fresh.Number < now.Number:
		return ErrOlder
	case fresh.Number == now.Number:
		return ErrSame
	case fresh.Level < u.cfg.Level():
		return ErrLevel
	}
	trial, err := u.cfg.Loader.OnTrial()
	if err != nil {
		return err
	}
	if trial {
		return ErrOnTrial
	}
	return nil
}

// fill writes the files of a slot, and sees that they are on the disk.
func (u *Updater) fill(d *bundle.Reader, to layout.Slot) error {
	dir := filepath.Join(u.cfg.Boot, filepath.FromSlash(to.Dir()))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fat, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer fat.Close()
	err = d.Files(func(f bundle.File, content io.Reader) error {
		if name, ok := f.Boot(); ok {
			return writeBoot(fat, name, content)
		}
		return writeRoot(u.cfg.Root(to), content)
	})
	if err != nil {
		return err
	}
	return syncTree(dir)
}

// writeBoot writes one file of a slot on the FAT.
func writeBoot(fat *os.Root, name string, content io.Reader) error {
	if err := fat.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := fat.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// writeRoot writes the root of a slot over what is there.
func writeRoot(device string, content io.Reader) error {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, content, buf)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncTree puts the names of a folder and the folders below it on the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// Run confirms the slot that runs once the box is healthy, and returns ErrRestart when
// an update was installed; nil when ctx ends.
func (u *Updater) Run(ctx context.Context) error {
	if err := u.confirm(ctx); err != nil {
		u.cfg.Log.Error("update is not confirmed", "err", err) // the box runs on, and goes back by itself
	}
	select {
	case <-ctx.Done():
		return nil
	case <-u.restart:
		return ErrRestart
	}
}

// confirm waits for health where the slot is on trial.
func (u *Updater) confirm(ctx context.Context) error {
	trial, err := u.cfg.Loader.OnTrial()
	if err != nil || !trial {
		return err
	}
	told := ""
	for {
		err := u.cfg.Healthy(ctx)
		if err == nil {
			break
		}
		if err.Error() != told {
			told = err.Error()
			u.cfg.Log.Info("update is not healthy yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(u.cfg.Every):
		}
	}
	if err := u.cfg.Loader.Confirm(); err != nil {
		return err
	}
	u.cfg.Log.Info("update confirmed", "release", u.cfg.Running.Release, "slot", string(u.cfg.Loader.Running()))
	return nil
}

// Restart restarts the computer, after Run returned ErrRestart and all was put down.
func (u *Updater) Restart() error { return u.cfg.Loader.Restart() }
