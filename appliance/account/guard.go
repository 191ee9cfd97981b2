package account

import (
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// How guesses are slowed: after so many free ones the next waits a second, the
// one after it two, and so on up to maxWait. A quiet day forgives all.
const (
	freePerAccount = 5
	freePerSource  = 20 // a house behind one address
	firstWait      = time.Second
	maxWait        = 15 * time.Minute
	forgiven       = 24 * time.Hour

	accountSlots = 1 << 10
	sourceSlots  = 1 << 12
	friendSlots  = 1 << 10
)

// guard counts guesses before they are hashed, per account and per source address.
//
// Its tables have a fixed size and drop nothing, so that nobody can wash out a
// count by making many others: what falls into one slot shares its wait. An
// address from which an account was logged in before is a friend of that account
// and has a count of its own, so that a stranger's guessing locks nobody out at home.
type guard struct {
	now    func() time.Time
	logger *slog.Logger
	seed   maphash.Seed

	mu       sync.Mutex // guards what follows
	accounts [accountSlots]count
	sources  [sourceSlots]count
	friends  [friendSlots]friend
}

type count struct {
	guesses int
	last    time.Time
	until   time.Time // no guess before
}

type friend struct {
	who uint64 // hash of account and source, 0 for none
	count
}

func newGuard(now func() time.Time, logger *slog.Logger) *guard {
	return &guard{now: now, logger: logger, seed: maphash.MakeSeed()}
}

// pair is one account as seen from one source.
type pair struct {
	name   string
	source netip.Prefix
}

// sourcePrefix is a whole IPv4 address, or the /64 that one house has of IPv6.
func sourcePrefix(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := 64
	if from.Is4() {
		bits = 32
	}
	p, _ := from.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}

// counts returns the two counts that a guess falls into. mu is held.
func (g *guard) counts(p pair) (account, source *count) {
	source = &g.sources[maphash.Comparable(g.seed, p.source)%sourceSlots]
	if f, who := g.friend(p); f.who == who {
		return &f.count, source
	}
	return &g.accounts[maphash.String(g.seed, p.name)%accountSlots], source
}

func (g *guard) friend(p pair) (*friend, uint64) {
	who := maphash.Comparable(g.seed, p) | 1
	return &g.friends[(who>>1)%friendSlots], who
}

// begin counts a guess and returns zero, or how long to wait, without counting.
func (g *guard) begin(name string, from netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	account, source := g.counts(pair{name, sourcePrefix(from)})
	if wait := max(account.wait(now), source.wait(now)); wait > 0 {
		return wait
	}
	if account.add(now, freePerAccount) {
		// Not the name: people type passwords into the wrong field.
		g.logger.Warn("guessing at an account is slowed", "address", from.String())
	}
	if source.add(now, freePerSource) {
		g.logger.Warn("guessing from an address is slowed", "address", from.String())
	}
	return 0
}

func (c *count) wait(now time.Time) time.Duration {
	if now.Sub(c.last) > forgiven {
		*c = count{}
	}
	return c.until.Sub(now)
}

// add counts one guess and reports whether it is the first that makes others wait.
func (c *count) add(now time.Time, free int) bool {
	c.guesses++
	c.last = now
	over := c.guesses - free
	if over >= 0 {
		c.until = now.Add(min(maxWait, firstWait<<min(over, 20)))
	}
	return over == 0
}

// passed takes a guess back that was right, forgives the account, and makes the
// source its friend. The source's other guesses stay counted: it may have an
// account of its own and guess at others'.
func (g *guard) passed(name string, from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := pair{name, sourcePrefix(from)}
	account, source := g.counts(p)
	*account = count{}
	source.takeBack()
	if f, who := g.friend(p); f.who != who {
		*f = friend{who: who}
	}
}

// undo takes back a guess that was not looked at in the end.
func (g *guard) undo(name string, from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	account, source := g.counts(pair{name, sourcePrefix(from)})
	account.takeBack()
	source.takeBack()
}

func (c *count) takeBack() {
	c.guesses = max(0, c.guesses-1)
	c.until = time.Time{}
}
