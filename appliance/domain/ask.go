package domain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

// KnockProtocol is that by which boxes ask others to knock from where they are.
const KnockProtocol = "/redhen/knock/1"

const (
	knockPatience = 8 * time.Second
	maxAsked      = 8 // knocks for others at a time
)

type knockAsk struct {
	Box ident.BoxID `cbor:"1,keyasint"`
	At  string      `cbor:"2,keyasint"` // an address, without port
}

type knockTold struct {
	Open bool `cbor:"1,keyasint"`
}

// slots bounds what others can make us do at a time.
type slots struct {
	mu sync.Mutex
	n  int
}

func (s *slots) add(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n+n > maxAsked {
		return false
	}
	s.n += n
	return true
}

// ask has another box knock.
func (d *Domain) ask(ctx context.Context, member ident.BoxID, one door) (open bool, err error) {
	ctx, done := context.WithTimeout(ctx, knockPatience)
	defer done()
	s, err := d.cfg.Open(ctx, member, KnockProtocol)
	if err != nil {
		return false, err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(knockPatience))
	var told knockTold
	if err = wire.Write(s, knockAsk{one.box, one.at.String()}); err == nil {
		err = wire.Read(s, 16, &told)
	}
	if err != nil {
		return false, fmt.Errorf("ask %s to knock: %w", member.Short(), err)
	}
	return told.Open, nil
}

// Answer knocks for another box: only at addresses that the box in question itself has
// told, or at a relay that we know, and only at the port of public doors.
func (d *Domain) Answer(ctx context.Context, _ ident.BoxID, s p2p.Stream) {
	s.SetDeadline(time.Now().Add(knockPatience))
	var q knockAsk
	if err := wire.Read(s, 512, &q); err != nil || !d.asked.add(1) {
		s.Reset()
		return
	}
	defer d.asked.add(-1)
	at, err := netip.ParseAddr(q.At)
	if err != nil || !d.mayKnock(q.Box, at) {
		s.Reset()
		return
	}
	wire.Write(s, knockTold{d.cfg.Knock(ctx, netip.AddrPortFrom(at, d.cfg.Port), q.Box) == nil})
}

func (d *Domain) mayKnock(box ident.BoxID, at netip.Addr) bool {
	for _, r := range d.cfg.Relays() {
		if r.Box == box && r.At.Addr().Unmap() == at {
			return true
		}
	}
	return d.cfg.Roster().Active(box) && slices.Contains(d.candidates(box), at)
}
