package raftnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
)

// Two sides of a circle may each go on without the other. When one of them is to go on
// for both, the boxes of the other give way: they take the winner's records of the
// circle, put their own states aside as a branch, and bring what only the branch has
// as writes that wait in the journals. A branch is kept until the winner has all of it.

// ErrAnew ends Run when the box must be started again: what it has to do next, it does
// before anything else moves.
var ErrAnew = errors.New("the box begins anew")

// way is the note that this box gives way. It stands from before anything was moved
// until everything is.
type way struct {
	Old ident.ReplicaID `cbor:"1,keyasint"` // of the circle's shard, on the branch
	New ident.ReplicaID `cbor:"2,keyasint"` // at those who go on
}

const (
	maxWay       = 1 << 10 // bytes
	branchSuffix = ".branch"
	theirsSuffix = ".theirs"
	branchEvery  = 2 * time.Second
	branchWrites = 1024    // that are brought at once
	branchBytes  = 8 << 20 // of small files in them
)

func (n *Node) wayPath() string { return filepath.Join(n.cfg.Dir, "shards", "way") }

func (n *Node) theirsPath(shard ident.ShardID) string {
	return filepath.Join(n.cfg.Dir, "shards", shard.String()+theirsSuffix)
}

// GiveWay has this box leave its branch of the circle for the one of others, who have
// admitted it under a number in the circle's shard. When it returns, Run ends with
// ErrAnew, and the next start goes on from there. Before that, nothing is changed.
func (n *Node) GiveWay(ctx context.Context, id ident.ReplicaID, boxes []ident.BoxID) error {
	old := n.replica(ident.CircleShard)
	if old == nil {
		return ErrNoCircle
	}
	if old.failure() != nil {
		return fmt.Errorf("give way: %w", old.failure())
	}
	if err := n.fetchTheirs(ctx, id, boxes); err != nil {
		return fmt.Errorf("give way: %w", err)
	}
	if err := onefile.Replace(n.wayPath(), wire.MustMarshal(way{Old: old.id, New: id})); err != nil {
		return fmt.Errorf("give way: %w", err)
	}
	n.log.Info("gives way", "replica", id)
	n.mail.put(func() { n.stopWith(ErrAnew) })
	return nil
}

// fetchTheirs brings the states of those who go on: the circle's, which must count this
// box, and those of the spaces that both have, to compare with. A space that is not to
// be had now is compared later.
func (n *Node) fetchTheirs(ctx context.Context, id ident.ReplicaID, boxes []ident.BoxID) error {
	if err := n.fetchCopy(ctx, ident.CircleShard, boxes, id); err != nil {
		return err
	}
	theirs, err := kv.Open(n.theirsPath(ident.CircleShard))
	if err != nil {
		return err
	}
	defer theirs.Close()
	holders := map[ident.ShardID][]ident.BoxID{}
	err = theirs.View(func(r kv.Reader) error {
		v := n.machine.View(r)
		if p, _ := v.Placement(ident.CircleShard); !v.Roster().Active(n.cfg.Box) || numberOf(p, n.cfg.Box) != id {
			return errors.New("they do not count this box yet")
		}
		for shard, p := range v.Placements() {
			for _, r := range p.Replicas {
				holders[shard] = append(holders[shard], r.Box)
			}
		}
		return v.Err()
	})
	if err != nil {
		return err
	}
	for shard, at := range holders {
		if n.replica(shard) == nil || shard == ident.CircleShard {
			continue
		}
		if err := n.fetchCopy(ctx, shard, at, 0); err != nil {
			n.log.Info("to be compared later", "shard", shard, "err", err)
		}
	}
	return nil
}

func numberOf(p directory.Placement, box ident.BoxID) (id ident.ReplicaID) {
	for _, r := range p.Replicas {
		if r.Box == box {
			id = r.ID
		}
	}
	return id
}

// fetchCopy brings a copy of a shard's state from one of the boxes; of the circle's, one
// that counts this box under a number.
func (n *Node) fetchCopy(ctx context.Context, shard ident.ShardID, boxes []ident.BoxID, counts ident.ReplicaID) error {
	last := errors.New("nobody has it")
	for _, box := range n.sortedByRTT(boxes) {
		if box == n.cfg.Box {
			continue
		}
		if err := n.fetchCopyOf(ctx, shard, box, counts); err == nil {
			return nil
		} else {
			last = err
		}
	}
	return fmt.Errorf("state of shard %s: %w", shard, last)
}

