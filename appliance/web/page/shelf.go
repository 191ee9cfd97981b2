package page

import (
	"crypto/rand"
	"sync"
	"time"

	"redhen/provision/ident"
)

// Shelf keeps small things in memory for the next page of one person: what just
// happened, a ticket, a password that is shown once. Their addresses do not tell
// what they are, and nobody else can look.
type Shelf struct {
	now func() time.Time

	mu    sync.Mutex // guards items and order
	items map[string]shelved
	order []string // oldest first
}

type shelved struct {
	owner ident.AccountID
	until time.Time
	thing any
}

// MaxShelf bounds the things on it: the oldest go.
const MaxShelf = 1000

// NewShelf returns an empty one; now is the time.
func NewShelf(now func() time.Time) *Shelf { return &Shelf{now: now, items: map[string]shelved{}} }

// Put keeps a thing for its owner and returns its ID.
func (s *Shelf) Put(owner ident.AccountID, thing any, keep time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) >= MaxShelf {
		delete(s.items, s.order[0])
		s.order = s.order[1:]
	}
	id := rand.Text()
	s.items[id] = shelved{owner, s.now().Add(keep), thing}
	s.order = append(s.order, id)
	return id
}

// Take returns a thing of the owner that is still there; it stays.
func Take[T any](s *Shelf, owner ident.AccountID, id string) (thing T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, found := s.items[id]
	if !found || item.owner != owner || s.now().After(item.until) {
		return thing, false
	}
	thing, ok = item.thing.(T)
	return thing, ok
}
