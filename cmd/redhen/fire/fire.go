// Package fire is the scripted fire: three boxes in three houses, paired by the
// command line; while a program writes to one of them, that box is killed and its
// disk wiped; people go on at the others; a fresh box takes the dead one's place
// under load. Everything is done by real processes of this program. It prints
// figures and fails on any loss.
package fire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"redhen/cmd/redhen/child"
)

// Config says what burns.
type Config struct {
	Program string    // the path of redhen
	Out     io.Writer // gets the figures, one a line: name value unit
	Seed    uint64    // draws the files and the moment of the fire
	Files   int       // small files; at least 20
	Big     int64     // bytes of the one large file
	Keep    bool      // leave the folder with states and logs in place when it fails
}

// house is one house of the story.
type house struct{ box, house, keeper string }

const password = "a good enough password"

// story is one fire.
type story struct {
	Config
	dir    string
	rng    *rand.Rand
	source *source
	ledger *ledger
	alone  *ledger // of writes at the one house that is left
	began  time.Time

	a, b, c, d *child.Box // a burns, d takes its place; nil = not there
}

// person is an account without a box: the one whose files these are.
const person = "mia"

func houses() (a, b, c, d house) {
	return house{"hen", "Mill Lane", "anna"}, house{"finch", "Oak Street", "bela"},
		house{"wren", "Elm Road", "cleo"}, house{"phoenix", "Ash Hill", "anna"} // the keeper of the one that burns
}

// Three lets one of three houses burn.
func Three(ctx context.Context, cfg Config) error {
	return tell(ctx, cfg, chapter{"three houses settle", (*story).settle}, chapter{"one of them burns", (*story).burn},
		chapter{"a fresh box takes its place", (*story).recover})
}

// chapter is a part of a story, and what stands above it when it fails.
type chapter struct {
	title string
	do    func(*story, context.Context) error
}

// tell goes through the chapters of a story.
func tell(ctx context.Context, cfg Config, chapters ...chapter) (err error) {
	dir, err := os.MkdirTemp("", "redhen-fire-")
	if err != nil {
		return fmt.Errorf("fire: %w", err)
	}
	s := &story{Config: cfg, dir: dir, rng: rand.New(rand.NewPCG(cfg.Seed, 0xf17e)), ledger: newLedger(), alone: newLedger(), began: time.Now()}
	s.figure("fire_seed", fmt.Sprint(cfg.Seed), "seed")
	defer func() {
		s.stop()
		failed := err != nil && ctx.Err() == nil
		if failed {
			s.lastWords()
		}
		if !failed || !cfg.Keep {
			err = errors.Join(err, os.RemoveAll(dir))
			return
		}
		fmt.Fprintf(cfg.Out, "states and logs are in %s\n", dir)
	}()
	if s.source, err = makeSource(filepath.Join(dir, "source"), cfg, s.rng); err != nil {
		return err
	}
	for _, c := range chapters {
		if err := c.do(s, ctx); err != nil {
			return fmt.Errorf("seed %d: %s: %.1f s after the story began: %w", cfg.Seed, c.title, time.Since(s.began).Seconds(), err)
		}
	}
	s.seconds("fire_whole_story", time.Since(s.began))
	fmt.Fprintln(s.Out, "safe: yes")
	return nil
}

// stop ends all children.
func (s *story) stop() {
	child.StopAll(s.a, s.b, s.c, s.d)
}

// lastWords shows how the log of every box ends, of those that burnt as well.
func (s *story) lastWords() {
	logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log")) // the pattern is a good one
	for _, log := range logs {
		fmt.Fprintf(s.Out, "%s ends:\n%s\n", filepath.Base(log), child.LastWords(log, 12))
	}
}

func (s *story) figure(name, value, unit string) { fmt.Fprintln(s.Out, name, value, unit) }

func (s *story) count(name string, n int, unit string) { s.figure(name, fmt.Sprint(n), unit) }

func (s *story) seconds(name string, d time.Duration) {
	s.figure(name, fmt.Sprintf("%.2f", d.Seconds()), "s")
}

// settle founds the circle and has two friends join.
func (s *story) settle(ctx context.Context) (err error) {
	for _, one := range []struct {
		box  **child.Box
		name string
	}{{&s.a, "a"}, {&s.b, "b"}, {&s.c, "c"}} {
		if *one.box, err = child.New(ctx, s.Program, s.dir, one.name); err != nil {
			return err
		}
	}
	at, bt, ct, _ := houses()
	if err := s.redhen(ctx, s.a, password, nil, "found", "--circle", "Fire Circle", "--house", at.house, "--box", at.box, "--keeper", at.keeper); err != nil {
		return err
	}
	if err := s.pair(ctx, s.a, s.b, bt); err != nil {
		return err
	}
	if err := s.pair(ctx, s.a, s.c, ct); err != nil {
		return err
	}
	if err := s.redhen(ctx, s.a, password, nil, "account", "add", person); err != nil {
		return err
	}
	if err := s.awaitSafe(ctx, s.a, at.house, bt.house, ct.house); err != nil {
		return err
	}
	s.seconds("fire_circle_of_three_ready", time.Since(s.began))
	return nil
}

