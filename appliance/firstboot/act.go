package firstboot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/provision/pair"
	"redhen/provision/seed"
)

// again is how long it waits before what did not work is tried once more.
const again = 15 * time.Second

// join asks until it is let in, or is refused for good.
func (s *Start) join(ctx context.Context, sd seed.Seed) {
	ctx, cancel := s.untilClaimed(ctx)
	defer cancel()
	if sd.House == "" || sd.Box == "" {
		s.say(Refused, Text{key: "no-names"})
		return
	}
	s.say(Looking, Text{key: "looking"})
	for {
		err := s.cfg.Circle.JoinGift(ctx, sd, s.see)
		switch refusal, no := errors.AsType[*pair.Refusal](err); {
		case err == nil:
			s.say(Entering, Text{key: "entering"})
			return
		case ctx.Err() != nil:
			return
		case no:
			why, _ := circle.Explain(refusal)
			s.say(Refused, Text{key: "refused", why: &why})
			return
		}
		if why, known := circle.Explain(err); known {
			s.say(Refused, Text{key: "not-joined", why: &why})
			return
		}
		s.cfg.Logger.Warn("join by the card", "err", err)
		if !pause(ctx, again) {
			return
		}
	}
}

// see puts the progress of joining into words.
func (s *Start) see(p pair.Progress) {
	s.set(func(st *State) {
		st.Circle, st.Words = p.CircleName, p.Words
		switch {
		case p.Stage == pair.Waiting:
			st.Doing = Waiting
			st.tell(Text{key: "waiting", about: []any{"box", p.Inviter, "circle", p.CircleName}})
		case p.Stage == pair.Admitted:
			st.Doing = Entering
			st.tell(Text{key: "entering"})
		case p.Err != nil:
			st.Doing = Looking
			st.tell(Text{key: "trying"})
		default:
			st.Doing = Looking
			st.tell(Text{key: "looking"})
		}
	})
}

// found begins the circle that the card names.
func (s *Start) found(ctx context.Context, sd seed.Seed) {
	s.say(Founding, Text{key: "founding"})
	place := circle.Place{House: sd.House, Box: sd.Box}
	if place.Box == "" {
		place.Box = place.House
	}
	for {
		err := s.cfg.Circle.Found(ctx, sd.Circle, place, circle.Person{Login: sd.Keeper, Password: string(sd.Password)})
		if err == nil || errors.Is(err, circle.ErrInCircle) || ctx.Err() != nil {
			return
		}
		why, known := circle.Explain(err)
		if known && !errors.Is(err, account.ErrBusy) {
			s.say(Refused, Text{key: "not-founded", why: &why})
			return
		}
		s.cfg.Logger.Warn("begin a circle by the card", "err", err)
		if !pause(ctx, again) {
			return
		}
	}
}

// reset sets the password of this box's keeper anew, when the card asks for that: who
// can put a file on the card has the box in hand. Without a password on the card it is
// asked for on the page.
func (s *Start) reset(ctx context.Context) {
	sd := s.Seed()
	switch {
	case !sd.Reset.Wanted:
		return
	case !s.cfg.Circle.Claimed():
		s.use(func(sd *seed.Seed) { sd.Reset = seed.Reset{} }) // there is nobody yet
		return
	case s.cfg.Self().Gift: // kept by its giver, whose password is none of the card's business
		s.use(func(sd *seed.Seed) { sd.Reset = seed.Reset{} })
		s.note(Problem{start: "no-keeper"})
		return
	case sd.Reset.Password == "":
		s.say(AskReset, Text{key: "ask-reset"})
		return
	}
	s.say(Resetting, Text{key: "resetting"})
	for {
		err := s.Reset(ctx, string(sd.Reset.Password))
		if err == nil || ctx.Err() != nil {
			return
		}
		s.cfg.Logger.Warn("new password by the card", "err", err)
		if errors.Is(err, account.ErrWeak) {
			s.use(func(sd *seed.Seed) { sd.Reset.Password = "" })
			s.say(AskReset, Text{key: "weak-reset"})
			return
		}
		if !pause(ctx, again) {
			return
		}
	}
}

// Reset sets the password of this box's keeper by the card's word, once.
func (s *Start) Reset(ctx context.Context, password string) error {
	login, err := s.Keeper()
	if err != nil {
		return err
	}
	if err := s.cfg.Circle.ResetPassword(ctx, login, password); err != nil {
		return err
	}
	s.use(func(sd *seed.Seed) { sd.Reset = seed.Reset{} })
	s.say(Nothing, Text{})
	s.cfg.Logger.Info("password set by the card", "account", login)
	return nil
}

// Keeper returns the login name of whoever keeps this box.
func (s *Start) Keeper() (string, error) {
	accounts, err := s.cfg.Circle.Accounts()
	if err != nil {
		return "", err
	}
	me := s.cfg.Self()
	for _, a := range accounts {
		if a.ID == me.Keeper {
			return a.Name, nil
		}
	}
	return "", fmt.Errorf("%w: the keeper of this box", circle.ErrNoAccount)
}
