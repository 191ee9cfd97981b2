package web

import (
	"errors"
	"sync"
	"time"

	"redhen/appliance/account"
)

// guesses remember who was guessed at, until they log in: then they are told.
type guesses struct {
	now func() time.Time

	mu      sync.Mutex // guards byLogin
	byLogin map[string]guessed
}

type guessed struct {
	wrong int
	since time.Time
}

const (
	// maxGuessed bounds the names that are remembered.
	maxGuessed = 1000
	// tellFrom is from how many wrong passwords on somebody is told: fewer are typing errors.
	tellFrom = 5
)

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, byLogin: map[string]guessed{}}
}

// count notes how a login went wrong. Only names that exist are noted.
func (g *guesses) count(login string, err error) {
	slow, isSlow := errors.AsType[*account.SlowError](err)
	if !errors.Is(err, account.ErrWrong) && (!isSlow || slow.Wait <= 0) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	was, known := g.byLogin[login]
	if !known {
		if len(g.byLogin) >= maxGuessed {
			return
		}
		was.since = g.now()
	}
	was.wrong++
	g.byLogin[login] = was
}

// take returns what is to be told to somebody who has logged in, and forgets it.
func (g *guesses) take(login string) (guessed, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.byLogin[login]
	delete(g.byLogin, login)
	return was, was.wrong >= tellFrom
}
