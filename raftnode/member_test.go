package raftnode

import (
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/kv"
)

// membersOf makes a membership: "voters/outgoing" by numbers, replica n at box n.
func membersOf(voters, outgoing, learners []uint64) members {
	m := noMembers()
	m.conf = &pb.ConfState{Voters: voters, VotersOutgoing: outgoing, Learners: learners}
	for _, ids := range [][]uint64{voters, outgoing, learners} {
		for _, id := range ids {
			m.boxes[ident.ReplicaID(id)] = boxOf(id)
		}
	}
	return m
}

func boxOf(id uint64) ident.BoxID { return ident.BoxID(strings.Repeat("x", int(id))) }

func TestHeldByMajorityOfBothHalves(t *testing.T) {
	type ids = []ident.ReplicaID
	tests := []struct {
		voters, outgoing []uint64
		holders          ids
		want             bool
	}{
		{[]uint64{1}, nil, ids{1}, true},
		{[]uint64{1}, nil, nil, false},
		{[]uint64{1, 2}, nil, ids{1}, false},
		{[]uint64{1, 2}, nil, ids{1, 2}, true},
		{[]uint64{1, 2, 3}, nil, ids{1, 3}, true},
		{[]uint64{1, 2, 3}, nil, ids{1, 4, 5}, false},
		{[]uint64{1, 2, 3}, nil, ids{1, 1, 1}, false},
		{[]uint64{2, 3, 4}, []uint64{1, 2, 3}, ids{2, 3}, true},
		{[]uint64{2, 3, 4}, []uint64{1, 2, 3}, ids{3, 4}, false},
		{[]uint64{2, 3, 4}, []uint64{1, 2, 3}, ids{1, 2}, false},
		{[]uint64{2, 3, 4}, []uint64{1, 2, 3}, ids{1, 2, 4}, true},
		{[]uint64{1, 2, 3, 4, 5}, nil, ids{1, 2}, false},
	}
	for _, tt := range tests {
		if got := membersOf(tt.voters, tt.outgoing, nil).heldByMajority(tt.holders); got != tt.want {
			t.Errorf("voters %v, outgoing %v held by %v: got %v, want %v", tt.voters, tt.outgoing, tt.holders, got, tt.want)
		}
	}
}

func TestKeptInCountsTheHousesOfTheWorstMajority(t *testing.T) {
	tests := []struct {
		voters, outgoing []uint64
		houses           string // of replica 1, 2, …
		want             int
	}{
		{[]uint64{1}, nil, "A", 1},
		{[]uint64{1, 2}, nil, "AB", 2},
		{[]uint64{1, 2}, nil, "AA", 1},
		{[]uint64{1, 2, 3}, nil, "ABC", 2},
		{[]uint64{1, 2, 3}, nil, "AAB", 1}, // both of A are a majority
		{[]uint64{1, 2, 3, 4, 5}, nil, "ABCDE", 3},
		{[]uint64{1, 2, 3, 4, 5}, nil, "AABBC", 2},
		{[]uint64{1, 2}, []uint64{1}, "AB", 2},
		{[]uint64{1}, []uint64{1, 2}, "AB", 2},
	}
	for _, tt := range tests {
		house := func(b ident.BoxID) ident.HouseID { return ident.HouseID(tt.houses[len(b)-1:][:1]) }
		if got := membersOf(tt.voters, tt.outgoing, nil).keptIn(house); got != tt.want {
			t.Errorf("voters %v, outgoing %v in houses %s: got %d, want %d", tt.voters, tt.outgoing, tt.houses, got, tt.want)
		}
	}
}

func TestAMembershipChangesAsRaftsOwn(t *testing.T) {
	m := membersOf([]uint64{1}, nil, nil)
	step := func(box map[ident.ReplicaID]ident.BoxID, parts ...*pb.ConfChangeSingle) {
		t.Helper()
		cc := &pb.ConfChangeV2{Changes: parts}
		if box != nil {
			cc.Context = wire.MustMarshal(box)
		}
		next, err := m.after(cc, 10)
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	step(map[ident.ReplicaID]ident.BoxID{2: boxOf(2)}, change(pb.ConfChangeAddLearnerNode, 2))
	if m.isVoter(2) || !m.has(2) || m.replicaOf(boxOf(2)) != 2 {
		t.Errorf("after adding a learner: %v", m)
	}
	step(nil, change(pb.ConfChangeAddNode, 2))
	step(map[ident.ReplicaID]ident.BoxID{3: boxOf(3)}, change(pb.ConfChangeAddLearnerNode, 3))
	step(nil, change(pb.ConfChangeAddNode, 3), change(pb.ConfChangeRemoveNode, 1))
	if !m.joint() || !m.isVoter(3) || !m.votes(1) || m.isVoter(1) {
		t.Errorf("in the middle of a swap: %v", m.conf)
	}
	step(nil)
	if m.joint() || m.has(1) || m.boxes[1] != "" || len(m.voters()) != 2 {
		t.Errorf("after the swap: %v", m)
	}
	if _, err := m.after(&pb.ConfChangeV2{Context: []byte{0xff}}, 11); err == nil {
		t.Error("a context that is no map of boxes was taken")
	}
}

func TestMembersAreStoredTheSameEverywhere(t *testing.T) {
	m := membersOf([]uint64{3, 1, 2}, []uint64{1, 2}, []uint64{4, 5})
	var hashes [2][32]byte
	for i := range hashes {
		layer := kv.NewLayer(kv.Empty{})
		if err := m.write(layer); err != nil {
			t.Fatal(err)
		}
		hashes[i] = kv.Hash(layer)
		back, err := readMembers(layer)
		if err != nil || back.String() != m.String() || !back.joint() {
			t.Errorf("read back: %v, %v; want %v", back, err, m)
		}
	}
	if hashes[0] != hashes[1] {
		t.Error("one membership has two encodings")
	}
}
