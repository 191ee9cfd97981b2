package web

import (
	"crypto/rand"
	"sync"
	"time"

	"redhen/provision/ident"
)

// shelf keeps small things in memory for the next page of one person: what just
// happened, a ticket, a password that is shown once. Their addresses do not tell
// what they are, and nobody else can look.
type shelf struct {
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

const maxShelf = 1000

func newShelf(now func() time.Time) *shelf { return &shelf{now: now, items: map[string]shelved{}} }

// put keeps a thing for its owner and returns its ID.
func (s *shelf) put(owner ident.AccountID, thing any, keep time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) >= maxShelf {
		delete(s.items, s.order[0])
		s.order = s.order[1:]
	}
	id := rand.Text()
	s.items[id] = shelved{owner, s.now().Add(keep), thing}
	s.order = append(s.order, id)
	return id
}

// take returns a thing of the owner that is still there; it stays.
func take[T any](s *shelf, owner ident.AccountID, id string) (thing T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item, found := s.items[id]
	if !found || item.owner != owner || s.now().After(item.until) {
		return thing, false
	}
	thing, ok = item.thing.(T)
	return thing, ok
}
