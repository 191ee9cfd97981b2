package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

const (
	maxPrelude = 512 // bytes
	passWithin = 3 * time.Second
	passTries  = 4
	passBuffer = 16 << 10
)

// prelude is what a door says to the box that serves, before the client's bytes.
type prelude struct {
	From string `cbor:"1,keyasint"` // the client's address and port
	Name string `cbor:"2,keyasint"`
	Acme bool   `cbor:"3,keyasint,omitempty"`
}

type taken struct {
	OK bool `cbor:"1,keyasint"`
}

// errNotTaken says that the box does not serve the name now.
var errNotTaken = errors.New("ingress: the box does not serve that name now")

// order puts the box that served a visitor last before others that are as good.
func (d *Door) order(from netip.Addr, r Route) []ident.BoxID {
	boxes := slices.Clone(r.Boxes)
	good := boxes
	if r.House > 0 {
		good = boxes[:r.House]
	}
	if i := slices.Index(good, d.habits.of(from)); i > 0 {
		usual := good[i]
		copy(good[1:], good[:i])
		good[0] = usual
	}
	return boxes
}

// pass brings a client to the first box that takes it.
func (d *Door) pass(ctx context.Context, c net.Conn, from netip.AddrPort, h hello, r Route) {
	boxes := d.order(from.Addr(), r)
	for _, box := range boxes[:min(len(boxes), passTries)] {
		if box == d.self {
			if d.cfg.Here != nil && d.cfg.Here.offer(ctx, replay(c, h.raw), from, h) {
				return
			}
			continue
		}
		if d.cfg.Open == nil {
			continue
		}
		leave, ok := d.count.pass(box)
		if !ok {
			continue
		}
		s, err := d.reach(ctx, box, from, h)
		if err != nil {
			leave()
			d.cfg.Logger.Debug("visitor not taken", "box", box.Short(), "err", err)
			continue
		}
		d.habits.note(from.Addr(), box)
		join(c, s, d.cfg.Limits.Idle)
		leave()
		return
	}
}

// reach opens a stream to a box that serves, and sends what was heard so far.
func (d *Door) reach(ctx context.Context, box ident.BoxID, from netip.AddrPort, h hello) (p2p.Stream, error) {
	ctx, done := context.WithTimeout(ctx, passWithin)
	defer done()
	s, err := d.cfg.Open(ctx, box, Protocol)
	if err != nil {
		return nil, err
	}
	s.SetDeadline(time.Now().Add(passWithin))
	var answer taken
	err = wire.Write(s, prelude{from.String(), h.name, h.acme()})
	if err == nil {
		err = wire.Read(s, 16, &answer)
	}
	if err == nil && !answer.OK {
		err = errNotTaken
	}
	if err == nil {
		_, err = s.Write(h.raw)
	}
	if err != nil {
		s.Reset()
		return nil, fmt.Errorf("pass to %s: %w", box.Short(), err)
	}
	s.SetDeadline(time.Time{})
	return s, nil
}

// half is one end that can be closed for writing alone.
type half interface {
	io.ReadWriteCloser
	CloseWrite() error
	SetDeadline(time.Time) error
}

// join copies both ways until both have ended, one breaks, or no byte came for long.
func join(client net.Conn, s p2p.Stream, idle time.Duration) {
	c, ok := client.(half)
	if !ok {
		c = whole{client}
	}
	var wg sync.WaitGroup
	broken := func() { s.Reset(); client.Close() }
	wg.Go(func() { carry(s, c, idle, broken) })
	carry(c, s, idle, broken)
	wg.Wait()
	s.Close()
}

// whole is a connection that cannot be closed for writing alone.
type whole struct{ net.Conn }

func (w whole) CloseWrite() error { return w.Close() }

// carry copies one way. Every byte gives both ends more time.
func carry(to, from half, idle time.Duration, broken func()) {
	buf := make([]byte, passBuffer)
	for {
		until := time.Now().Add(idle)
		from.SetDeadline(until)
		n, err := from.Read(buf)
		if n > 0 {
			to.SetDeadline(time.Now().Add(idle))
			if _, err := to.Write(buf[:n]); err != nil {
				broken()
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if to.CloseWrite() != nil {
				broken()
			}
			return
		case err != nil:
			broken()
			return
		}
	}
}
