// Package space is the one view of files that every door shares: list, open, put,
// move, remove, history, locks. A door only translates to it.
package space

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/manifest"
)

// Names reads what is where. Paths are those of Clean without the first slash: the root is "".
type Names interface {
	// Stat returns what has the path, catalog.ErrNotFound when nothing has.
	Stat(ctx context.Context, path string) (catalog.Entry, error)
	// List returns up to limit entries of a directory in the order of their names, beginning behind from.
	// Their contents have a size only.
	List(ctx context.Context, path, from string, limit int) ([]catalog.Entry, error)
	// Search returns up to limit entries whose names contain the text.
	Search(ctx context.Context, text string, limit int) ([]catalog.Found, error)
	// Locks returns the locks of the space.
	Locks(ctx context.Context) ([]catalog.Lock, error)
}

// History reads what was before.
type History interface {
	// Versions returns the kept versions of a file, the newest first.
	Versions(ctx context.Context, path string) ([]catalog.Version, error)
	// Removed returns up to limit things that were removed and can come back.
	Removed(ctx context.Context, from string, limit int) ([]catalog.Removed, error)
}

// Store is a space as this box has it: its own replica, or one elsewhere.
type Store interface {
	Names
	History
	// Upload stores the bytes of r durably here, in bounded memory.
	Upload(ctx context.Context, r io.Reader) (manifest.Content, error)
	// Open reads a content, from here or from where its bytes are.
	Open(ctx context.Context, c manifest.Content) *manifest.Reader
	// Write carries an operation out and answers when it is kept in insist houses,
	// or in as many as are in reach when insist is 0: then kept says in how many.
	Write(ctx context.Context, author ident.AccountID, op catalog.Op, insist int) (outcome catalog.Outcome, kept int, err error)
	// Changed returns a channel that is closed at the next change of the space.
	Changed() <-chan struct{}
}

// Usage is the room of a space, in bytes.
type Usage struct {
	// Used is what the files have, Available what may be added.
	Used, Available int64
	// Known is false when nobody has counted.
	Known bool
}

