package fire

import "sync"

// ledger remembers what every write was answered.
type ledger struct {
	mu      sync.Mutex // guards what follows
	entries map[string]entry
	order   []string // paths that must be there
}

type entry struct {
	sum  sum
	kept int // houses, as the box said
}

func newLedger() *ledger { return &ledger{entries: map[string]entry{}} }

// answer notes that a write of a file was answered. A file is written once, or
// again with the same bytes: the best answer counts.
func (l *ledger) answer(path string, content sum, kept int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.entries[path]
	if before.kept < 2 && kept >= 2 {
		l.order = append(l.order, path)
	}
	l.entries[path] = entry{content, max(kept, before.kept)}
}

// expect has a file be verified, whatever was answered.
func (l *ledger) expect(path string, content sum) { l.answer(path, content, 2) }

// safe returns the files that must be there: those answered as kept in two houses or more.
func (l *ledger) safe() map[string]sum {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := map[string]sum{}
	for _, p := range l.order {
		m[p] = l.entries[p].sum
	}
	return m
}

// all returns every file that was written.
func (l *ledger) all() map[string]sum {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := map[string]sum{}
	for p, e := range l.entries {
		m[p] = e.sum
	}
	return m
}

// pick returns one of the files that must be there, false while there are none.
func (l *ledger) pick(draw func(n int) int) (path string, content sum, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) == 0 {
		return "", sum{}, false
	}
	path = l.order[draw(len(l.order))]
	return path, l.entries[path].sum, true
}

func (l *ledger) counts() (safe, one int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order), len(l.entries) - len(l.order)
}
