package pair

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/provision/wire"
)

const (
	dialPatience = 20 * time.Second
	maxRetry     = 15 * time.Second
)

// Joiner is a box that wants to join with a ticket.
type Joiner struct {
	Host        *p2p.Host
	Key         ident.Key // of this box
	Ticket      ticket.Ticket
	Application Application
	Circle      ident.CircleID // the circle this box is in, which must be none

	// Fit completes the application with what the circle told about the keeper named
	// in it. For an account of the circle it leaves Account empty and returns the
	// keeper's key, else no key. It may be called again after a broken connection. Its
	// error is what Join returns. nil: the application is complete.
	Fit func(context.Context, Guide, Application) (Application, ident.Key, error)

	Progress func(Progress) // called from Join; nil = nobody looks
	Logger   *slog.Logger   // nil = none
}

// Stage is how far a joiner has come.
type Stage int

const (
	Connecting Stage = iota // to the inviter's box
	Waiting                 // for the inviter's yes
	Admitted                // the welcome has come
)

// Progress is what a joiner's page shows.
type Progress struct {
	Stage      Stage
	Err        error  // why the last try to connect failed; nil = the first is under way
	CircleName string // from Waiting on
	Inviter    string // name of the inviter's box, from Waiting on
	Words      []Word // from Waiting on; the inviter shows the same
	Guide      Guide  // from Waiting on
}

// unfit is an error of Joiner.Fit: trying again would not help.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

// Join asks to join until it is let in, is refused (*Refusal), or ctx ends. What
// breaks on the way, also a restart of the inviter's box, it tries again; a box
// that restarts itself calls Join again with the same ticket.
//
// The caller then tells the host of its members (SetMembers, Learn). It has the
// welcome's roster verified: the chain is that of the inviter's circle, and this
// box is in it.
func Join(ctx context.Context, j Joiner) (Welcome, error) {
	if j.Circle != "" {
		return Welcome{}, &Refusal{InCircle}
	}
	if err := j.Application.validate(); err != nil {
		return Welcome{}, err
	}
	if j.Logger == nil {
		j.Logger = slog.New(slog.DiscardHandler)
	}
	if j.Progress == nil {
		j.Progress = func(Progress) {}
	}
	if j.Application.House == "" {
		j.Application.House = ident.NewHouseID()
	}
	j.Application.Time = time.Now().UnixMilli()
	target := p2p.Target{Box: j.Ticket.Inviter, Addrs: j.Ticket.Addrs}
	if r := j.Ticket.Relay; r != nil {
		target.Relay, target.At = r.Box, r.Addr
	}
	w, err := j.keepTrying(ctx, target)
	if err != nil {
		j.Host.Leave(target)
	}
	return w, err
}

func (j *Joiner) keepTrying(ctx context.Context, target p2p.Target) (Welcome, error) {
	j.Progress(Progress{Stage: Connecting})
	wait := time.Second
	for {
		begun := time.Now()
		w, err := j.try(ctx, target)
		if err == nil {
			j.Progress(Progress{Stage: Admitted, CircleName: w.CircleName})
			return w, nil
		}
		if ctx.Err() != nil {
			return Welcome{}, fmt.Errorf("join: %w", ctx.Err())
		}
		if u, ok := errors.AsType[unfit](err); ok {
			return Welcome{}, u.error
		}
		if r := refused(err); r != nil && r.Code != Busy {
			return Welcome{}, r
		}
		j.Logger.Debug("not joined yet", "err", err)
		j.Progress(Progress{Stage: Connecting, Err: err})
		if time.Since(begun) > maxRetry {
			wait = time.Second // it had come far
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, maxRetry)
	}
}

