// Package onefile keeps a small record in one file that is always whole: after a
// power cut the old content or the new one is there.
package onefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrTooLarge says that a file is over the limit given to Read.
var ErrTooLarge = errors.New("file is larger than the limit")

// Read returns the content of a file of at most limit bytes. A missing file gives
// an error that is fs.ErrNotExist.
func Read(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("read %s: %d bytes: %w", path, st.Size(), ErrTooLarge)
	}
	return os.ReadFile(path)
}

// Replace writes the file, readable by its owner only. The content is on disk when
// it returns nil; one caller at a time for each path.
func Replace(path string, content []byte) error {
	tmp := path + ".new"
	if err := write(tmp, content); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func write(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
