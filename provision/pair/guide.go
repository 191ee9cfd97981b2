package pair

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"fmt"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

const (
	maxQuestion = 512
	maxGuide    = 32 << 10
	maxLogin    = 64
	maxSealed   = 1 << 10
	maxShown    = 3 // accounts whose sealed key is shown to the holder of one ticket

	keeperPurpose = "redhen pair keeper"
)

// Guide is what a joiner is told of the circle once it has proved that it knows the
// ticket's secret, and never before: where it could stand, and who is there already.
type Guide struct {
	Houses  []House  `cbor:"1,keyasint,omitempty"` // that have boxes
	Keepers []string `cbor:"2,keyasint,omitempty"` // login names of those who keep a box
	Known   *Known   `cbor:"3,keyasint,omitempty"` // the account of the login that was asked about; nil = none
	In      bool     `cbor:"4,keyasint,omitempty"` // the joiner was let in already, and comes for its welcome
}

// House is a house of the circle.
type House struct {
	ID   ident.HouseID `cbor:"1,keyasint"`
	Name string        `cbor:"2,keyasint"`
}

// Known is an account of the circle. Whoever can open the sealed key, by the
// account's password, may bring a box under it.
type Known struct {
	ID     ident.AccountID   `cbor:"1,keyasint"`
	Key    ed25519.PublicKey `cbor:"2,keyasint,omitempty"` // of the keeper; nil = the account has none
	Sealed []byte            `cbor:"3,keyasint,omitempty"` // the private half, opaque here; nil = lost
}

func (g Guide) validate() error {
	if len(g.Houses) > p2p.MaxMembers || len(g.Keepers) > p2p.MaxMembers {
		return fmt.Errorf("guide: %w", wire.ErrTooLarge)
	}
	for _, h := range g.Houses {
		if err := roster.CheckName(h.Name); err != nil {
			return err
		}
	}
	for _, k := range g.Keepers {
		if err := roster.CheckName(k); err != nil {
			return err
		}
	}
	if k := g.Known; k != nil && (len(k.Key) != 0 && len(k.Key) != ed25519.PublicKeySize || len(k.Sealed) > maxSealed) {
		return fmt.Errorf("guide: %w", wire.ErrTooLarge)
	}
	return nil
}

// question is what a joiner asks before it applies, with its proof.
type question struct {
	Proof []byte `cbor:"1,keyasint"`
	Login string `cbor:"2,keyasint,omitempty"` // of the keeper
}

func (q question) said() []byte {
	q.Proof = nil
	return wire.MustMarshal(q)
}

// guide answers a joiner's question, if it is proved; in says that it was let in.
func (d *Desk) guide(t stored, c challenge, said transcript, in bool, s p2p.Stream) error {
	var q question
	if err := wire.Read(s, maxQuestion, &q); err != nil || len(q.Login) > maxLogin {
		return &Refusal{Garbage}
	}
	said.Role, said.Body = "asker", append(c.said(), q.said()...)
	if !hmac.Equal(said.mac(t.Key), q.Proof) {
		return d.wrong(t.ID)
	}
	g := d.look(q.Login)
	g.In = in
	if g.Known != nil && len(g.Known.Sealed) > 0 && !in {
		if err := d.show(t, g.Known.ID); err != nil {
			return err
		}
	}
	return wire.Write(s, reply{Guide: &g})
}

// look is the guide of the circle as it is now.
func (d *Desk) look(login string) Guide {
	if d.cfg.Guide == nil {
		return Guide{}
	}
	return d.cfg.Guide(login)
}

// show notes that the holder of a ticket sees the sealed key of an account, at which
// passwords can be guessed without asking us. Who goes through the accounts with one
// ticket is no friend: it is burnt.
func (d *Desk) show(t stored, account ident.AccountID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.book.tickets[t.ID]
	switch {
	case slices.Contains(s.Shown, account):
		return nil
	case s.State != Open:
		return &Refusal{Used}
	case len(s.Shown) < maxShown:
		s.Shown = append(slices.Clone(s.Shown), account)
		return d.book.put(s, time.Now())
	}
	s.State, s.Ended = TriedTooOften, time.Now().UnixMilli()
	d.dismiss(t.ID, "", Burnt)
	if err := d.book.put(s, time.Now()); err != nil {
		return err
	}
	return &Refusal{Burnt}
}

// provesKeeper checks that who applies under an account of the circle holds its
// keeper's key, which only the account's password opens. It reports whether the
// account is one of the circle; a new one is named by the application itself.
func (d *Desk) provesKeeper(app Application, a application, said transcript) (known bool, err error) {
	if len(app.Account) > 0 && len(a.Keeper) == 0 {
		return false, nil
	}
	k := d.look(app.KeeperName).Known
	if k == nil || len(app.Account) > 0 || k.ID != app.Keeper || !bytes.Equal(k.Key, app.KeeperKey) ||
		!ident.Verify(k.Key, keeperPurpose, said.keeper(a.Change), a.Keeper) {
		return false, &Refusal{BadKeeper}
	}
	return true, nil
}

// keeper is what the keeper's key signs: this admission, in this talk.
func (t transcript) keeper(change []byte) []byte {
	t.Role, t.Body = "keeper", change
	return wire.MustMarshal(t)
}

// standsWith reports whether the application names a house that has boxes.
func (a Application) standsWith(state *roster.State) bool {
	h, ok := state.House(a.House)
	return ok && len(h.Boxes) > 0
}
