package pair

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

// serve talks to one joiner, and logs a refusal once.
func (d *Desk) serve(ctx context.Context, from ident.BoxID, s p2p.Stream) {
	d.mu.Lock()
	d.streams++
	busy := d.streams > maxStreams
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.streams--
		d.mu.Unlock()
	}()
	var err error = &Refusal{Busy}
	if !busy {
		err = d.talk(ctx, from, s)
	}
	if r := refused(err); r != nil {
		d.log.Info("box refused", "box", from.Short(), "why", r.Sentence())
		s.SetDeadline(time.Now().Add(patience))
		err = wire.Write(s, reply{Refused: r.Code})
	}
	if err != nil {
		s.Reset()
		return
	}
	s.CloseWrite()
	s.Read(make([]byte, 1)) // until the joiner has taken it and closed
}

func (d *Desk) talk(ctx context.Context, from ident.BoxID, s p2p.Stream) error {
	s.SetDeadline(time.Now().Add(patience))
	var h hello
	if err := wire.Read(s, maxHello, &h); err != nil || h.Version != version {
		return &Refusal{Garbage}
	}
	state := d.cfg.Circle()
	if state == nil {
		return &Refusal{WrongCircle}
	}
	d.mu.Lock()
	t, refusal := d.book.find(h.Ticket, from, state.Circle(), time.Now())
	d.mu.Unlock()
	if refusal != nil && !(refusal.Code == Expired && admitted(state, t, from)) {
		return refusal
	}
	v, err := d.examine(state, t, h, from, s)
	if err != nil {
		return err
	}
	if t.Waived || admitted(state, t, from) {
		w, err := d.admit(ctx, v)
		if err != nil {
			return err
		}
		return d.welcome(s, w)
	}
	return d.await(ctx, v, s)
}

// await has the joiner wait for a decision. A joiner that goes away is forgotten;
// it comes again by itself.
func (d *Desk) await(ctx context.Context, v *visit, s p2p.Stream) error {
	if err := wire.Write(s, reply{Waiting: true}); err != nil {
		return err
	}
	s.SetDeadline(time.Time{})
	d.mu.Lock()
	if old := d.pending[v.Box]; old != nil {
		v.Since = old.Since
	}
	d.pending[v.Box] = v
	d.mu.Unlock()
	d.change()
	defer d.change()
	gone := make(chan struct{})
	go func() { // ends with the stream
		s.Read(make([]byte, 1))
		close(gone)
	}()
	select {
	case what := <-v.decided:
		s.SetReadDeadline(time.Now()) // one reader at a time
		<-gone
		if what.refusal != nil {
			return what.refusal
		}
		return d.welcome(s, what.welcome)
	case <-gone:
	case <-ctx.Done():
	}
	d.mu.Lock()
	if d.pending[v.Box] == v {
		delete(d.pending, v.Box)
	}
	d.mu.Unlock()
	s.Reset()
	<-gone
	return fmt.Errorf("joiner %s went away", v.Box.Short())
}

// welcome sends the welcome, with addresses that this box knows where the caller gave none.
func (d *Desk) welcome(s p2p.Stream, w Welcome) error {
	s.SetDeadline(time.Now().Add(5 * patience))
	addrs := maps.Clone(w.Addrs)
	if addrs == nil {
		addrs = map[ident.BoxID][]netip.AddrPort{}
	}
	if state := d.cfg.Circle(); state != nil {
		for _, b := range state.Members() {
			if known := d.cfg.Host.AddrsOf(b.ID); len(addrs[b.ID]) == 0 && len(known) > 0 {
				addrs[b.ID] = known
			}
		}
	}
	w.Addrs = addrs
	return writeWelcome(s, w)
}
