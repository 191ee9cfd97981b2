package raftnode

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// The kinds of roots of the garbage collection, and the order in which they are
// read: a content goes from an upload to a write that waits, to a log, to a catalog,
// so who reads in this order misses none that moves on. A branch
// goes into journals. (A lease is looked at by package garbage itself; what comes to be
// needed later is rescued by whoever finds the chunk here.) Whatever else is to keep
// chunks belongs into this list.
const (
	rootUploads  = "uploads"
	rootBranches = "branches"
	rootJournals = "journals"
	rootLogs     = "logs"
	rootCatalogs = "catalogs"
)

// needed tells each chunk that something on this box needs; an error says that it
// is not known.
func (n *Node) needed(ctx context.Context, tell func(chunk.Hash)) error {
	forgets := ""
	if kind := n.care.forgets.Load(); kind != nil {
		forgets = *kind
	}
	return n.neededBut(ctx, forgets, tell)
}

// neededBut leaves one kind of root out, as a test does that plants a mistake.
func (n *Node) neededBut(ctx context.Context, forgets string, tell func(chunk.Hash)) error {
	of := func(kind string) func(chunk.Hash) {
		if kind == forgets {
			return func(chunk.Hash) {}
		}
		return tell
	}
	n.care.uploads.each(of(rootUploads))
	if err := n.neededByBranches(ctx, of(rootBranches)); err != nil {
		return fmt.Errorf("%s: %w", rootBranches, err)
	}
	if err := n.neededByJournals(ctx, of(rootJournals)); err != nil {
		return fmt.Errorf("%s: %w", rootJournals, err)
	}
	n.mu.Lock()
	reps := maps.Clone(n.replicas)
	n.mu.Unlock()
	delete(reps, ident.CircleShard) // it names none
	for shard, rep := range reps {
		if err := rep.neededByLog(ctx, of(rootLogs)); err != nil {
			return fmt.Errorf("%s: shard %s: %w", rootLogs, shard, err)
		}
		if err := rep.neededByCatalog(ctx, of(rootCatalogs)); err != nil {
			return fmt.Errorf("%s: shard %s: %w", rootCatalogs, shard, err)
		}
	}
	return nil
}

// walk tells each chunk of a content; its listings must be here.
func (n *Node) walk(ctx context.Context, c *manifest.Content, tell func(chunk.Hash)) error {
	if c == nil || len(c.Chunks) == 0 {
		return nil
	}
	for h, err := range manifest.Walk(ctx, *c, n.getLocal) {
		if err != nil {
			return err
		}
		tell(h)
	}
	return ctx.Err()
}

// neededByJournals tells what the unsettled writes of this box need, journaled or not.
func (n *Node) neededByJournals(ctx context.Context, tell func(chunk.Hash)) error {
	n.mu.Lock()
	spaces := maps.Clone(n.spaces)
	n.mu.Unlock()
	for _, s := range spaces {
		s.mu.Lock()
		var contents []*manifest.Content
		for _, p := range s.pending {
			contents = append(contents, p.write.Op.Content)
		}
		s.mu.Unlock()
		for _, c := range contents {
			if err := n.walk(ctx, c, tell); err != nil {
				return err
			}
		}
	}
	return nil
}

// neededByLog tells what the entries need that are not applied yet, committed or not.
func (r *replica) neededByLog(ctx context.Context, tell func(chunk.Hash)) error {
	for next := appliedIndex(r.state) + 1; ; {
		last, err := r.log.LastIndex()
		if err != nil || next > last {
			return err
		}
		entries, err := r.log.Entries(next, last+1, maxEntry)
		if err != nil {
			if applied := appliedIndex(r.state); applied >= next { // applied and cut meanwhile
				next = applied + 1
				continue
			}
			return err
		}
		for _, e := range entries {
			if err := r.n.walk(ctx, contentOf(e), tell); err != nil {
				return err
			}
		}
		next += uint64(len(entries))
	}
}

