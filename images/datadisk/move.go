package datadisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Amount is how many bytes the files below a folder have.
func Amount(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err == nil {
			bytes += st.Size()
		}
		return err
	})
	return bytes, err
}

// Copy copies the folder from, with all that is in it, to a new folder to, and returns
// when all of it is on the disk. What a copying that was cut off left is removed first;
// to is there only once it is whole. tell hears how many bytes are copied.
func Copy(from, to string, tell func(bytes int64)) error {
	part := to + ".part"
	for _, left := range []string{part, to} {
		if err := os.RemoveAll(left); err != nil {
			return fmt.Errorf("copy data: %w", err)
		}
	}
	c := copying{tell: tell, buf: make([]byte, 1<<20)}
	if err := c.folder(from, part); err != nil {
		return fmt.Errorf("copy data: %w", err)
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("copy data: %w", err)
	}
	return syncDir(filepath.Dir(to))
}

type copying struct {
	done int64
	tell func(int64)
	buf  []byte
}

// folder copies files and folders. Sockets stay behind: they are made at each start.
func (c *copying) folder(from, to string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, st.Mode().Perm()); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch here, there := filepath.Join(from, e.Name()), filepath.Join(to, e.Name()); {
		case e.IsDir():
			err = c.folder(here, there)
		case e.Type().IsRegular():
			err = c.file(here, there)
		case e.Type()&fs.ModeSocket == 0:
			err = fmt.Errorf("%s is neither a file nor a folder", here)
		}
		if err != nil {
			return err
		}
	}
	if err := os.Chtimes(to, st.ModTime(), st.ModTime()); err != nil {
		return err
	}
	return syncDir(to)
}

func (c *copying) file(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, st.Mode().Perm())
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, c.told(in), c.buf)
	if err == nil && n != st.Size() {
		err = fmt.Errorf("%s has %d bytes, and %d were read", from, st.Size(), n)
	}
	return errors.Join(err, out.Sync(), out.Close(), os.Chtimes(to, st.ModTime(), st.ModTime()))
}

// told reads and tells how much.
func (c *copying) told(r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		c.done += int64(n)
		c.tell(c.done)
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
