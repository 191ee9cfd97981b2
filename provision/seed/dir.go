package seed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"redhen/provision/onefile"
)

// Dir is a mounted FAT partition, or any folder, as a Folder. Links that lead out of
// it are not followed.
type Dir string

var _ Folder = Dir("")

// Names implements Folder.
func (d Dir) Names() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Open implements Folder. A card that is write-protected is opened for reading.
func (d Dir) Open(name string) (File, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if st, err := root.Lstat(name); err != nil || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: %w", name, errors.Join(err, fs.ErrInvalid))
	}
	f, err := root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		f, err = root.Open(name)
	}
	if err != nil {
		return nil, err
	}
	return dirFile{f}, nil
}

// Remove implements Folder.
func (d Dir) Remove(name string) error {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil {
		return err
	}
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

type dirFile struct{ *os.File }

func (f dirFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Path is a Store: a file that only its owner can read.
type Path string

var _ Store = Path("")

// Load implements Store.
func (p Path) Load() ([]byte, error) { return onefile.Read(string(p), 4*MaxFile) }

// Save implements Store.
func (p Path) Save(content []byte) error { return onefile.Replace(string(p), content) }
