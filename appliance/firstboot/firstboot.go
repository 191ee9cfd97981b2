// Package firstboot does what the settings on a card ask of a box: begin a circle, join
// one with a gift's ticket, set a forgotten password. It goes on in the background for
// as long as it takes, and says in words how far it is. Nothing that is on a card keeps
// a box from running.
package firstboot

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/words"
	"redhen/images/layout"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/seed"
	"redhen/raftnode/directory"
)

// Circle is what a card can ask for; *circle.Circle does it.
type Circle interface {
	Claimed() bool
	Accounts() ([]directory.Account, error)
	Found(ctx context.Context, name string, place circle.Place, keeper circle.Person) error
	JoinGift(ctx context.Context, s seed.Seed, progress func(pair.Progress)) error
	ResetPassword(ctx context.Context, login, password string) error
}

var _ Circle = (*circle.Circle)(nil)

// Config is what a Start works with. All but Card, Found and Logger are needed.
type Config struct {
	Card   seed.Folder // the card's FAT partition; nil: there is none
	Data   seed.Store  // where the settings are kept
	Circle Circle
	Self   func() roster.Box      // this box in the roster, zero while it is in no circle
	News   func() <-chan struct{} // closed at the next change of the circle
	Found  []layout.Fault         // what the start of the system found wrong
	Logger *slog.Logger           // nil: none
}

// Doing is what a Start is about.
type Doing string

// What a Start can be about. The texts are shown by --json and never change.
const (
	Nothing   Doing = ""          // the card asked for nothing, or all is done
	Looking   Doing = "looking"   // for the giver's box
	Waiting   Doing = "waiting"   // for the giver's yes
	Entering  Doing = "entering"  // let in; the circle's records are on their way
	Founding  Doing = "founding"  // a circle begins
	Named     Doing = "named"     // names are known; a person must choose a password
	Refused   Doing = "refused"   // it did not work, and will not by itself
	Resetting Doing = "resetting" // a password is being set
	AskReset  Doing = "ask-reset" // a new password may be chosen on the page, with the code
)

// State is how far a Start is.
type State struct {
	Doing    Doing
	Sentence string      // what the box does now, whether anything is lost, what to do, in English; empty for Nothing
	Text     Text        // the same for a page
	Circle   string      // that it is about to join, once known
	Words    []pair.Word // both sides show the same, while Waiting
	Problems []Problem   // with the card
	Names    Names       // for forms
}

// Names are those that a card gives; each may be empty.
type Names struct{ Circle, House, Box, Keeper string }

// Start carries out what a card says. It is safe for concurrent use.
type Start struct {
	cfg Config

	mu     sync.Mutex // guards what follows
	seed   seed.Seed
	state  State
	change chan struct{}
}

// Open takes the settings of the card over, and wipes its secrets. What is wrong with
// the card becomes a problem in the State.
func Open(cfg Config) *Start {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Start{cfg: cfg, change: make(chan struct{})}
	for _, f := range cfg.Found {
		s.state.Problems = append(s.state.Problems, Problem{system: f})
	}
	if cfg.Card == nil {
		var err error
		if s.seed, err = seed.Load(cfg.Data); err != nil && !errors.Is(err, fs.ErrNotExist) {
			cfg.Logger.Warn("settings of the card", "err", err)
		}
		s.state.Names = s.names()
		return s
	}
	r, err := seed.Import(cfg.Card, cfg.Data)
	s.seed = r.Seed
	for _, p := range r.Problems {
		cfg.Logger.Warn("card", "problem", p.String())
		s.state.Problems = append(s.state.Problems, Problem{Found: p})
	}
	if err != nil {
		cfg.Logger.Error("settings of the card are not kept", "err", err)
		s.state.Problems = append(s.state.Problems, Problem{start: "not-stored"})
	}
	for _, name := range r.New {
		cfg.Logger.Info("settings taken from the card", "file", name)
	}
	s.state.Names = s.names()
	return s
}

func (s *Start) names() Names {
	return Names{Circle: s.seed.Circle, House: s.seed.House, Box: s.seed.Box, Keeper: s.seed.Keeper}
}

// Seed returns the settings, secrets included.
func (s *Start) Seed() seed.Seed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seed
}

// State returns how far it is. It is its caller's.
func (s *Start) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Changed is closed at the next change of the State.
func (s *Start) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change
}

func (s *Start) set(fn func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.state)
	close(s.change)
	s.change = make(chan struct{})
}

// say replaces what it is about.
func (s *Start) say(doing Doing, t Text) {
	s.set(func(st *State) {
		st.Doing, st.Words = doing, nil
		st.tell(t)
	})
}

func (st *State) tell(t Text) { st.Text, st.Sentence = t, t.In(words.English()) }

// Text is a sentence in any language; zero is none.
type Text struct {
	key   string // "start.KEY"
	about []any
	why   *circle.Words // fills in {why}
}

// In says it in a language.
func (t Text) In(w *words.Words) string {
	if t.key == "" {
		return ""
	}
	about := t.about
	if t.why != nil {
		about = append(slices.Clone(about), "why", t.why.Say(w))
	}
	return w.Say("start."+t.key, about...)
}

// use changes the settings and keeps them. When that fails, the box asks for the same
// again after its next start, which does no harm.
func (s *Start) use(fn func(*seed.Seed)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.seed
	fn(&s.seed)
	if s.seed.Equal(was) {
		return
	}
	if err := seed.Save(s.cfg.Data, s.seed); err != nil {
		s.cfg.Logger.Warn("settings are not kept", "err", err)
	}
}

// HasCode reports whether the card came with a claim code on paper.
func (s *Start) HasCode() bool { return s.Seed().ClaimHash != "" }

// Claims reports whether code is the one that came with the card.
func (s *Start) Claims(code string) bool { return s.Seed().Claims(code) }

// Received forgets the claim code: it has done its work.
func (s *Start) Received() { s.use(func(sd *seed.Seed) { sd.ClaimHash = "" }) }

// Run does what the card asks for, until it is done or ctx ends; it returns nil.
func (s *Start) Run(ctx context.Context) error {
	s.reset(ctx)
	switch sd := s.Seed(); {
	case s.cfg.Circle.Claimed():
	case sd.Ticket != "":
		s.join(ctx, sd)
	case sd.Circle != "" && sd.House != "" && sd.Keeper != "" && sd.Password != "":
		s.found(ctx, sd)
	case sd.Circle != "" || sd.House != "" || sd.Keeper != "":
		s.say(Named, Text{key: "named"})
	}
	s.awaitClaimed(ctx)
	return nil
}

// awaitClaimed forgets what is used up once the box is in a circle, whoever saw to that.
func (s *Start) awaitClaimed(ctx context.Context) {
	for {
		news := s.cfg.News()
		if s.cfg.Circle.Claimed() {
			s.use(func(sd *seed.Seed) { sd.Ticket, sd.Ways, sd.Password = "", nil, "" })
			s.set(func(st *State) {
				if st.Doing != AskReset && st.Doing != Resetting {
					st.Doing, st.Words = Nothing, nil
					st.tell(Text{})
				}
			})
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		}
	}
}

// untilClaimed gives a context that ends when the box gets into a circle by another way.
func (s *Start) untilClaimed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with ctx
		for {
			news := s.cfg.News()
			if s.cfg.Circle.Claimed() {
				cancel()
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-news:
			}
		}
	}()
	return ctx, cancel
}

// pause waits, and reports whether ctx still holds.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
