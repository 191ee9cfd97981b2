package rental

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p/localname"
)

const (
	// MaxNames is how many names of the internet a box may say it serves: its circle's,
	// and one of each house.
	MaxNames = 128
	nameLife = time.Hour // a box that still serves says so before
)

// ErrBadNames says that what a box says it serves are not names, or too many.
var ErrBadNames = errors.New("not names of the internet")

// claim is a name, the circle that said first that it is theirs, and which of its boxes
// serve it, until when.
type claim struct {
	circle ident.CircleID
	boxes  map[ident.BoxID]time.Time
}

// Name notes by which names visitors may ask for a box, in place of those that it named
// before. A name belongs to the circle that named it first, as long as one of its boxes does.
func (r *Rental) Name(box ident.BoxID, names []string, now time.Time) error {
	if len(names) > MaxNames || slices.ContainsFunc(names, func(n string) bool { return !isName(n) }) {
		return ErrBadNames
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	circle, ok := r.circleOf(box)
	if !ok {
		return ErrNotAllowed
	}
	for name, c := range r.names {
		delete(c.boxes, box)
		maps.DeleteFunc(c.boxes, func(_ ident.BoxID, until time.Time) bool { return now.After(until) })
		if len(c.boxes) == 0 {
			delete(r.names, name)
		}
	}
	for _, name := range names {
		c := r.names[name]
		if c == nil {
			c = &claim{circle, map[ident.BoxID]time.Time{}}
			r.names[name] = c
		}
		if c.circle == circle {
			c.boxes[box] = now.Add(nameLife)
		}
	}
	return nil
}

// Serving returns the boxes that serve a name, none when nobody said so: those of the
// house that it names, and the others of the circle.
func (r *Rental) Serving(name string, now time.Time) (house, others []ident.BoxID) {
	if r == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.names[name]
	if c == nil {
		return nil, nil
	}
	named := r.houseOf(c.circle, name)
	for _, box := range slices.Sorted(maps.Keys(c.boxes)) {
		switch {
		case !r.serves(c, box, now):
		case slices.Contains(named, box):
			house = append(house, box)
		default:
			others = append(others, box)
		}
	}
	return house, others
}

// houseOf returns the boxes of the house that a name asks for, none when it is not a
// house's label below a name of the circle. Callers hold r.mu.
func (r *Rental) houseOf(circle ident.CircleID, name string) []ident.BoxID {
	label, below, _ := strings.Cut(name, ".")
	if of := r.names[below]; of == nil || of.circle != circle {
		return nil
	}
	return localname.Houses(r.circles[circle].roster)[label]
}

// Named returns the boxes that serve any name, those of one circle together.
func (r *Rental) Named(now time.Time) (circles [][]ident.BoxID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[ident.CircleID][]ident.BoxID{}
	for _, name := range slices.Sorted(maps.Keys(r.names)) {
		c := r.names[name]
		for _, box := range slices.Sorted(maps.Keys(c.boxes)) {
			if r.serves(c, box, now) && !slices.Contains(all[c.circle], box) {
				all[c.circle] = append(all[c.circle], box)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		circles = append(circles, all[id])
	}
	return circles
}

// serves reports whether a box serves a name still. Callers hold r.mu.
func (r *Rental) serves(c *claim, box ident.BoxID, now time.Time) bool {
	return now.Before(c.boxes[box]) && r.circles[c.circle].roster.Active(box)
}

// circleOf returns the circle that a box belongs to. Callers hold r.mu.
func (r *Rental) circleOf(box ident.BoxID) (ident.CircleID, bool) {
	for id, t := range r.circles {
		if t.roster.Active(box) {
			return id, true
		}
	}
	return "", false
}

// isName reports whether s is a name of the internet in lower case, of two labels or more
// (RFC 1123 §2.1).
func isName(s string) bool {
	labels := strings.Split(s, ".")
	return len(s) <= 253 && len(labels) > 1 && !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
	})
}