func (n *Node) fetchCopyOf(ctx context.Context, shard ident.ShardID, box ident.BoxID, counts ident.ReplicaID) error {
	ctx, end := context.WithTimeout(ctx, callFor)
	defer end()
	atLeast := uint64(1)
	if counts != 0 { // an older copy may be on offer
		var r stateReply
		if err := n.call(ctx, box, serviceState, stateCall{Shard: shard, Placement: true}, &r); err != nil {
			return err
		}
		if numberOf(r.Placement, n.cfg.Box) != counts {
			return fmt.Errorf("%s does not count this box yet", box.Short())
		}
		atLeast = r.Placement.Version
	}
	var r stateReply
	if err := n.call(ctx, box, serviceState, stateCall{Shard: shard, AtLeast: atLeast}, &r); err != nil {
		return err
	}
	if !r.Have {
		return fmt.Errorf("not at %s", box.Short())
	}
	return n.exchange.FetchFile(ctx, box, r.Ref.Name, n.theirsPath(shard), r.Ref.Size, r.Ref.Hash)
}

// resumeWay gives way, or goes on with it, before anything is opened.
func (n *Node) resumeWay() error {
	b, err := onefile.Read(n.wayPath(), maxWay)
	if errors.Is(err, fs.ErrNotExist) {
		return n.dropTheirs()
	}
	if err != nil {
		return fmt.Errorf("give way: %w", err)
	}
	var w way
	if err := wire.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("note of the way: %w", err)
	}
	steps, err := n.waySteps(w)
	if err == nil {
		err = inOrder(steps)
	}
	if err != nil {
		return fmt.Errorf("give way: %w", err)
	}
	return nil
}

// waySteps can be done again after any of them.
func (n *Node) waySteps(w way) (steps []func() error, err error) {
	states, err := n.stateFiles()
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if s.shard != ident.CircleShard {
			steps = append(steps, n.asideSteps(s)...)
		}
	}
	if old := (stateFile{ident.CircleShard, w.Old}); fileThere(n.statePath(old.shard, old.id)) {
		steps = append(steps, n.asideSteps(old)...)
	}
	return append(steps,
		func() error { return n.takeTheirs(w.New) },
		func() error { return os.Remove(n.wayPath()) },
		n.dropTheirs), nil
}

type stateFile struct {
	shard ident.ShardID
	id    ident.ReplicaID
}

func (n *Node) stateFiles() (list []stateFile, err error) {
	files, err := os.ReadDir(filepath.Join(n.cfg.Dir, "shards"))
	for _, f := range files {
		if shard, id, ok := parseStateName(f.Name()); ok {
			list = append(list, stateFile{shard, id})
		}
	}
	return list, err
}

func fileThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// asideSteps make a state, with all that its log has, a branch. What only it has goes
// into the journal first, so that readers here see it from the start.
func (n *Node) asideSteps(f stateFile) []func() error {
	r := &replica{n: n, shard: f.shard, id: f.id, work: newMail(), change: make(chan struct{}), path: n.statePath(f.shard, f.id)}
	r.debt = newDebt(r)
	return []func() error{
		func() error { return n.finishState(r) },
		func() error { return n.forgetLog(f.shard) },
		func() error {
			for _, p := range []string{n.numberPath(f.shard), n.eraPath(f.shard), r.lostPath(), r.resetPath()} {
				if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			return nil
		},
		func() error {
			n.log.Info("branch put aside", "shard", f.shard, "replica", f.id)
			return os.Rename(r.path, strings.TrimSuffix(r.path, ".db")+branchSuffix)
		},
	}
}

// finishState brings a state to the end of its log.
func (n *Node) finishState(r *replica) (err error) {
	if r.state, err = kv.Open(r.path); err != nil {
		return err
	}
	r.log = n.cfg.Log.Shard(r.shard)
	err = errors.Join(r.loadMembers(), r.applyTail(), r.state.Flush())
	if err == nil && r.shard != ident.CircleShard {
		err = n.journalBranch(r)
	}
	return errors.Join(err, r.state.Close())
}

// journalBranch keeps as writes what a state has and the one that was fetched has not.
func (n *Node) journalBranch(r *replica) error {
	path := n.theirsPath(r.shard)
	if !fileThere(path) {
		return nil
	}
	theirs, err := kv.Open(path)
	if err != nil {
		return err
	}
	defer theirs.Close()
	hand := n.hand(r.id, n.namesOnDisk())
	s := n.Space(r.shard)
	if err := s.openJournal(); err != nil {
		n.log.Warn("to be compared later", "shard", r.shard, "err", err)
		return nil
	}
	known := map[catalog.WriteID]bool{}
	for _, w := range s.journal.Pending() {
		known[w.ID] = true
	}
	for {
		ws, err := n.differences(r.state, theirs, hand, known)
		if err != nil || len(ws) == 0 {
			return err
		}
		if err := s.journal.Append(ws...); err != nil {
			return err
		}
		for _, w := range ws {
			known[w.ID] = true
		}
	}
}

// namesOnDisk names the houses as those do who go on.
func (n *Node) namesOnDisk() (names map[ident.BoxID]string) {
	theirs, err := kv.Open(n.theirsPath(ident.CircleShard))
	if err != nil {
		return nil
	}
	defer theirs.Close()
	_ = theirs.View(func(r kv.Reader) error { // names are for people: without any it goes on
		names = houseNames(n.machine.View(r))
		return nil
	})
	return names
}

// differences returns writes that one state has and the other has not, but for those
// that are known already, at most branchWrites.
func (n *Node) differences(mine, theirs *kv.Store, hand catalog.Hand, known map[catalog.WriteID]bool) (ws []catalog.Write, err error) {
	size := 0
	err = mine.View(func(m kv.Reader) error {
		return theirs.View(func(t kv.Reader) error {
			catalog.Branch(catalog.View{Reader: m}, catalog.View{Reader: t}, hand, func(w catalog.Write) bool {
				if !known[w.ID] {
					ws = append(ws, w)
					if c := w.Op.Content; c != nil {
						size += len(c.Inline)
					}
				}
				return len(ws) < branchWrites && size < branchBytes
			})
			return nil
		})
	})
	return ws, err
}

// hand is this box, as it brings the branch of a replica home. No start draws so small
// an incarnation: it is that of no running box.
func (n *Node) hand(id ident.ReplicaID, names map[ident.BoxID]string) catalog.Hand {
	return catalog.Hand{Box: n.cfg.Box, Inc: uint64(id), Now: n.now().UnixMilli(), House: func(box ident.BoxID) string {
		return cmp.Or(names[box], names[n.cfg.Box])
	}}
}

// houseNames names the house of every box.
func houseNames(v directory.View) map[ident.BoxID]string {
	names := map[ident.BoxID]string{}
	r := v.Roster()
	for _, b := range r.Boxes() {
		h, _ := r.House(b.House)
		names[b.ID] = h.Name
	}
	return names
}

// takeTheirs puts the fetched records of the circle in place, as a replica that has
// promised nothing yet.
func (n *Node) takeTheirs(id ident.ReplicaID) error {
	from := n.theirsPath(ident.CircleShard)
	fresh := &replica{n: n, shard: ident.CircleShard, id: id, path: n.statePath(ident.CircleShard, id)}
	if fileThere(fresh.path) { // up to the note, all was done
		return nil
	}
	theirs, err := kv.Open(from)
	if err != nil {
		return err
	}
	index, _ := theirs.Applied()
	if err := theirs.Close(); err != nil {
		return err
	}
	if err := fresh.beginReset(index); err != nil {
		return err
	}
	return os.Rename(from, fresh.path)
}

// dropTheirs removes copies that were fetched and are of no use any more.
func (n *Node) dropTheirs() error {
	files, err := filepath.Glob(filepath.Join(n.cfg.Dir, "shards", "*"+theirsSuffix+"*"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// branch is a state that was put aside and is not home yet.
type branch struct {
	shard ident.ShardID
	id    ident.ReplicaID
	path  string
	state *kv.Store
}

// openBranches finds the branches on disk. One that is damaged is kept aside, and said
// to be.
func (n *Node) openBranches() error {
	files, err := filepath.Glob(filepath.Join(n.cfg.Dir, "shards", "*"+branchSuffix))
	if err != nil {
		return fmt.Errorf("open branches: %w", err)
	}
	for _, f := range files {
		shard, id, ok := parseStateName(strings.TrimSuffix(filepath.Base(f), branchSuffix) + ".db")
		if !ok {
			continue
		}
		state, err := kv.Open(f)
		if errors.Is(err, kv.ErrDamaged) {
			n.log.Error("branch damaged", "shard", shard, "err", err)
			if err := setAside(f, n.now()); err != nil {
				return fmt.Errorf("open branches: %w", err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("open branches: %w", err)
		}
		n.branches = append(n.branches, &branch{shard, id, f, state})
	}
	return nil
}

// unmerged returns the branches that are not home yet.
func (n *Node) unmerged() []*branch {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*branch(nil), n.branches...)
}

// bringBranches brings home what the branches have, until none is left.
func (n *Node) bringBranches(ctx context.Context) {
	tick := time.NewTicker(branchEvery)
	defer tick.Stop()
	for len(n.unmerged()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, b := range n.unmerged() {
			done, err := n.bringHome(ctx, b)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				n.log.Info("branch waits", "shard", b.shard, "err", err)
			case done:
				n.endBranch(b)
			}
		}
	}
}

// bringHome takes one step; it is done when nothing is left to bring and nothing that was
// brought waits to be decided.
func (n *Node) bringHome(ctx context.Context, b *branch) (done bool, err error) {
	if b.shard == ident.CircleShard {
		return n.bringRecords(ctx, b)
	}
	rep := n.replica(b.shard)
	if rep == nil || rep.failure() != nil || appliedIndex(rep.state) == 0 {
		return false, errNoReplica
	}
	s := n.Space(b.shard)
	known := s.waiting()
	var names map[ident.BoxID]string
	if err := n.Directory(func(v directory.View) error {
		names = houseNames(v)
		return nil
	}); err != nil {
		return false, err
	}
	hand := n.hand(b.id, names)
	ws, err := n.differences(b.state, rep.state, hand, known)
	if err == nil && len(ws) == 0 { // what was brought and is not decided still differs
		ws, err = n.differences(b.state, rep.state, hand, nil)
		return err == nil && len(ws) == 0, err
	}
	if err != nil {
		return false, err
	}
	return false, s.keepBranch(ws)
}

// waiting are the IDs of the writes that wait here to be decided.
func (s *Space) waiting() map[catalog.WriteID]bool {
	ids := map[catalog.WriteID]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pending {
		ids[p.write.ID] = true
	}
	return ids
}

// keepBranch keeps writes of a branch and offers them.
func (s *Space) keepBranch(ws []catalog.Write) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	s.mu.Lock()
	err := s.openJournal()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.journal.Append(ws...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeing = nil
	for _, w := range ws {
		p := newPending(w, true)
		s.pending = append(s.pending, p)
		s.n.spawn(func(ctx context.Context) { s.send(ctx, p) })
	}
	return nil
}

// bringRecords brings home what the branch knows of people and spaces.
func (n *Node) bringRecords(ctx context.Context, b *branch) (bool, error) {
	if n.Apart() {
		return false, ErrApart
	}
	var cs []directory.Command
	err := b.state.View(func(r kv.Reader) error {
		return n.Directory(func(theirs directory.View) error {
			mine := n.machine.View(r)
			cs = directory.Branch(mine, theirs, n.cfg.Box)
			return mine.Err()
		})
	})
	if err != nil {
		return false, err
	}
	for _, c := range cs {
		if err := n.bringRecord(ctx, c); err != nil {
			return false, err
		}
	}
	return len(cs) == 0, nil
}

// bringRecord has the circle take over one record. A refusal is for the next round,
// which sees what is there by then.
func (n *Node) bringRecord(ctx context.Context, c directory.Command) error {
	for _, s := range []*directory.NewSpace{c.CreateSpace, spaceOf(c.PutAccount)} {
		if s == nil {
			continue
		}
		first, err := n.First(s.Space.ID, s.Space.Owner, s.Space.Copies)
		if err != nil {
			first = []placement.Replica{{ID: 1, Box: n.cfg.Box, Role: placement.Voter}}
		}
		s.Replicas = first
	}
	ctx, end := context.WithTimeout(ctx, offerFor)
	defer end()
	out, err := n.Command(ctx, c)
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("record of a branch refused: %s", out.Code)
	}
	return err
}

func spaceOf(p *directory.PutAccount) *directory.NewSpace {
	if p == nil {
		return nil
	}
	return p.Space
}

// endBranch forgets a branch that is home.
func (n *Node) endBranch(b *branch) {
	n.mu.Lock()
	for i, o := range n.branches {
		if o == b {
			n.branches = append(n.branches[:i:i], n.branches[i+1:]...)
			break
		}
	}
	n.mu.Unlock()
	if err := errors.Join(b.state.Close(), os.Remove(b.path)); err != nil {
		n.log.Warn("end of a branch", "shard", b.shard, "err", err)
		return
	}
	n.log.Info("branch is home", "shard", b.shard)
}

// neededByBranches tells what the branches need.
func (n *Node) neededByBranches(ctx context.Context, tell func(chunk.Hash)) error {
	for _, b := range n.unmerged() {
		if b.shard == ident.CircleShard {
			continue
		}
		if err := n.neededByState(ctx, b.state, tell); err != nil && !errors.Is(err, kv.ErrClosed) { // it is home by now
			return err
		}
	}
	return nil
}
