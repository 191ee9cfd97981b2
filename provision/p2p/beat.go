package p2p

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	msmux "github.com/multiformats/go-multistream"
	"github.com/quic-go/quic-go"

	"redhen/provision/ident"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/wire"
)

const (
	beatProtocol = "/redhen/beat/1"
	missedBeats  = 3 // after which a connection counts as dead
	maxBeat      = 64
)

// beat is one question on a connection; echo its answer.
type beat struct {
	Seq uint64 `cbor:"1,keyasint"`
}

type echo struct {
	Seq  uint64 `cbor:"1,keyasint"`
	Seen []byte `cbor:"2,keyasint,omitempty"` // netip.AddrPort from which QUIC packets of the asker come
}

// conn is what we know of one connection with a member.
type conn struct {
	since time.Time
	asked time.Time      // of the beat that waits for its echo; zero = none does. Guarded by Host.mu.
	rtt   time.Duration  // smoothed; 0 = not measured. Guarded by Host.mu.
	seen  netip.AddrPort // our address as the other saw it first. Guarded by Host.mu.
}

// watch beats on every connection with a member, those there now and those to come.
func (h *Host) watch(ctx context.Context, wg *sync.WaitGroup) {
	start := func(c network.Conn) {
		if ctx.Err() == nil {
			h.watchConn(ctx, wg, c)
		}
	}
	h.h.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			if !isDirect(c) {
				// A punch dials what is known here first: leave it nothing stale.
				h.h.Peerstore().ClearAddrs(c.RemotePeer())
			}
			h.replaced(c)
			start(c)
			h.connected(boxID(c.RemotePeer()))
			h.change()
		},
		DisconnectedF: func(_ network.Network, c network.Conn) {
			h.lentGone(c)
			h.nudge(boxID(c.RemotePeer()))
			if h.guests.isRented(boxID(c.RemotePeer())) {
				poke(h.rents.news)
			}
			h.change()
		},
	})
	for _, c := range h.h.Network().Conns() {
		start(c)
	}
}

// replaced closes the connections that the other side has lost: it would not have
// dialled otherwise. While they stand, nobody punches anew.
func (h *Host) replaced(by network.Conn) {
	if by.Stat().Direction != network.DirInbound || !h.guests.member(boxID(by.RemotePeer())) {
		return
	}
	for _, c := range h.h.Network().ConnsToPeer(by.RemotePeer()) {
		if c != by && (isDirect(c) || !isDirect(by)) && time.Since(c.Stat().Opened) > settle {
			go c.Close() // a callback must not wait for another
		}
	}
}

// doubt closes the connections whose last beat is overdue: another one has just been
// found dead or moved, so that it is our own line that changed. There is no use in
// waiting for each to miss three.
func (h *Host) doubt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, st := range h.conns {
		if !st.asked.IsZero() && time.Since(st.asked) > h.cfg.Beat {
			go c.Close()
		}
	}
}

// asking notes that a beat waits for its echo, or that none does.
func (h *Host) asking(st *conn, since time.Time) {
	h.mu.Lock()
	st.asked = since
	h.mu.Unlock()
}

// beatsWith reports whether we beat on connections with a box: members, and the relays
// through which they reach us.
func (h *Host) beatsWith(box ident.BoxID) bool { return h.guests.member(box) || h.guests.isRented(box) }

// watchConn begins to beat on the connection unless that is done already.
func (h *Host) watchConn(ctx context.Context, wg *sync.WaitGroup, c network.Conn) {
	box := boxID(c.RemotePeer())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns[c] != nil || h.closed || c.IsClosed() || c.Stat().Limited || !h.beatsWith(box) {
		return
	}
	st := &conn{since: time.Now()}
	h.conns[c] = st
	wg.Go(func() {
		defer h.forgetConn(c, st)
		h.beatOn(ctx, c, st)
	})
}

func (h *Host) forgetConn(c network.Conn, st *conn) {
	h.mu.Lock()
	delete(h.conns, c)
	if st.seen.IsValid() {
		if h.seen[st.seen]--; h.seen[st.seen] <= 0 {
			delete(h.seen, st.seen)
		}
	}
	h.mu.Unlock()
	poke(h.republish)
}

