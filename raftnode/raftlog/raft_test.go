package raftlog

import (
	"bytes"
	"io"
	"log"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/raftnode/vfs/vfstest"
)

const testShard ident.ShardID = 5

// member is one raft node with asynchronous storage writes over a log of its own.
type member struct {
	t       *testing.T
	id      uint64
	disk    *vfstest.Disk
	log     *Log
	raw     *raft.RawNode
	net     *network
	applied [][]byte // what the state machine got, kept over crashes as a durable one would be
	index   uint64
}

type network struct {
	rng     *rand.Rand
	members []*member
	queue   []*raftpb.Message
}

func (m *member) start() {
	m.t.Helper()
	cfg := testConfig(m.disk)
	m.log = open(m.t, cfg)
	s := m.log.Shard(testShard)
	s.SetConfState(&raftpb.ConfState{Voters: []uint64{1, 2, 3}})
	s.SetCommitted(m.index)
	raw, err := raft.NewRawNode(&raft.Config{
		ID: m.id, ElectionTick: 10, HeartbeatTick: 1, Storage: s, Applied: m.index, AsyncStorageWrites: true,
		MaxSizePerMsg: 1000, MaxInflightMsgs: 8, PreVote: true, CheckQuorum: true,
		Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
	})
	must(m.t, err)
	m.raw = raw
}

// crash loses the power, then starts again.
func (m *member) crash() {
	m.disk.Restart()
	m.log.Close()
	m.start()
}

// ready handles all that raft wants. The power may fail in any write.
func (m *member) ready() {
	for m.raw.HasReady() {
		for _, msg := range m.raw.Ready().Messages {
			switch msg.GetTo() {
			case raft.LocalAppendThread:
				if !m.append(msg) {
					m.crash()
					return
				}
			case raft.LocalApplyThread:
				m.apply(msg)
			default:
				m.net.queue = append(m.net.queue, msg)
			}
		}
	}
}

func (m *member) append(msg *raftpb.Message) bool {
	w := Write{Shard: testShard, Entries: msg.GetEntries()}
	if msg.Term != nil || msg.Vote != nil || msg.Commit != nil {
		if h := hard(msg.GetTerm(), msg.GetVote(), msg.GetCommit()); !raft.IsEmptyHardState(h) {
			w.HardState = h
		}
	}
	if m.log.commit([]Write{w}) != nil {
		return false
	}
	m.deliver(msg.GetResponses())
	return true
}

func (m *member) apply(msg *raftpb.Message) {
	for _, e := range msg.GetEntries() {
		if e.GetIndex() != m.index+1 {
			m.t.Fatalf("member %d applies %d after %d", m.id, e.GetIndex(), m.index)
		}
		m.index = e.GetIndex()
		if len(e.GetData()) > 0 {
			m.applied = append(m.applied, e.GetData())
		}
	}
	m.deliver(msg.GetResponses())
	slowest := slices.MinFunc(m.net.members, func(a, b *member) int { return int(a.index) - int(b.index) }).index
	if slowest > 8 && m.net.rng.IntN(4) == 0 {
		must(m.t, m.log.Compact(testShard, slowest-4)) // nobody needs a snapshot
	}
}

func (m *member) deliver(responses []*raftpb.Message) {
	for _, r := range responses {
		if r.GetTo() == m.id {
			must(m.t, m.raw.Step(r))
		} else {
			m.net.queue = append(m.net.queue, r)
		}
	}
}

// TestRaft lets real raft nodes lose their power at any operation of their logs and their messages at
// random: all apply the same, and nothing that anybody applied is ever taken back.
func TestRaft(t *testing.T) {
	for seed := range seeds(4) {
		cryptotest.SetGlobalRandom(t, seed) // raft draws its timeouts
		net := &network{rng: rand.New(rand.NewPCG(seed, 3))}
		for id := range uint64(3) {
			m := &member{t: t, id: id + 1, disk: vfstest.New(seed*3 + id), net: net}
			net.members = append(net.members, m)
			m.start()
		}
		for step := range 6000 {
			net.step(step < 2600)
		}
		longest := slices.MaxFunc(net.members, func(a, b *member) int { return len(a.applied) - len(b.applied) })
		for _, m := range net.members {
			for i, b := range m.applied {
				if !bytes.Equal(b, longest.applied[i]) {
					t.Fatalf("seed %d: member %d applied %q at %d, another %q", seed, m.id, b, i, longest.applied[i])
				}
			}
			if len(m.applied) != len(longest.applied) {
				t.Errorf("seed %d: member %d applied %d of %d", seed, m.id, len(m.applied), len(longest.applied))
			}
		}
		if len(longest.applied) < 20 {
			t.Errorf("seed %d: only %d entries applied", seed, len(longest.applied))
		}
	}
}

func (n *network) step(rough bool) {
	m := n.members[n.rng.IntN(3)]
	switch k := n.rng.IntN(100); {
	case k < 30:
		m.raw.Tick()
	case k < 60 && rough:
		_ = m.raw.Propose(slices.Repeat([]byte{byte(n.rng.Uint32())}, 1+n.rng.IntN(300))) // refused without a leader
	case k < 61 && rough:
		m.disk.CutAt(1 + n.rng.IntN(6))
	case k < 62 && rough:
		m.crash()
	}
	m.ready()
	for range n.rng.IntN(6) {
		n.pass(rough)
	}
}

// pass delivers one message, any one.
func (n *network) pass(rough bool) {
	if len(n.queue) == 0 {
		return
	}
	i := n.rng.IntN(len(n.queue))
	msg := n.queue[i]
	n.queue = slices.Delete(n.queue, i, i+1)
	if rough && n.rng.IntN(20) == 0 {
		return
	}
	to := n.members[msg.GetTo()-1]
	_ = to.raw.Step(proto.Clone(msg).(*raftpb.Message)) // a message from the past may be refused
	to.ready()
}
