package fire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

// writesAlone is how many files are written where one of two houses is left.
const writesAlone = 200

// Two lets one of two houses burn: what is left is no majority of anything. People
// log in at the other house, read all and write on; its keeper gives the lost house
// up; a fresh box in a new house makes it safe again.
func Two(ctx context.Context, cfg Config) error {
	return tell(ctx, cfg, chapter{"two houses settle", (*story).settleTwo}, chapter{"one of them burns", (*story).burnOneOfTwo},
		chapter{"the other takes over", (*story).takeOver}, chapter{"a new neighbour joins", (*story).newNeighbour})
}

func (s *story) settleTwo(ctx context.Context) (err error) {
	at, bt, _, _ := houses()
	if s.a, err = child.New(ctx, s.Program, s.dir, "a"); err != nil {
		return err
	}
	if s.b, err = child.New(ctx, s.Program, s.dir, "b"); err != nil {
		return err
	}
	if err := s.redhen(ctx, s.a, password, nil, "found", "--circle", "Two Friends", "--house", at.house, "--box", at.box, "--keeper", at.keeper); err != nil {
		return err
	}
	if err := s.pair(ctx, s.a, s.b, bt); err != nil {
		return err
	}
	if err := s.redhen(ctx, s.a, password, nil, "account", "add", person); err != nil {
		return err
	}
	if err := s.awaitSafe(ctx, s.a, at.house, bt.house); err != nil {
		return err
	}
	s.seconds("two_houses_ready", time.Since(s.began))
	return nil
}

func (s *story) burnOneOfTwo(ctx context.Context) error {
	moment := 0.05 + 0.9*s.rng.Float64()
	s.figure("two_moment", fmt.Sprintf("%.2f", moment), "of the upload")
	up, err := s.startUpload(ctx, s.a)
	if err != nil {
		return err
	}
	defer up.stop()
	if err := up.await(ctx, moment); err != nil {
		return err
	}
	s.a.Kill()
	burnt := time.Now()
	up.stop()
	if err := os.RemoveAll(s.a.Dir); err != nil {
		return err
	}
	s.a = nil
	cookie, err := logIn(ctx, s.b)
	if err == nil {
		err = seesFiles(ctx, s.b, cookie)
	}
	if err != nil {
		return fmt.Errorf("log in at the house that is left: %w", err)
	}
	s.seconds("two_logged_in_at_the_other_after", time.Since(burnt))
	client := newDAV(s.b)
	if err := write(ctx, client, s.alone, "first alone.txt", nil); err != nil {
		return fmt.Errorf("first write at the house that is left: %w", err)
	}
	first := time.Since(burnt)
	s.seconds("two_first_write_answered_after", first)
	if first > firstWithin {
		return fmt.Errorf("the first write was answered after %v, want %v at most", first, firstWithin)
	}
	start := time.Now()
	if err := s.verify(ctx, s.b, s.ledger.safe()); err != nil {
		return err
	}
	for i := range writesAlone {
		if err := write(ctx, client, s.alone, fmt.Sprintf("alone %03d.txt", i), nil); err != nil {
			return fmt.Errorf("write %d at the house that is left: %w", i, err)
		}
	}
	s.seconds("two_read_all_and_wrote_200_in", time.Since(start))
	safe, burnt1 := s.ledger.counts()
	s.count("two_writes_kept_in_two_houses", safe, "writes")
	s.count("two_writes_kept_in_the_burnt_house_alone", burnt1, "writes")
	return nil
}

// firstWithin is by when a write is answered after the other house went dark, on a slow
// machine: it takes four seconds to notice, and a write waits ten at most.
const firstWithin = 15 * time.Second

// takeOver has the keeper of what is left give the lost house up.
func (s *story) takeOver(ctx context.Context) error {
	at, bt, _, _ := houses()
	start := time.Now()
	if err := s.giveUp(ctx, s.b, at.house, bt.keeper); err != nil {
		return err
	}
	s.seconds("two_taken_over_after", time.Since(start))
	if err := write(ctx, newDAV(s.b), s.alone, "after the takeover.txt", nil); err != nil {
		return err
	}
	if err := s.await(ctx, s.b, nothingWaits); err != nil {
		return err
	}
	s.seconds("two_all_decided_after", time.Since(start))
	return nil
}

func nothingWaits(r status.Report) bool {
	return !slices.ContainsFunc(r.Spaces, func(sp status.Space) bool { return sp.Waiting > 0 })
}

// newNeighbour has a fresh box join from a new house, under load.
func (s *story) newNeighbour(ctx context.Context) (err error) {
	_, bt, ct, _ := houses()
	start := time.Now()
	writes := startWriter(ctx, s.b, s.alone)
	defer writes.stop()
	if s.c, err = child.New(ctx, s.Program, s.dir, "c"); err != nil {
		return err
	}
	if err := s.pair(ctx, s.b, s.c, ct); err != nil {
		return err
	}
	if err := s.awaitCopies(ctx, s.b, bt.house, ct.house); err != nil {
		return err
	}
	writes.stop()
	if err := writes.report(s); err != nil {
		return err
	}
	if err := s.awaitSafe(ctx, s.b, bt.house, ct.house); err != nil {
		return err
	}
	s.seconds("two_safe_again_after", time.Since(start))
	for _, box := range []*child.Box{s.b, s.c} {
		if err := errors.Join(s.verify(ctx, box, s.ledger.safe()), s.verify(ctx, box, s.alone.all())); err != nil {
			return err
		}
	}
	return nil
}

// giveUp has a keeper give a house up, as soon as that house is seen to be dark.
func (s *story) giveUp(ctx context.Context, box *child.Box, house, keeper string) error {
	start := time.Now()
	for {
		err := s.redhen(ctx, box, password, nil, "takeover", house, "--keeper", keeper)
		if err == nil || time.Since(start) > pairPatience || pause(ctx, time.Second) != nil {
			return err
		}
	}
}
