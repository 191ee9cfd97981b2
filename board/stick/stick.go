// Package stick notices USB sticks that are plugged into a box, and looks into them. A
// stick is never written to.
package stick

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"redhen/board/disk"
)

// every is how often it is looked for sticks: no udev tells.
const every = 3 * time.Second

// Config says where to look. All but Logger are needed.
type Config struct {
	Root   fs.FS              // the machine's /sys, rooted at /
	Take   func(dir string)   // is shown the files of a stick while it is mounted
	Mount  func(string) error // mounts a partition by its name, for reading, at Dir
	Dir    string
	Logger *slog.Logger // nil: none
}

// Watch shows each stick that is plugged in once, until ctx ends; it returns nil. What is
// plugged in when it begins is shown, too.
func Watch(ctx context.Context, c Config) error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	seen := map[string]bool{}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		there := map[string]bool{}
		for _, name := range partitions(disk.List(c.Root)) {
			there[name] = true
			if !seen[name] {
				c.look(name)
			}
		}
		seen = there
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look mounts a partition, shows it and unmounts it. Most often it cannot be mounted
// because it holds something else than a FAT.
func (c *Config) look(name string) {
	if err := c.Mount(name); err != nil {
		c.Logger.Debug("stick", "part", name, "err", err)
		return
	}
	c.Take(c.Dir)
	if err := unix.Unmount(c.Dir, unix.MNT_DETACH); err != nil {
		c.Logger.Debug("stick", "part", name, "err", err)
	}
}

// partitions are the names of what may hold files on sticks: their partitions, or the
// whole stick when it has none.
func partitions(all []disk.Disk) (names []string) {
	for _, d := range all {
		if d.Kind != disk.Stick && d.Kind != disk.USB {
			continue
		}
		for _, p := range d.Parts {
			names = append(names, p.Name)
		}
		if len(d.Parts) == 0 && d.Size > 0 {
			names = append(names, d.Name)
		}
	}
	return names
}

// MountFAT returns a Mount for FAT file systems at dir.
func MountFAT(dir string) func(string) error {
	return func(name string) error {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		return unix.Mount("/dev/"+name, dir, "vfat", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "umask=0077")
	}
}