// beatOn beats until the connection ends or is found dead, and then closes it.
func (h *Host) beatOn(ctx context.Context, c network.Conn, st *conn) {
	box := boxID(c.RemotePeer())
	for ctx.Err() == nil && !c.IsClosed() && h.beatsWith(box) {
		err := h.beats(ctx, c, st)
		switch {
		case ctx.Err() != nil || c.IsClosed():
			return
		case errors.Is(err, errMoved):
			h.log.Info("own address changed, connecting anew", "box", box.Short())
			c.Close()
			h.doubt()
			return
		case isTimeout(err):
			h.log.Info("connection is dead", "box", box.Short(), "addr", c.RemoteMultiaddr().String())
			c.Close()
			h.doubt()
			return
		}
		// The other side may not know us as a member yet: no reason to hang up.
		pause(ctx, h.cfg.Beat)
	}
}

var errMoved = errors.New("own address changed")

// beats opens one stream on exactly this connection and beats on it until an error.
func (h *Host) beats(ctx context.Context, c network.Conn, st *conn) error {
	patience := missedBeats * h.cfg.Beat
	opening, cancel := context.WithTimeout(ctx, patience)
	s, err := c.NewStream(opening)
	cancel()
	if err != nil {
		return err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(patience))
	if err := msmux.SelectProtoOrFail(protocol.ID(beatProtocol), s); err != nil {
		return err
	}
	if err := s.SetProtocol(beatProtocol); err != nil {
		return err
	}
	for seq := uint64(1); ; seq++ {
		sent := time.Now()
		s.SetDeadline(sent.Add(patience))
		h.asking(st, sent)
		if err := wire.Write(s, beat{seq}); err != nil {
			return err
		}
		var e echo
		if err := wire.Read(s, maxBeat, &e); err != nil {
			return err
		}
		h.asking(st, time.Time{})
		if err := h.learn(st, time.Since(sent), e.Seen); err != nil {
			return err
		}
		if !pause(ctx, h.cfg.Beat) {
			return ctx.Err()
		}
	}
}

// learn takes in what one echo told. errMoved says that our address is not what
// it was when the connection began: others would punch towards the old one.
func (h *Host) learn(st *conn, rtt time.Duration, raw []byte) error {
	var seen netip.AddrPort
	if len(raw) > 0 && seen.UnmarshalBinary(raw) != nil {
		return errors.New("bad echo")
	}
	h.mu.Lock()
	first := st.rtt == 0
	if first {
		st.rtt = rtt
	} else {
		st.rtt = (7*st.rtt + rtt) / 8 // RFC 6298
	}
	moved := st.seen.IsValid() && seen.IsValid() && seen != st.seen
	fresh := !st.seen.IsValid() && seen.IsValid() && netaddr.IsPublic(seen.Addr())
	if fresh {
		st.seen = seen
		h.seen[seen]++
	}
	h.mu.Unlock()
	if fresh {
		poke(h.republish)
	}
	if first {
		h.change()
	}
	if moved {
		return errMoved
	}
	return nil
}

// answerBeats answers beats, and tells where they come from.
func (h *Host) answerBeats(_ context.Context, _ ident.BoxID, s Stream) {
	for {
		var b beat
		if err := wire.Read(s, maxBeat, &b); err != nil {
			s.Reset()
			return
		}
		e := echo{Seq: b.Seq}
		if from := quicSource(s); from.IsValid() {
			e.Seen, _ = from.MarshalBinary() // never fails
		}
		s.SetWriteDeadline(time.Now().Add(missedBeats * h.cfg.Beat))
		if err := wire.Write(s, e); err != nil {
			s.Reset()
			return
		}
	}
}

// quicSource returns the address from which the other side's QUIC packets come
// now; it follows the path when that side's address changes.
func quicSource(s Stream) netip.AddrPort {
	ns, ok := s.(network.Stream)
	if !ok {
		return netip.AddrPort{}
	}
	var q *quic.Conn
	if !ns.Conn().As(&q) {
		return netip.AddrPort{}
	}
	udp, ok := q.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	a := udp.AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// pause waits; it reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
