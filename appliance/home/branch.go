package home

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// Why nobody was picked.
var (
	// ErrNotParted says that no other side went on alone, as far as this box knows.
	ErrNotParted = errors.New("no other house went on alone")
	// ErrNoSide says that the house belongs to neither side.
	ErrNoSide = errors.New("that house is on neither side")
	// ErrNoSay says that the key is that of no keeper from before the sides parted.
	ErrNoSay = errors.New("not a keeper of the circle as it was")
)

// Words is a decision that was not taken, for a person.
type Words struct{ Code, Sentence string }

// Explain returns the words for an error of Keep, false when it is none.
func Explain(err error) (Words, bool) {
	switch {
	case errors.Is(err, ErrNotParted):
		return Words{"not-parted", "No other side of the circle went on alone, as far as this box knows. Nothing was changed. If a house has just come back, wait a minute until the boxes have met."}, true
	case errors.Is(err, ErrNoSide):
		return Words{"no-side", "That house is on neither side. Nothing was changed. Name a house of one side, as redhen status shows them."}, true
	case errors.Is(err, ErrNoSay):
		return Words{"not-keeper", "That account kept no box before the two sides parted, so it has no say in this. Nothing was changed. Ask a keeper who did."}, true
	}
	return Words{}, false
}

// Parted says that this side of the circle and another one each went on alone, so that
// a person has to pick which goes on for both.
type Parted struct {
	Since  time.Time // of the later of the two, by its clock
	Here   []string  // houses of this side
	There  []string  // houses of the other
	Picked string    // a house of the side that was picked; empty: nobody picked yet

	base, mine, theirs *roster.State
}

// pick is a keeper's word that one side goes on for both. It names the change with
// which each of them left the chain that they had in common.
type pick struct {
	Base [32]byte `cbor:"1,keyasint"` // head of that chain
	Kept [32]byte `cbor:"2,keyasint"` // head after the first change of the side that goes on
	Lost [32]byte `cbor:"3,keyasint"` // and of the one that comes home
	Time int64    `cbor:"4,keyasint"`
}

// signedPick is a pick with its signature.
type signedPick struct {
	Pick []byte `cbor:"1,keyasint"`
	Key  []byte `cbor:"2,keyasint"` // of a keeper of the common chain
	Sig  []byte `cbor:"3,keyasint"`
}

const (
	pickPurpose = "redhen pick"
	maxPick     = 1 << 10 // bytes
)

// firstOf is the head with which a side left the common chain.
func firstOf(side, base *roster.State) [32]byte {
	h, _ := side.HeadAt(base.Len() + 1)
	return h
}

// read returns what a keeper of the common chain picked; ErrNoSay when none did.
func (s signedPick) read(base *roster.State) (p pick, err error) {
	if err := wire.Unmarshal(s.Pick, &p); err != nil {
		return p, err
	}
	says := false
	for _, b := range base.Members() {
		says = says || string(b.KeeperKey) == string(s.Key)
	}
	if !says || p.Base != base.Head() || !ident.Verify(s.Key, pickPurpose, s.Pick, s.Sig) {
		return p, ErrNoSay
	}
	return p, nil
}

func (h *Home) pickPath() string { return filepath.Join(h.cfg.Dir, "pick") }

// picked is what was picked here, or heard, last.
func (h *Home) picked() *signedPick {
	b, err := onefile.Read(h.pickPath(), maxPick)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			h.log.Warn("pick", "err", err)
		}
		return nil
	}
	var s signedPick
	if err := wire.Unmarshal(b, &s); err != nil {
		h.log.Warn("pick", "err", err)
		return nil
	}
	return &s
}

// Parted tells whether two sides went on alone, nil when they did not.
func (h *Home) Parted() *Parted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.parted
}

// Keep has a keeper pick the side that goes on for both, by the name of one of its
// houses. The other side comes home with all it has.
func (h *Home) Keep(house string, key ident.Key) error {
	p := h.Parted()
	if p == nil {
		return ErrNotParted
	}
	kept, lost := firstOf(p.mine, p.base), firstOf(p.theirs, p.base)
	switch here, there := slices.Contains(p.Here, house), slices.Contains(p.There, house); {
	case !here && !there:
		return fmt.Errorf("%w: %q", ErrNoSide, house)
	case !here:
		kept, lost = lost, kept
	}
	body := wire.MustMarshal(pick{p.base.Head(), kept, lost, h.cfg.Now().UnixMilli()})
	s := signedPick{body, key.Public(), key.Sign(pickPurpose, body)}
	if _, err := s.read(p.base); err != nil {
		return err
	}
	h.log.Info("picked", "house", house)
	return onefile.Replace(h.pickPath(), wire.MustMarshal(s))
}

// visit looks for those that this side gave up when it went on alone: they may have
// done the same.
func (h *Home) visit(ctx context.Context) error {
	mine := h.roster()
	if p := h.Parted(); p != nil && !slices.ContainsFunc(p.theirs.Members(), func(b roster.Box) bool { return !mine.Active(b.ID) }) {
		h.setParted(nil) // all of them are home
	}
	if mine.Era() == 0 {
		return nil
	}
	last := error(nil)
	for _, b := range mine.Boxes() {
		if b.Status != roster.StatusGone || h.cfg.Host.Visit(ctx, b.ID) != nil {
			continue
		}
		if err := h.ask(ctx, b.ID, mine); err != nil && !errors.Is(err, errNoNews) {
			last = fmt.Errorf("%s: %w", b.ID.Short(), err)
		}
	}
	return last
}

