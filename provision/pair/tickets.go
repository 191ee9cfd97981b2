package pair

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/wire"
)

const (
	maxTickets    = 256
	maxTicketFile = 256 << 10
	maxWrong      = 5                   // wrong proofs until a ticket is burnt
	grace         = 10 * time.Minute    // the door stays open so long after a ticket's end, to say why
	remember      = 60 * 24 * time.Hour // ended tickets, to say why
)

// TicketState says what became of a ticket. Its numbers are stored and never change.
type TicketState uint8

const (
	Open          TicketState = 0 // may be used, unless it has expired
	UsedUp        TicketState = 1
	TakenBack     TicketState = 2
	TriedTooOften TicketState = 3
)

// Issued is a ticket that this box made.
type Issued struct {
	ID      string
	Made    time.Time
	Expires time.Time
	State   TicketState
	Box     ident.BoxID // that used it; while Open, that the circle was asked to let in
	Wrong   int         // wrong proofs so far
	Waived  bool        // nobody is asked
}

// stored is a ticket as the Desk keeps it: without the secret.
type stored struct {
	ID      string         `cbor:"1,keyasint"`
	Key     [32]byte       `cbor:"2,keyasint"` // proofKey
	Circle  ident.CircleID `cbor:"3,keyasint"`
	Made    int64          `cbor:"4,keyasint"` // times in milliseconds since 1970
	Expires int64          `cbor:"5,keyasint"`
	Ended   int64          `cbor:"6,keyasint,omitempty"`
	State   TicketState    `cbor:"7,keyasint,omitempty"`
	Box     ident.BoxID    `cbor:"8,keyasint,omitempty"`
	Wrong   int            `cbor:"9,keyasint,omitempty"`
	Waived  bool           `cbor:"10,keyasint,omitempty"`

	Shown []ident.AccountID `cbor:"11,keyasint,omitempty"` // whose sealed key its holder has seen
}

// end is when the ticket stopped, or will stop, being good.
func (s stored) end() int64 {
	if s.State != Open {
		return s.Ended
	}
	return s.Expires
}

func (s stored) issued() Issued {
	return Issued{s.ID, time.UnixMilli(s.Made), time.UnixMilli(s.Expires), s.State, s.Box, s.Wrong, s.Waived}
}

// book keeps tickets in memory and in one file. The Desk's lock guards it.
type book struct {
	path    string // "" = memory only
	tickets map[string]stored
}

func openBook(dir string) (*book, error) {
	b := &book{tickets: map[string]stored{}}
	if dir == "" {
		return b, nil
	}
	b.path = filepath.Join(dir, "tickets")
	raw, err := onefile.Read(b.path, maxTicketFile)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	var all []stored
	if err == nil {
		err = wire.Unmarshal(raw, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("open tickets: %w", err)
	}
	for _, s := range all {
		b.tickets[s.ID] = s
	}
	return b, nil
}

// put keeps s on disk, or changes nothing.
func (b *book) put(s stored, now time.Time) error {
	next := maps.Clone(b.tickets)
	next[s.ID] = s
	maps.DeleteFunc(next, func(_ string, s stored) bool { return now.Sub(time.UnixMilli(s.end())) > remember })
	if len(next) > maxTickets {
		return fmt.Errorf("keep ticket: more than %d", maxTickets)
	}
	if b.path != "" {
		if err := onefile.Replace(b.path, wire.MustMarshal(sorted(next))); err != nil {
			return fmt.Errorf("keep ticket: %w", err)
		}
	}
	b.tickets = next
	return nil
}

// sorted returns the tickets, the oldest first.
func sorted(m map[string]stored) []stored {
	return slices.SortedFunc(maps.Values(m), func(a, b stored) int {
		return cmp.Or(cmp.Compare(a.Made, b.Made), cmp.Compare(a.ID, b.ID))
	})
}

// find returns a ticket that from may use in the circle.
func (b *book) find(id string, from ident.BoxID, circle ident.CircleID, now time.Time) (stored, *Refusal) {
	s, ok := b.tickets[id]
	switch {
	case !ok:
		return s, &Refusal{Unknown}
	case s.Circle != circle:
		return s, &Refusal{WrongCircle}
	case s.State == UsedUp && s.Box == from:
		return s, nil // it was let in and comes for the welcome
	case s.State == UsedUp:
		return s, &Refusal{Used}
	case s.State == TakenBack:
		return s, &Refusal{Revoked}
	case s.State == TriedTooOften:
		return s, &Refusal{Burnt}
	case now.UnixMilli() >= s.Expires:
		return s, &Refusal{Expired}
	}
	return s, nil
}

// door returns until when strangers must be let in: to use a ticket, to fetch a
// welcome again, or to hear why not.
func (b *book) door() time.Time {
	var until int64
	for _, s := range b.tickets {
		until = max(until, s.end())
	}
	if until == 0 {
		return time.Time{}
	}
	return time.UnixMilli(until).Add(grace)
}
