package raftnode

import (
	"context"
	"encoding/binary"
	"time"

	"redhen/provision/ident"
)

// readIndex asks raft once for an index that every earlier commit is below or
// at. Each try has a context of its own: a reused one may get a stale answer
// (etcd-io/etcd#20418).
func (n *Node) readIndex(ctx context.Context, shard ident.ShardID) (uint64, error) {
	ctx, end := context.WithTimeout(ctx, readIndexFor)
	defer end()
	got := make(chan uint64, 1)
	key := string(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n.boot), n.turn.Add(1)))
	n.mail.put(func() {
		if g := n.groups[shard]; g != nil {
			g.touch()
			g.reading[key] = func(index uint64) { got <- index }
			g.rn.ReadIndex([]byte(key))
		}
	})
	select {
	case index := <-got:
		return index, nil
	case <-ctx.Done():
		n.mail.put(func() {
			if g := n.groups[shard]; g != nil {
				delete(g.reading, key)
			}
		})
		return 0, ctx.Err()
	}
}

// readAt is raft's answer to a ReadIndex.
func (g *group) readAt(key string, index uint64) {
	if got := g.reading[key]; got != nil {
		delete(g.reading, key)
		got(index)
	}
}

const readIndexFor = 2 * time.Second
