package raftnode

import (
	"context"
	"sync"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
)

// ahead brings the chunks of an upload to the houses that vote while the upload
// still runs, so that little is left to send when its last byte has come. It is an
// attempt: Space.spread makes sure of every chunk afterwards.
type ahead struct {
	n   *Node
	end context.CancelFunc

	mu     sync.Mutex
	queues []*aheadQueue
}

// aheadQueue is what one box is still to be sent; only hashes, never bytes.
type aheadQueue struct {
	box  ident.BoxID
	hs   []chunk.Hash
	wake chan struct{}
}

func (n *Node) pushAhead(shard ident.ShardID) *ahead {
	ctx, end := context.WithCancel(n.life)
	a := &ahead{n: n, end: end}
	m := n.Space(shard).membership()
	for id, box := range m.boxes {
		if box == n.cfg.Box || !m.votes(id) {
			continue
		}
		q := &aheadQueue{box: box, wake: make(chan struct{}, 1)}
		a.queues = append(a.queues, q)
		n.spawn(func(context.Context) { a.run(ctx, q) })
	}
	return a
}

func (a *ahead) add(h chunk.Hash) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.queues {
		q.hs = append(q.hs, h)
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

func (a *ahead) run(ctx context.Context, q *aheadQueue) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		a.mu.Lock()
		hs := q.hs
		q.hs = nil
		a.mu.Unlock()
		if len(hs) > 0 && a.n.exchange.Push(ctx, q.box, hs) != nil {
			return // spread will say what is wrong, if it still is
		}
	}
}

// stop ends the attempt; what is under way on a stream is cut.
func (a *ahead) stop() { a.end() }
