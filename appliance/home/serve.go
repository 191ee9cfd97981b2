package home

import (
	"context"
	"errors"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// protocol is open to members and to boxes that left; a stolen box is neither.
const protocol = "/redhen/home/1"

// Limits of one exchange.
const (
	maxCall     = 16 << 10 // bytes
	maxReply    = 1 << 20
	maxNews     = 200 // changes in one answer
	callFor     = 10 * time.Second
	forgetAfter = time.Minute
	maxReturns  = 64
)

// call asks for what happened behind a chain, and to be admitted again.
type call struct {
	Circle ident.CircleID `cbor:"1,keyasint"`
	Len    int            `cbor:"2,keyasint"` // of the asker's chain
	Head   [32]byte       `cbor:"3,keyasint"`
	Admit  []byte         `cbor:"4,keyasint,omitempty"` // roster.Change: an admission by this box, signed by the asker
	Probe  bool           `cbor:"5,keyasint,omitempty"` // only whether the chains have parted there
	Pick   *signedPick    `cbor:"6,keyasint,omitempty"` // what was picked of two sides, if something was
}

// reply answers it.
type reply struct {
	News    [][]byte        `cbor:"1,keyasint,omitempty"` // roster.Change behind Len, in order
	Head    [32]byte        `cbor:"2,keyasint"`           // of the chain behind News
	Forked  bool            `cbor:"3,keyasint,omitempty"` // the chains have parted
	Replica ident.ReplicaID `cbor:"4,keyasint,omitempty"` // the asker's in the circle's shard, when it is a member
	Boxes   []ident.BoxID   `cbor:"5,keyasint,omitempty"` // the members then
	Waiting bool            `cbor:"6,keyasint,omitempty"` // somebody has to say yes

	Together bool        `cbor:"7,keyasint,omitempty"` // most of the circle is in touch with the box that answers
	Pick     *signedPick `cbor:"8,keyasint,omitempty"` // what was picked of two sides, if something was
}

var errNotForThis = errors.New("of another circle, or of a box that never was in it")

// serve answers one call.
func (h *Home) serve(ctx context.Context, from ident.BoxID, s p2p.Stream) {
	var c call
	err := s.SetDeadline(time.Now().Add(callFor))
	if err == nil {
		err = wire.Read(s, maxCall, &c)
	}
	var r reply
	if err == nil {
		r, err = h.answer(from, c)
	}
	if err == nil {
		err = wire.Write(s, r)
	}
	if err != nil {
		h.log.Debug("a box that asks for the way home", "box", from.Short(), "err", err)
		s.Reset()
	}
}

func (h *Home) answer(from ident.BoxID, c call) (r reply, err error) {
	err = h.cfg.Node.Directory(func(v directory.View) error {
		mine := v.Roster()
		if mine == nil || c.Circle != mine.Circle() {
			return errNotForThis
		}
		box, known := mine.Box(from)
		if !known || box.Status == roster.StatusStolen {
			return errNotForThis
		}
		head, ok := mine.HeadAt(c.Len)
		if !ok || head != c.Head {
			r.Forked = true
			return nil
		}
		if c.Probe {
			return nil
		}
		news := v.Changes(uint64(c.Len), maxNews)
		for _, n := range news {
			r.News = append(r.News, roster.Encode(n))
		}
		r.Head, _ = mine.HeadAt(c.Len + len(news))
		if mine.Active(from) {
			r.Replica, r.Boxes = place(v, from)
		}
		return nil
	})
	if err != nil || r.Forked || c.Probe {
		return r, err
	}
	// Whoever asks may have gone on by itself: it does not speak for those from before.
	r.Together, r.Pick = h.cfg.Node.TogetherWithout(from), h.picked()
	h.hearPick(c.Pick)
	if r.Replica == 0 && len(r.News) == 0 && len(c.Admit) > 0 {
		if r.Waiting, err = true, h.noteReturn(from, c.Admit); err == nil && h.mayReturn() {
			ctx, end := context.WithTimeout(context.Background(), callFor)
			defer end()
			err = h.LetIn(ctx, from)
		}
	}
	return r, err
}

// place is where a member stands: its replica of the circle's shard, and who the others are.
func place(v directory.View, box ident.BoxID) (id ident.ReplicaID, boxes []ident.BoxID) {
	p, _ := v.Placement(ident.CircleShard)
	for _, r := range p.Replicas {
		if r.Box == box {
			id = r.ID
		}
	}
	for _, b := range v.Roster().Members() {
		boxes = append(boxes, b.ID)
	}
	return id, boxes
}

// noteReturn remembers a box that asks to come home, if its admission could stand.
func (h *Home) noteReturn(from ident.BoxID, encoded []byte) error {
	change, err := roster.Decode(encoded)
	if err != nil {
		return err
	}
	body, err := change.AdmitBody()
	if err != nil {
		return err
	}
	if body.Box != from || body.Inviter != h.cfg.Key.BoxID() || !change.SignedBy(from.PublicKey()) {
		return errNotForThis
	}
	mine := h.roster()
	if _, _, err := mine.Gather(change); err != nil {
		return err
	}
	house, _ := mine.House(body.House)
	h.mu.Lock()
	defer h.mu.Unlock()
	known, ok := h.returns[from]
	if !ok && len(h.returns) >= maxReturns {
		return errors.New("too many boxes ask to come home")
	}
	now := h.cfg.Now()
	if !ok {
		known.Since = now
		h.log.Info("a box asks to come home", "box", from.Short())
	}
	h.returns[from] = Return{Box: from, Name: body.BoxName, House: house.Name, Since: known.Since, seen: now, change: change}
	return nil
}
