package vfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"redhen/raftnode/vfs"
)

func TestErrFull(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, syscall.EIO: false, syscall.ENOSPC: true, syscall.EDQUOT: true,
		fmt.Errorf("write x: %w", &fs.PathError{Op: "write", Err: syscall.ENOSPC}): true,
	} {
		if got := vfs.ErrFull(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

// TestFilesAreTheKeepersAlone guards that nobody else on the machine reads what is stored.
func TestFilesAreTheKeepersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var d vfs.OS
	for range 2 { // again is no error
		if err := d.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	f, err := d.OpenFile(filepath.Join(dir, "f"), os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), d.SyncDir(dir), f.Close()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "f"): 0o600} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
	if err := d.MkdirAll(filepath.Join(dir, "f", "g")); err == nil {
		t.Error("a directory in a file")
	}
}
