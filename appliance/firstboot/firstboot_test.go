package firstboot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/seed"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// fake is a circle without other boxes. It takes what it is told to take.
type fake struct {
	mu      sync.Mutex // guards what follows
	claimed bool
	me      roster.Box
	found   []string
	joined  []seed.Seed
	reset   []string
	errs    []error // answers, one a call; then nil
	steps   []pair.Progress
	block   bool // JoinGift waits for its context
	news    chan struct{}
}

func newFake() *fake { return &fake{news: make(chan struct{})} }

func (f *fake) Claimed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.claimed
}

func (f *fake) claim() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.claimed = true
	close(f.news)
	f.news = make(chan struct{})
}

func (f *fake) News() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news
}

func (f *fake) Self() roster.Box { return f.me }

func (f *fake) Accounts() ([]directory.Account, error) {
	return []directory.Account{{ID: "a", Name: "anna"}, {ID: "b", Name: "ben"}}, nil
}

// answer notes a call and returns the next error.
func (f *fake) answer(note func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	note()
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func (f *fake) Found(_ context.Context, name string, place circle.Place, p circle.Person) error {
	err := f.answer(func() {
		f.found = append(f.found, strings.Join([]string{name, place.House, place.Box, p.Login, p.Password}, "/"))
	})
	if err == nil {
		f.claim()
	}
	return err
}

func (f *fake) JoinGift(ctx context.Context, s seed.Seed, progress func(pair.Progress)) error {
	for _, p := range f.steps {
		progress(p)
	}
	if f.block {
		<-ctx.Done()
		return ctx.Err()
	}
	err := f.answer(func() { f.joined = append(f.joined, s) })
	if err == nil {
		f.claim()
	}
	return err
}

func (f *fake) ResetPassword(_ context.Context, login, password string) error {
	return f.answer(func() { f.reset = append(f.reset, login+"/"+password) })
}

// box is a card and a box that can be started again.
type box struct {
	t         *testing.T
	card, dir string
	circle    *fake
}

func newBox(t *testing.T, files map[string]string) *box {
	b := &box{t: t, card: t.TempDir(), dir: t.TempDir(), circle: newFake()}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(b.card, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// start runs the box until what can happen has happened; stop ends it.
func (b *box) start() (s *Start, stop func()) {
	b.t.Helper()
	s = Open(Config{
		Card: seed.Dir(b.card), Data: seed.Path(filepath.Join(b.dir, "seed.toml")),
		Circle: b.circle, Self: b.circle.Self, News: b.circle.News,
	})
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	}
}

// says checks a state.
func says(t *testing.T, s *Start, doing Doing, text string) {
	t.Helper()
	if st := s.State(); st.Doing != doing || !strings.Contains(st.Sentence, text) || doing != Nothing && st.Sentence == "" {
		t.Errorf("got %q %q, want %q %q", st.Doing, st.Sentence, doing, text)
	}
}

func someTicket(t *testing.T) seed.Seed {
	t.Helper()
	s := seed.Seed{House: "Mill Lane", Box: "mill", Keeper: "ben", ClaimHash: seed.HashClaim("ABCD-2345")}
	s.Ticket = seed.Secret(ticketText(t))
	return s
}

func TestACircleBeginsByItsCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, map[string]string{"redhen.toml": "circle = \"Hens\"\nhouse = \"Mill Lane\"\nkeeper = \"anna\"\npassword = \"three brown hens\"\n"})
		b.circle.errs = []error{errors.New("disk is busy"), account.ErrBusy}
		s, stop := b.start()
		says(t, s, Founding, "begins")
		time.Sleep(time.Minute)
		synctest.Wait()
		says(t, s, Nothing, "")
		if want := "Hens/Mill Lane/Mill Lane/anna/three brown hens"; len(b.circle.found) != 3 || b.circle.found[2] != want {
			t.Errorf("got %q, want the third to be %q", b.circle.found, want)
		}
		stop()
		if sd := s.Seed(); sd.Password != "" || sd.Circle != "Hens" {
			t.Errorf("the password is kept: %v", sd.Password != "")
		}
		noSecret(t, b, "three brown hens")
		_, stop = b.start()
		stop()
		if len(b.circle.found) != 3 {
			t.Error("begun again at the next start")
		}
	})
}

