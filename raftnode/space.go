package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/journal"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// ErrNoSpace says that the circle has no such space.
var ErrNoSpace = errors.New("no such space")

// Space is one space as this box gives it to people: reads from the nearest
// replica, and one path for every write. Its methods are safe for concurrent use.
type Space struct {
	n  *Node
	id ident.ShardID

	mu      sync.Mutex // guards what follows
	seq     uint64
	pending []*pending // accepted or on their way, in order
	journal *journal.Journal
	change  chan struct{}
	seen    uint64          // index up to which readers here were answered without a replica here
	recent  []catalog.Write // the last ones settled while no replica was here
	slots   chan struct{}   // bounds the writes that are sent side by side
	closed  bool            // the Node has ended: nothing is accepted any more
	seeing  []catalog.Write // what visible returned last; nil: to be gathered. Never changed, only replaced

	keeping sync.Mutex // held while writes go to the journal, and while it is opened and closed; before mu
	shown   shown
}

// Space returns the space of an ID, also while this box knows nothing of it yet.
func (n *Node) Space(id ident.ShardID) *Space {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.spaces[id]
	if s == nil {
		s = &Space{n: n, id: id, change: make(chan struct{}), slots: make(chan struct{}, settleTogether), closed: n.ended}
		n.spaces[id] = s
	}
	return s
}

