package web

import (
	"crypto/rand"
	"sync"
	"time"

	"redhen/provision/ident"
)

// purpose says what a pass opens.
type purpose string

// The purposes.
const (
	passEnter purpose = "enter" // log in on one more phone or computer
	passReset purpose = "reset" // choose a new password
)

// pass lets whoever knows its code do one thing for one account, once.
type pass struct {
	purpose purpose
	login   string
	account ident.AccountID
	by      ident.AccountID // who made it
	until   time.Time
}

// passes are those that hold, in memory: a box that restarts forgets them. A code has
// 128 random bits, so that nobody guesses one.
type passes struct {
	now func() time.Time

	mu     sync.Mutex // guards byCode
	byCode map[string]pass
}

const maxPasses = 200

func newPasses(now func() time.Time) *passes { return &passes{now: now, byCode: map[string]pass{}} }

// issue makes a pass and returns its code; false when too many hold.
func (s *passes) issue(p pass, life time.Duration) (code string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for code, old := range s.byCode {
		if s.now().After(old.until) || old.purpose == p.purpose && old.account == p.account {
			delete(s.byCode, code)
		}
	}
	if len(s.byCode) >= maxPasses {
		return "", false
	}
	p.until = s.now().Add(life)
	code = rand.Text()
	s.byCode[code] = p
	return code, true
}

// look returns a pass that holds, without using it up.
func (s *passes) look(code string, want purpose) (pass, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.byCode[code]
	return p, ok && p.purpose == want && !s.now().After(p.until)
}

// use takes a pass that holds; it does not hold again.
func (s *passes) use(code string, want purpose) (pass, bool) {
	p, ok := s.look(code, want)
	if ok {
		s.mu.Lock()
		_, ok = s.byCode[code]
		delete(s.byCode, code)
		s.mu.Unlock()
	}
	return p, ok
}