// Config is what a view needs.
type Config struct {
	// Store is the space. Required.
	Store Store
	// Account is who looks and writes. Required.
	Account ident.AccountID
	// ReadOnly refuses every write with ErrReadOnly.
	ReadOnly bool
	// Usage counts; nil means that it is not known.
	Usage func(ctx context.Context) (Usage, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// FS is one account's view of one space. It may be used from many goroutines.
type FS struct{ cfg Config }

// New returns the account's view.
func New(cfg Config) *FS {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &FS{cfg}
}

// Info describes a file or directory.
type Info struct {
	// Path is clean, Name its last name, empty for the root. In an Answer the Path
	// is empty when the place is not known.
	Path, Name string
	// Node stays the same when the path changes.
	Node catalog.NodeID
	// Version names the content of a file.
	Version catalog.WriteID
	// Dir tells a directory; it has no Size.
	Dir bool
	// Size is in bytes.
	Size int64
	// ModTime is when the content was made, as the author's program says.
	ModTime time.Time
	// Created is when the file or directory came here.
	Created time.Time
	// Author is who wrote this version.
	Author ident.AccountID
	// Props are the dead properties, by names of the doors.
	Props map[string][]byte
}

// ETag returns the version with the quotes of HTTP; empty for a directory.
func (i Info) ETag() string {
	if i.Dir || i.Version == (catalog.WriteID{}) {
		return ""
	}
	return `"` + tagOf(i.Version) + `"`
}

func infoOf(p string, e catalog.Entry) Info {
	_, name := Split(p)
	return Info{Path: p, Name: name, Node: e.Node, Version: e.Version, Dir: e.IsDir, Size: e.Size,
		ModTime: timeOf(e.ModTime), Created: timeOf(e.Created), Author: e.Author, Props: e.Props}
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Usage returns the room of the space.
func (f *FS) Usage(ctx context.Context) (Usage, error) {
	if f.cfg.Usage == nil {
		return Usage{}, nil
	}
	return f.cfg.Usage(ctx)
}

// Account returns whose view it is.
func (f *FS) Account() ident.AccountID { return f.cfg.Account }

// Changed returns a channel that is closed at the next change of the space.
func (f *FS) Changed() <-chan struct{} { return f.cfg.Store.Changed() }

// Stat returns what has the path, ErrNotFound when nothing has.
func (f *FS) Stat(ctx context.Context, p string) (Info, error) {
	p, err := Clean(p)
	if err != nil {
		return Info{}, err
	}
	e, err := f.stat(ctx, p)
	if err != nil {
		return Info{}, err
	}
	return infoOf(p, e), nil
}

func (f *FS) stat(ctx context.Context, p string) (catalog.Entry, error) {
	e, err := f.cfg.Store.Stat(ctx, p[1:])
	return e, fromStore(err)
}

// List returns everything in a directory, in the order of the names whatever their case.
func (f *FS) List(ctx context.Context, p string) ([]Info, error) {
	p, err := Clean(p)
	if err != nil {
		return nil, err
	}
	var all []Info
	err = f.each(ctx, p, func(e catalog.Entry) error {
		all = append(all, infoOf(Join(p, e.Name), e))
		return nil
	})
	return all, err
}

// page is how many entries are read at once.
const page = 500

// each calls fn with every entry of a directory.
func (f *FS) each(ctx context.Context, p string, fn func(catalog.Entry) error) error {
	for from := ""; ; {
		entries, err := f.cfg.Store.List(ctx, p[1:], from, page)
		if err != nil {
			return fromStore(err)
		}
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if len(entries) < page {
			return nil
		}
		from = entries[len(entries)-1].Name
	}
}

// Search returns up to limit files and directories whose names contain the text.
func (f *FS) Search(ctx context.Context, text string, limit int) ([]Info, error) {
	found, err := f.cfg.Store.Search(ctx, text, limit)
	if err != nil {
		return nil, fromStore(err)
	}
	infos := make([]Info, len(found))
	for i, x := range found {
		infos[i] = infoOf("/"+strings.TrimPrefix(x.Path, "/"), x.Entry)
	}
	return infos, nil
}

// File is one open version of a file. Its bytes do not change while it is open.
type File struct {
	*manifest.Reader
	info Info
}

var _ io.ReadSeekCloser = (*File)(nil)

// Info describes the version that is open.
func (f *File) Info() Info { return f.info }

// Read reads on; ErrOwed when the bytes are at no box in reach.
func (f *File) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	return n, fromStore(err)
}

// ReadAt reads at an offset, as Read.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.Reader.ReadAt(b, off)
	return n, fromStore(err)
}

// Open opens the newest version of a file. Bytes are fetched as they are read, as
// long as ctx lasts.
func (f *FS) Open(ctx context.Context, p string) (*File, error) {
	p, err := Clean(p)
	if err != nil {
		return nil, err
	}
	e, err := f.stat(ctx, p)
	if err != nil {
		return nil, err
	}
	if e.IsDir {
		return nil, ErrIsDirectory
	}
	return &File{f.cfg.Store.Open(ctx, e.Content), infoOf(p, e)}, nil
}

// OpenVersion opens a kept version of a file, ErrNotFound when it is not kept any more.
func (f *FS) OpenVersion(ctx context.Context, p string, version catalog.WriteID) (*File, error) {
	p, err := Clean(p)
	if err != nil {
		return nil, err
	}
	versions, err := f.cfg.Store.Versions(ctx, p[1:])
	if err != nil {
		return nil, fromStore(err)
	}
	i := slices.IndexFunc(versions, func(v catalog.Version) bool { return v.ID == version })
	if i < 0 {
		return nil, ErrNotFound
	}
	return &File{f.cfg.Store.Open(ctx, versions[i].Content), infoOfVersion(p, versions[i])}, nil
}
