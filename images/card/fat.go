// Package card makes and fills the FAT of a card, puts a box's settings on it, and
// writes images to cards and to files, read back byte by byte.
package card

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"redhen/images/layout"
	"redhen/provision/seed"
)

// label is the name under which a computer shows the card.
const label = "REDHEN"

// MaxFile bounds a file on the FAT, in bytes.
const MaxFile = 96 << 20

// FAT is the FAT32 partition of an image or a card, as MakeFAT made it. One caller at a time.
type FAT struct{ fs filesystem.FileSystem }

// OpenFAT opens the FAT of an image or a card. The error is layout.ErrNotOurs for
// anything else.
func OpenFAT(f *os.File) (*FAT, error) {
	if _, err := layout.FindData(f); err != nil {
		return nil, err
	}
	x := layout.Part(layout.BootPart)
	there, err := fat32.Read(layout.Storage(f), x.Size, x.Start, layout.Sector)
	if err != nil {
		return nil, fmt.Errorf("open FAT: %w", err)
	}
	return &FAT{there}, nil
}

// Put writes a file, whether it exists or not. Names are as fs.ValidPath wants them;
// the folder is there, and content is not empty.
func (t *FAT) Put(name string, content []byte) error {
	if !fs.ValidPath(name) || name == "." || len(content) == 0 || len(content) > MaxFile {
		return fmt.Errorf("put %q of %d bytes on FAT: %w", name, len(content), fs.ErrInvalid)
	}
	f, err := t.fs.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("put %s on FAT: %w", name, err)
	}
	defer f.Close()
	if n, err := f.Write(content); err != nil || n != len(content) {
		return fmt.Errorf("put %s on FAT: %d of %d bytes: %w", name, n, len(content), errors.Join(err, io.ErrShortWrite))
	}
	return nil
}

// Get returns a file. The error is fs.ErrNotExist when there is none.
func (t *FAT) Get(name string) ([]byte, error) {
	entries, err := t.fs.ReadDir(path.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("get %s from FAT: %w: %w", name, fs.ErrNotExist, err)
	}
	for _, e := range entries {
		if e.IsDir() || !strings.EqualFold(e.Name(), path.Base(name)) {
			continue
		}
		if st, err := e.Info(); err == nil && st.Size() == 0 {
			return nil, nil
		}
		return t.read(name)
	}
	return nil, fmt.Errorf("get %s from FAT: %w", name, fs.ErrNotExist)
}

func (t *FAT) read(name string) ([]byte, error) {
	f, err := t.fs.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("get %s from FAT: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile))
	if err != nil {
		return nil, fmt.Errorf("get %s from FAT: %w", name, err)
	}
	return b, nil
}

// Seed puts settings on the FAT of an image, or of a card that was written, where the
// box finds them at its start, and reads them back.
func Seed(f *os.File, s seed.Seed) error {
	t, err := OpenFAT(f)
	if err != nil {
		return err
	}
	want := seed.Render(s)
	if err := t.Put(layout.SettingsTxt, want); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("put settings on the card: %w", err)
	}
	if t, err = OpenFAT(f); err != nil { // from the card, and not from what was in memory
		return err
	}
	got, err := t.Get(layout.SettingsTxt)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("put settings on the card: %w", ErrDiffers)
	}
	return nil
}
