// Package raftnode is what the boxes of a circle agree on and keep. One Node per
// box drives the raft group of every shard the box holds, takes writes, sends their
// chunks before their names, and answers reads from the nearest replica.
//
// One goroutine, Run's loop, owns all raft groups. Everything else hands it work
// by mail: the raft log when a batch is on disk, appliers when entries are in the
// state, the network when a frame arrives. The loop never waits for any of them.
package raftnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/exchange"
	"redhen/raftnode/raftlog"
	"redhen/raftnode/transport"
	"redhen/raftnode/vfs"
)

// Config says what a Node stands on. All fields but the last group are needed.
type Config struct {
	Box    ident.BoxID
	Dir    string // state directory; shards/ and journal/ below it are the Node's
	Log    *raftlog.Log
	Chunks *chunk.Store
	Net    transport.Network
	Logger *slog.Logger

	FS    vfs.FS        // where the journals are; nil: the operating system's
	Known []ident.BoxID // boxes to ask when the directory here is damaged
	// Salvaged reads what can be read of a raft log that was damaged and set aside; see raftlog.Salvage. nil: nothing.
	Salvaged     func() (raftlog.Entries, error)
	Now          func() time.Time // nil: time.Now
	Tick         time.Duration    // raft's tick; 0: 250 ms
	PromoteAfter time.Duration    // unbroken contact before one voter becomes two; 0: 10 minutes
	KeepEntries  uint64           // entries kept behind the durable state for boxes that lag; 0: 512
	CutEntries   uint64           // a shard's log is cut when so many more stand in it; 0: 2048
	ScrubEvery   time.Duration    // everything is read again so often; 0: 30 days
	SweepEvery   time.Duration    // garbage is looked for so often; 0: 6 hours
	GarbageAfter time.Duration    // running time for which nothing must need a chunk; 0: 7 days
}

// What stands for the zero values of Config.
const (
	DefaultTick         = 250 * time.Millisecond
	DefaultPromoteAfter = 10 * time.Minute
	DefaultKeepEntries  = 512
	DefaultCutEntries   = 2048
)

func (c *Config) validate() error {
	if c.Box.PublicKey() == nil {
		return fmt.Errorf("box %q: %w", c.Box, ident.ErrBadBoxID)
	}
	if c.Dir == "" || c.Log == nil || c.Chunks == nil || c.Net == nil || c.Logger == nil {
		return errors.New("raftnode: incomplete config")
	}
	if c.FS == nil {
		c.FS = vfs.OS{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Tick == 0 {
		c.Tick = DefaultTick
	}
	if c.PromoteAfter == 0 {
		c.PromoteAfter = DefaultPromoteAfter
	}
	c.KeepEntries = cmp.Or(c.KeepEntries, DefaultKeepEntries)
	c.CutEntries = cmp.Or(c.CutEntries, DefaultCutEntries)
	return nil
}

// Node is one box's part in all its shards. Its exported methods are safe for
// concurrent use; they work between Open and the end of Run.
type Node struct {
	cfg      Config
	log      *slog.Logger
	exchange *exchange.Exchange
	machine  directory.Machine
	mail     *mail
	opened   time.Time
	boot     uint64 // drawn at every start: of beats, and the incarnation of write IDs

	// Run's loop only.
	groups  map[ident.ShardID]*group
	dirty   []*group
	unbegun map[ident.ShardID]bool // replicas that could not be made: the disk was full, perhaps
	outbox  map[ident.BoxID]*frame
	outSize map[ident.BoxID]int
	beats   *beats
	fatal   error
	quit    bool

	mu       sync.Mutex // guards what follows
	replicas map[ident.ShardID]*replica
	spaces   map[ident.ShardID]*Space
	waiting  map[awaited][]chan result
	houses   map[ident.BoxID]ident.HouseID
	known    map[ident.BoxID]bool // active boxes, by the roster
	news     chan struct{}        // closed and renewed when the circle shard changes
	troubles map[ident.ShardID]error
	mends    map[ident.ShardID]mends
	leaders  map[ident.ShardID]ident.BoxID // of shards not held here, as last heard
	distance map[ident.BoxID]time.Duration // round trip of the last beat
	ended    bool
	heard    map[ident.BoxID]time.Time // of the last beat

	branches []*branch // states that were put aside and are not home yet

	care care

	turn      atomic.Uint64 // to take turns, and to tell tries apart
	following atomic.Bool   // the circle shard will be followed soon

	tasks   sync.WaitGroup
	life    context.Context // tasks end with it, and it with Run
	end     context.CancelFunc
	started chan struct{} // closed when Run begins
}

// Open reads what the box has on disk. Nothing moves before Run.
func Open(cfg Config) (*Node, error) {
	n, err := newNode(cfg)
	if err != nil {
		return nil, err
	}
	if err = n.openAll(); err == nil {
		err = n.openCare()
	}
	if err != nil {
		n.end()
		n.close()
		return nil, err
	}
	n.serve()
	return n, nil
}

// newNode returns a Node that has not looked at its disk.
func newNode(cfg Config) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg:      cfg,
		log:      cfg.Logger,
		mail:     newMail(),
		boot:     rand.Uint64(),
		groups:   map[ident.ShardID]*group{},
		unbegun:  map[ident.ShardID]bool{},
		outbox:   map[ident.BoxID]*frame{},
		outSize:  map[ident.BoxID]int{},
		replicas: map[ident.ShardID]*replica{},
		spaces:   map[ident.ShardID]*Space{},
		waiting:  map[awaited][]chan result{},
		houses:   map[ident.BoxID]ident.HouseID{},
		known:    map[ident.BoxID]bool{},
		news:     make(chan struct{}),
		troubles: map[ident.ShardID]error{},
		mends:    map[ident.ShardID]mends{},
		leaders:  map[ident.ShardID]ident.BoxID{},
		distance: map[ident.BoxID]time.Duration{},
		heard:    map[ident.BoxID]time.Time{},
		started:  make(chan struct{}),
	}
	n.opened = n.now()
	n.life, n.end = context.WithCancel(context.Background())
	for _, b := range cfg.Known {
		n.known[b] = true
	}
	n.beats = newBeats(n)
	var err error
	n.exchange, err = exchange.New(exchange.Config{Net: cfg.Net, Chunks: cfg.Chunks, Logger: cfg.Logger, Now: cfg.Now})
	return n, err
}

