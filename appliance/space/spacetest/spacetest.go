// Package spacetest is a space in memory for the tests of the doors: the real
// catalog, manifests and chunks of one box, without other boxes and without raft.
package spacetest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"redhen/appliance/space"
	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
	"redhen/raftnode/vfs"
)

// House is the name of the house that the store stands in.
const House = "Oak Street"

// Box is the name of its box.
const Box ident.BoxID = "12D3KooWtest"

// Store is a space.Store. Set Houses before it is used, or between requests.
type Store struct {
	// Houses is in how many houses a write is kept; New sets 1.
	Houses int

	chunks *chunk.Store

	mu      sync.Mutex // guards what follows
	state   *kv.Layer
	applied uint64
	ahead   time.Duration
	lost    bool
	uploads int
	fail    error
	change  chan struct{}
}

var _ space.Store = (*Store)(nil)

// New returns an empty space; its chunks are in a directory of the test.
func New(t testing.TB) *Store {
	t.Helper()
	chunks, err := chunk.Open(chunk.Config{FS: vfs.OS{}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chunks.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Store{Houses: 1, chunks: chunks, state: kv.NewLayer(kv.Empty{}), change: make(chan struct{})}
}

// Now is the store's clock: the wall's, and what Advance added.
func (s *Store) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Store) now() time.Time { return time.Now().Add(s.ahead) }

// Advance moves the store's clock.
func (s *Store) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

// LoseBytes makes every chunk unreachable.
func (s *Store) LoseBytes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = true
}

// Fail makes every upload and write from now on fail with err; nil ends that.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Uploads counts the contents that were uploaded.
func (s *Store) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads
}

func (s *Store) view(fn func(catalog.View)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(catalog.View{Reader: s.state})
}

// Stat implements space.Store.
func (s *Store) Stat(_ context.Context, path string) (e catalog.Entry, err error) {
	s.view(func(v catalog.View) { e, err = v.Stat(path) })
	return e, err
}

// List implements space.Store.
func (s *Store) List(_ context.Context, path, from string, limit int) (entries []catalog.Entry, err error) {
	s.view(func(v catalog.View) {
		var dir catalog.Entry
		if dir, err = v.Stat(path); err != nil {
			return
		}
		if !dir.IsDir {
			err = catalog.ErrNotDirectory
			return
		}
		entries = v.List(dir.Node, from, limit)
	})
	return entries, err
}

// Search implements space.Store.
func (s *Store) Search(_ context.Context, text string, limit int) (found []catalog.Found, err error) {
	s.view(func(v catalog.View) { found = v.Search(text, limit) })
	return found, nil
}

// Locks implements space.Store.
func (s *Store) Locks(context.Context) (locks []catalog.Lock, err error) {
	s.view(func(v catalog.View) { locks = v.Locks() })
	return locks, nil
}

// Versions implements space.Store.
func (s *Store) Versions(_ context.Context, path string) (versions []catalog.Version, err error) {
	s.view(func(v catalog.View) {
		var e catalog.Entry
		if e, err = v.Stat(path); err == nil {
			versions = v.Versions(e.Node)
		}
	})
	return versions, err
}

// Removed implements space.Store.
func (s *Store) Removed(_ context.Context, from string, limit int) (removed []catalog.Removed, err error) {
	s.view(func(v catalog.View) { removed = v.Removed(from, limit) })
	return removed, nil
}

// Upload implements space.Store.
func (s *Store) Upload(ctx context.Context, r io.Reader) (manifest.Content, error) {
	s.mu.Lock()
	s.uploads++
	err := s.fail
	s.mu.Unlock()
	if err != nil {
		return manifest.Content{}, err
	}
	return manifest.Build(ctx, r, func(_ context.Context, b []byte) (chunk.Hash, error) { return s.chunks.Put(b) })
}

// Open implements space.Store.
func (s *Store) Open(ctx context.Context, c manifest.Content) *manifest.Reader {
	return manifest.Open(ctx, c, func(_ context.Context, h chunk.Hash) ([]byte, error) {
		s.mu.Lock()
		lost := s.lost
		s.mu.Unlock()
		if lost {
			return nil, chunk.ErrMissing
		}
		return s.chunks.Get(h)
	})
}

// Write implements space.Store: the write is encoded, decoded and applied as on every box.
func (s *Store) Write(_ context.Context, author ident.AccountID, op catalog.Op, insist int) (catalog.Outcome, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if insist > s.Houses {
		return catalog.Outcome{}, 0, space.ErrNeedsHouse
	}
	if s.fail != nil {
		return catalog.Outcome{}, 0, s.fail
	}
	out, err := s.apply(catalog.Write{Author: author, Time: s.now().UnixMilli(), Where: House, Op: op})
	return out, s.Houses, err
}

func (s *Store) apply(w catalog.Write) (catalog.Outcome, error) {
	w.ID = catalog.WriteID{Box: Box, Inc: 1, Seq: s.applied + 1}
	w.Floor = w.ID.Seq
	b, err := catalog.EncodeWrite(w)
	if err != nil {
		return catalog.Outcome{}, err
	}
	if w, err = catalog.DecodeWrite(b); err != nil {
		return catalog.Outcome{}, err
	}
	out, err := catalog.Apply(s.state, s.applied+1, w, nil)
	if err != nil {
		return out, err
	}
	if out.Status == catalog.Unresolved || out.Status == catalog.NoHolders {
		return out, errors.New("a write of one box waits for nothing")
	}
	s.applied++
	close(s.change)
	s.change = make(chan struct{})
	return out, nil
}

// Changed implements space.Store.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change
}
