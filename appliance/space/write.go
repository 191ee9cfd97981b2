package space

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"redhen/raftnode/catalog"
	"redhen/raftnode/manifest"
)

// WriteOptions are what every write may ask for.
type WriteOptions struct {
	// Insist is the number of houses that must have it before it counts; else
	// ErrNeedsHouse, and nothing is done. 0 takes what is in reach.
	Insist int
	// IfMatch are ETags of which the file must have one, "*" means any; else
	// ErrPrecondition. Judged when the write is applied, not by what this box knows.
	IfMatch []string
}

// PutOptions are the wishes of a Put.
type PutOptions struct {
	WriteOptions
	// IfNoneMatch are ETags that the file must not have; "*" means that nothing
	// may have the name yet.
	IfNoneMatch []string
	// ModTime is the file's own time; zero means now.
	ModTime time.Time
	// Size is the announced length; a shorter body is ErrCut. Zero or less: not announced.
	Size int64
	// Props replace the dead properties; none keep them.
	Props map[string][]byte
}

// MoveOptions are the wishes of a Move.
type MoveOptions struct {
	WriteOptions
	// Overwrite removes what has the new name; else ErrExists.
	Overwrite bool
}

// CopyOptions are the wishes of a Copy.
type CopyOptions struct {
	WriteOptions
	// Overwrite replaces what has the new name; else ErrExists.
	Overwrite bool
	// Shallow copies a directory without what is in it.
	Shallow bool
}

// Answer tells what became of a write.
type Answer struct {
	// Info describes what was written, where it now is.
	Info Info
	// Kept is the number of houses that have it on disk; 1 means that it is on its way to others.
	Kept int
	// Beside is true when it was kept beside what was meant, because someone else
	// changed that in the meantime: Info.Name is the name it was given.
	Beside bool
	// Created is true when nothing had the path before.
	Created bool
}

// A slot is a place in the tree, and what stands there.
type slot struct {
	path, name string
	dir        catalog.Entry  // the directory
	entry      *catalog.Entry // nil: nothing is there
}

// slot finds the place of a path; the directory must exist.
func (f *FS) slot(ctx context.Context, p string) (s slot, err error) {
	if f.cfg.ReadOnly {
		return s, ErrReadOnly
	}
	if s.path, err = Clean(p); err != nil {
		return s, err
	}
	if s.path == "/" {
		return s, ErrIsDirectory
	}
	dir, name := Split(s.path)
	s.name = name
	if s.dir, err = f.stat(ctx, dir); errors.Is(err, ErrNotFound) {
		return s, ErrNoParent
	}
	if err != nil {
		return s, err
	}
	if !s.dir.IsDir {
		return s, ErrNotDirectory
	}
	e, err := f.stat(ctx, s.path)
	if err == nil {
		s.entry = &e
	} else if !errors.Is(err, ErrNotFound) {
		return s, err
	}
	return s, nil
}

// existing finds the place of a path where something stands.
func (f *FS) existing(ctx context.Context, p string) (slot, error) {
	s, err := f.slot(ctx, p)
	if errors.Is(err, ErrNoParent) {
		return s, ErrNotFound
	}
	if err == nil && s.entry == nil {
		err = ErrNotFound
	}
	return s, err
}

// orRoot is existing, for what can also be done to the root.
func (f *FS) orRoot(ctx context.Context, p string) (slot, error) {
	if p, err := Clean(p); err != nil || p != "/" {
		return f.existing(ctx, p)
	}
	if f.cfg.ReadOnly {
		return slot{}, ErrReadOnly
	}
	e, err := f.stat(ctx, "/")
	return slot{path: "/", entry: &e}, err
}

