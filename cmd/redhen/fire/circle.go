package fire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

// Patience of the story, for slow machines.
const (
	pairPatience = 3 * time.Minute
	safePatience = 10 * time.Minute
	lookEvery    = 200 * time.Millisecond
)

// redhen runs a command on a box; into gets what it shows, unless nil.
func (s *story) redhen(ctx context.Context, box *child.Box, input string, into any, args ...string) error {
	ctx, end := context.WithTimeout(ctx, safePatience)
	defer end()
	out, err := child.Command(ctx, s.Program, box.Dir, input+"\n", args...)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("redhen %s: %w", args[0], err)
	}
	return nil
}

// pair brings the fresh box in, as two people at two keyboards do.
func (s *story) pair(ctx context.Context, inviter, fresh *child.Box, as house) error {
	ctx, end := context.WithTimeout(ctx, pairPatience)
	defer end()
	var t api.Ticket
	if err := s.redhen(ctx, inviter, "", &t, "invite", "box"); err != nil {
		return err
	}
	joined := make(chan error, 1)
	var steps []byte
	go func() { // ends with the command
		var err error
		steps, err = child.Command(ctx, s.Program, fresh.Dir, password+"\n",
			"join", t.Text, "--house", as.house, "--box", as.box, "--keeper", as.keeper)
		joined <- err
	}()
	words, err := s.approve(ctx, inviter, as.box)
	if err != nil {
		end()
		return errors.Join(err, <-joined)
	}
	if err := <-joined; err != nil {
		return err
	}
	return sameWords(steps, words)
}

// approve waits until the box asks, and lets it in.
func (s *story) approve(ctx context.Context, inviter *child.Box, name string) ([]api.Word, error) {
	for {
		var inv api.Invites
		if err := s.redhen(ctx, inviter, "", &inv, "invite", "--pending"); err != nil {
			return nil, err
		}
		for _, w := range inv.Waiting {
			if w.Box == name {
				return w.Words, s.redhen(ctx, inviter, "", nil, "invite", "--approve", name)
			}
		}
		if err := pause(ctx, lookEvery); err != nil {
			return nil, fmt.Errorf("%s did not ask to join within %v: %w", name, pairPatience, err)
		}
	}
}

// sameWords checks that the joining side showed the same words.
func sameWords(steps []byte, words []api.Word) error {
	for lines := json.NewDecoder(bytes.NewReader(steps)); ; {
		var step api.Step
		err := lines.Decode(&step)
		if errors.Is(err, io.EOF) {
			return errors.New("the joining box showed no words")
		}
		if err != nil {
			return fmt.Errorf("read what join showed: %w", err)
		}
		if step.Stage == api.StageWaiting {
			if !slices.Equal(step.Words, words) || len(words) != 4 {
				return fmt.Errorf("the boxes showed different words: %v and %v", step.Words, words)
			}
			return nil
		}
	}
}

// awaitSafe waits until the box says that everything is safe, in these houses.
func (s *story) awaitSafe(ctx context.Context, box *child.Box, houses ...string) error {
	return s.await(ctx, box, func(r status.Report) bool { return r.Safe == status.Yes && everywhere(r, houses) })
}

// awaitCopies waits until everything is complete in these houses, as far as writes
// that are under way this moment let it.
func (s *story) awaitCopies(ctx context.Context, box *child.Box, houses ...string) error {
	return s.await(ctx, box, func(r status.Report) bool { return everywhere(r, houses) })
}

func (s *story) await(ctx context.Context, box *child.Box, enough func(status.Report) bool) error {
	ctx, end := context.WithTimeout(ctx, safePatience)
	defer end()
	var last status.Report
	for {
		var now status.Report // fresh: decoding leaves what the JSON omits as it was
		err := s.redhen(ctx, box, "", &now, "status")
		if err == nil && enough(now) {
			return nil
		}
		if err == nil {
			last = now
		}
		if pause(ctx, lookEvery) != nil {
			return fmt.Errorf("not as it should be within %v at %s: %w\n%s", safePatience, box.Dir, errors.Join(ctx.Err(), err), child.Tell(last))
		}
	}
}

// everywhere reports whether the circle is these houses, each has every space, and
// no write is kept in one house only.
func everywhere(r status.Report, houses []string) bool {
	for _, sp := range r.Spaces {
		if sp.Waiting > 0 {
			return false
		}
		for _, h := range houses {
			if !slices.Contains(sp.Houses, h) {
				return false
			}
		}
	}
	return len(r.Houses) == len(houses) && len(r.Spaces) > len(houses)
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
