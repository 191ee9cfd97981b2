package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"redhen/images/layout"
)

// UEFI is systemd-boot with boot counting (https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT):
// the name of an entry bears how often it may still be tried. Entries without tries
// left come last, and of the others the one with the largest version is first.
type UEFI struct {
	dir     string // the FAT
	running layout.Slot
}

var _ Loader = (*UEFI)(nil)

// tries is how often a slot on trial is started before it is given up: a power cut
// uses one up, too.
const tries = 3

// NewUEFI returns the loader whose FAT is mounted at dir.
func NewUEFI(dir string, running layout.Slot) *UEFI { return &UEFI{dir, running} }

// Entry returns the name and the content of a slot's entry. Of two, that of the larger
// generation is started.
func Entry(s layout.Slot, release string, generation uint64, line string) (name string, content []byte) {
	return entryName(s, ""), fmt.Appendf(nil, "title redhen %s\nsort-key redhen\nversion %d\nlinux /%s/%s\noptions %s\n",
		release, generation, s.Dir(), layout.KernelName, line)
}

func entryName(s layout.Slot, count string) string { return fmt.Sprintf("redhen-%s%s.conf", s, count) }

// entry is one that is there.
type entry struct {
	name       string
	slot       layout.Slot
	counted    bool // it is on trial, or was and failed
	generation uint64
}

// entries lists ours.
func (u *UEFI) entries() (all []entry, err error) {
	dir := filepath.Join(u.dir, layout.EntriesDir)
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	pattern := regexp.MustCompile(`(?i)^redhen-([ab])(\+\d+(-\d+)?)?\.conf$`)
	for _, e := range list {
		m := pattern.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		x := entry{name: e.Name(), slot: layout.Slot(strings.ToLower(m[1])), counted: m[2] != ""}
		if b, err := fs.ReadFile(os.DirFS(dir), e.Name()); err == nil {
			x.generation = generationOf(b)
		}
		all = append(all, x)
	}
	return all, nil
}

// generationOf reads an entry's version; of a broken one 0.
func generationOf(content []byte) uint64 {
	for line := range strings.Lines(string(content)) {
		if v, ok := strings.CutPrefix(line, "version "); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(v), 10, 64) // 0
			return n
		}
	}
	return 0
}

// Running implements Loader.
func (u *UEFI) Running() layout.Slot { return u.running }

// OnTrial implements Loader.
func (u *UEFI) OnTrial() (bool, error) {
	all, err := u.entries()
	if err != nil {
		return false, fmt.Errorf("look at the slots: %w", err)
	}
	for _, e := range all {
		if e.slot == u.running {
			return e.counted, nil
		}
	}
	return false, nil // it was started by hand
}

// Clear implements Loader.
func (u *UEFI) Clear() error {
	all, err := u.entries()
	if err != nil {
		return fmt.Errorf("clear slot: %w", err)
	}
	for _, e := range all {
		if e.slot != u.running {
			if err := remove(u.path(e.name)); err != nil {
				return fmt.Errorf("clear slot: %w", err)
			}
		}
	}
	return nil
}

func (u *UEFI) path(name string) string { return filepath.Join(u.dir, layout.EntriesDir, name) }

// Try implements Loader.
func (u *UEFI) Try(release, line string) error {
	if err := u.Clear(); err != nil {
		return err
	}
	all, err := u.entries()
	if err != nil {
		return fmt.Errorf("try slot: %w", err)
	}
	generation := uint64(0)
	for _, e := range all {
		generation = max(generation, e.generation)
	}
	other := u.running.Other()
	_, content := Entry(other, release, generation+1, line)
	if err := replace(u.path(entryName(other, fmt.Sprintf("+%d", tries))), content); err != nil {
		return fmt.Errorf("try slot: %w", err)
	}
	return nil
}

// Confirm implements Loader.
func (u *UEFI) Confirm() error {
	all, err := u.entries()
	if err != nil {
		return fmt.Errorf("confirm slot: %w", err)
	}
	for _, e := range all {
		if e.slot == u.running && e.counted {
			if err := rename(u.path(e.name), u.path(entryName(e.slot, ""))); err != nil {
				return fmt.Errorf("confirm slot: %w", err)
			}
		}
	}
	return nil
}

// Restart implements Loader.
func (u *UEFI) Restart() error {
	return errors.Join(u.giveUp(), reboot("")) // without the first its tries run out
}

// giveUp leaves the running slot no tries, if it is on trial.
func (u *UEFI) giveUp() error {
	all, err := u.entries()
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.slot == u.running && e.counted {
			return rename(u.path(e.name), u.path(entryName(e.slot, fmt.Sprintf("+0-%d", tries))))
		}
	}
	return nil
}