// burn writes at a until the moment of the fire, and looks at what is left.
func (s *story) burn(ctx context.Context) error {
	moment := 0.05 + 0.9*s.rng.Float64()
	s.figure("fire_moment", fmt.Sprintf("%.2f", moment), "of the upload")
	session, err := logIn(ctx, s.a)
	if err != nil {
		return err
	}
	start := time.Now()
	up, err := s.startUpload(ctx, s.a)
	if err != nil {
		return err
	}
	defer up.stop()
	if err := up.await(ctx, moment); err != nil {
		return err
	}
	reads := startReader(ctx, s.b, s.ledger, s.Seed)
	defer reads.stop()
	s.a.Kill()
	burnt := time.Now()
	up.stop()
	if err := os.RemoveAll(s.a.Dir); err != nil {
		return err
	}
	s.a = nil
	s.figure("fire_uploaded_until_then", fmt.Sprintf("%.0f", float64(up.bytes.Load())/1e6), "MB")
	s.seconds("fire_uploading_until_then", burnt.Sub(start))
	if err := s.goOn(ctx, burnt, session); err != nil {
		return err
	}
	start = time.Now()
	if err := s.verify(ctx, s.b, s.ledger.safe()); err != nil {
		return err
	}
	s.seconds("fire_all_read_at_one_box", time.Since(start))
	safe, one := s.ledger.counts()
	s.count("fire_writes_kept_in_two_houses", safe, "writes")
	s.count("fire_writes_kept_in_one_house", one, "writes")
	return reads.report(s, "fire_reads_during_the_fire")
}

// goOn is what people do right after the fire: log in elsewhere, go on with the
// session that the burnt box gave them, and write.
func (s *story) goOn(ctx context.Context, burnt time.Time, session *http.Cookie) error {
	var login, page time.Duration
	var group errgroup.Group
	group.Go(func() error {
		cookie, err := logIn(ctx, s.c) // nobody has logged in there before
		login = time.Since(burnt)
		return errors.Join(err, seesFiles(ctx, s.c, cookie))
	})
	group.Go(func() error {
		err := seesFiles(ctx, s.b, session)
		page = time.Since(burnt)
		return err
	})
	at, kept, err := firstWrite(ctx, newDAV(s.b), s.ledger, burnt)
	if err := errors.Join(err, group.Wait()); err != nil {
		return err
	}
	s.seconds("fire_logged_in_elsewhere_after", login)
	s.seconds("fire_old_session_served_after", page)
	s.seconds("fire_first_write_answered_after", at)
	s.seconds("fire_first_write_in_two_houses_after", kept)
	return nil
}

// recover has a fresh box take the burnt one's place while everything is in use.
func (s *story) recover(ctx context.Context) (err error) {
	began := time.Now()
	_, bt, ct, dt := houses()
	up, err := s.startUpload(ctx, s.b) // the rest of the files
	if err != nil {
		return err
	}
	defer up.stop()
	reads := startReader(ctx, s.c, s.ledger, s.Seed)
	defer reads.stop()
	writes := startWriter(ctx, s.b, s.ledger)
	defer writes.stop()
	if s.d, err = child.New(ctx, s.Program, s.dir, "d"); err != nil {
		return err
	}
	if err := s.pair(ctx, s.b, s.d, dt); err != nil {
		return err
	}
	s.seconds("fire_fresh_box_joined_after", time.Since(began))
	start := time.Now()
	if err := s.replace(ctx); err != nil {
		return err
	}
	if err := up.wait(ctx); err != nil {
		return err
	}
	s.seconds("fire_rest_uploaded_after", time.Since(start))
	if err := s.awaitCopies(ctx, s.b, bt.house, ct.house, dt.house); err != nil {
		return err
	}
	s.seconds("fire_replaced_under_load_after", time.Since(start))
	writes.stop()
	if err := errors.Join(writes.report(s), reads.report(s, "fire_reads_during_replacement")); err != nil {
		return err
	}
	if err := s.awaitSafe(ctx, s.b, bt.house, ct.house, dt.house); err != nil {
		return err
	}
	s.seconds("fire_safe_again_after", time.Since(start))
	start = time.Now()
	for _, p := range s.source.paths {
		s.ledger.expect(p, s.source.sums[p]) // every file is there by now, whatever was answered
	}
	for _, box := range []*child.Box{s.b, s.c, s.d} {
		if err := s.verify(ctx, box, s.ledger.safe()); err != nil {
			return err
		}
	}
	s.seconds("fire_all_read_at_three_boxes", time.Since(start))
	return nil
}

// replace has two keepers say what happened.
func (s *story) replace(ctx context.Context) error {
	a, b, c, d := houses()
	if err := s.redhen(ctx, s.b, password, nil, "replace", a.box, d.box, "--confirm", a.house, "--keeper", b.keeper); err != nil {
		return err
	}
	return s.redhen(ctx, s.c, password, nil, "replace", a.box, d.box, "--confirm", a.house, "--keeper", c.keeper)
}
