// Package vfs is the few file operations that redhen's own formats are built
// on, as an interface, so that a test can cut the power between any two of them.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// FS is a place for files. Names are slash-separated paths; all methods are safe
// for concurrent use. Errors wrap fs.ErrNotExist, fs.ErrExist and syscall.ENOSPC as the os package's do.
type FS interface {
	// OpenFile opens a file; flag is os.O_RDONLY or os.O_RDWR, with os.O_CREATE, os.O_EXCL, os.O_TRUNC.
	OpenFile(name string, flag int) (File, error)
	// Rename replaces newname by oldname. It is durable after SyncDir of both directories.
	Rename(oldname, newname string) error
	// Remove removes a file. It is durable after SyncDir of its directory.
	Remove(name string) error
	// ReadDir returns the sorted base names in a directory.
	ReadDir(name string) ([]string, error)
	// MkdirAll makes a directory and its parents, durable on return.
	MkdirAll(name string) error
	// SyncDir makes creations, renames and removals in a directory durable.
	SyncDir(name string) error
}

// File is one open file. WriteAt beyond the end grows it.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the content and the size durable. After an error nothing written
	// since the last good Sync may be relied on, and a second Sync proves nothing.
	Sync() error
	// Truncate sets the size in bytes.
	Truncate(size int64) error
	// Size returns the size in bytes.
	Size() (int64, error)
}

// ErrFull reports whether err says that the disk, or the quota on it, is full.
func ErrFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Room returns how many bytes are free for us on the disk that holds a directory.
func Room(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("room of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// OS is the operating system's file system.
type OS struct{}

var _ FS = OS{}

type osFile struct{ *os.File }

// OpenFile opens a file that only its owner may read.
func (OS) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename is os.Rename.
func (OS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return os.Remove(name) }

// ReadDir returns the sorted base names in a directory.
func (OS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// MkdirAll makes the directory and syncs the parent of each that was missing.
func (o OS) MkdirAll(name string) error {
	if fi, err := os.Stat(name); err == nil && fi.IsDir() {
		return nil
	}
	parent := filepath.Dir(name)
	if parent != name {
		if err := o.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return o.SyncDir(parent)
}

// SyncDir opens the directory and fsyncs it.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Sync is fdatasync: the content and, when it changed, the size.
func (f osFile) Sync() error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Size returns the size in bytes.
func (f osFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}
