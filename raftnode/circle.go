package raftnode

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/roster"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
	"redhen/raftnode/raftlog"
)

// ErrNoCircle says that this box belongs to no circle yet.
var ErrNoCircle = errors.New("this box is in no circle yet")

// Directory calls fn with what this box knows of the circle. It returns
// ErrNoCircle on a box that has not joined.
func (n *Node) Directory(fn func(directory.View) error) error {
	rep := n.replica(ident.CircleShard)
	if rep == nil {
		return ErrNoCircle
	}
	return rep.state.View(func(r kv.Reader) error {
		v := n.machine.View(r)
		if err := fn(v); err != nil {
			return err
		}
		return v.Err()
	})
}

// recallEvery is the pause between two looks of Recall.
const recallEvery = 50 * time.Millisecond

// Recall waits until this box knows again of the circle all that its log has when it is
// called. After a power cut the state is seconds behind the log, and comes back once the
// log is known to be committed; until then an account may be unknown that was made before.
// It returns ctx's error, as for a box whose friends alone know what is committed; a box in
// no circle recalls nothing.
func (n *Node) Recall(ctx context.Context) error {
	rep := n.replica(ident.CircleShard)
	if rep == nil {
		return nil
	}
	last, err := rep.log.LastIndex()
	if err != nil {
		return err
	}
	look := time.NewTicker(recallEvery)
	defer look.Stop()
	for {
		if applied, _ := rep.state.Applied(); applied >= last {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
}

// News returns a channel that is closed when the circle shard changes next.
func (n *Node) News() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.news
}

// Found begins a circle of this one box with the founding command, whose ID, By
// and Time are set here. It fails when the box is in a circle already.
func (n *Node) Found(ctx context.Context, found directory.Found) error {
	first := members{
		conf:  &pb.ConfState{Voters: []uint64{1}},
		boxes: map[ident.ReplicaID]ident.BoxID{1: n.cfg.Box},
	}
	if err := n.begin(ctx, ident.CircleShard, 1, &first); err != nil {
		return err
	}
	out, err := n.Command(ctx, directory.Command{Found: &found})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("found circle: %s", out.Code)
	}
	return err
}

// Join makes this box a replica of the circle shard under the ID that its
// admission gave it. The state comes from the others.
func (n *Node) Join(ctx context.Context, id ident.ReplicaID, boxes []ident.BoxID) error {
	n.mu.Lock()
	for _, b := range boxes {
		n.known[b] = true
	}
	n.mu.Unlock()
	n.mail.put(func() { n.dropUnborn(ident.CircleShard, id) })
	return n.begin(ctx, ident.CircleShard, id, nil)
}

// dropUnborn gives up a replica that never got a state, because the circle now
// counts this box under another number.
func (n *Node) dropUnborn(shard ident.ShardID, id ident.ReplicaID) {
	if g := n.groups[shard]; g != nil && g.id < id && appliedIndex(g.rep.state) == 0 {
		n.giveUp(g)
	}
}