// openAll opens the replicas and the journals found on disk.
func (n *Node) openAll() error {
	dir := filepath.Join(n.cfg.Dir, "shards")
	if err := errors.Join(vfs.OS{}.MkdirAll(dir), n.cfg.FS.MkdirAll(n.journalDir())); err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	if err := n.resumeWay(); err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	for _, f := range files {
		if strings.Contains(f.Name(), ".db.snapshot-") {
			os.Remove(filepath.Join(dir, f.Name()))
		}
		if shard, id, ok := parseStateName(f.Name()); ok {
			if err := n.openOne(shard, id); err != nil {
				return err
			}
		}
	}
	if err := n.openBranches(); err != nil {
		return err
	}
	if err := n.openJournals(); err != nil {
		return err
	}
	return n.openTails()
}

func (n *Node) openOne(shard ident.ShardID, id ident.ReplicaID) error {
	if n.replicas[shard] != nil {
		return fmt.Errorf("open node: two replicas of shard %s", shard)
	}
	id, err := n.resumeEra(shard, id)
	if err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	rep, err := openReplica(n, shard, id)
	if err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	n.replicas[shard] = rep
	return n.useNumber(shard, id)
}

func (n *Node) now() time.Time { return n.cfg.Now() }

// Run drives everything until ctx ends, then hands leadership away and closes
// what Open opened. It returns the reason when it ends by itself.
func (n *Node) Run(ctx context.Context) error {
	close(n.started)
	defer n.close()
	defer n.tasks.Wait()
	defer n.end()
	n.mu.Lock()
	reps := make([]*replica, 0, len(n.replicas))
	for _, rep := range n.replicas {
		reps = append(reps, rep)
	}
	n.mu.Unlock()
	for _, rep := range reps {
		if err := n.startGroup(rep); err != nil {
			return err
		}
	}
	n.followCircle()
	n.resumeJournals()
	n.spawn(n.keepPlanning)
	n.spawn(n.bringBranches)
	n.takeCare()
	return n.loop(ctx)
}

func (n *Node) loop(ctx context.Context) error {
	tick := time.NewTicker(n.cfg.Tick)
	defer tick.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	done, deadline := ctx.Done(), (<-chan time.Time)(nil)
	for n.fatal == nil && !n.quit {
		select {
		case <-done:
			done, deadline = nil, time.After(handOverFor)
			n.handOver()
		case <-deadline:
			return nil
		case <-tick.C:
			n.tick()
			n.quit = done == nil && !n.leadsAny()
		case <-beat.C:
			n.beats.send()
			n.reconcile()
			n.askCounted()
			n.offerEras()
		case <-flush.C:
			n.flushAll()
		case <-n.mail.ready:
			for _, f := range n.mail.take() {
				f()
			}
		}
		n.work()
	}
	return n.fatal
}

func (n *Node) tick() {
	for _, g := range n.groups {
		g.tick()
		g.rest()
	}
}

// work looks at every group with news, then sends what they had to say.
func (n *Node) work() {
	for len(n.dirty) > 0 {
		dirty := n.dirty
		n.dirty = nil
		for _, g := range dirty {
			if g.dirty {
				g.ready()
			}
		}
	}
	for to := range n.outbox {
		n.sendFrame(to)
	}
}

// post adds something of about size bytes to the next frame for a box.
func (n *Node) post(to ident.BoxID, add func(*frame), size int) {
	f := n.outbox[to]
	if f == nil {
		f = &frame{}
		n.outbox[to] = f
	}
	add(f)
	n.outSize[to] += size + 16
	if n.outSize[to] > maxFrame/2 {
		n.sendFrame(to)
	}
}

