package ingress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

// FloodProtocol is that of the streams by which a relay, which has no diary, tells a box
// of each circle that its door is crowded.
const FloodProtocol = "/redhen/flood/1"

const (
	maxTold    = 32 // bytes
	maxRefused = 1 << 30
	tellWithin = time.Minute // the box writes it down before it answers
)

// told is a Flood on its way.
type told struct {
	Refused int `cbor:"1,keyasint"`
}

// errNotNoted says that a box did not write a flood down.
var errNotNoted = errors.New("ingress: the box does not write it down")

// Tell tells a box of a flood; nil: it is in the diary of its circle. open is as in Config.
func Tell(ctx context.Context, open func(context.Context, ident.BoxID, string) (p2p.Stream, error), to ident.BoxID, f Flood) error {
	s, err := open(ctx, to, FloodProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(tellWithin))
	var answer taken
	err = wire.Write(s, told{min(f.Refused, maxRefused)})
	if err == nil {
		err = wire.Read(s, 16, &answer)
	}
	if err == nil && !answer.OK {
		err = errNotNoted
	}
	if err != nil {
		return fmt.Errorf("tell %s: %w", to.Short(), err)
	}
	return nil
}

// HearFlood serves a stream of a relay that Tells; note writes it down.
func HearFlood(ctx context.Context, s p2p.Stream, note func(context.Context, Flood) error) error {
	ctx, done := context.WithTimeout(ctx, tellWithin)
	defer done()
	s.SetDeadline(time.Now().Add(tellWithin))
	var f told
	err := wire.Read(s, maxTold, &f)
	if err == nil && (f.Refused < 1 || f.Refused > maxRefused) {
		err = fmt.Errorf("hear of a flood: %d turned away", f.Refused)
	}
	if err == nil {
		err = note(ctx, Flood(f))
	}
	wire.Write(s, taken{OK: err == nil}) // whoever told goes to another box if it is not
	return err
}
