package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/wire"
)

const bookProtocol = "/redhen/book/1"

// gossip sends the records that the other end lacks, and returns when to look again.
func (h *Host) gossip(ctx context.Context, l *link, c network.Conn) time.Duration {
	if l.conn != c {
		l.conn, l.sent, l.told = c, nil, time.Time{}
	}
	records, next := h.book.Unsent(l.sent)
	if len(records) == 0 {
		return lookAgain
	}
	if wait := minRedial - time.Since(l.told); wait > 0 {
		return wait
	}
	l.told = time.Now()
	if err := h.sendBook(ctx, l.box, records); err != nil {
		return minRedial // not a member there yet, or a bad path, which beats find out
	}
	l.sent = next
	return lookAgain
}

// sendBook returns nil once the other end has taken the records.
func (h *Host) sendBook(ctx context.Context, to ident.BoxID, records [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	s, err := h.Open(ctx, to, bookProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(dialTimeout))
	if err := wire.Write(s, records); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("records not taken: %w", err)
	}
	return nil
}

// receiveBook takes records and passes news on.
func (h *Host) receiveBook(_ context.Context, from ident.BoxID, s Stream) {
	s.SetDeadline(time.Now().Add(dialTimeout))
	var records [][]byte
	if err := wire.Read(s, addrbook.MaxBytes, &records); err != nil {
		s.Reset()
		return
	}
	news := false
	for _, raw := range records[:min(len(records), 2*MaxMembers)] {
		box, fresh, err := h.book.Put(raw, h.guests.member)
		if err != nil {
			h.log.Warn("address record refused", "box", from.Short(), "err", err)
			s.Reset()
			return
		}
		if fresh {
			news = true
			h.newWay(box)
		}
	}
	if news {
		poke(h.republish)
		poke(h.rents.news)
		h.nudgeAll()
		h.change()
	}
}

// Record returns what this box signed of itself last: its addresses, and the relays
// through which it is reached.
func (h *Host) Record() []byte { return h.book.Own() }

// LearnRecord takes the record of a member from any hand, as it is signed.
func (h *Host) LearnRecord(raw []byte) error {
	box, fresh, err := h.book.Put(raw, h.guests.member)
	if err != nil {
		return err
	}
	if fresh {
		h.newWay(box)
		poke(h.republish)
		poke(h.rents.news)
		h.change()
	}
	return nil
}
