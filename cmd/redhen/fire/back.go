package fire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"redhen/appliance/api"
	"redhen/cmd/redhen/child"
)

// apartWrites is how many files each of two houses writes without the other.
const apartWrites = 20

// Back is the story of two houses that write without each other, one of which is
// taken for lost and comes back: nothing that either wrote is lost.
func Back(ctx context.Context, cfg Config) error {
	return tell(ctx, cfg, chapter{"two houses settle", (*story).settleTwo}, chapter{"each writes alone", (*story).writeApart},
		chapter{"one takes over", (*story).takeOver}, chapter{"the other comes home", (*story).comeHome})
}

// writeApart has each house write while the other is down: files of its own, and some
// under the same names.
func (s *story) writeApart(ctx context.Context) (err error) {
	if err := write(ctx, newDAV(s.a), s.ledger, "before.txt", nil); err != nil {
		return err
	}
	if err := s.await(ctx, s.a, nothingWaits); err != nil {
		return err
	}
	s.b.Kill()
	start := time.Now()
	if err := s.writeBoth(ctx, s.a, "hen"); err != nil {
		return err
	}
	s.a.Kill()
	if s.b, err = child.Start(ctx, s.b.Config); err != nil {
		return err
	}
	if err := s.writeBoth(ctx, s.b, "finch"); err != nil {
		return err
	}
	s.seconds("back_both_wrote_alone_in", time.Since(start))
	return nil
}

func (s *story) writeBoth(ctx context.Context, box *child.Box, by string) error {
	client := newDAV(box)
	for i := range apartWrites {
		if err := write(ctx, client, s.alone, fmt.Sprintf("%s %03d.txt", by, i), nil); err != nil {
			return err
		}
		body := sharedText(by, i)
		if _, err := client.put(ctx, fmt.Sprintf("both %03d.txt", i), strings.NewReader(body)); err != nil {
			return err
		}
	}
	return nil
}

func sharedText(by string, i int) string { return fmt.Sprintf("%s wrote this, the %dth", by, i) }

// comeHome starts the lost box again; it asks to come home and is let in.
func (s *story) comeHome(ctx context.Context) (err error) {
	at, bt, _, _ := houses()
	start := time.Now()
	if s.a, err = child.Start(ctx, s.a.Config); err != nil {
		return err
	}
	if err := s.verify(ctx, s.a, s.ledger.safe()); err != nil {
		return err
	}
	if err := s.awaitReturn(ctx, at.box); err != nil {
		return err
	}
	s.seconds("back_asked_to_come_home_after", time.Since(start))
	if err := s.redhen(ctx, s.b, "", nil, "invite", "--approve", at.box); err != nil {
		return err
	}
	if err := s.awaitSafe(ctx, s.b, at.house, bt.house); err != nil {
		return err
	}
	s.seconds("back_safe_again_after", time.Since(start))
	for _, box := range []*child.Box{s.a, s.b} {
		if err := errors.Join(s.verify(ctx, box, s.ledger.safe()), s.verify(ctx, box, s.alone.all())); err != nil {
			return err
		}
	}
	return s.bothAreThere(ctx)
}

// awaitReturn waits until the box asks to be let in.
func (s *story) awaitReturn(ctx context.Context, name string) error {
	ctx, end := context.WithTimeout(ctx, safePatience)
	defer end()
	for {
		var inv api.Invites
		err := s.redhen(ctx, s.b, "", &inv, "invite", "--pending")
		if slices.ContainsFunc(inv.Waiting, func(w api.Waiting) bool { return w.Box == name && w.Back }) {
			return nil
		}
		if pause(ctx, lookEvery) != nil {
			return fmt.Errorf("%s never asked to come home: %w", name, errors.Join(ctx.Err(), err))
		}
	}
}

// bothAreThere looks for what both houses wrote under the same names: one bears the
// name, the other stands beside it.
func (s *story) bothAreThere(ctx context.Context) error {
	at, bt, _, _ := houses()
	client := newDAV(s.a)
	var lost []error
	for i := range apartWrites {
		texts := map[sum]bool{}
		names := []string{fmt.Sprintf("both %03d.txt", i)}
		for _, day := range []time.Time{s.began, time.Now()} { // midnight may have passed
			names = append(names, besideName(i, at.house, day), besideName(i, bt.house, day))
		}
		for _, name := range names {
			if got, err := client.get(ctx, name); err == nil {
				texts[got] = true
			}
		}
		for _, by := range []string{"hen", "finch"} {
			if !texts[sha256.Sum256([]byte(sharedText(by, i)))] {
				lost = append(lost, fmt.Errorf("what %s wrote to both %03d.txt is nowhere", by, i))
			}
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("LOST: %w", errors.Join(lost[:min(len(lost), 5)]...))
	}
	s.count("back_same_names_side_by_side", apartWrites, "pairs")
	return nil
}

// besideName is what a file is called that stands beside its rival, written on a day.
func besideName(i int, house string, day time.Time) string {
	return fmt.Sprintf("both %03d (kept at %s, %s).txt", i, house, day.UTC().Format("2 Jan"))
}