// begin creates a replica here; with a first membership when it is one of those
// that begin the shard.
func (n *Node) begin(ctx context.Context, shard ident.ShardID, id ident.ReplicaID, first *members) error {
	done := make(chan error, 1)
	n.mail.put(func() { done <- n.create(shard, id, first) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// create makes and starts a replica; on the loop.
func (n *Node) create(shard ident.ShardID, id ident.ReplicaID, first *members) error {
	if n.replica(shard) != nil {
		return fmt.Errorf("shard %s: this box holds a replica already", shard)
	}
	if n.cfg.Log.Full() { // to begin is to wait for the log, and the loop must not
		return fmt.Errorf("shard %s: %w", shard, chunk.ErrFull)
	}
	if id <= n.usedNumber(shard) {
		return n.createAgain(shard, id)
	}
	if err := n.forgetLog(shard); err != nil { // what a replica given up earlier may have left
		return err
	}
	rep, err := openReplica(n, shard, id)
	if err != nil {
		return err
	}
	if first != nil {
		err = rep.bootstrap(*first)
	}
	if err == nil {
		err = n.useNumber(shard, id)
	}
	if err != nil {
		return errors.Join(err, rep.state.Close())
	}
	return n.hold(rep)
}

// createAgain is create for a number that was used here: what the replica had is
// gone, the state at least. With its log it has its votes, and goes on under its
// number with a state from another house; without, it never votes under it again.
func (n *Node) createAgain(shard ident.ShardID, id ident.ReplicaID) error {
	rep, err := openReplica(n, shard, id)
	if err != nil {
		return err
	}
	if !rep.damaged && !rep.lost {
		rep.lost = true
		rep.fail(ErrLogLost)
		if err := rep.noteLost(); err != nil {
			return errors.Join(err, rep.state.Close())
		}
	}
	return n.hold(rep)
}

// hold counts a replica among those of this box, and drives it.
func (n *Node) hold(rep *replica) error {
	n.mu.Lock()
	n.replicas[rep.shard] = rep
	n.mu.Unlock()
	n.log.Info("replica begins", "shard", rep.shard, "replica", rep.id)
	return n.startGroup(rep)
}

// giveUp ends a replica that the shard no longer counts. What was written here
// stands in the journal, which stays.
func (n *Node) giveUp(g *group) {
	if err := n.useNumber(g.shard, g.id); err != nil {
		n.trouble(g.shard, err)
		return
	}
	if g.shard != ident.CircleShard {
		if err := n.Space(g.shard).keepAll(); err != nil {
			n.trouble(g.shard, err)
			return
		}
	}
	n.log.Info("replica ends", "shard", g.shard, "replica", g.id)
	delete(n.groups, g.shard)
	n.mu.Lock()
	delete(n.replicas, g.shard)
	n.mu.Unlock()
	n.cfg.Log.Forget(g.shard)
	g.rep.work.put(func() {
		if err := g.rep.state.Close(); err != nil {
			n.log.Warn("close state", "shard", g.shard, "err", err)
		}
		files, _ := filepath.Glob(g.rep.path + "*")
		for _, f := range files {
			os.Remove(f)
		}
	})
	g.rep.end()
}

// useNumber notes durably that the replica, and all before it, are never to begin
// here again as if they were new: they may have promised something.
func (n *Node) useNumber(shard ident.ShardID, id ident.ReplicaID) error {
	if id <= n.usedNumber(shard) {
		return nil
	}
	return onefile.Replace(n.numberPath(shard), binary.BigEndian.AppendUint64(nil, uint64(id)))
}

func (n *Node) usedNumber(shard ident.ShardID) ident.ReplicaID {
	b, err := onefile.Read(n.numberPath(shard), 8)
	if err != nil || len(b) != 8 {
		return 0
	}
	return ident.ReplicaID(binary.BigEndian.Uint64(b))
}

func (n *Node) numberPath(shard ident.ShardID) string {
	return filepath.Join(n.cfg.Dir, "shards", shard.String()+".used")
}

// forgetLog forgets a shard's log and waits for it: a Storage taken before would
// be another one than the shard has afterwards.
func (n *Node) forgetLog(shard ident.ShardID) error {
	done := make(chan error, 1)
	n.cfg.Log.Submit(raftlog.Write{Shard: shard, Forget: true, Done: func(err error) { done <- err }})
	return <-done
}

func (n *Node) replica(shard ident.ShardID) *replica {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.replicas[shard]
}

// others returns the other active boxes, sorted.
func (n *Node) others() []ident.BoxID {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := slices.Sorted(maps.Keys(n.known))
	return slices.DeleteFunc(list, func(b ident.BoxID) bool { return b == n.cfg.Box })
}

func (n *Node) houseOf(box ident.BoxID) ident.HouseID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.houses[box]
}

// circleNews has the circle shard followed soon, once for any number of entries.
func (n *Node) circleNews() {
	if n.following.Swap(true) {
		return
	}
	n.mail.put(func() {
		n.following.Store(false)
		n.followCircle()
	})
}

// followCircle does what the circle shard says: who is there, and which replicas
// this box holds. On the loop.
func (n *Node) followCircle() {
	placements := map[ident.ShardID]directory.Placement{}
	first := map[ident.ShardID][]placement.Replica{}
	err := n.Directory(func(v directory.View) error {
		n.followRoster(v.Roster())
		for shard, p := range v.Placements() {
			placements[shard] = p
			if s, ok := v.Space(shard); ok {
				first[shard] = s.First
			}
		}
		return nil
	})
	if err != nil {
		if !errors.Is(err, ErrNoCircle) {
			n.trouble(ident.CircleShard, err)
		}
		return
	}
	for shard, p := range placements {
		n.followPlacement(shard, p, first[shard])
	}
	n.mu.Lock()
	close(n.news)
	n.news = make(chan struct{})
	n.mu.Unlock()
}

func (n *Node) followRoster(r *roster.State) {
	if r == nil {
		return
	}
	known, houses := map[ident.BoxID]bool{}, map[ident.BoxID]ident.HouseID{}
	for _, b := range r.Boxes() {
		houses[b.ID] = b.House
		if r.Active(b.ID) {
			known[b.ID] = true
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known, n.houses = known, houses
}

// followPlacement begins the replica that this box should hold, and ends one
// that neither the placement nor the shard itself counts any more.
func (n *Node) followPlacement(shard ident.ShardID, p directory.Placement, first []placement.Replica) {
	var mine *placement.Replica
	for i := range p.Replicas {
		if p.Replicas[i].Box == n.cfg.Box {
			mine = &p.Replicas[i]
		}
	}
	g := n.groups[shard]
	if rep := n.replica(shard); g == nil && rep != nil {
		return // being healed
	}
	if g != nil && mine != nil && mine.ID == p.Begins && g.id != mine.ID && p.Era > g.mem.era {
		if shard != ident.CircleShard { // that one began its era before the directory could say so
			n.beginEra(g, eraNote{Old: g.id, New: mine.ID, Era: p.Era}, func(error) {})
		}
		return
	}
	// A directory that never heard of the number here is older than the replica.
	newer := g != nil && g.id >= p.Next
	if g != nil {
		g.unplaced = !newer && (mine == nil || mine.ID != g.id) && shard != ident.CircleShard
		if g.unplaced && g.expelled() {
			n.giveUp(g)
			g = nil
		}
	}
	if g == nil && mine != nil && shard != ident.CircleShard {
		err := n.create(shard, mine.ID, firstMembers(first, mine.ID))
		if err != nil || n.unbegun[shard] {
			n.trouble(shard, err)
		}
		if n.unbegun[shard] = err != nil; err == nil {
			delete(n.unbegun, shard)
		}
	}
}

// expelled reports whether the membership counts this replica no more, by what is
// in force here or by the word of one that has applied more.
func (g *group) expelled() bool {
	return g.gone || len(g.mem.boxes) > 0 && !g.mem.has(g.id)
}

// firstMembers is the membership that a shard begins with, nil when the replica
// is not one of those that begin it.
func firstMembers(first []placement.Replica, id ident.ReplicaID) *members {
	m := noMembers()
	for _, r := range first {
		m.boxes[r.ID] = r.Box
		if r.Role == placement.Voter {
			m.conf.Voters = append(m.conf.Voters, uint64(r.ID))
		} else {
			m.conf.Learners = append(m.conf.Learners, uint64(r.ID))
		}
	}
	if _, ok := m.boxes[id]; !ok {
		return nil
	}
	return &m
}

// Command has the circle decide something. Its ID, By and Time are set here when
// they are zero. The outcome is in this box's own state when it returns.
func (n *Node) Command(ctx context.Context, c directory.Command) (directory.Outcome, error) {
	if c.ID == ([16]byte{}) {
		rand.Read(c.ID[:])
	}
	if c.By == "" {
		c.By = n.cfg.Box
	}
	if c.Time == 0 {
		c.Time = n.now().UnixMilli()
	}
	b, err := directory.EncodeCommand(c)
	if err != nil {
		return directory.Outcome{}, err
	}
	res, err := n.settle(ctx, ident.CircleShard, commandKey(c.ID), entry{Kind: entryCommand, Body: b})
	if err != nil {
		return directory.Outcome{}, err
	}
	return res.command, nil
}

// plan has the leader of the circle shard decide where replicas should be.
func (n *Node) plan(ctx context.Context) error {
	var changes []placement.Change
	versions := map[ident.ShardID]uint64{}
	err := n.Directory(func(v directory.View) error {
		boxes, spaces := planInput(v, versions)
		changes = placement.Plan(boxes, spaces)
		return nil
	})
	if err != nil {
		return err
	}
	var refused error
	for _, c := range changes {
		out, err := n.Command(ctx, directory.Command{SetPlacement: &directory.SetPlacement{
			Shard: c.Shard, If: versions[c.Shard], Replicas: c.Replicas, Next: c.Next,
		}})
		if err != nil {
			return err
		}
		n.log.Info("placement", "shard", c.Shard, "why", c.Why, "outcome", string(out.Code))
		if out.Code != directory.Done {
			refused = fmt.Errorf("placement of shard %s: %s", c.Shard, out.Code)
		}
	}
	return refused
}

// First returns the replicas that a new space should begin with.
func (n *Node) First(space ident.ShardID, owner ident.AccountID, copies int) ([]placement.Replica, error) {
	var first []placement.Replica
	err := n.Directory(func(v directory.View) error {
		boxes, _ := planInput(v, map[ident.ShardID]uint64{})
		n.leaveOutSilent(boxes)
		fresh := placement.Space{ID: space, Owner: owner, Copies: copies, Next: 1}
		for _, c := range placement.Plan(boxes, []placement.Space{fresh}) {
			first = c.Replicas
		}
		return nil
	})
	if err == nil && len(first) == 0 {
		err = errors.New("no box may hold the new space")
	}
	return first, err
}

// leaveOutSilent keeps a new space from beginning at a box that is away, while
// another one is there. The plan brings it there later.
func (n *Node) leaveOutSilent(boxes []placement.Box) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range boxes {
		if boxes[i].ID != n.cfg.Box && n.now().Sub(n.heard[boxes[i].ID]) > beatMissing {
			boxes[i].Active = false
		}
	}
}

func planInput(v directory.View, versions map[ident.ShardID]uint64) ([]placement.Box, []placement.Space) {
	var boxes []placement.Box
	r := v.Roster()
	for _, b := range r.Boxes() {
		s := v.BoxSettings(b.ID)
		boxes = append(boxes, placement.Box{
			ID: b.ID, House: b.House, Keeper: b.Keeper, Active: r.Active(b.ID), Given: s.Given, Refuses: s.Refuses,
			Replacement: b.Replacement, Leaving: s.Leaving,
		})
	}
	var spaces []placement.Space
	for shard, p := range v.Placements() {
		s, _ := v.Space(shard)
		versions[shard] = p.Version
		spaces = append(spaces, placement.Space{
			ID: shard, Owner: s.Owner, Copies: s.Copies, Replicas: p.Replicas, Next: p.Next,
		})
	}
	return boxes, spaces
}

// keepPlanning plans every few seconds while this box leads the circle shard, and
// at its news; not at the news that its own plan was refused.
func (n *Node) keepPlanning(ctx context.Context) {
	tick := time.NewTicker(planEvery)
	defer tick.Stop()
	refused := false
	for {
		news := n.News()
		if refused {
			news = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-news:
		}
		refused = false
		if rep := n.replica(ident.CircleShard); rep == nil || !rep.leads() {
			continue
		}
		try, end := context.WithTimeout(ctx, attemptFor)
		if err := n.plan(try); err != nil && ctx.Err() == nil {
			refused = true
			n.log.Debug("plan", "err", err)
		}
		end()
	}
}
