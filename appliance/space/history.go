package space

import (
	"context"
	"strings"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
)

// Versions returns the kept versions of a file, the newest first. Each is opened
// with OpenVersion and made the newest again with Restore.
func (f *FS) Versions(ctx context.Context, p string) ([]Info, error) {
	p, err := Clean(p)
	if err != nil {
		return nil, err
	}
	versions, err := f.cfg.Store.Versions(ctx, p[1:])
	if err != nil {
		return nil, fromStore(err)
	}
	infos := make([]Info, len(versions))
	for i, v := range versions {
		infos[i] = infoOfVersion(p, v)
	}
	return infos, nil
}

func infoOfVersion(p string, v catalog.Version) Info {
	_, name := Split(p)
	return Info{Path: p, Name: name, Version: v.ID, Size: v.Content.Size, ModTime: timeOf(v.ModTime), Created: timeOf(v.Time), Author: v.Author}
}

// Restore makes a kept version of a file the newest again; what was the newest is kept.
func (f *FS) Restore(ctx context.Context, p string, version catalog.WriteID, opt WriteOptions) (Answer, error) {
	s, err := f.existing(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	op := catalog.Op{Kind: catalog.Restore, Dir: s.dir.Node, Name: s.name, Node: s.entry.Node, Base: s.entry.Version, Version: version}
	return f.write(ctx, s, op, opt.Insist)
}

// Gone is a file or directory that was removed and can come back.
type Gone struct {
	// Info is what it was; its Path is where.
	Info
	// At is when it was removed, By who did it.
	At time.Time
	By ident.AccountID
	// Refused is true when it never was in the tree: bytes of a write that could
	// not be carried out, and were not thrown away.
	Refused bool
}

// Removed returns up to limit of what was removed, and the cursor with which the
// next page begins; the first begins with "", and after the last comes "".
func (f *FS) Removed(ctx context.Context, cursor string, limit int) (page []Gone, next string, err error) {
	rows, err := f.cfg.Store.Removed(ctx, cursor, limit)
	if err != nil {
		return nil, "", fromStore(err)
	}
	for _, r := range rows {
		p := "/" + strings.TrimPrefix(r.Path, "/")
		info := infoOf(p, r.Entry)
		info.Name = r.Entry.Name
		page = append(page, Gone{Info: info, At: timeOf(r.Time), By: r.By, Refused: r.Refused != 0})
	}
	if len(rows) == limit && limit > 0 {
		next = rows[limit-1].Cursor
	}
	return page, next, nil
}

// Undo brings something removed back, with everything that is in it: to where it
// was, or to the nearest directory that still exists. If its name was taken
// meanwhile it stands beside.
func (f *FS) Undo(ctx context.Context, node catalog.NodeID, opt WriteOptions) (Answer, error) {
	if f.cfg.ReadOnly {
		return Answer{}, ErrReadOnly
	}
	return f.write(ctx, slot{}, catalog.Op{Kind: catalog.Restore, Node: node}, opt.Insist)
}
