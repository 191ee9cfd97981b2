package account

import (
	"sync"
	"time"
)

// How long the answer to a guess is remembered, and how many answers. A wrong
// guess is remembered longer: a program that was not told of a new password
// repeats the old one for hours, and must not lock its person out.
const (
	rightFor    = 10 * time.Minute
	wrongFor    = time.Hour
	maxVerdicts = 256
)

// verdicts remembers guesses by a keyed hash of them.
type verdicts struct {
	now func() time.Time

	mu   sync.Mutex // guards list
	list map[[32]byte]verdict
}

type verdict struct {
	right bool
	until time.Time
}

func newVerdicts(now func() time.Time) *verdicts {
	return &verdicts{now: now, list: map[[32]byte]verdict{}}
}

func (v *verdicts) get(key [32]byte) (right, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, ok := v.list[key]
	if !ok || !v.now().Before(found.until) {
		return false, false
	}
	return found.right, true
}

// put remembers a verdict; when there is no room the one that ends first goes.
func (v *verdicts) put(key [32]byte, right bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	life := wrongFor
	if right {
		life = rightFor
	}
	if len(v.list) >= maxVerdicts {
		v.dropFirst()
	}
	v.list[key] = verdict{right, v.now().Add(life)}
}

func (v *verdicts) dropFirst() {
	var first [32]byte
	var until time.Time
	for key, found := range v.list {
		if until.IsZero() || found.until.Before(until) {
			first, until = key, found.until
		}
	}
	delete(v.list, first)
}
