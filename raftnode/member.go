package raftnode

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/kv"
	"redhen/raftnode/manifest"
)

// maxReplicas bounds the replicas of one shard.
const maxReplicas = 64

// Table 0x01 of a shard's state is raftnode's own: the membership that is in
// force at the applied index. It travels in snapshots like everything else.
var (
	keyConfState = []byte{0x01, 'c'}
	keyMembers   = []byte{0x01, 'm'}
	keyEra       = []byte{0x01, 'e'}
)

// members is the membership of a shard at one applied index.
type members struct {
	conf  *pb.ConfState
	boxes map[ident.ReplicaID]ident.BoxID
	era   uint64 // how often the shard went on without a majority of its voters
}

func noMembers() members {
	return members{conf: &pb.ConfState{}, boxes: map[ident.ReplicaID]ident.BoxID{}}
}

// readMembers reads the membership; a state without one has no members.
func readMembers(r kv.Reader) (members, error) {
	m := noMembers()
	if err := proto.Unmarshal(r.Get(keyConfState), m.conf); err != nil {
		return m, fmt.Errorf("members: %w", err)
	}
	if b := r.Get(keyMembers); b != nil {
		if err := wire.Unmarshal(b, &m.boxes); err != nil {
			return m, fmt.Errorf("members: %w", err)
		}
	}
	if b := r.Get(keyEra); len(b) == 8 {
		m.era = binary.BigEndian.Uint64(b)
	}
	return m, nil
}

func (m members) write(tx kv.Writer) error {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.conf)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	tx.Put(keyConfState, b)
	tx.Put(keyMembers, wire.MustMarshal(m.boxes))
	if m.era > 0 {
		tx.Put(keyEra, binary.BigEndian.AppendUint64(nil, m.era))
	}
	return nil
}

// after returns the membership after a conf change whose context names the boxes
// of replicas that it adds. It is what raft itself computes (confchange.Changer).
func (m members) after(cc *pb.ConfChangeV2, index uint64) (members, error) {
	var added map[ident.ReplicaID]ident.BoxID
	if len(cc.GetContext()) > 0 {
		if err := wire.Unmarshal(cc.GetContext(), &added); err != nil {
			return m, fmt.Errorf("conf change context: %w", err)
		}
	}
	conf, err := nextConf(m.conf, cc, index)
	if err != nil {
		return m, err
	}
	next := members{conf: conf, boxes: maps.Clone(m.boxes), era: m.era}
	maps.Copy(next.boxes, added)
	maps.DeleteFunc(next.boxes, func(id ident.ReplicaID, _ ident.BoxID) bool { return !next.has(id) })
	return next, nil
}

func nextConf(conf *pb.ConfState, cc *pb.ConfChangeV2, index uint64) (*pb.ConfState, error) {
	chg := confchange.Changer{Tracker: tracker.MakeProgressTracker(1, 0), LastIndex: index}
	cfg, progress, err := confchange.Restore(chg, conf)
	if err != nil {
		return nil, fmt.Errorf("restore membership: %w", err)
	}
	chg.Tracker.Config, chg.Tracker.Progress = cfg, progress
	if cc.LeaveJoint() {
		cfg, _, err = chg.LeaveJoint()
	} else if auto, joint := cc.EnterJoint(); joint {
		cfg, _, err = chg.EnterJoint(auto, cc.GetChanges()...)
	} else {
		cfg, _, err = chg.Simple(cc.GetChanges()...)
	}
	if err != nil {
		return nil, fmt.Errorf("change membership: %w", err)
	}
	chg.Tracker.Config = cfg
	return chg.Tracker.ConfState(), nil
}

// has reports whether the replica takes part in any role.
func (m members) has(id ident.ReplicaID) bool {
	c := m.conf
	for _, ids := range [][]uint64{c.GetVoters(), c.GetLearners(), c.GetVotersOutgoing(), c.GetLearnersNext()} {
		if slices.Contains(ids, uint64(id)) {
			return true
		}
	}
	return false
}

func (m members) isVoter(id ident.ReplicaID) bool {
	return slices.Contains(m.conf.GetVoters(), uint64(id))
}

func (m members) joint() bool { return len(m.conf.GetVotersOutgoing()) > 0 }

// voters returns the incoming voters in ascending order.
func (m members) voters() []ident.ReplicaID { return sortedReplicas(m.conf.GetVoters()) }

func sortedReplicas(ids []uint64) []ident.ReplicaID {
	out := make([]ident.ReplicaID, len(ids))
	for i, id := range ids {
		out[i] = ident.ReplicaID(id)
	}
	slices.Sort(out)
	return out
}

// replicaOf returns the box's replica, the newest while it has two, zero when it has none.
func (m members) replicaOf(box ident.BoxID) (newest ident.ReplicaID) {
	for id, b := range m.boxes {
		if b == box {
			newest = max(newest, id)
		}
	}
	return newest
}

// heldByMajority reports whether the holders are a majority of the voters; of
// both halves while the membership is joint.
func (m members) heldByMajority(holders []ident.ReplicaID) bool {
	return most(m.voters(), holders) && (!m.joint() || most(sortedReplicas(m.conf.GetVotersOutgoing()), holders))
}

// at returns the replicas at boxes of a kind, in no order.
func (m members) at(is func(ident.BoxID) bool) (ids []ident.ReplicaID) {
	for id, box := range m.boxes {
		if is(box) {
			ids = append(ids, id)
		}
	}
	return ids
}

// haveBytes reports whether a majority of the voters has the chunks of a content.
func (m members) haveBytes(c *manifest.Content, holders []ident.ReplicaID) bool {
	return c == nil || len(c.Chunks) == 0 || m.heldByMajority(holders)
}

// keptIn returns the number of different houses that any majority of the voters
// is sure to have: what a committed write can promise.
func (m members) keptIn(houseOf func(ident.BoxID) ident.HouseID) int {
	n := housesOfMajority(m.conf.GetVoters(), m.boxes, houseOf)
	if m.joint() {
		n = max(n, housesOfMajority(m.conf.GetVotersOutgoing(), m.boxes, houseOf))
	}
	return n
}

func housesOfMajority(voters []uint64, boxes map[ident.ReplicaID]ident.BoxID, houseOf func(ident.BoxID) ident.HouseID) int {
	perHouse := map[ident.HouseID]int{}
	for _, v := range voters {
		perHouse[houseOf(boxes[ident.ReplicaID(v)])]++
	}
	counts := slices.Sorted(maps.Values(perHouse))
	slices.Reverse(counts)
	need, houses := len(voters)/2+1, 0
	for _, c := range counts {
		if need <= 0 {
			break
		}
		need -= c
		houses++
	}
	return houses
}
