package raftnodetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode"
	"redhen/raftnode/catalog"
)

// named returns the boxes that a command names.
func (s *script) named(l line) []*Box {
	if l.arg(0) == "all" {
		return s.c.All()
	}
	var boxes []*Box
	for _, name := range l.words[1:] {
		boxes = append(boxes, s.c.Box(name))
	}
	return boxes
}

func (s *script) partition(_ context.Context, l line) error {
	var group []ident.BoxID
	for _, b := range s.named(l) {
		group = append(group, b.Key.BoxID())
	}
	s.c.Mesh.Partition(group)
	return nil
}

func (s *script) cut(_ context.Context, l line) error {
	s.c.Mesh.Cut(s.c.Box(l.arg(0)).Key.BoxID(), s.c.Box(l.arg(1)).Key.BoxID())
	return nil
}

func (s *script) heal(context.Context, line) error {
	s.c.Mesh.Heal()
	return nil
}

func (s *script) crash(_ context.Context, l line) error {
	for _, b := range s.named(l) {
		b.Crash()
	}
	return nil
}

func (s *script) restart(_ context.Context, l line) error {
	for _, b := range s.named(l) {
		if b.Node != nil {
			continue
		}
		if err := b.Start(); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) stop(_ context.Context, l line) error {
	for _, b := range s.named(l) {
		b.Stop()
	}
	return nil
}

func (s *script) burn(_ context.Context, l line) error { return s.c.Box(l.arg(0)).Burn() }

func (s *script) gone(ctx context.Context, l line) error {
	var replacement ident.BoxID
	if name := l.opts["replacement"]; name != "" {
		replacement = s.c.Box(name).Key.BoxID()
	}
	return s.c.Gone(ctx, l.arg(0), replacement)
}

// takeover has a box go on without those that are down.
func (s *script) takeover(ctx context.Context, l line) error {
	return s.c.TakeOver(ctx, l.arg(0))
}

func (s *script) home(ctx context.Context, l line) error { return s.c.Home(ctx, l.arg(0)) }

func (s *script) giveWay(ctx context.Context, l line) error { return s.c.GiveWay(ctx, l.arg(0)) }

func (s *script) replace(ctx context.Context, l line) error {
	d, err := s.c.Add(ctx, l.arg(1), l.opts["house"])
	if err != nil {
		return err
	}
	return s.c.Gone(ctx, l.arg(0), d.Key.BoxID())
}

func (s *script) compact(ctx context.Context, l line) error {
	b, space := s.where(l)
	return s.until(ctx, l, func() (bool, error) {
		first, err := b.Log.Shard(space).FirstIndex()
		return first > 2, err
	})
}

// snapshot tells whether the state of a space was sent as a whole since the start.
func (s *script) snapshot(_ context.Context, l line) error {
	sent := 0
	for _, said := range s.c.Said.Of("", "sending snapshot") {
		if strings.Contains(said.Attrs, fmt.Sprintf("shard=%s ", SpaceID(l.arg(0)))) {
			sent++
		}
	}
	if sent == 0 {
		s.say("none was sent")
	} else {
		s.say("sent")
	}
	return nil
}

// load puts small files one after the other until load-end, or so many.
func (s *script) load(ctx context.Context, l line) error {
	name, b, space := l.arg(0), s.c.Box(l.arg(1)), SpaceID(l.arg(2))
	every, err := time.ParseDuration(l.opts["every"])
	if err != nil {
		return err
	}
	ld := &load{stop: make(chan struct{}), done: make(chan written, 1), count: l.num("count")}
	s.loads[name] = ld
	go func() { // ends with load-end
		var w written
		for ld.count == 0 || w.files < ld.count {
			select {
			case <-ld.stop:
				ld.done <- w
				return
			case <-time.After(every):
			}
			file := fmt.Sprintf("%s-%03d", name, w.files)
			out, kept, err := b.Put(s.t.Context(), space, file, []byte(file))
			if err != nil || out.Status != catalog.Done {
				w.failed = append(w.failed, fmt.Sprintf("%s %v %v", file, out.Status, err))
			}
			w.files++
			if kept >= 2 {
				w.far++
			}
		}
		ld.done <- w
	}()
	return nil
}

// loadEnd ends a load, or waits until it has written what it was to. In how many houses
// its files were kept is not said of one that some of the houses may miss for seconds:
// an election takes four to eight, and now and then twice that.
func (s *script) loadEnd(_ context.Context, l line) error {
	ld := s.loads[l.arg(0)]
	if ld.count == 0 {
		close(ld.stop)
	}
	w := <-ld.done
	switch {
	case len(w.failed) > 0:
		s.say("%d written, %d kept in 2 houses or more, failed: %v", w.files, w.far, w.failed)
	case l.arg(1) == "anywhere":
		s.say("all kept")
	case w.files == w.far:
		s.say("all kept in 2 houses or more")
	default:
		s.say("all kept, some in 1 house only")
	}
	return nil
}

// until waits for a condition in simulated time.
func (s *script) until(ctx context.Context, l line, ok func() (bool, error)) error {
	for {
		good, err := ok()
		if good && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not in time: %s (%v)", strings.Join(l.words, " "), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// wait waits for a time, or until all is as it says.
func (s *script) wait(ctx context.Context, l line) error {
	if d, err := time.ParseDuration(l.arg(0)); err == nil {
		time.Sleep(d) // simulated
		return nil
	}
	space := SpaceID(l.arg(1))
	if l.arg(1) == "circle" {
		space = ident.CircleShard
	}
	checks := map[string]func() (bool, error){
		// SPACE BOX…: exactly these vote
		"voters": func() (bool, error) { return s.c.Voters(ctx, space, l.words[3:]...) },
		// SPACE BOX…: exactly these hold a replica
		"replicas": func() (bool, error) { return s.c.Holders(ctx, space, l.words[3:]...) },
		// SPACE: every replica is up to date and whole
		"complete": func() (bool, error) { return s.c.Complete(ctx, space) },
		// SPACE: the states of all replicas are equal
		"same": func() (bool, error) { return s.c.Same(space) },
		// SPACE: no box has an unsettled write
		"settled": func() (bool, error) { return s.c.Settled(ctx, space) },
		// SPACE: it sleeps at every box
		"asleep": func() (bool, error) { return s.c.Asleep(ctx, space) },
		// SPACE BOX: the box leads it
		"leads": func() (bool, error) { return s.c.Leads(ctx, space, l.arg(2)) },
		// BOX: no branch waits there to come home
		"branches": func() (bool, error) {
			left, err := filepath.Glob(filepath.Join(s.c.Box(l.arg(1)).dir, "shards", "*.branch"))
			return len(left) == 0, err
		},
		// SPACE BOX…: one of them leads it, and all of them know; the others may think what they like
		"led": func() (bool, error) { return s.c.Led(ctx, space, l.words[3:]...) },
		// SPACE BOX: the box knows that it is apart
		"apart": func() (bool, error) { return s.c.Apart(ctx, space, l.arg(2)) },
	}
	check := checks[l.arg(0)]
	if check == nil {
		return errors.New("unknown condition")
	}
	return s.until(ctx, l, check)
}

// status prints what a box says of itself and of its spaces.
func (s *script) status(ctx context.Context, l line) error {
	b := s.c.Box(l.arg(0))
	st, err := b.Node.Status(ctx)
	if err != nil {
		return err
	}
	var silent []string
	for _, o := range st.Boxes {
		if !o.Alive {
			silent = append(silent, s.c.Named(o.Box))
		}
	}
	slices.Sort(silent)
	if len(silent) > 0 {
		s.say("silent: %s", strings.Join(silent, ", "))
	}
	for _, sh := range st.Shards {
		s.say("%s", s.c.Sentence(sh))
	}
	return nil
}

// Sentence is a shard's status in one line that does not depend on who leads.
func (c *Circle) Sentence(sh raftnode.ShardStatus) string {
	var voters, learners []string
	for _, m := range sh.Members {
		if m.Voter {
			voters = append(voters, c.Named(m.Box))
		} else {
			learners = append(learners, c.Named(m.Box))
		}
	}
	slices.Sort(voters)
	slices.Sort(learners)
	name := "space"
	if sh.Shard == ident.CircleShard {
		name = "circle"
	}
	parts := []string{fmt.Sprintf("%s: voters %s", name, strings.Join(voters, " "))}
	add := func(yes bool, format string, args ...any) {
		if yes {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(len(learners) > 0, "learners %s", strings.Join(learners, " "))
	add(sh.Apart, "apart")
	add(sh.Owes, "owes chunks")
	add(sh.Pending > 0, "%d on their way", sh.Pending)
	add(sh.Failed != "", "stopped: %s", sh.Failed)
	add(sh.Trouble != "", "trouble: %s", sh.Trouble)
	add(sh.Mended > 0, "mended %d", sh.Mended)
	return strings.Join(parts, ", ")
}