// contentOf returns what an entry puts, nil for one that puts nothing or cannot be
// read: the applier judges it.
func contentOf(e *pb.Entry) *manifest.Content {
	if e.GetType() != pb.EntryNormal {
		return nil
	}
	body, err := decodeEntry(e.GetData())
	if err != nil || body.Kind != entryWrite {
		return nil
	}
	w, err := catalog.DecodeWrite(body.Body)
	if err != nil {
		return nil
	}
	return w.Op.Content
}

// neededByCatalog tells what files, their older versions and what was removed need.
func (r *replica) neededByCatalog(ctx context.Context, tell func(chunk.Hash)) error {
	return r.n.neededByState(ctx, r.state, tell)
}

func (n *Node) neededByState(ctx context.Context, state *kv.Store, tell func(chunk.Hash)) error {
	var listed []manifest.Content // walked later: a look at the state should be short
	err := state.View(func(rd kv.Reader) error {
		for c := range (catalog.View{Reader: rd}).Contents() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			for _, h := range c.Chunks {
				tell(h)
			}
			if c.Depth > 0 {
				listed = append(listed, c)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range listed {
		if err := n.walk(ctx, &c, tell); err != nil {
			return err
		}
	}
	return nil
}

// uploads is the chunks of uploads that run: nothing else names them yet.
type uploads struct {
	mu   sync.Mutex
	held map[*upload]bool
}

// upload is one of them. It is pinned until its content is named by nobody or by a
// write: an upload may take longer than garbage waits.
type upload struct{ hs []chunk.Hash }

func (u *uploads) begin() *upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	one := &upload{}
	u.held[one] = true
	return one
}

func (u *uploads) add(one *upload, h chunk.Hash) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one.hs = append(one.hs, h)
}

func (u *uploads) end(one *upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.held, one)
}

func (u *uploads) each(tell func(chunk.Hash)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for one := range u.held {
		for _, h := range one.hs {
			tell(h)
		}
	}
}

// Why nothing may be removed now.
var (
	errNoReplica = errors.New("no replica is here")
	errUnsettled = errors.New("it is not settled what is needed")
)

// keepsAll says why no chunk may go now: a replica that is healed, apart, owes
// chunks or has no state yet; a snapshot that is on its way, from here or to here; a
// journal that could not be read.
func (n *Node) keepsAll(ctx context.Context) error {
	n.mu.Lock()
	reps := maps.Clone(n.replicas)
	for shard, err := range n.troubles {
		if errors.Is(err, ErrJournalDamaged) {
			n.mu.Unlock()
			return fmt.Errorf("shard %s: %w", shard, err)
		}
	}
	n.mu.Unlock()
	if len(reps) == 0 {
		return errNoReplica
	}
	for shard, rep := range reps {
		if why := rep.unsettled(); why != "" {
			return fmt.Errorf("%w: shard %s %s", errUnsettled, shard, why)
		}
	}
	done := make(chan error, 1)
	n.mail.put(func() { done <- n.snapshotsMove() })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unsettled says why it is not known what the replica needs, "" when it is.
func (r *replica) unsettled() string {
	r.mu.Lock()
	failed, offers := r.failed, r.snapshot != nil || r.making
	r.mu.Unlock()
	switch {
	case failed != nil:
		return "stopped"
	case appliedIndex(r.state) == 0:
		return "has no state yet"
	case r.leadless() > 0 || r.seen.Load() == nil:
		return "knows no leader"
	case r.shard != ident.CircleShard && r.debt.owes():
		return "owes chunks"
	case offers && r.shard != ident.CircleShard:
		return "offers a snapshot"
	}
	return ""
}

// snapshotsMove reports a snapshot that is on its way, or a replica that is being
// begun anew; on the loop.
func (n *Node) snapshotsMove() error {
	for shard, g := range n.groups {
		if shard != ident.CircleShard && (g.installing || g.fetching != nil || len(g.sending) > 0) {
			return fmt.Errorf("%w: a snapshot of shard %s is on its way", errUnsettled, shard)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for shard, rep := range n.replicas {
		if n.groupOf(rep) == nil {
			return fmt.Errorf("%w: shard %s is between two replicas, or two eras", errUnsettled, shard)
		}
	}
	if len(n.unbegun) > 0 {
		return fmt.Errorf("%w: %d replicas could not be made", errUnsettled, len(n.unbegun))
	}
	return nil
}