// try goes once through the protocol.
func (j *Joiner) try(ctx context.Context, target p2p.Target) (Welcome, error) {
	dialing, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	if err := j.Host.Connect(dialing, target); err != nil {
		return Welcome{}, err
	}
	s, err := j.Host.Open(dialing, target.Box, Protocol)
	if err != nil {
		return Welcome{}, err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	s.SetDeadline(time.Now().Add(patience))
	c, g, err := j.apply(ctx, s)
	if err != nil {
		return Welcome{}, err
	}
	r, err := readReply(s, maxWelcome)
	if err != nil {
		return Welcome{}, err
	}
	if r.Waiting {
		j.Progress(Progress{
			Stage: Waiting, CircleName: c.Name, Inviter: c.Box, Guide: g,
			Words: wordsFor(proofKey(j.Ticket.Secret), j.Ticket.Inviter, j.Host.Self()),
		})
		s.SetDeadline(time.Time{}) // a person decides; a dead path ends the stream
		if r, err = readReply(s, maxWelcome); err != nil {
			return Welcome{}, err
		}
	}
	if r.Welcome == nil {
		return Welcome{}, &Refusal{Garbage}
	}
	s.SetDeadline(time.Now().Add(5 * patience))
	w, err := readWelcome(s, *r.Welcome)
	if err != nil {
		return Welcome{}, fmt.Errorf("read welcome: %w", err)
	}
	return j.verify(w, c)
}

// apply says hello, has the inviter prove itself, asks for the guide, and answers
// with the application.
func (j *Joiner) apply(ctx context.Context, s p2p.Stream) (c challenge, g Guide, err error) {
	c, said, err := j.hello(s)
	if err != nil {
		return c, g, err
	}
	key := proofKey(j.Ticket.Secret)
	if g, err = j.ask(s, c, said, key); err != nil {
		return c, g, err
	}
	app, keeper := j.Application, ident.Key{}
	if j.Fit != nil {
		if app, keeper, err = j.Fit(ctx, g, app); err != nil {
			return c, g, unfit{err}
		}
		s.SetDeadline(time.Now().Add(patience)) // a slow board has hashed a password
	}
	change := roster.NewAdmit(app.admission(c, j.Ticket.Inviter, j.Host.Self()), j.Key)
	if err := firstOf(app.validate(), roster.Check(change)); err != nil {
		return c, g, refusalOf(err)
	}
	a := application{Body: wire.MustMarshal(app), Change: roster.Encode(change)}
	if !keeper.IsZero() {
		a.Keeper = keeper.Sign(keeperPurpose, said.keeper(a.Change))
	}
	said.Role, said.Body = "joiner", append(c.said(), a.said()...)
	a.Proof = said.mac(key)
	return c, g, wire.Write(s, a)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// hello says hello and has the inviter prove that it knows the secret.
func (j *Joiner) hello(s p2p.Stream) (c challenge, said transcript, err error) {
	h := hello{Version: version, Ticket: j.Ticket.ID()}
	rand.Read(h.Nonce[:]) // never fails
	if err := wire.Write(s, h); err != nil {
		return c, said, err
	}
	r, err := readReply(s, maxChallenge)
	if err != nil {
		return c, said, err
	}
	if r.Challenge == nil {
		return c, said, &Refusal{Garbage}
	}
	c = *r.Challenge
	said = transcript{Inviter: j.Ticket.Inviter, Joiner: j.Host.Self(), Hello: h.Nonce, Answer: c.Nonce}
	said.Role, said.Body = "inviter", c.said()
	if !hmac.Equal(said.mac(proofKey(j.Ticket.Secret)), c.Proof) {
		return c, said, &Refusal{WrongProof}
	}
	return c, said, nil
}

// ask proves that this box knows the secret and gets the guide.
func (j *Joiner) ask(s p2p.Stream, c challenge, said transcript, key [32]byte) (Guide, error) {
	q := question{Login: j.Application.KeeperName}
	said.Role, said.Body = "asker", append(c.said(), q.said()...)
	q.Proof = said.mac(key)
	if err := wire.Write(s, q); err != nil {
		return Guide{}, err
	}
	r, err := readReply(s, maxGuide)
	if err != nil {
		return Guide{}, err
	}
	if r.Guide == nil || r.Guide.validate() != nil {
		return Guide{}, &Refusal{Garbage}
	}
	return *r.Guide, nil
}

// readReply reads one reply; a refusal is an error.
func readReply(s p2p.Stream, limit int) (reply, error) {
	var r reply
	if err := wire.Read(s, limit, &r); err != nil {
		return r, err
	}
	if r.Refused != 0 {
		return r, &Refusal{r.Refused}
	}
	return r, nil
}

// verify replays the roster and checks that it lets this box in.
func (j *Joiner) verify(w Welcome, c challenge) (Welcome, error) {
	state, err := roster.Replay(w.Roster)
	if err != nil {
		return Welcome{}, fmt.Errorf("verify welcome: %w", err)
	}
	if state == nil || state.Circle() != c.Circle || !state.Active(j.Host.Self()) || !state.Active(j.Ticket.Inviter) {
		return Welcome{}, errors.New("verify welcome: the roster does not let this box in")
	}
	w.Circle, w.CircleName = state.Circle(), state.Name()
	return w, nil
}
