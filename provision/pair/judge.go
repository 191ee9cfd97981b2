package pair

import (
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// examine sends the challenge, guides who answers it, and checks the application.
func (d *Desk) examine(state *roster.State, t stored, h hello, from ident.BoxID, s p2p.Stream) (*visit, error) {
	self := d.cfg.Host.Self()
	me, _ := state.Box(self)
	before, _ := state.Box(from)
	c := challenge{Circle: state.Circle(), Name: state.Name(), Box: me.Name, Rev: before.Rev}
	if t.Gift != "" {
		c.Keeper, c.KeeperKey = me.Keeper, me.KeeperKey
	}
	rand.Read(c.Nonce[:]) // never fails
	said := transcript{Inviter: self, Joiner: from, Hello: h.Nonce, Answer: c.Nonce}
	said.Role, said.Body = "inviter", c.said()
	c.Proof = said.mac(t.Key)
	if err := wire.Write(s, reply{Challenge: &c}); err != nil {
		return nil, err
	}
	if err := d.guide(t, c, said, admitted(state, t, from), s); err != nil {
		return nil, err
	}
	raw, err := wire.ReadFrame(s, maxApply)
	if errors.Is(err, wire.ErrTooLarge) {
		return nil, &Refusal{Garbage}
	}
	if err != nil {
		return nil, err
	}
	var a application
	if err := wire.Unmarshal(raw, &a); err != nil {
		return nil, &Refusal{Garbage}
	}
	said.Role, said.Body = "joiner", append(c.said(), a.said()...)
	if !hmac.Equal(said.mac(t.Key), a.Proof) {
		return nil, d.wrong(t.ID)
	}
	v, err := d.accept(state, t, c, a, from)
	if err != nil {
		return nil, err
	}
	v.Known, err = d.provesKeeper(v.Application, a, said)
	return v, err
}

// wrong counts a wrong proof, and burns the ticket at the fifth.
func (d *Desk) wrong(id string) error {
	defer d.change()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.book.tickets[id]
	if s.State == UsedUp {
		return &Refusal{WrongProof}
	}
	s.Wrong++
	code := WrongProof
	if s.Wrong >= maxWrong {
		s.State, s.Ended, code = TriedTooOften, time.Now().UnixMilli(), Burnt
		d.dismiss(id, "", Burnt)
	}
	if err := d.book.put(s, time.Now()); err != nil {
		return err
	}
	return &Refusal{code}
}

// accept checks that the signed change says what the application says, and that
// the circle could take it.
func (d *Desk) accept(state *roster.State, t stored, c challenge, a application, from ident.BoxID) (*visit, error) {
	var app Application
	if err := wire.Unmarshal(a.Body, &app); err != nil || app.validate() != nil {
		return nil, &Refusal{Garbage}
	}
	if app.Gift && (t.Gift == "" || app.Keeper != c.Keeper || !app.KeeperKey.Equal(c.KeeperKey)) {
		return nil, &Refusal{Garbage} // the giver did not offer to keep it
	}
	change, err := roster.Decode(a.Change)
	if err != nil {
		return nil, refusalOf(err)
	}
	body, err := change.AdmitBody()
	want := wire.MustMarshal(app.admission(c, d.cfg.Host.Self(), from))
	if err != nil || string(wire.MustMarshal(body)) != string(want) || !change.SignedBy(from.PublicKey()) {
		return nil, &Refusal{Garbage}
	}
	if !admitted(state, t, from) {
		if _, err := state.Apply(roster.AddSignature(change, d.cfg.Key)); err != nil {
			return nil, refusalOf(err)
		}
	}
	return &visit{
		Pending: Pending{
			Box: from, Ticket: t.ID, Application: app, Since: time.Now(),
			Words: wordsFor(t.Key, d.cfg.Host.Self(), from), SameHouse: app.standsWith(state),
		},
		change:  change,
		decided: make(chan decision, 1),
	}, nil
}

// admitted reports whether the joiner was let in with this ticket and comes for its
// welcome. When this box was switched off before it could note that the circle had
// agreed, the roster tells.
func admitted(state *roster.State, t stored, from ident.BoxID) bool {
	return t.Box == from && (t.State == UsedUp || t.State == Open && state.Active(from))
}

// admission is the body that inviter and joiner sign.
func (a Application) admission(c challenge, inviter, joiner ident.BoxID) roster.AdmitBody {
	return roster.AdmitBody{
		Circle: c.Circle, Inviter: inviter, Box: joiner, Rev: c.Rev, BoxName: a.BoxName,
		House: a.House, HouseName: a.HouseName, Keeper: a.Keeper, KeeperKey: a.KeeperKey, Time: a.Time,
		Gift: a.Gift,
	}
}