// otherSide finds where the chains parted, and verifies the other one.
func (h *Home) otherSide(ctx context.Context, box ident.BoxID, mine *roster.State) (base, theirs *roster.State, r reply, err error) {
	low, high := 0, mine.Len()
	for low < high { // Invariant: the first low changes are in common
		n := (low + high + 1) / 2
		head, _ := mine.HeadAt(n)
		probe, err := h.exchange(ctx, box, call{Circle: mine.Circle(), Len: n, Head: head, Probe: true})
		if err != nil {
			return nil, nil, r, err
		}
		if probe.Forked {
			high = n - 1
		} else {
			low = n
		}
	}
	if base, err = h.chainTo(low); err != nil || base == nil {
		return nil, nil, r, errors.Join(errForked, err)
	}
	theirs = base
	for range maxRounds {
		r, err = h.exchange(ctx, box, call{Circle: mine.Circle(), Len: theirs.Len(), Head: theirs.Head(), Pick: h.picked()})
		if err != nil || r.Forked {
			return nil, nil, r, cmp.Or(err, errForked)
		}
		if len(r.News) == 0 {
			return base, theirs, r, nil
		}
		if theirs, err = extend(theirs, r); err != nil {
			return nil, nil, r, err
		}
	}
	return nil, nil, r, errTooLong
}

// chainTo returns the first changes of the chain here.
func (h *Home) chainTo(n int) (s *roster.State, err error) {
	err = h.cfg.Node.Directory(func(v directory.View) (err error) {
		s, err = roster.Replay(v.Changes(0, n))
		return err
	})
	return s, err
}

// meet judges another side of the circle. It returns their chain when this box is to
// leave its own for it.
func (h *Home) meet(ctx context.Context, box ident.BoxID, mine *roster.State) (*roster.State, error) {
	base, theirs, r, err := h.otherSide(ctx, box, mine)
	if err != nil {
		return nil, err
	}
	weBegan, theyBegan := mine.Era() > base.Era(), theirs.Era() > base.Era()
	switch {
	case weBegan && !theyBegan && r.Together: // most of those from before went on without a takeover
		h.setParted(nil)
		return theirs, nil
	case !weBegan || !theyBegan:
		h.setParted(nil)
		return nil, errForked
	}
	p := &Parted{base: base, mine: mine, theirs: theirs, Here: houses(mine), There: houses(theirs), Since: latest(base, mine, theirs)}
	choice := h.choose(p, r.Pick)
	p.Picked = choice.house(p)
	h.setParted(p)
	if choice.theirs {
		return theirs, nil
	}
	return nil, errForked
}

// choice is what was picked of two sides.
type choice struct{ mine, theirs bool }

func (c choice) house(p *Parted) string {
	switch {
	case c.mine && len(p.Here) > 0:
		return p.Here[0]
	case c.theirs && len(p.There) > 0:
		return p.There[0]
	}
	return ""
}

// choose says what was picked. What was picked here counts before what others say; what
// others say is kept, so that it counts when they are away.
func (h *Home) choose(p *Parted, said *signedPick) choice {
	for _, s := range []*signedPick{h.picked(), said} {
		if s == nil {
			continue
		}
		one, err := s.read(p.base)
		if err != nil {
			continue // of another parting
		}
		c := choice{mine: one.Kept == firstOf(p.mine, p.base), theirs: one.Kept == firstOf(p.theirs, p.base)}
		if !c.mine && !c.theirs {
			continue
		}
		if s == said {
			if err := onefile.Replace(h.pickPath(), wire.MustMarshal(*s)); err != nil {
				h.log.Warn("keep pick", "err", err)
			}
		}
		return c
	}
	return choice{}
}

// hearPick takes note of what another box says was picked.
func (h *Home) hearPick(said *signedPick) {
	if p := h.Parted(); p != nil && said != nil {
		next := *p
		next.Picked = h.choose(p, said).house(p)
		h.setParted(&next)
	}
}

// mayReturn reports whether a keeper picked this side for both, so that a box of the
// other one needs nobody's yes any more.
func (h *Home) mayReturn() bool {
	p := h.Parted()
	return p != nil && h.choose(p, nil).mine
}

func (h *Home) setParted(p *Parted) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parted = p
}

func houses(r *roster.State) (names []string) {
	for _, h := range r.Houses() {
		names = append(names, h.Name)
	}
	return names
}

// latest is when the later of two sides went on alone.
func latest(base, mine, theirs *roster.State) time.Time {
	at := int64(0)
	for _, side := range []*roster.State{mine, theirs} {
		for _, b := range side.Boxes() {
			if was, _ := base.Box(b.ID); was.Status == roster.StatusActive && b.Status == roster.StatusGone {
				at = max(at, b.Until)
			}
		}
	}
	return time.UnixMilli(at)
}
