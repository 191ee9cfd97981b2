package space

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
)

// Lock keeps other programs from changing a file or directory for a while.
type Lock struct {
	// Token names the lock; who knows it may write.
	Token string
	// Path is what is locked; Deep, everything below it too.
	Path string
	Deep bool
	// Owner is what the program said of itself.
	Owner string
	// Author is the account that took the lock.
	Author ident.AccountID
	// Expires is when it ends by itself.
	Expires time.Time
}

// Covers reports whether the lock protects the path.
func (l Lock) Covers(p string) bool { return p == l.Path || l.Deep && Within(p, l.Path) }

// LockOptions are the wishes of a Lock.
type LockOptions struct {
	// Deep locks everything below the path too.
	Deep bool
	// Owner is what the program says of itself.
	Owner string
	// For is how long the lock lives without a Refresh.
	For time.Duration
}

// Locks returns the locks of the space that have not ended.
func (f *FS) Locks(ctx context.Context) ([]Lock, error) {
	stored, err := f.cfg.Store.Locks(ctx)
	if err != nil {
		return nil, fromStore(err)
	}
	var locks []Lock
	now := f.cfg.Now()
	for _, l := range stored {
		if expires := timeOf(l.Expires); now.Before(expires) {
			locks = append(locks, Lock{Token: l.Token, Path: "/" + strings.TrimPrefix(l.Path, "/"), Deep: !l.Depth0, Owner: l.Owner, Author: l.Author, Expires: expires})
		}
	}
	return locks, nil
}

// Lock locks what has the path; ErrLocked when another lock is in the way.
func (f *FS) Lock(ctx context.Context, p string, opt LockOptions) (Lock, Answer, error) {
	p, err := Clean(p)
	if err != nil {
		return Lock{}, Answer{}, err
	}
	l := Lock{Token: newToken(), Path: p, Deep: opt.Deep, Owner: opt.Owner, Author: f.cfg.Account}
	return f.setLock(ctx, l, opt.For)
}

// Refresh gives a lock more time; ErrNoLock when it has ended.
func (f *FS) Refresh(ctx context.Context, l Lock, d time.Duration) (Lock, Answer, error) {
	return f.setLock(ctx, l, d)
}

// newToken draws a random UUID (RFC 9562, version 4) as a URN.
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (f *FS) setLock(ctx context.Context, l Lock, d time.Duration) (Lock, Answer, error) {
	if f.cfg.ReadOnly {
		return Lock{}, Answer{}, ErrReadOnly
	}
	e, err := f.stat(ctx, l.Path)
	if err != nil {
		return Lock{}, Answer{}, err
	}
	l.Expires = time.UnixMilli(f.cfg.Now().Add(d).UnixMilli())
	op := catalog.Op{Kind: catalog.SetLock, Dir: e.Dir, Name: e.Name, Node: e.Node, Lock: &catalog.Lock{
		Token: l.Token, Node: e.Node, Depth0: !l.Deep, Owner: l.Owner, Author: f.cfg.Account, Expires: l.Expires.UnixMilli()}}
	a, err := f.write(ctx, slot{path: l.Path, dir: catalog.Entry{Node: e.Dir}, entry: &e}, op, 0)
	return l, a, err
}

// Unlock ends a lock.
func (f *FS) Unlock(ctx context.Context, l Lock) (Answer, error) {
	e, err := f.stat(ctx, l.Path)
	if errors.Is(err, ErrNotFound) { // it ended with what it locked
		return Answer{}, ErrNoLock
	}
	if err != nil {
		return Answer{}, err
	}
	op := catalog.Op{Kind: catalog.Unlock, Dir: e.Dir, Name: e.Name, Node: e.Node, Lock: &catalog.Lock{Token: l.Token, Node: e.Node}}
	return f.write(ctx, slot{path: l.Path, dir: catalog.Entry{Node: e.Dir}, entry: &e}, op, 0)
}
