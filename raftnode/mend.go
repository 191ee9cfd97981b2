package raftnode

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// ErrStateRotten says that a state file has rotted on the disk while no other house
// that has it is in reach: it is used as far as it goes, and fetched again when one is.
var ErrStateRotten = errors.New("the state file has rotted, and no other house has it now")

const (
	mendFor   = time.Minute     // a chunk that has rotted is fetched so long before it counts as owed
	mendAfter = 2 * time.Second // who found it by reading fetches it first
)

// lostCall asks for what was found damaged to be mended; left is told what could not be had.
type lostCall struct{ left chan<- int }

// keepMending mends what anybody finds damaged, until ctx ends.
func (n *Node) keepMending(ctx context.Context) error {
	left := map[chunk.Hash]bool{}
	for {
		var call lostCall
		select {
		case <-ctx.Done():
			return nil
		case <-n.cfg.Chunks.Lost():
			select {
			case <-time.After(mendAfter):
			case call = <-n.care.lost:
			case <-ctx.Done():
				return nil
			}
		case call = <-n.care.lost:
		}
		for _, h := range n.mendAll(ctx, n.cfg.Chunks.TakeLost()) {
			left[h] = true
		}
		maps.DeleteFunc(left, func(h chunk.Hash, _ bool) bool { return n.cfg.Chunks.Has(h) })
		if call.left != nil {
			call.left <- len(left)
		}
	}
}

// mendLost has everything mended that was found damaged so far, and returns how
// many chunks could not be had since the start.
func (n *Node) mendLost(ctx context.Context) int {
	left := make(chan int, 1)
	select {
	case n.care.lost <- lostCall{left}:
	case <-ctx.Done():
		return 0
	}
	select {
	case n := <-left:
		return n
	case <-ctx.Done():
		return 0
	}
}

// mendAll fetches chunks that have rotted from other houses. What nothing here
// needs is let go; what cannot be had is owed from now on, and returned.
func (n *Node) mendAll(ctx context.Context, lost []chunk.Hash) (left []chunk.Hash) {
	if len(lost) == 0 {
		return nil
	}
	n.mu.Lock()
	reps := maps.Clone(n.replicas)
	n.mu.Unlock()
	for shard, rep := range reps {
		if shard == ident.CircleShard || rep.failure() != nil {
			continue
		}
		mine := rep.neededOf(ctx, lost)
		if len(mine) == 0 {
			continue
		}
		missing := slices.DeleteFunc(slices.Clone(mine), n.cfg.Chunks.Has)
		try, end := context.WithTimeout(ctx, mendFor)
		err := n.bring(try, n.sources(shard, nil), missing)
		end()
		still := slices.DeleteFunc(missing, n.cfg.Chunks.Has)
		n.mended(shard, mends{chunks: len(missing) - len(still)})
		if err != nil || len(still) > 0 {
			n.log.Warn("mend chunks", "shard", shard, "chunks", len(still), "err", err)
			rep.debt.doubt()
			left = append(left, still...)
		}
	}
	return left
}

// neededOf returns those of the chunks that the state here needs. A listing that is
// lost itself hides what it lists: that is found when it is back (see debt).
func (r *replica) neededOf(ctx context.Context, lost []chunk.Hash) (needed []chunk.Hash) {
	wanted := map[chunk.Hash]bool{}
	for _, h := range lost {
		wanted[h] = true
	}
	take := func(h chunk.Hash) {
		if wanted[h] {
			needed = append(needed, h)
			delete(wanted, h)
		}
	}
	var listed []manifest.Content
	err := r.state.View(func(rd kv.Reader) error {
		for c := range (catalog.View{Reader: rd}).Contents() {
			for _, h := range c.Chunks {
				take(h)
			}
			if c.Depth > 0 {
				listed = append(listed, c)
			}
		}
		return nil
	})
	if err != nil {
		r.n.trouble(r.shard, err)
	}
	for _, c := range listed {
		for h, err := range manifest.Walk(ctx, c, r.n.getLocal) {
			if err == nil {
				take(h)
			}
		}
	}
	return needed
}

// checkLists verifies the state files of this box, and looks for chunks that they
// name and that are not here, as at the beginning of a scrub.
func (n *Node) checkLists(ctx context.Context) (read, bad int) {
	n.mu.Lock()
	reps := maps.Clone(n.replicas)
	n.mu.Unlock()
	for _, shard := range slices.Sorted(maps.Keys(reps)) {
		rep := reps[shard]
		if rep.failure() != nil {
			continue
		}
		read++
		if err := rep.check(ctx); err != nil && ctx.Err() == nil {
			bad++
			continue
		}
		if shard != ident.CircleShard {
			rep.debt.audit(ctx)
		}
	}
	return read, bad
}

// check verifies the state file. A bad one is fetched again from another house,
// which must be there: else this one may be the best that there is.
func (r *replica) check(ctx context.Context) error {
	err := r.state.Check(ctx)
	switch {
	case err == nil:
		r.n.overcome(r.shard, ErrStateRotten)
		return nil
	case !errors.Is(err, kv.ErrDamaged):
		r.n.log.Warn("check state", "shard", r.shard, "err", err)
		return err
	}
	if !r.n.anyHeard(r.n.keepersOf(r.shard)) {
		r.n.trouble(r.shard, fmt.Errorf("%w: %w", ErrStateRotten, err))
		return err
	}
	r.fail(err)
	return err
}

// overcome forgets a trouble of one kind.
func (n *Node) overcome(shard ident.ShardID, kind error) {
	n.mu.Lock()
	known := n.troubles[shard]
	n.mu.Unlock()
	if errors.Is(known, kind) {
		n.trouble(shard, nil)
	}
}

// anyHeard reports whether one of the boxes was heard lately.
func (n *Node) anyHeard(boxes []ident.BoxID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(boxes, func(b ident.BoxID) bool {
		return b != n.cfg.Box && n.now().Sub(n.heard[b]) < beatMissing
	})
}

// audit looks whether everything is here that the state names, and has fetched
// what is not. Unlike a rescan it leaves the replica whole until something is missing.
func (d *debt) audit(ctx context.Context) {
	var contents []manifest.Content
	err := d.rep.state.View(func(r kv.Reader) error {
		for c := range (catalog.View{Reader: r}).Contents() {
			if len(c.Chunks) > 0 {
				contents = append(contents, c)
			}
		}
		return nil
	})
	if err != nil {
		d.rep.n.trouble(d.rep.shard, err)
		return
	}
	for _, c := range contents {
		if ctx.Err() != nil {
			return
		}
		if !d.rep.n.isHere(ctx, c) {
			d.doubt()
			return
		}
	}
}

// doubt has everything looked at again, and the leader told that chunks may be missing.
func (d *debt) doubt() {
	d.rescan()
	d.rep.n.mail.put(func() { d.rep.n.tellWhole(d.rep) })
}

// isHere reports whether all chunks of a content are here.
func (n *Node) isHere(ctx context.Context, c manifest.Content) bool {
	for h, err := range manifest.Walk(ctx, c, n.getLocal) {
		if err != nil || !n.cfg.Chunks.Has(h) {
			return false
		}
	}
	return true
}
