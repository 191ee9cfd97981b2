package space

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
)

// fromStore gives an error of a Store the meaning that the doors know.
func fromStore(err error) error {
	if err == nil {
		return nil
	}
	for _, m := range []struct{ from, to error }{
		{catalog.ErrNotFound, ErrNotFound},
		{catalog.ErrNotDirectory, ErrNotDirectory},
		{catalog.ErrBadName, ErrBadName},
		{chunk.ErrFull, ErrFull},
		{chunk.ErrMissing, ErrOwed},
		{chunk.ErrDamaged, ErrOwed},
	} {
		if errors.Is(err, m.from) {
			return fmt.Errorf("%w: %w", m.to, err)
		}
	}
	return err
}

// fromOutcome returns why the catalog did not do what was asked; nil when it did,
// or kept it beside.
func fromOutcome(op catalog.Op, out catalog.Outcome) error {
	switch out.Status {
	case catalog.Done, catalog.Beside:
		return nil
	case catalog.Precondition:
		return ErrPrecondition
	case catalog.NotFound:
		if op.Kind == catalog.Put || op.Kind == catalog.Mkdir {
			return ErrNoParent
		}
		return ErrNotFound
	case catalog.NotDirectory:
		return ErrNotDirectory
	case catalog.IsDirectory:
		return ErrIsDirectory
	case catalog.Exists:
		return ErrExists
	case catalog.Cycle:
		return ErrCycle
	case catalog.Locked:
		return ErrLocked
	case catalog.TooMany:
		return ErrTooMany
	}
	return fmt.Errorf("write ended as %v", out.Status)
}

// answer describes what was written.
func (f *FS) answer(ctx context.Context, s slot, op catalog.Op, out catalog.Outcome, kept int) Answer {
	a := Answer{Kept: kept, Beside: out.Status == catalog.Beside, Created: s.entry == nil}
	a.Info = Info{Path: f.landed(ctx, s, out), Name: out.Name, Node: out.Node, Version: out.Version, Author: f.cfg.Account,
		Dir: op.Kind == catalog.Mkdir || s.entry != nil && s.entry.IsDir, ModTime: timeOf(op.ModTime), Props: op.Props}
	if op.Content != nil {
		a.Info.Size = op.Content.Size
	}
	return a
}

// landed returns the path at which the effect of a write is: in the directory that
// was meant, or, when that moved or is gone, wherever the file is found; empty when it is not.
func (f *FS) landed(ctx context.Context, s slot, out catalog.Outcome) string {
	if s.path == "/" {
		return "/"
	}
	if out.Dir == s.dir.Node && s.path != "" {
		dir, _ := Split(s.path)
		return Join(dir, out.Name)
	}
	found, err := f.cfg.Store.Search(ctx, out.Name, maxLanded)
	if err != nil {
		return "" // the write is done, whatever can be read now
	}
	for _, x := range found {
		if x.Entry.Node == out.Node {
			return "/" + strings.TrimPrefix(x.Path, "/")
		}
	}
	return ""
}

// maxLanded is among how many files of one name the one that landed elsewhere is looked for.
const maxLanded = 200
