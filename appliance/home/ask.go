package home

import (
	"context"
	"errors"
	"fmt"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// maxRounds bounds the calls of one try: a chain may come in parts, and the
// admission after it.
const maxRounds = 64

var (
	errForked  = errors.New("the circle has parted: both sides went on without each other")
	errStolen  = errors.New("this box was marked as stolen")
	errNoNews  = errors.New("no news")
	errTooLong = errors.New("the chain does not end")
)

// lookAround asks the other members one after the other, until one shows the way home.
func (h *Home) lookAround(ctx context.Context) error {
	mine := h.roster()
	if mine == nil {
		return errNoNews
	}
	last := errNoNews
	for _, b := range mine.Members() {
		if b.ID == h.cfg.Key.BoxID() {
			continue
		}
		err := h.ask(ctx, b.ID, mine)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errNoNews) {
			last = fmt.Errorf("%s: %w", b.ID.Short(), err)
		}
	}
	return last
}

// ask hears the news of one box, and goes home if it is there.
func (h *Home) ask(ctx context.Context, box ident.BoxID, mine *roster.State) error {
	then, admit, giveWay := mine, []byte(nil), false
	for range maxRounds {
		r, err := h.exchange(ctx, box, call{Circle: mine.Circle(), Len: then.Len(), Head: then.Head(), Admit: admit, Pick: h.picked()})
		switch {
		case err != nil:
			return err
		case r.Forked && then != mine:
			return errForked
		case r.Forked:
			if then, err = h.meet(ctx, box, mine); err != nil {
				return err
			}
			giveWay = true
			continue
		case len(r.News) > 0:
			if then, err = extend(then, r); err != nil {
				return err
			}
			continue
		}
		self, _ := then.Box(h.cfg.Key.BoxID())
		switch {
		case self.Status == roster.StatusStolen:
			return errStolen
		case giveWay && then.Active(self.ID):
			return h.leaveBranch(ctx, then, r)
		case !giveWay && then.Active(self.ID) && then.Era() == mine.Era() && self.Rev == h.revOf(mine):
			return errNoNews // an ordinary lag: the circle's shard brings it
		case then.Active(self.ID):
			return h.goHome(ctx, then, r)
		case r.Waiting:
			h.setOutcast(&Outcast{Since: time.UnixMilli(self.Until), At: nameOf(then, box)})
			return nil
		case admit != nil:
			return errors.New("not admitted, and not told why")
		}
		admit = roster.Encode(h.admission(then, self, box))
	}
	return errTooLong
}

func (h *Home) revOf(r *roster.State) uint64 {
	self, _ := r.Box(h.cfg.Key.BoxID())
	return self.Rev
}

// extend verifies the news.
func extend(s *roster.State, r reply) (*roster.State, error) {
	var suffix []roster.Change
	for _, b := range r.News {
		c, err := roster.Decode(b)
		if err != nil {
			return nil, err
		}
		suffix = append(suffix, c)
	}
	return s.Extend(suffix, r.Head)
}

// admission is this box's wish to be what it was, signed by it.
func (h *Home) admission(r *roster.State, self roster.Box, inviter ident.BoxID) roster.Change {
	body := roster.AdmitBody{
		Circle: r.Circle(), Inviter: inviter, Box: self.ID, Rev: self.Rev, BoxName: self.Name,
		House: self.House, Keeper: self.Keeper, KeeperKey: self.KeeperKey, Time: h.cfg.Now().UnixMilli(),
	}
	change := roster.NewAdmit(body, h.cfg.Key)
	if _, _, err := r.Gather(change); errors.Is(err, roster.ErrNameTaken) { // somebody is called so by now
		house, _ := r.House(self.House)
		body.BoxName += " again"
		if len(house.Boxes) == 0 {
			body.HouseName = house.Name + " again"
		}
		change = roster.NewAdmit(body, h.cfg.Key)
	}
	return change
}

// goHome takes the place in the circle that the others have for this box.
func (h *Home) goHome(ctx context.Context, r *roster.State, at reply) error {
	if at.Replica == 0 {
		return errors.New("a member without a place")
	}
	h.cfg.Ahead(r)
	if err := h.cfg.Node.Rejoin(ctx, at.Replica, at.Boxes); err != nil {
		return err
	}
	h.setOutcast(nil)
	h.log.Info("home again", "era", r.Era())
	return nil
}

// leaveBranch has this side of the circle come home to the other: the box starts anew.
func (h *Home) leaveBranch(ctx context.Context, r *roster.State, at reply) error {
	if at.Replica == 0 {
		return errors.New("a member without a place")
	}
	h.cfg.Ahead(r)
	if err := h.cfg.Node.GiveWay(ctx, at.Replica, at.Boxes); err != nil {
		return err
	}
	h.setOutcast(nil)
	h.setParted(nil)
	h.log.Info("the other side goes on", "era", r.Era())
	return nil
}

// exchange makes one call.
func (h *Home) exchange(ctx context.Context, box ident.BoxID, c call) (r reply, err error) {
	ctx, end := context.WithTimeout(ctx, callFor)
	defer end()
	s, err := h.cfg.Host.Open(ctx, box, protocol)
	if err != nil {
		return r, err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	if err = wire.Write(s, c); err == nil {
		err = s.CloseWrite()
	}
	if err == nil {
		err = wire.Read(s, maxReply, &r)
	}
	return r, err
}
