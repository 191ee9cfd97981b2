package pair

import (
	"time"

	"redhen/provision/ticket"
)

// Terms say what a ticket is good for.
type Terms struct {
	TTL    time.Duration // 0 = ScreenTTL
	Waived bool          // let the box in without asking a person: a gift whose giver said so
	Gift   string        // the house or person that the box is for: it may come without a keeper of its own
}

// Issue makes a ticket. Only the returned value holds the secret.
func (d *Desk) Issue(terms Terms) (ticket.Ticket, error) {
	state := d.cfg.Circle()
	if state == nil {
		return ticket.Ticket{}, ErrNoCircle
	}
	if terms.TTL <= 0 {
		terms.TTL = ScreenTTL
	}
	t, err := ticket.New(d.cfg.Host.Self(), ticket.NewSecret(), bestMix(d.cfg.Host.Addrs()), d.relay())
	if err != nil {
		return ticket.Ticket{}, err
	}
	now := time.Now()
	s := stored{
		ID: t.ID(), Key: proofKey(t.Secret), Circle: state.Circle(), Waived: terms.Waived, Gift: terms.Gift,
		Made: now.UnixMilli(), Expires: now.Add(terms.TTL).UnixMilli(),
	}
	d.mu.Lock()
	err = d.book.put(s, now)
	d.mu.Unlock()
	if err != nil {
		return ticket.Ticket{}, err
	}
	d.setDoor()
	d.change()
	d.log.Info("ticket made", "ticket", t.ID(), "expires", time.UnixMilli(s.Expires))
	return t, nil
}

// Tickets returns the tickets of the last 60 days, the oldest first.
func (d *Desk) Tickets() []Issued {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Issued
	for _, s := range sorted(d.book.tickets) {
		out = append(out, s.issued())
	}
	return out
}

// Revoke takes an open ticket back; who waits with it is refused.
func (d *Desk) Revoke(id string) error {
	d.mu.Lock()
	s, ok := d.book.tickets[id]
	if !ok || s.State != Open {
		d.mu.Unlock()
		return ErrNoTicket
	}
	s.State, s.Ended = TakenBack, time.Now().UnixMilli()
	err := d.book.put(s, time.Now())
	if err == nil {
		d.dismiss(id, "", Revoked)
	}
	d.mu.Unlock()
	d.setDoor()
	d.change()
	return err
}

func (d *Desk) setDoor() {
	d.mu.Lock()
	until := d.book.door()
	d.mu.Unlock()
	d.cfg.Host.OpenDoor(until)
}