func (n *Node) sendFrame(to ident.BoxID) {
	f := n.outbox[to]
	delete(n.outbox, to)
	delete(n.outSize, to)
	if f != nil && !f.empty() {
		n.cfg.Net.Send(to, encodeFrame(f))
	}
}

// receive takes a frame from the network.
func (n *Node) receive(from ident.BoxID, b []byte) {
	f, err := decodeFrame(b)
	if err != nil {
		n.log.Warn("frame refused", "box", from.Short(), "err", err)
		return
	}
	n.mail.put(func() { n.hear(from, f) })
}

func (n *Node) hear(from ident.BoxID, f frame) {
	for _, rm := range f.Raft {
		g := n.groups[rm.Shard]
		if g == nil {
			continue
		}
		if m, err := decodeRaft(rm.Message); err == nil {
			g.step(from, m)
		}
	}
	for _, s := range f.Sleep {
		if g := n.groups[s.Shard]; g != nil && g.boxOf(s.Leader) == from {
			g.hearSleep(s)
		}
	}
	for _, w := range f.Wake {
		if g := n.groups[w.Shard]; g != nil {
			g.touch()
		}
	}
	for _, l := range f.Lost {
		if g := n.groups[l.Shard]; g != nil && g.boxOf(l.From) == from {
			g.hearLost(l)
		}
	}
	for _, q := range f.Ask {
		if g := n.groups[q.Shard]; g != nil && g.id == q.To {
			g.answerWhole(from)
		}
	}
	for _, t := range f.Tell {
		if g := n.groups[t.Shard]; g != nil && g.boxOf(t.From) == from {
			g.hearWhole(t)
		}
	}
	n.hearCounts(from, f)
	if f.Beat != nil {
		n.beats.hear(from, *f.Beat)
	}
}

// startGroup begins to drive a replica. On the loop, or before it runs.
func (n *Node) startGroup(rep *replica) error {
	switch {
	case rep.damaged:
		n.spawn(func(ctx context.Context) { n.rebuild(ctx, rep) })
		return nil
	case rep.lost:
		n.spawn(func(ctx context.Context) {
			n.renumber(ctx, rep, func(id ident.ReplicaID) { n.renumbered(rep, id) })
		})
		return nil
	}
	g, err := newGroup(n, rep)
	if err != nil {
		return err
	}
	n.groups[rep.shard] = g
	if voters := g.mem.voters(); len(voters) == 1 && voters[0] == g.id {
		if err := g.rn.Campaign(); err != nil { // nobody else could win
			return fmt.Errorf("start raft of shard %s: %w", rep.shard, err)
		}
	} else if len(voters) > 0 && voters[0] == g.id && appliedIndex(rep.state) == 1 {
		g.eager = electionTicks
	}
	n.spawn(rep.run)
	if rep.shard != ident.CircleShard {
		n.spawn(func(context.Context) { rep.debt.run(rep.life) })
		rep.debt.kick()
	}
	g.touch()
	return nil
}

// groupOf returns the group that drives rep, nil when it was given up.
func (n *Node) groupOf(rep *replica) *group {
	if g := n.groups[rep.shard]; g != nil && g.rep == rep {
		return g
	}
	return nil
}

// spawn runs a task that ends with the Node's life; Run waits for it.
func (n *Node) spawn(task func(context.Context)) {
	n.tasks.Go(func() { task(n.life) })
}

// stopWith ends Run: the box cannot go on.
func (n *Node) stopWith(err error) {
	if n.fatal == nil {
		n.fatal = err
	}
}

// trouble remembers what went wrong with a shard's housekeeping, nil when it is over.
func (n *Node) trouble(shard ident.ShardID, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		delete(n.troubles, shard)
		return
	}
	n.log.Warn("housekeeping", "shard", shard, "err", err)
	n.troubles[shard] = err
}

func (n *Node) flushAll() {
	if n.cfg.Log.Full() {
		n.handOver() // others can go on; what this box leads waits for its log
	}
	for _, g := range n.groups {
		g.rep.flush()
		g.followSnapshots()
		g.rep.dropSnapshot(len(g.sending) > 0)
	}
}

// handOver moves leadership to others before a planned stop.
func (n *Node) handOver() {
	for _, g := range n.groups {
		if to := g.heir(); to != 0 {
			g.touch()
			g.rn.TransferLeader(uint64(to))
		}
	}
}

// leadsAny reports whether somebody else could still take over a shard that this box leads.
func (n *Node) leadsAny() bool {
	for _, g := range n.groups {
		if g.leads() && g.heir() != 0 {
			return true
		}
	}
	return false
}

// close ends what Open opened. No task runs any more.
func (n *Node) close() {
	for _, rep := range n.replicas {
		if err := rep.state.Close(); err != nil {
			n.log.Warn("close state", "shard", rep.shard, "err", err)
		}
	}
	for _, b := range n.branches {
		if err := b.state.Close(); err != nil {
			n.log.Warn("close branch", "shard", b.shard, "err", err)
		}
	}
	n.mu.Lock()
	n.ended = true
	spaces := maps.Clone(n.spaces)
	n.mu.Unlock()
	for _, s := range spaces {
		s.close()
	}
}
