package raftnodetest

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"redhen/raftnode/vfs"
)

// Disk is the operating system's disk, which a test may call full: then nothing
// on it can be made or grow, as on a real one. It syncs nothing: boxes of a test are
// killed, their computers never lose power (raftlog and chunk test that themselves).
type Disk struct {
	vfs.OS
	full atomic.Bool
}

var _ vfs.FS = (*Disk)(nil)

// SetFull makes the disk full, or gives it room again.
func (d *Disk) SetFull(full bool) { d.full.Store(full) }

func (d *Disk) room(what string) error {
	if d.full.Load() {
		return fmt.Errorf("%s: %w", what, syscall.ENOSPC)
	}
	return nil
}

// SyncDir implements vfs.FS.
func (d *Disk) SyncDir(string) error { return nil }

// OpenFile implements vfs.FS.
func (d *Disk) OpenFile(name string, flag int) (vfs.File, error) {
	if _, err := os.Stat(name); err != nil && flag&os.O_CREATE != 0 {
		if err := d.room("create " + name); err != nil {
			return nil, err
		}
	}
	f, err := d.OS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d}, nil
}

type diskFile struct {
	vfs.File
	d *Disk
}

// Sync implements vfs.File.
func (f *diskFile) Sync() error { return nil }

// WriteAt implements vfs.File.
func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	if off+int64(len(b)) > size {
		if err := f.d.room("write"); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(b, off)
}

// Truncate implements vfs.File.
func (f *diskFile) Truncate(size int64) error {
	if now, err := f.Size(); err != nil || size > now {
		if err := f.d.room("grow"); err != nil {
			return err
		}
	}
	return f.File.Truncate(size)
}