// Put stores what r gives as the new content of a file, which need not exist, in
// a directory, which must. The version that the path has when Put begins is the one
// the author is taken to have seen: if someone else writes while the bytes arrive, both are kept.
func (f *FS) Put(ctx context.Context, p string, r io.Reader, opt PutOptions) (Answer, error) {
	s, err := f.slot(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	op := catalog.Op{Kind: catalog.Put, Dir: s.dir.Node, Name: s.name, Props: opt.Props, ModTime: f.millis(opt.ModTime)}
	if s.entry != nil {
		if s.entry.IsDir {
			return Answer{}, ErrIsDirectory
		}
		op.Node, op.Base = s.entry.Node, s.entry.Version
	}
	if err := f.condition(ctx, s, opt, &op); err != nil {
		return Answer{}, err
	}
	c, err := f.upload(ctx, r, opt.Size)
	if err != nil {
		return Answer{}, err
	}
	op.Content = &c
	return f.write(ctx, s, op, opt.Insist)
}

// millis returns the time in milliseconds, now for a zero one.
func (f *FS) millis(t time.Time) int64 {
	if t.IsZero() {
		t = f.cfg.Now()
	}
	return max(t.UnixMilli(), 1) // the catalog has no time before 1970
}

// condition turns the preconditions of a put into the one that the catalog judges.
func (f *FS) condition(ctx context.Context, s slot, opt PutOptions, op *catalog.Op) error {
	var tag string
	if s.entry != nil {
		tag = infoOf(s.path, *s.entry).ETag()
	}
	for _, t := range opt.IfNoneMatch {
		if s.entry != nil && (t == "*" || t == tag) {
			return ErrPrecondition
		}
		op.If.Absent = op.If.Absent || t == "*"
	}
	if len(opt.IfMatch) == 0 {
		return nil
	}
	if s.entry == nil {
		return ErrPrecondition
	}
	want, err := f.match(ctx, s, tag, opt.IfMatch)
	if err != nil {
		return err
	}
	op.If.Match, op.Base = &want, want
	return nil
}

// match chooses the version that the catalog is to compare: the newest here if it
// is asked for; else one that this box has not heard of yet. One that it knows to be
// old is refused before any byte is sent.
func (f *FS) match(ctx context.Context, s slot, tag string, asked []string) (catalog.WriteID, error) {
	if slices.Contains(asked, "*") || slices.Contains(asked, tag) {
		return s.entry.Version, nil
	}
	versions, err := f.cfg.Store.Versions(ctx, s.path[1:])
	if err != nil {
		return catalog.WriteID{}, fromStore(err)
	}
	for _, t := range asked {
		id, err := parseETag(t)
		known := slices.ContainsFunc(versions, func(v catalog.Version) bool { return v.ID == id })
		if err == nil && !known {
			return id, nil
		}
	}
	return catalog.WriteID{}, ErrPrecondition
}

// upload stores the bytes, and tells a body that broke off from a disk that is full.
func (f *FS) upload(ctx context.Context, r io.Reader, size int64) (manifest.Content, error) {
	body := &watchedReader{r: r}
	c, err := f.cfg.Store.Upload(ctx, body)
	switch {
	case body.err != nil:
		return c, fmt.Errorf("%w: %w", ErrCut, body.err)
	case err != nil:
		return c, fromStore(err)
	case size > 0 && c.Size != size:
		return c, fmt.Errorf("%w: %d of %d bytes", ErrCut, c.Size, size)
	}
	return c, nil
}

// A watchedReader remembers the error that ended it.
type watchedReader struct {
	r   io.Reader
	err error
}

// Read reads and remembers.
func (w *watchedReader) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// Mkdir makes a directory; ErrExists when something has the name.
func (f *FS) Mkdir(ctx context.Context, p string, opt WriteOptions) (Answer, error) {
	s, err := f.slot(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	if s.entry != nil {
		return Answer{}, ErrExists
	}
	return f.mkdir(ctx, s, nil, opt)
}

func (f *FS) mkdir(ctx context.Context, s slot, props map[string][]byte, opt WriteOptions) (Answer, error) {
	op := catalog.Op{Kind: catalog.Mkdir, Dir: s.dir.Node, Name: s.name, ModTime: f.millis(time.Time{}), Props: props}
	return f.write(ctx, s, op, opt.Insist)
}

// Remove removes a file, or a directory with everything in it. It can come back
// for 30 days (Removed, Undo).
func (f *FS) Remove(ctx context.Context, p string, opt WriteOptions) (Answer, error) {
	s, err := f.existing(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	op := catalog.Op{Kind: catalog.Remove, Dir: s.dir.Node, Name: s.name, Node: s.entry.Node, Base: s.entry.Version}
	if len(opt.IfMatch) > 0 {
		want, err := f.match(ctx, s, infoOf(s.path, *s.entry).ETag(), opt.IfMatch)
		if err != nil {
			return Answer{}, err
		}
		op.If.Match, op.Base = &want, want
	}
	return f.write(ctx, s, op, opt.Insist)
}

// SetProps replaces the dead properties of a file or directory.
func (f *FS) SetProps(ctx context.Context, p string, props map[string][]byte, opt WriteOptions) (Answer, error) {
	s, err := f.orRoot(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	size := 0
	for name, value := range props {
		size += len(name) + len(value)
	}
	if size > catalog.MaxProps {
		return Answer{}, ErrTooMany
	}
	op := catalog.Op{Kind: catalog.SetProps, Dir: s.dir.Node, Name: s.name, Node: s.entry.Node, Base: s.entry.Version, Props: props}
	return f.write(ctx, s, op, opt.Insist)
}

// write carries the operation out and tells what became of it.
func (f *FS) write(ctx context.Context, s slot, op catalog.Op, insist int) (Answer, error) {
	out, kept, err := f.cfg.Store.Write(ctx, f.cfg.Account, op, insist)
	if err != nil {
		return Answer{}, fromStore(err)
	}
	if err := fromOutcome(op, out); err != nil {
		return Answer{}, err
	}
	return f.answer(ctx, s, op, out, kept), nil
}
