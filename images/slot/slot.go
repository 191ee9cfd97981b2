// Package slot decides which of a card's two systems starts: the one that is known to
// work, and once, or a few times, one that is on trial. It changes a few small files on
// the card's FAT, each by a rename, in an order in which a cut at any moment leaves the
// system that works.
package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"redhen/images/layout"
)

// Loader is the boot loader of a box.
type Loader interface {
	// Running is the slot that runs.
	Running() layout.Slot
	// OnTrial reports whether the running slot has yet to be confirmed.
	OnTrial() (bool, error)
	// Clear has the slot that does not run start no more, so that it can be written.
	Clear() error
	// Try has the slot that does not run, with its kernel and command line in place,
	// start at the next Restart. Unless it confirms itself, the other one is back then.
	Try(release, line string) error
	// Confirm has the running slot start from now on.
	Confirm() error
	// Restart restarts the box, whose programs have been put down. A slot that is on
	// trial is given up by it: the other one starts.
	Restart() error
}

// ErrNoSlots says that this computer does not run from a card with slots.
var ErrNoSlots = errors.New("this computer does not run from a redhen card")

// Open returns the loader of the running box. The error is ErrNoSlots on other computers.
func Open() (Loader, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, fmt.Errorf("find the slot: %w", err)
	}
	running, ok := layout.SlotOf(string(line))
	if !ok {
		return nil, ErrNoSlots
	}
	if _, err := os.Stat("/sys/firmware/efi"); err == nil {
		return NewUEFI(layout.BootDir, running), nil
	}
	return NewPi(layout.BootDir, running), nil
}

// replace writes a file on a FAT. The old content or the new one is there, whatever happens.
func replace(path string, content []byte) error {
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(fresh)
		return err
	}
	return rename(fresh, path)
}

// rename puts a file under another name. On a FAT its size and place stand beside its
// name: until the file is synced under the new one, the name leads to nothing.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	f, err := os.Open(to)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDir(filepath.Dir(to)))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// reboot restarts the computer at once.
func reboot(command string) error {
	syscall.Sync()
	if command == "" {
		return syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
	}
	return rebootWith(command)
}
