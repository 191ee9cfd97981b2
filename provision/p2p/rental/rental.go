// Package rental is what a rented relay knows of the circles that it serves: a host with
// an address of its own that belongs to no circle. A box proves that it belongs to a
// circle by showing the circle's chain of signed changes, which proves itself.
package rental

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
)

const (
	circuitsAMin   = 600 // connections that a circle may begin in a minute
	maxChainsAtOne = 2
)

// Rental is what a relay knows of circles.
type Rental struct {
	allowed map[ident.CircleID]bool
	daily   int64 // bytes that a circle may have passed on in a day; 0 = no bound

	mu      sync.Mutex // guards all below
	circles map[ident.CircleID]*tenancy
	names   map[string]*claim // by which visitors ask
	reading int
}

type tenancy struct {
	roster  *roster.State
	minute  time.Time
	begun   int // connections since then
	refused int // in all, for being too many
	day     time.Time
	today   int64 // bytes passed on since then
	bytes   int64 // in all
}

// New makes the rental of a relay that these circles may use, each for so many bytes a
// day; 0 = no bound.
func New(circles []ident.CircleID, daily int64) *Rental {
	r := &Rental{daily: daily, allowed: map[ident.CircleID]bool{}, circles: map[ident.CircleID]*tenancy{}, names: map[string]*claim{}}
	for _, c := range circles {
		r.allowed[c] = true
	}
	return r
}

// Tenant reports whether the box belongs to a circle here. A nil *Rental has none.
func (r *Rental) Tenant(b ident.BoxID) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.circles {
		if t.roster.Active(b) {
			return true
		}
	}
	return false
}

// MayPass reports whether one box may now reach another through us.
func (r *Rental) MayPass(from, to ident.BoxID, now time.Time) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.circles {
		if !t.roster.Active(from) || !t.roster.Active(to) {
			continue
		}
		if now.Sub(t.minute) >= time.Minute {
			t.minute, t.begun = now, 0
		}
		if t.begun >= circuitsAMin || r.spent(t, now) {
			t.refused++
			return false
		}
		t.begun++
		return true
	}
	return false
}

// spent reports whether a circle has used up its day. Callers hold r.mu.
func (r *Rental) spent(t *tenancy, now time.Time) bool {
	if now.Sub(t.day) >= 24*time.Hour {
		t.day, t.today = now, 0
	}
	return r.daily > 0 && t.today >= r.daily
}

// Passed counts bytes that were passed on to a box.
func (r *Rental) Passed(to ident.BoxID, bytes int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.circles {
		if t.roster.Active(to) {
			r.spent(t, now) // a new day begins
			t.today += bytes
			t.bytes += bytes
			return
		}
	}
}

// Spent reports whether the circle of a box has used up its day.
func (r *Rental) Spent(box ident.BoxID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.circles {
		if t.roster.Active(box) {
			return r.spent(t, now)
		}
	}
	return false
}

// ErrNotAllowed says that the operator has not allowed the circle.
var ErrNotAllowed = errors.New("circle is not allowed here")

// Learn takes a chain if it is the longest of an allowed circle.
func (r *Rental) Learn(raw [][]byte) error {
	var changes []roster.Change
	for i, b := range raw {
		c, err := roster.Decode(b)
		if err != nil {
			return fmt.Errorf("chain: %w", err)
		}
		changes = append(changes, c)
		if i == 0 { // before the rest costs anything
			s, err := roster.Replay(changes)
			if err != nil {
				return fmt.Errorf("chain: %w", err)
			}
			if !r.allowed[s.Circle()] {
				return ErrNotAllowed
			}
		}
	}
	s, err := roster.Replay(changes)
	if err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	if s == nil {
		return ErrNotAllowed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.circles[s.Circle()]
	switch {
	case t == nil:
		r.circles[s.Circle()] = &tenancy{roster: s}
	case s.Len() > t.roster.Len():
		t.roster = s // a circle whose chain has parted is served by the longer side
	}
	return nil
}

// Enter bounds the chains that are read at once.
func (r *Rental) Enter(by int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if by > 0 && r.reading >= maxChainsAtOne {
		return false
	}
	r.reading += by
	return true
}

// Circle is a circle that a relay serves.
type Circle struct {
	Circle  ident.CircleID
	Boxes   int   // of the circle
	Here    int   // connected now
	Refused int   // connections that were too many
	Bytes   int64 // passed on since the start
	Today   int64 // of these, in its present day
}

// Circles returns those that have shown a chain. here says who is connected now.
func (r *Rental) Circles(here func(ident.BoxID) bool) (list []Circle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(r.circles)) {
		t := r.circles[id]
		one := Circle{Circle: id, Refused: t.refused, Bytes: t.bytes, Today: t.today}
		for _, b := range t.roster.Members() {
			one.Boxes++
			if here(b.ID) {
				one.Here++
			}
		}
		list = append(list, one)
	}
	return list
}
