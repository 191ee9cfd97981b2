package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"redhen/images/layout"
	"redhen/provision/onefile"
)

// Offer is a release that a box runs well and hands on to its friends.
type Offer struct {
	Board   layout.Board `cbor:"1,keyasint" json:"board"`
	Release string       `cbor:"2,keyasint" json:"release"`
	Number  uint64       `cbor:"3,keyasint" json:"number"`
	Size    int64        `cbor:"4,keyasint" json:"size"` // of the update file, in bytes
	// Since is when it first did well at a box of the circle, in milliseconds.
	Since int64 `cbor:"5,keyasint" json:"since,omitempty"`
}

// shelf keeps the last update file in a folder, so that friends can have it, and what
// is decided about updates here. Without a folder it keeps nothing.
type shelf struct{ dir string }

// Names in the folder.
const (
	fileName  = "last.update"
	offerName = "last.json"
	notesName = "notes.json"
)

// notes are what this box remembers about updates.
type notes struct {
	Failed    uint64    `json:"failed,omitempty"`   // the number of a release that did not do well here
	Postponed time.Time `json:"postponed,omitzero"` // nothing is taken from friends until then
}

func (s shelf) path(name string) string { return filepath.Join(s.dir, name) }

// begin returns where an update file is kept while it comes in, nil when it is not kept.
func (s shelf) begin() *os.File {
	if s.dir == "" || os.MkdirAll(s.dir, 0o700) != nil {
		return nil
	}
	f, err := os.CreateTemp(s.dir, "new-")
	if err != nil {
		return nil // an update is more important than what friends get from it
	}
	return f
}

// keep has a whole update file take the place of the one before.
func (s shelf) keep(f *os.File, fresh layout.About, since int64) error {
	st, err := f.Stat()
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), os.Rename(f.Name(), s.path(fileName)))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keep update: %w", err)
	}
	return s.write(offerName, Offer{fresh.Board, fresh.Release, fresh.Number, st.Size(), since})
}

func (s shelf) drop(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}

// offer returns what is kept, false where it is not what runs.
func (s shelf) offer(running layout.About) (o Offer, ok bool) {
	if err := s.read(offerName, &o); err != nil || o.Number != running.Number || o.Board != running.Board {
		return Offer{}, false
	}
	st, err := os.Stat(s.path(fileName))
	return o, err == nil && st.Size() == o.Size
}

// open opens the update file.
func (s shelf) open() (io.ReadCloser, error) { return os.Open(s.path(fileName)) }

func (s shelf) notes() (n notes) {
	s.read(notesName, &n) // none, or damaged: nothing is remembered
	return n
}

func (s shelf) note(change func(*notes)) error {
	n := s.notes()
	change(&n)
	return s.write(notesName, n)
}

func (s shelf) read(name string, v any) error {
	if s.dir == "" {
		return fs.ErrNotExist
	}
	b, err := onefile.Read(s.path(name), 64<<10)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func (s shelf) write(name string, v any) error {
	if s.dir == "" {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return onefile.Replace(s.path(name), b)
}