// Changed returns a channel that is closed at the next change that this box sees.
func (s *Space) Changed() <-chan struct{} {
	if rep := s.n.replica(s.id); rep != nil {
		return rep.changes()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change
}

func (s *Space) changed() {
	if rep := s.n.replica(s.id); rep != nil {
		rep.changed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.change)
	s.change = make(chan struct{})
}

// view shows the state here with this box's unsettled writes on top, each once.
func (s *Space) view(rep *replica, fn func(catalog.View) error) error {
	ws := s.visible()
	return rep.state.ViewAt(func(r kv.Reader, applied uint64) error {
		if len(ws) == 0 {
			s.shown.forget()
			return fn(catalog.View{Reader: r})
		}
		layer, err := s.shown.over(rep, r, applied, ws)
		if err != nil {
			return err
		}
		return fn(catalog.View{Reader: layer})
	})
}

// viewWith shows the state of a replica with writes on top that it may not have yet.
func viewWith(rep *replica, ws []catalog.Write, fn func(catalog.View) error) error {
	return rep.state.ViewAt(func(r kv.Reader, applied uint64) error {
		layer := kv.NewLayer(r)
		if _, err := overlay(layer, applied, ws); err != nil {
			return err
		}
		return fn(catalog.View{Reader: layer})
	})
}

// overlay applies writes to a layer. One that builds on another which comes later
// in the list, as may be after a restart, is tried again behind it. It returns how
// many found nothing to build on.
func overlay(layer *kv.Layer, index uint64, ws []catalog.Write) (left int, err error) {
	for progress := true; progress && len(ws) > 0; {
		var again []catalog.Write
		for _, w := range ws {
			index++
			out, err := catalog.Apply(layer, index, w, nil)
			if err != nil {
				return 0, err
			}
			if out.Status == catalog.Unresolved {
				again = append(again, w)
			}
		}
		progress = len(again) < len(ws)
		ws = again
	}
	return len(ws), nil
}

// here returns the replica of this box that can answer, nil when there is none:
// none held, stopped, still without its first state, or behind what readers here
// have seen already.
func (s *Space) here() *replica {
	rep := s.n.replica(s.id)
	if rep == nil || rep.failure() != nil {
		return nil
	}
	s.mu.Lock()
	seen := s.seen
	s.mu.Unlock()
	if index := appliedIndex(rep.state); index == 0 || index < seen {
		return nil
	}
	return rep
}

// Upload stores what r gives as chunks here, and begins to bring them to the
// houses that vote. Memory is bounded, whatever the size. Nothing refers to the
// content until a Write does.
func (s *Space) Upload(ctx context.Context, r io.Reader) (manifest.Content, error) {
	if err := s.n.cfg.Chunks.Spare(0); err != nil { // a small one would need no chunk
		return manifest.Content{}, fmt.Errorf("upload: %w", err)
	}
	ahead := s.n.pushAhead(s.id)
	defer ahead.stop()
	pins := &s.n.care.uploads
	pin := pins.begin()
	defer pins.end(pin)
	c, err := manifest.Build(ctx, r, func(_ context.Context, b []byte) (chunk.Hash, error) {
		h, err := s.n.cfg.Chunks.Put(b)
		if err == nil {
			pins.add(pin, h)
			ahead.add(h)
		}
		return h, err
	})
	if err != nil {
		return manifest.Content{}, fmt.Errorf("upload: %w", err)
	}
	return c, nil
}

// Open reads a content: from the chunks here, each missing or damaged one from
// another house, which also mends it here.
func (s *Space) Open(ctx context.Context, c manifest.Content) *manifest.Reader {
	return manifest.Open(ctx, c, s.get)
}

func (s *Space) get(ctx context.Context, h chunk.Hash) ([]byte, error) {
	b, err := s.n.cfg.Chunks.Get(h)
	if err == nil {
		return b, nil
	}
	damaged := errors.Is(err, chunk.ErrDamaged)
	if !damaged && !errors.Is(err, chunk.ErrMissing) {
		return nil, err
	}
	from := s.n.sources(s.id, nil)
	b, fetchErr := s.n.exchange.Get(ctx, from, h)
	if fetchErr != nil {
		return nil, fmt.Errorf("%w; elsewhere: %w", err, fetchErr)
	}
	if damaged || s.n.replica(s.id) != nil {
		if err := s.n.cfg.Chunks.PutNamed(h, b); err != nil {
			s.n.log.Warn("mend chunk", "chunk", h, "err", err)
		} else if damaged {
			s.n.mended(s.id, mends{chunks: 1})
		}
	}
	return b, nil
}

// openJournal opens the space's journal, creating it.
func (s *Space) openJournal() error {
	if s.closed {
		return ErrEnded
	}
	if s.journal != nil {
		return nil
	}
	j, err := journal.OpenOn(s.n.cfg.FS, filepath.Join(s.n.journalDir(), s.id.String()+".db"), s.n.log)
	if err != nil {
		return err
	}
	s.journal = j
	return nil
}

// close puts what is not settled into the journal, so that a planned stop loses
// nothing that was on its way.
func (s *Space) close() {
	if err := s.keep(nil); err != nil {
		s.n.log.Warn("journal at the end", "shard", s.id, "err", err)
	}
	s.keeping.Lock()
	defer s.keeping.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal != nil {
		if err := s.journal.Close(); err != nil {
			s.n.log.Warn("close journal", "shard", s.id, "err", err)
		}
		s.journal = nil
	}
	s.closed = true
}

func (n *Node) journalDir() string { return filepath.Join(n.cfg.Dir, "journal") }

// openJournals finds the journals on disk.
func (n *Node) openJournals() error {
	names, err := n.cfg.FS.ReadDir(n.journalDir())
	if err != nil {
		return fmt.Errorf("open journals: %w", err)
	}
	for _, name := range names {
		base, isDB := strings.CutSuffix(name, ".db")
		id, err := ident.ParseShardID(base)
		if !isDB || err != nil {
			continue // not one of ours
		}
		s := n.Space(id)
		err = s.openJournal()
		if errors.Is(err, journal.ErrDamaged) { // the box must run all the same
			n.log.Error("journal damaged", "space", id, "err", err)
			aside := fmt.Sprintf("%s.damaged-%d", name, n.now().UnixMilli())
			if err = n.cfg.FS.Rename(filepath.Join(n.journalDir(), name), filepath.Join(n.journalDir(), aside)); err == nil {
				names = append(names, aside)
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("journal of space %s: %w", id, err)
		}
		for _, w := range s.journal.Pending() {
			w.Floor = 0 // it was true where the write was accepted: perhaps on a branch
			s.pending = append(s.pending, newPending(w, true))
		}
	}
	n.rememberDamaged(names)
	return nil
}

// ErrJournalDamaged says that a journal was damaged: what only this box had of the
// space may be lost. The file stays, under another name, for whoever can read it.
var ErrJournalDamaged = errors.New("the journal was damaged")

// rememberDamaged says so as long as such a file is there.
func (n *Node) rememberDamaged(names []string) {
	for _, name := range names {
		base, rest, _ := strings.Cut(name, ".")
		if id, err := ident.ParseShardID(base); err == nil && strings.HasPrefix(rest, "db.damaged-") {
			n.trouble(id, fmt.Errorf("%w; kept as %s", ErrJournalDamaged, name))
		}
	}
}

// openTails takes up what this box wrote and has in its log, applied or not before
// it went down: somebody may have been told that it is kept, and raft, which alone
// knows how much of its log is committed, has yet to find a leader. It is offered
// again like what stands in a journal, and its ID makes that harmless.
func (n *Node) openTails() error {
	for shard, rep := range n.replicas {
		if shard == ident.CircleShard || rep.failure() != nil {
			continue
		}
		ws, err := rep.ownTail()
		if err != nil {
			return fmt.Errorf("log of space %s: %w", shard, err)
		}
		s := n.Space(shard)
		for _, w := range ws {
			if !slices.ContainsFunc(s.pending, func(p *pending) bool { return p.write.ID == w.ID }) {
				p := newPending(w, false)
				p.lagging = true
				s.pending = append(s.pending, p)
			}
		}
	}
	return nil
}

// ownTail returns the writes of this box that its log has beyond the state.
func (r *replica) ownTail() (ws []catalog.Write, err error) {
	err = r.tail(func(e *pb.Entry) error {
		body, err := decodeEntry(e.GetData())
		if e.GetType() != pb.EntryNormal || err != nil || body.Kind != entryWrite {
			return nil // the applier judges it
		}
		if w, err := catalog.DecodeWrite(body.Body); err == nil && w.ID.Box == r.n.cfg.Box {
			ws = append(ws, w)
		}
		return nil
	})
	return ws, err
}

// resumeJournals sends what earlier runs accepted.
func (n *Node) resumeJournals() {
	n.mu.Lock()
	spaces := maps.Clone(n.spaces)
	n.mu.Unlock()
	for _, s := range spaces { // a Space is never locked behind the Node: it asks the Node while it is locked
		s.mu.Lock()
		for _, p := range s.pending {
			if p.write.ID.Inc != n.boot { // of this run, somebody sends it already
				n.spawn(func(ctx context.Context) { s.send(ctx, p) })
			}
		}
		s.mu.Unlock()
	}
}

// apart reports whether no majority of the space's houses has been in reach for
// apartAfter, as far as this box can know.
func (s *Space) apart() bool {
	rep := s.n.replica(s.id)
	return rep != nil && rep.apart()
}

// Apart reports whether no majority of the circle's houses has been in reach for
// apartAfter, as far as this box can know, or the circle counts its replica no more: whoever was
// let in again hears the others, but not of its new place.
func (n *Node) Apart() bool {
	rep := n.replica(ident.CircleShard)
	return rep != nil && (rep.expelled() || rep.apart())
}

// expelled reports whether the membership in force here counts this replica no more.
func (r *replica) expelled() bool {
	m := r.members.Load()
	return len(m.boxes) > 0 && !m.has(r.id)
}

// TogetherWithout reports whether a majority of the circle's houses has been heard by
// this box lately, itself among them, one box left out: that one asks, and may have
// gone on by itself. Unlike Apart it counts nobody who may yet be heard.
func (n *Node) TogetherWithout(box ident.BoxID) bool {
	rep := n.replica(ident.CircleShard)
	return rep != nil && rep.members.Load().heldByMajority(rep.heardWithout(box))
}

// heardWithout returns the replicas whose boxes were heard lately since the start,
// but for that of one box.
func (r *replica) heardWithout(left ident.BoxID) (ids []ident.ReplicaID) {
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	now := r.n.now()
	for id, box := range r.members.Load().boxes {
		last, ever := r.n.heard[box]
		if box == r.n.cfg.Box || box != left && ever && now.Sub(last) < apartAfter {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *replica) apart() bool {
	return r.leadless() >= apartAfter || !r.members.Load().heldByMajority(r.heard())
}

// heard returns the replicas whose boxes were heard lately, by their beats. One that
// was not heard yet counts, for as long as it could take.
func (r *replica) heard() (ids []ident.ReplicaID) {
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	now := r.n.now()
	for id, box := range r.members.Load().boxes {
		last := r.n.heard[box]
		if last.Before(r.n.opened) {
			last = r.n.opened
		}
		if box == r.n.cfg.Box || now.Sub(last) < apartAfter {
			ids = append(ids, id)
		}
	}
	return ids
}

// leadless returns for how long the replica has known no leader.
func (r *replica) leadless() time.Duration {
	v := r.seen.Load()
	if v == nil || v.leadless.IsZero() {
		return 0
	}
	return r.n.now().Sub(v.leadless)
}
