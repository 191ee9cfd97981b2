package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"redhen/images/layout"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

// Protocol is how boxes of a circle hand a release on. Its form is frozen: a box that is
// too old for everything else is brought up to date by it.
const Protocol = "/redhen/update/1"

// Canary is how long a release does well at the first box before others take it by
// themselves.
const Canary = 24 * time.Hour

// Limits of one exchange.
const (
	maxMessage = 4 << 10 // bytes
	askFor     = 15 * time.Second
	sendFor    = 30 * time.Minute
)

// ask asks for a release.
type ask struct {
	Send bool `cbor:"1,keyasint,omitempty"` // the file follows the offer
}

// Friends is where a box gets releases from, and what its keeper decided about that.
type Friends struct {
	// InReach are the boxes that are linked now.
	InReach func() []ident.BoxID
	// Open opens a stream of Protocol to a box.
	Open func(ctx context.Context, box ident.BoxID) (p2p.Stream, error)
	// Pinned says that the keeper decides about each update.
	Pinned func() bool
	Canary time.Duration // 0: Canary
	Every  time.Duration // between two looks; 0: 10 minutes
	Now    func() time.Time
}

// Serve answers a friend's box that asks for a release.
func (u *Updater) Serve(_ context.Context, _ ident.BoxID, s p2p.Stream) {
	if err := u.serve(s); err != nil {
		u.cfg.Log.Debug("a friend asks for a release", "err", err)
		s.Reset()
	}
}

func (u *Updater) serve(s p2p.Stream) error {
	var a ask
	if err := s.SetDeadline(time.Now().Add(askFor)); err != nil {
		return err
	}
	if err := wire.Read(s, maxMessage, &a); err != nil {
		return err
	}
	o, ok := u.Offer()
	if err := wire.Write(s, o); err != nil || !ok || !a.Send {
		return err
	}
	f, err := u.shelf.open()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.SetDeadline(time.Now().Add(sendFor)); err != nil {
		return err
	}
	_, err = io.Copy(s, f)
	return err
}

// Offer is the release that runs, where its file is kept and it is confirmed; zero and
// false otherwise.
func (u *Updater) Offer() (Offer, bool) {
	u.offering.Lock() // whoever asks first says since when it counts
	defer u.offering.Unlock()
	o, ok := u.shelf.offer(u.cfg.Running)
	if trial, err := u.cfg.Loader.OnTrial(); !ok || err != nil || trial {
		return Offer{}, false
	}
	if o.Since == 0 { // the first to have it
		o.Since = time.Now().UnixMilli()
		if err := u.shelf.write(offerName, o); err != nil {
			return Offer{}, false
		}
	}
	return o, true
}

// NoteFailed has a release that did not do well here not be taken from friends again.
func (u *Updater) NoteFailed(number uint64) error {
	return u.shelf.note(func(n *notes) { n.Failed = number })
}

// Postpone takes nothing from friends until then.
func (u *Updater) Postpone(until time.Time) error {
	return u.shelf.note(func(n *notes) { n.Postponed = until })
}

// Postponed is until when nothing is taken from friends; zero, or past: it is.
func (u *Updater) Postponed() time.Time { return u.shelf.notes().Postponed }

// FromURL installs the update file at an address. What it is signed with counts, and not
// who sends it.
func (u *Updater) FromURL(ctx context.Context, address string) (layout.About, error) {
	ctx, end := context.WithTimeout(ctx, sendFor)
	defer end()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Scheme != "https" && req.URL.Scheme != "http" {
		return layout.About{}, fmt.Errorf("%w: %w", ErrAddress, errors.Join(err))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return layout.About{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return layout.About{}, fmt.Errorf("%w: %s", ErrAddress, resp.Status)
	}
	return u.Install(ctx, io.LimitReader(resp.Body, MaxUpload))
}

// ErrAddress says that nothing came from an address.
var ErrAddress = errors.New("no update is there")

// Follow takes newer releases from friends until ctx ends: once one has done well at the
// first box for a day, and its keeper did not decide otherwise.
func (u *Updater) Follow(ctx context.Context, f Friends) error {
	if f.Canary == 0 {
		f.Canary = Canary
	}
	if f.Every == 0 {
		f.Every = 10 * time.Minute
	}
	if f.Now == nil {
		f.Now = time.Now
	}
	for {
		if box, o, ok := u.best(ctx, f); ok {
			if err := u.fetch(ctx, f, box, o); err != nil {
				u.cfg.Log.Warn("update from a friend", "box", box.Short(), "release", o.Release, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.Every):
		}
	}
}

// best finds the newest release that may be taken now.
func (u *Updater) best(ctx context.Context, f Friends) (from ident.BoxID, best Offer, ok bool) {
	n, now := u.shelf.notes(), f.Now()
	trial, err := u.cfg.Loader.OnTrial()
	if err != nil || trial || f.Pinned() || now.Before(n.Postponed) {
		return "", Offer{}, false
	}
	for _, box := range f.InReach() {
		o, err := exchange(ctx, f, box, ask{}, nil)
		age := now.Sub(time.UnixMilli(o.Since))
		if err != nil || o.Board != u.cfg.Running.Board || o.Number <= max(u.cfg.Running.Number, best.Number) || o.Number == n.Failed || age < f.Canary {
			continue
		}
		from, best, ok = box, o, true
	}
	return from, best, ok
}

// fetch installs a release from a friend's box.
func (u *Updater) fetch(ctx context.Context, f Friends, box ident.BoxID, want Offer) error {
	_, err := exchange(ctx, f, box, ask{Send: true}, func(o Offer, r io.Reader) error {
		if o.Number != want.Number {
			return fmt.Errorf("it has release %d by now, and not %d", o.Number, want.Number)
		}
		_, err := u.install(ctx, io.LimitReader(r, min(o.Size, MaxUpload)), o.Since)
		return err
	})
	return err
}

// exchange asks one box, and has take read the file behind the answer.
func exchange(ctx context.Context, f Friends, box ident.BoxID, a ask, take func(Offer, io.Reader) error) (o Offer, err error) {
	patience := askFor
	if take != nil {
		patience = sendFor
	}
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	s, err := f.Open(ctx, box)
	if err != nil {
		return o, err
	}
	defer context.AfterFunc(ctx, func() { s.Reset() })()
	defer s.Close()
	if err = wire.Write(s, a); err == nil {
		err = wire.Read(s, maxMessage, &o)
	}
	if err != nil || take == nil {
		return o, err
	}
	if err = take(o, s); err != nil {
		s.Reset()
	}
	return o, err
}
