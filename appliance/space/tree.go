package space

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"redhen/raftnode/catalog"
)

// Move gives a file or directory another name or place. No byte is copied.
func (f *FS) Move(ctx context.Context, from, to string, opt MoveOptions) (Answer, error) {
	src, err := f.existing(ctx, from)
	if err != nil {
		return Answer{}, err
	}
	dst, err := f.slot(ctx, to)
	if err != nil {
		return Answer{}, err
	}
	if err := allowed(src, dst, opt.Overwrite); err != nil {
		return Answer{}, err
	}
	op := catalog.Op{Kind: catalog.Move, Dir: src.dir.Node, Name: src.name, Node: src.entry.Node, Base: src.entry.Placed,
		ToDir: dst.dir.Node, ToName: dst.name, Overwrite: opt.Overwrite}
	return f.write(ctx, dst, op, opt.Insist)
}

// allowed refuses what a move or copy cannot mean.
func allowed(src, dst slot, overwrite bool) error {
	switch {
	case src.path == dst.path:
		return ErrExists
	case src.entry.IsDir && Within(dst.path, src.path), Within(src.path, dst.path):
		return ErrCycle
	case dst.entry != nil && !overwrite:
		return ErrExists
	}
	return nil
}

// copiers is how many files of a directory are copied at once: each waits for the other houses.
const copiers = 8

// Copy gives the bytes of a file, or of all files of a directory, a second name.
// No byte is copied. It is not one step: if it breaks off, a part of a directory is there.
func (f *FS) Copy(ctx context.Context, from, to string, opt CopyOptions) (Answer, error) {
	src, err := f.existing(ctx, from)
	if err != nil {
		return Answer{}, err
	}
	dst, err := f.slot(ctx, to)
	if err != nil {
		return Answer{}, err
	}
	if err := allowed(src, dst, opt.Overwrite); err != nil {
		return Answer{}, err
	}
	created := dst.entry == nil
	if !created && (dst.entry.IsDir || src.entry.IsDir) {
		if _, err := f.Remove(ctx, dst.path, opt.WriteOptions); err != nil && !errors.Is(err, ErrNotFound) {
			return Answer{}, err
		}
		dst.entry = nil
	}
	a, err := f.copyTo(ctx, src.path, *src.entry, dst, opt)
	a.Created = created
	return a, err
}

// copyTo copies one entry and what is below it.
func (f *FS) copyTo(ctx context.Context, from string, e catalog.Entry, dst slot, opt CopyOptions) (Answer, error) {
	if !e.IsDir {
		e, err := f.stat(ctx, from) // a list has no contents
		if err != nil {
			return Answer{}, err
		}
		op := catalog.Op{Kind: catalog.Put, Dir: dst.dir.Node, Name: dst.name, Content: &e.Content, ModTime: e.ModTime, Props: e.Props}
		if dst.entry != nil {
			op.Node, op.Base = dst.entry.Node, dst.entry.Version
		}
		return f.write(ctx, dst, op, opt.Insist)
	}
	a, err := f.mkdir(ctx, dst, e.Props, opt.WriteOptions)
	if err != nil || opt.Shallow {
		return a, err
	}
	kept, err := f.copyInto(ctx, from, catalog.Entry{Node: a.Info.Node, IsDir: true}, a.Info.Path, opt)
	if kept > 0 {
		a.Kept = min(a.Kept, kept)
	}
	return a, err
}

// copyInto copies the members of a directory and returns the fewest houses that
// have one of them, 0 when there are none.
func (f *FS) copyInto(ctx context.Context, from string, dir catalog.Entry, to string, opt CopyOptions) (int, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(copiers)
	var least fewest
	err := f.each(groupCtx, from, func(e catalog.Entry) error {
		one := func() error {
			a, err := f.copyTo(groupCtx, Join(from, e.Name), e, slot{path: Join(to, e.Name), name: e.Name, dir: dir}, opt)
			if err == nil {
				least.add(a.Kept)
			}
			return err
		}
		if e.IsDir { // one directory after the other, or the copiers would multiply
			return one()
		}
		group.Go(one)
		return nil
	})
	if groupErr := group.Wait(); groupErr != nil {
		err = groupErr
	}
	return least.n, err
}

// fewest is the smallest of the numbers added, 0 before the first.
type fewest struct {
	mu sync.Mutex
	n  int
}

func (f *fewest) add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 || n < f.n {
		f.n = n
	}
}
