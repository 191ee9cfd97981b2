package fire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

// Both is the story of two houses that give each other up: each goes on alone, until
// they meet and a person picks the one that goes on for both. Nothing that either wrote
// is lost.
func Both(ctx context.Context, cfg Config) error {
	return tell(ctx, cfg, chapter{"two houses settle", (*story).settleTwo}, chapter{"each writes alone", (*story).writeApart},
		chapter{"one takes over", (*story).takeOver}, chapter{"the other takes over, too", (*story).takeOverToo},
		chapter{"one side is picked", (*story).pickOne})
}

// takeOverToo has the other house do the same.
func (s *story) takeOverToo(ctx context.Context) (err error) {
	at, bt, _, _ := houses()
	s.b.Kill()
	if s.a, err = child.Start(ctx, s.a.Config); err != nil {
		return err
	}
	if err := s.giveUp(ctx, s.a, bt.house, at.keeper); err != nil {
		return err
	}
	if err := write(ctx, newDAV(s.a), s.alone, "after the other takeover.txt", nil); err != nil {
		return err
	}
	s.b, err = child.Start(ctx, s.b.Config)
	return err
}

// pickOne waits until both boxes know of each other, and picks the side of one of them.
func (s *story) pickOne(ctx context.Context) error {
	at, bt, _, _ := houses()
	start := time.Now()
	for _, box := range []*child.Box{s.a, s.b} {
		if err := s.await(ctx, box, func(r status.Report) bool {
			return slices.ContainsFunc(r.Faults, func(f status.Fault) bool { return f.Code == status.CodeParted })
		}); err != nil {
			return fmt.Errorf("the two sides have not met: %w", err)
		}
	}
	s.seconds("both_met_after", time.Since(start))
	start = time.Now()
	if err := s.redhen(ctx, s.a, password, nil, "takeover", "--keep", bt.house, "--keeper", at.keeper); err != nil {
		return err
	}
	for _, box := range []*child.Box{s.b, s.a} {
		if err := s.awaitSafe(ctx, box, at.house, bt.house); err != nil {
			return err
		}
		if err := s.await(ctx, box, nothingWaits); err != nil {
			return err
		}
	}
	s.seconds("both_safe_again_after", time.Since(start))
	for _, box := range []*child.Box{s.a, s.b} {
		if err := errors.Join(s.verify(ctx, box, s.ledger.safe()), s.verify(ctx, box, s.alone.all())); err != nil {
			return err
		}
	}
	return s.bothAreThere(ctx)
}
