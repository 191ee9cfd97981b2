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

const (
	sentenceNamed    = "The card gives names to this box, but no password. Nothing is lost. Open “Begin a circle” on its page: the names are filled in."
	sentenceLooking  = "The box is looking for the friend's box that it was made with. Nothing is lost, and it goes on looking by itself. Leave it plugged in."
	sentenceTrying   = "The friend's box that this one was made with does not answer yet. Nothing is lost, and this box tries every way it knows again and again. See that both boxes have power and internet."
	sentenceEntering = "The box was let in, and gets to know the others. Nothing is lost. Leave it plugged in."
	sentenceFounding = "The circle of the card begins. Nothing is lost. Wait a moment."
	sentenceResetDo  = "The new password of the card is being set. Nothing is lost. It counts as soon as enough houses are in reach; leave the box plugged in."
	sentenceNoKeeper = "The card asks for a new password, but this box is a gift that nobody has taken yet. Nothing was changed. Open its page and use the code of the gift card."
	sentenceResetAsk = "The card asks for a new password of the keeper. Nothing was changed yet. Choose it on this box's page, with the code that the box shows."
)

// join asks until it is let in, or is refused for good.
func (s *Start) join(ctx context.Context, sd seed.Seed) {
	ctx, cancel := s.untilClaimed(ctx)
	defer cancel()
	if sd.House == "" || sd.Box == "" {
		s.say(Refused, "The card has an invite, but no name for the house or the box. Nothing is lost. Open “A friend invited me” on this box's page, or write the card again.")
		return
	}
	s.say(Looking, sentenceLooking)
	for {
		err := s.cfg.Circle.JoinGift(ctx, sd, s.see)
		switch refusal, no := errors.AsType[*pair.Refusal](err); {
		case err == nil:
			s.say(Entering, sentenceEntering)
			return
		case ctx.Err() != nil:
			return
		case no:
			s.say(Refused, "The invite on the card did not work. "+refusal.Sentence()+" Nothing is lost.")
			return
		}
		if words, known := circle.Explain(err); known {
			s.say(Refused, "The invite on the card did not work. "+words.Sentence)
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
			st.Sentence = fmt.Sprintf("The box has found %s of the circle %s. Your friend has to say yes there. Nothing is lost. Tell your friend that the box is plugged in.", p.Inviter, p.CircleName)
		case p.Stage == pair.Admitted:
			st.Doing, st.Sentence = Entering, sentenceEntering
		case p.Err != nil:
			st.Doing, st.Sentence = Looking, sentenceTrying
		default:
			st.Doing, st.Sentence = Looking, sentenceLooking
		}
	})
}

// found begins the circle that the card names.
func (s *Start) found(ctx context.Context, sd seed.Seed) {
	s.say(Founding, sentenceFounding)
	place := circle.Place{House: sd.House, Box: sd.Box}
	if place.Box == "" {
		place.Box = place.House
	}
	for {
		err := s.cfg.Circle.Found(ctx, sd.Circle, place, circle.Person{Login: sd.Keeper, Password: string(sd.Password)})
		if err == nil || errors.Is(err, circle.ErrInCircle) || ctx.Err() != nil {
			return
		}
		words, known := circle.Explain(err)
		if known && !errors.Is(err, account.ErrBusy) {
			s.say(Refused, "The circle of the card did not begin. "+words.Sentence)
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
		s.set(func(st *State) { st.Problems = append(st.Problems, sentenceNoKeeper) })
		return
	case sd.Reset.Password == "":
		s.say(AskReset, sentenceResetAsk)
		return
	}
	s.say(Resetting, sentenceResetDo)
	for {
		err := s.Reset(ctx, string(sd.Reset.Password))
		if err == nil || ctx.Err() != nil {
			return
		}
		s.cfg.Logger.Warn("new password by the card", "err", err)
		if errors.Is(err, account.ErrWeak) {
			s.use(func(sd *seed.Seed) { sd.Reset.Password = "" })
			s.say(AskReset, "The new password on the card is one of the first that everybody tries, so it was not set. Nothing was changed. Choose another on this box's page, with the code that the box shows.")
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
	s.say(Nothing, "")
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
