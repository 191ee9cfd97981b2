package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"redhen/appliance/space"
	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/exchange"
	"redhen/raftnode/journal"
	"redhen/raftnode/manifest"
)

// spaces finds the spaces of people for the doors: an account sees what it owns.
type spaces struct{ node *raftnode.Node }

// Names returns the names of the spaces that an account may see.
func (s spaces) Names(_ context.Context, account ident.AccountID) (names []string, err error) {
	err = s.node.Directory(func(v directory.View) error {
		for _, sp := range v.Spaces() {
			if sp.Owner == account {
				names = append(names, sp.Name)
			}
		}
		return nil
	})
	return names, err
}

// Space returns an account's view of a space, space.ErrNotFound when it may not see one of that name.
func (s spaces) Space(_ context.Context, account ident.AccountID, name string) (*space.FS, error) {
	var id ident.ShardID
	err := s.node.Directory(func(v directory.View) error {
		sp, ok := v.SpaceByName(name)
		if !ok || sp.Owner != account {
			return space.ErrNotFound
		}
		id = sp.ID
		return nil
	})
	if err != nil {
		return nil, err
	}
	return space.New(space.Config{Store: store{s.node.Space(id)}, Account: account}), nil
}

// All returns all spaces of the circle, by their names.
func (s spaces) All() (list []directory.Space, err error) {
	err = s.node.Directory(func(v directory.View) error {
		list = v.Spaces()
		return nil
	})
	slices.SortFunc(list, func(a, b directory.Space) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// OwnersView returns the view of a space that its owner has.
func (s spaces) OwnersView(name string) (fs *space.FS, err error) {
	err = s.node.Directory(func(v directory.View) error {
		sp, ok := v.SpaceByName(name)
		if !ok {
			return space.ErrNotFound
		}
		fs = space.New(space.Config{Store: store{s.node.Space(sp.ID)}, Account: sp.Owner})
		return nil
	})
	return fs, err
}

// store is a space of the node with the errors that the doors know.
type store struct{ *raftnode.Space }

var _ space.Store = store{}

// Upload stores bytes here.
func (s store) Upload(ctx context.Context, r io.Reader) (manifest.Content, error) {
	c, err := s.Space.Upload(ctx, r)
	return c, known(err)
}

// Write carries an operation out.
func (s store) Write(ctx context.Context, author ident.AccountID, op catalog.Op, insist int) (catalog.Outcome, int, error) {
	out, kept, err := s.Space.Write(ctx, author, op, insist)
	return out, kept, known(err)
}

// Stat returns what stands at a path.
func (s store) Stat(ctx context.Context, path string) (catalog.Entry, error) {
	e, err := s.Space.Stat(ctx, path)
	return e, known(err)
}

// List returns some entries of a directory.
func (s store) List(ctx context.Context, path, from string, limit int) ([]catalog.Entry, error) {
	list, err := s.Space.List(ctx, path, from, limit)
	return list, known(err)
}

// Versions returns the kept versions of a file.
func (s store) Versions(ctx context.Context, path string) ([]catalog.Version, error) {
	list, err := s.Space.Versions(ctx, path)
	return list, known(err)
}

// Removed returns some of what was removed.
func (s store) Removed(ctx context.Context, from string, limit int) ([]catalog.Removed, error) {
	list, err := s.Space.Removed(ctx, from, limit)
	return list, known(err)
}

// Locks returns the locks in force.
func (s store) Locks(ctx context.Context) ([]catalog.Lock, error) {
	list, err := s.Space.Locks(ctx)
	return list, known(err)
}

// Search returns entries whose names contain a text.
func (s store) Search(ctx context.Context, text string, limit int) ([]catalog.Found, error) {
	list, err := s.Space.Search(ctx, text, limit)
	return list, known(err)
}

// known adds to an error of the node what the doors call it.
func known(err error) error {
	if err == nil {
		return nil
	}
	for theirs, ours := range map[error]error{
		chunk.ErrFull:          space.ErrFull,
		journal.ErrFull:        space.ErrFull,
		exchange.ErrFull:       space.ErrFull,
		raftnode.ErrNeedsHouse: space.ErrNeedsHouse,
		raftnode.ErrApart:      space.ErrUnreachable,
		raftnode.ErrNoSpace:    space.ErrUnreachable,
		chunk.ErrMissing:       space.ErrOwed,
	} {
		if errors.Is(err, theirs) {
			return fmt.Errorf("%w: %w", ours, err)
		}
	}
	return err
}