// noSecret ends the test when a text is on the card or among the settings.
func noSecret(t *testing.T, b *box, secret string) {
	t.Helper()
	for _, dir := range []string{b.card, b.dir} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			content, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil || strings.Contains(string(content), secret) {
				t.Errorf("%s holds the secret; %v", f.Name(), err)
			}
		}
	}
}

func TestNamesWithoutAPasswordWaitForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, map[string]string{"redhen.toml": "circle = \"Hens\"\nhouse = \"Mill Lane\"\nkeeper = \"anna\"\n"})
		s, stop := b.start()
		defer stop()
		says(t, s, Named, "no password")
		if got := s.State().Names; got != (Names{Circle: "Hens", House: "Mill Lane", Keeper: "anna"}) {
			t.Errorf("names %+v", got)
		}
		changed := s.Changed()
		b.circle.claim() // somebody did it on the page
		<-changed
		says(t, s, Nothing, "")
	})
}

func TestAGiftJoinsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sd := someTicket(t)
		b := newBox(t, map[string]string{"redhen.toml": string(seed.Render(sd))})
		b.circle.block = true
		b.circle.steps = []pair.Progress{{Stage: pair.Connecting}}
		s, stop := b.start()
		says(t, s, Looking, "looking for the friend’s box")
		if !s.HasCode() || !s.Claims("abcd 2345") || s.Claims("ABCD-2346") {
			t.Error("the code of the gift card is not known")
		}
		stop() // the power goes, and comes back
		b.circle.steps = append(b.circle.steps, pair.Progress{Err: errors.New("no link")})
		s, stop = b.start()
		says(t, s, Looking, "does not answer yet")
		stop()
		b.circle.steps = append(b.circle.steps, pair.Progress{Stage: pair.Waiting, CircleName: "Hens", Inviter: "oak", Words: []pair.Word{{Picture: "x", Text: "hen"}}})
		s, stop = b.start()
		says(t, s, Waiting, "found oak of the circle Hens")
		if st := s.State(); len(st.Words) != 1 || st.Circle != "Hens" {
			t.Errorf("got %+v", st)
		}
		stop()
		b.circle.block = false
		s, stop = b.start()
		says(t, s, Nothing, "")
		if n := len(b.circle.joined); n != 1 || !b.circle.joined[0].Equal(sd) {
			t.Errorf("joined %d times", n)
		}
		noSecret(t, b, string(sd.Ticket))
		if !s.Claims("ABCD-2345") {
			t.Error("the code of the gift card is forgotten too early")
		}
		s.Received()
		stop()
		if s, stop = b.start(); s.HasCode() || s.Seed().Ticket != "" {
			t.Error("what is used up comes back at the next start")
		}
		stop()
	})
}

func TestARefusedGiftSaysWhy(t *testing.T) {
	for want, err := range map[string]error{
		"too old": &pair.Refusal{Code: pair.Expired}, "already has a box or house": &pair.Refusal{Code: pair.NameTaken},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(t, map[string]string{"redhen.toml": string(seed.Render(someTicket(t)))})
			b.circle.errs = []error{errors.New("disk is busy"), err}
			s, stop := b.start()
			defer stop()
			time.Sleep(time.Hour)
			synctest.Wait()
			says(t, s, Refused, want)
			if len(b.circle.joined) != 2 {
				t.Errorf("asked %d times, want to be refused once", len(b.circle.joined))
			}
		})
	}
}

func TestAGiftWithoutNamesDoesNotAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sd := someTicket(t)
		sd.Box = ""
		b := newBox(t, map[string]string{"redhen.toml": string(seed.Render(sd))})
		s, stop := b.start()
		defer stop()
		says(t, s, Refused, "no name for the house or the box")
	})
}

// A person may begin a circle while the box looks for its giver: it then stops looking.
func TestLookingEndsWhenSomebodyClaimsTheBox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, map[string]string{"redhen.toml": string(seed.Render(someTicket(t)))})
		b.circle.block = true
		s, stop := b.start()
		defer stop()
		b.circle.claim()
		synctest.Wait()
		says(t, s, Nothing, "")
		if s.Seed().Ticket != "" {
			t.Error("the ticket is kept")
		}
	})
}

func TestAForgottenPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, map[string]string{"redhen-reset.txt": "password: three brown hens\n"})
		b.circle.claimed, b.circle.me.Keeper = true, "b"
		b.circle.errs = []error{raftnode.ErrApart}
		s, stop := b.start()
		says(t, s, Resetting, "enough houses")
		time.Sleep(time.Minute)
		synctest.Wait()
		says(t, s, Nothing, "")
		stop()
		if got := b.circle.reset; len(got) != 2 || got[1] != "ben/three brown hens" {
			t.Errorf("got %q", got)
		}
		noSecret(t, b, "three brown hens")
		_, stop = b.start()
		stop()
		if len(b.circle.reset) != 2 {
			t.Error("set again at the next start")
		}
	})
}

func TestAForgottenPasswordIsChosenOnThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, content := range []string{"please\n", "password: password\n"} { // none, and one that everybody tries
			b := newBox(t, map[string]string{"redhen-reset.txt": content})
			b.circle.claimed, b.circle.me.Keeper = true, "a"
			b.circle.errs = []error{account.ErrWeak}
			s, stop := b.start()
			says(t, s, AskReset, "with the code")
			stop()
			s, stop = b.start() // it is still asked for after a restart
			says(t, s, AskReset, "with the code")
			b.circle.errs = nil
			if err := s.Reset(t.Context(), "five white hens"); err != nil {
				t.Error(err)
			}
			if got := b.circle.reset; len(got) == 0 || got[len(got)-1] != "anna/five white hens" {
				t.Errorf("got %q", got)
			}
			says(t, s, Nothing, "")
			stop()
		}
	})
}

// Who holds a gift in hand must not set the password of the friend who gave it, and a
// fresh box has no password to forget.
func TestARequestThatCannotBeMeant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, map[string]string{"redhen-reset.txt": "password: three brown hens\n"})
		b.circle.claimed, b.circle.me = true, roster.Box{Keeper: "a", Gift: true}
		s, stop := b.start()
		if got := s.State().Told(nil); len(b.circle.reset) != 0 || len(got) != 1 || !strings.Contains(got[0], "gift that nobody has taken") {
			t.Errorf("set %q, problems %q", b.circle.reset, got)
		}
		stop()
		b = newBox(t, map[string]string{"redhen-reset.txt": "password: three brown hens\n"})
		s, stop = b.start()
		b.circle.claim()
		synctest.Wait()
		stop()
		if s.Seed().Reset.Wanted || len(b.circle.reset) != 0 {
			t.Errorf("set %q", b.circle.reset)
		}
	})
}

// Whatever is on a card, the box runs and says what is wrong.
func TestABrokenCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, map[string]string{"redhen.toml": "house = \"Mill\nticket = 7\n", "redhen-wlan.txt": "x"})
		s, stop := b.start()
		if got := strings.Join(s.State().Told(nil), "; "); !strings.Contains(got, "redhen.toml, line 1") || !strings.Contains(got, "redhen-wlan.txt") {
			t.Errorf("got %s", got)
		}
		says(t, s, Nothing, "")
		stop()
		b.card = filepath.Join(b.card, "missing")
		s, stop = b.start()
		if got := s.State().Told(nil); len(got) != 1 {
			t.Errorf("a card that cannot be read: %q", got)
		}
		stop()
		b = newBox(t, map[string]string{"redhen.toml": "house = \"Mill Lane\"\n"})
		b.dir = filepath.Join(b.dir, "missing")
		s, stop = b.start()
		if got := s.State().Told(nil); len(got) != 1 || !strings.Contains(got[0], "could not be stored") {
			t.Errorf("a disk that cannot be written: %q", got)
		}
		stop()
	})
}

func TestWithoutACard(t *testing.T) {
	s := Open(Config{Data: seed.Path(filepath.Join(t.TempDir(), "seed.toml")), Circle: newFake()})
	if st := s.State(); st.Doing != Nothing || len(st.Problems) != 0 || s.HasCode() || s.Claims("") {
		t.Errorf("got %+v", st)
	}
}
