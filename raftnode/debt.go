package raftnode

import (
	"context"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// debt is the chunks that one replica should have and has not. It is computed,
// not stored: at a start, after a snapshot, and from every entry applied. A
// replica that owes counts as no copy, and is promoted to nothing.
type debt struct {
	rep  *replica
	wake chan struct{}

	mu      sync.Mutex
	scanned bool   // every content of the state has been looked at
	scan    uint64 // grows when that must be done again
	queue   []owed
	paying  []owed // those of the queue that are being looked at
}

// owed is one content that may lack chunks, and who had them when it was proposed.
type owed struct {
	content manifest.Content
	holders []ident.BoxID
	index   uint64 // of its entry; zero when it was found in the state
}

func newDebt(rep *replica) *debt { return &debt{rep: rep, wake: make(chan struct{}, 1)} }

// expect notes a content that the entry at index brings.
func (d *debt) expect(index uint64, c *manifest.Content, holders []ident.BoxID) {
	if c == nil || len(c.Chunks) == 0 || d.rep.n.hasAll(c.Chunks) && c.Depth == 0 {
		return
	}
	d.mu.Lock()
	first := d.scanned && len(d.queue)+len(d.paying) == 0
	d.queue = append(d.queue, owed{*c, holders, index})
	d.mu.Unlock()
	d.kick()
	if first {
		d.rep.n.mail.put(func() { d.rep.n.tellWhole(d.rep) })
	}
}

// rescan has everything looked at again.
func (d *debt) rescan() {
	d.mu.Lock()
	d.scanned = false
	d.scan++
	d.mu.Unlock()
	d.kick()
}

func (d *debt) kick() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// owes reports whether chunks may be missing here.
func (d *debt) owes() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.scanned || len(d.queue)+len(d.paying) > 0
}

// wholeTo returns up to which entry every chunk is here, at most applied; zero while
// something is owed of which no entry is known.
func (d *debt) wholeTo(applied uint64) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.scanned {
		return 0
	}
	for _, list := range [][]owed{d.queue, d.paying} {
		for _, o := range list {
			applied = min(applied, max(o.index, 1)-1)
		}
	}
	return applied
}

// run pays until ctx ends. What cannot be had now is tried again later.
func (d *debt) run(ctx context.Context) {
	pause := time.Duration(0)
	for {
		var again <-chan time.Time
		if pause > 0 {
			again = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-again:
		}
		pause = 0
		if !d.look() || !d.pay(ctx) {
			pause = debtRetry
		}
	}
}

// look goes through the whole state once if that is due.
func (d *debt) look() bool {
	d.mu.Lock()
	due, scan := !d.scanned, d.scan
	d.mu.Unlock()
	if !due {
		return true
	}
	var missing []owed
	err := d.rep.state.View(func(r kv.Reader) error {
		for c := range (catalog.View{Reader: r}).Contents() {
			if len(c.Chunks) > 0 && (c.Depth > 0 || !d.rep.n.hasAll(c.Chunks)) {
				missing = append(missing, owed{content: c})
			}
		}
		return nil
	})
	if err != nil {
		d.rep.n.trouble(d.rep.shard, err)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, missing...)
	d.scanned = d.scan == scan
	return d.scanned
}

// pay fetches what is missing; false when something is still owed.
func (d *debt) pay(ctx context.Context) bool {
	d.mu.Lock()
	queue := d.queue
	d.queue, d.paying = nil, queue
	d.mu.Unlock()
	var left []owed
	for i, o := range queue {
		if err := d.fetch(ctx, o); err != nil {
			left = append(left, o)
			if ctx.Err() != nil {
				left = append(left, queue[i+1:]...)
				break
			}
			d.rep.n.log.Debug("chunks owed", "shard", d.rep.shard, "err", err)
		}
	}
	d.mu.Lock()
	d.queue = append(left, d.queue...)
	d.paying = nil
	done := len(d.queue) == 0
	d.mu.Unlock()
	if done && len(queue) > 0 {
		d.rep.n.log.Info("chunks complete", "shard", d.rep.shard, "contents", len(queue))
	}
	d.rep.changed()
	d.rep.n.mail.put(func() { d.rep.n.tellWhole(d.rep) })
	return len(left) == 0
}

// fetch brings all chunks of a content here.
func (d *debt) fetch(ctx context.Context, o owed) error {
	n := d.rep.n
	from := n.sources(d.rep.shard, o.holders)
	if o.content.Depth > 0 { // first those that list the others
		if err := n.bring(ctx, from, o.content.Chunks); err != nil {
			return err
		}
	}
	var batch []chunk.Hash
	for h, err := range manifest.Walk(ctx, o.content, n.getLocal) {
		if err != nil {
			return err
		}
		if batch = append(batch, h); len(batch) == debtBatch {
			if err := n.bring(ctx, from, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return n.bring(ctx, from, batch)
}

// bring fetches the chunks of a list that are not here.
func (n *Node) bring(ctx context.Context, from []ident.BoxID, hs []chunk.Hash) error {
	missing := slices.DeleteFunc(slices.Clone(hs), n.cfg.Chunks.Has)
	if len(missing) == 0 {
		return nil
	}
	return n.exchange.Fetch(ctx, from, missing, func(chunk.Hash) {})
}

func (n *Node) hasAll(hs []chunk.Hash) bool {
	for _, h := range hs {
		if !n.cfg.Chunks.Has(h) {
			return false
		}
	}
	return true
}

// getLocal reads a chunk of this box.
func (n *Node) getLocal(_ context.Context, h chunk.Hash) ([]byte, error) {
	return n.cfg.Chunks.Get(h)
}

// sources lists the boxes to fetch from: those that are known to have it, then
// everybody who holds the shard.
func (n *Node) sources(shard ident.ShardID, first []ident.BoxID) []ident.BoxID {
	var from []ident.BoxID
	for _, b := range append(slices.Clone(first), n.holders(shard)...) {
		if b != n.cfg.Box && !slices.Contains(from, b) {
			from = append(from, b)
		}
	}
	return from
}

// replaced is told that a snapshot took the place of a replica's state.
func (n *Node) replaced(r *replica) {
	if r.shard == ident.CircleShard {
		n.circleNews()
		return
	}
	r.debt.rescan()
}
