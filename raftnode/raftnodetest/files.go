package raftnodetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
)

// Put writes a file, over what this box sees at the path.
func (b *Box) Put(ctx context.Context, space ident.ShardID, name string, data []byte) (catalog.Outcome, int, error) {
	op, err := b.PutOp(ctx, space, name, data)
	if err != nil {
		return catalog.Outcome{}, 0, err
	}
	return b.write(ctx, space, op)
}

func (b *Box) write(ctx context.Context, space ident.ShardID, op catalog.Op) (catalog.Outcome, int, error) {
	n, err := b.Running()
	if err != nil {
		return catalog.Outcome{}, 0, err
	}
	return n.Space(space).Write(ctx, b.Account, op, 0)
}

// PutOp uploads data and returns the operation that puts it at a path, over what
// this box sees there.
func (b *Box) PutOp(ctx context.Context, space ident.ShardID, name string, data []byte) (catalog.Op, error) {
	n, err := b.Running()
	if err != nil {
		return catalog.Op{}, err
	}
	s := n.Space(space)
	content, err := s.Upload(ctx, bytes.NewReader(data))
	if err != nil {
		return catalog.Op{}, err
	}
	op := catalog.Op{Kind: catalog.Put, Content: &content}
	if op.Dir, op.Name, err = b.place(ctx, space, name); err != nil {
		return op, err
	}
	switch e, err := s.Stat(ctx, name); {
	case err == nil:
		op.Node, op.Base = e.Node, e.Version
	case !errors.Is(err, catalog.ErrNotFound):
		return op, err
	}
	return op, nil
}

// place returns the directory and the name of a path.
func (b *Box) place(ctx context.Context, space ident.ShardID, name string) (catalog.NodeID, string, error) {
	dir, base := path.Split(name)
	e, err := b.Stat(ctx, space, strings.Trim(dir, "/"))
	return e.Node, base, err
}

// Mkdir makes a directory.
func (b *Box) Mkdir(ctx context.Context, space ident.ShardID, name string) (catalog.Outcome, int, error) {
	op := catalog.Op{Kind: catalog.Mkdir}
	var err error
	if op.Dir, op.Name, err = b.place(ctx, space, name); err != nil {
		return catalog.Outcome{}, 0, err
	}
	return b.write(ctx, space, op)
}

// Move gives what this box sees at a path another one.
func (b *Box) Move(ctx context.Context, space ident.ShardID, from, to string) (catalog.Outcome, int, error) {
	e, err := b.Stat(ctx, space, from)
	if err != nil {
		return catalog.Outcome{}, 0, err
	}
	op := catalog.Op{Kind: catalog.Move, Dir: e.Dir, Name: e.Name, Node: e.Node, Base: e.Placed}
	if op.ToDir, op.ToName, err = b.place(ctx, space, to); err != nil {
		return catalog.Outcome{}, 0, err
	}
	return b.write(ctx, space, op)
}

// Remove removes what this box sees at a path.
func (b *Box) Remove(ctx context.Context, space ident.ShardID, name string) (catalog.Outcome, int, error) {
	e, err := b.Stat(ctx, space, name)
	if err != nil {
		return catalog.Outcome{}, 0, err
	}
	op := catalog.Op{Kind: catalog.Remove, Dir: e.Dir, Name: e.Name, Node: e.Node, Base: e.Version}
	return b.write(ctx, space, op)
}

// Get reads a file.
func (b *Box) Get(ctx context.Context, space ident.ShardID, path string) ([]byte, error) {
	n, err := b.Running()
	if err != nil {
		return nil, err
	}
	s := n.Space(space)
	e, err := s.Stat(ctx, path)
	if err != nil {
		return nil, err
	}
	r := s.Open(ctx, e.Content)
	defer r.Close()
	return io.ReadAll(r)
}

// Stat returns what this box sees at a path.
func (b *Box) Stat(ctx context.Context, space ident.ShardID, path string) (catalog.Entry, error) {
	n, err := b.Running()
	if err != nil {
		return catalog.Entry{}, err
	}
	return n.Space(space).Stat(ctx, path)
}
