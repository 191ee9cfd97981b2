package raftnode

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// Limits of one frame between two boxes.
const (
	maxFrame         = 1 << 20 // bytes
	maxFrameMessages = 4096
)

// frame is what one box sends another in one go: the raft messages of all their
// common shards, and at most one beat.
type frame struct {
	Raft  []raftMessage `cbor:"1,keyasint,omitempty"`
	Sleep []sleep       `cbor:"2,keyasint,omitempty"`
	Beat  *beat         `cbor:"3,keyasint,omitempty"`
	Wake  []wakeCall    `cbor:"4,keyasint,omitempty"`
	Lost  []lostPart    `cbor:"5,keyasint,omitempty"`
	Ask   []askWhole    `cbor:"6,keyasint,omitempty"`
	Tell  []tellWhole   `cbor:"7,keyasint,omitempty"`
	Count []askCounted  `cbor:"8,keyasint,omitempty"`
	Gone  []tellGone    `cbor:"9,keyasint,omitempty"`
}

// raftMessage is one message of a shard's raft group.
type raftMessage struct {
	Shard   ident.ShardID `cbor:"1,keyasint"`
	Message []byte        `cbor:"2,keyasint"` // raftpb.Message
}

// sleep is a leader's word that its group may stop ticking: everybody has
// everything. A follower that differs in any number stays awake.
type sleep struct {
	Shard  ident.ShardID   `cbor:"1,keyasint"`
	To     ident.ReplicaID `cbor:"2,keyasint"`
	Leader ident.ReplicaID `cbor:"3,keyasint"`
	Term   uint64          `cbor:"4,keyasint"`
	Index  uint64          `cbor:"5,keyasint"` // last and committed
}

// wakeCall asks the leader's box to wake a shard.
type wakeCall struct {
	Shard ident.ShardID `cbor:"1,keyasint"`
}

// lostPart tells a leader that a snapshot did not arrive.
type lostPart struct {
	Shard ident.ShardID   `cbor:"1,keyasint"`
	From  ident.ReplicaID `cbor:"2,keyasint"`
}

// askWhole is a leader's question whether a replica has every chunk. A replica
// of which that is not known counts as one that owes.
type askWhole struct {
	Shard ident.ShardID   `cbor:"1,keyasint"`
	To    ident.ReplicaID `cbor:"2,keyasint"`
}

// tellWhole answers it, and comes unasked when it changes: every chunk of every
// entry up to WholeTo is here.
type tellWhole struct {
	Shard   ident.ShardID   `cbor:"1,keyasint"`
	From    ident.ReplicaID `cbor:"2,keyasint"`
	WholeTo uint64          `cbor:"3,keyasint,omitempty"` // Applied when nothing is owed
	Applied uint64          `cbor:"4,keyasint,omitempty"`
	Busy    bool            `cbor:"5,keyasint,omitempty"` // a snapshot is on its way here, or being put in place
}

// askCounted is the question of a replica that the placement does not name any
// more whether its shard still counts it. Raft itself never tells a removed replica.
type askCounted struct {
	Shard   ident.ShardID   `cbor:"1,keyasint"`
	From    ident.ReplicaID `cbor:"2,keyasint"`
	Applied uint64          `cbor:"3,keyasint,omitempty"`
}

// tellGone answers it: a membership that was committed does not count the replica.
type tellGone struct {
	Shard ident.ShardID   `cbor:"1,keyasint"`
	To    ident.ReplicaID `cbor:"2,keyasint"`
}

// beat says that a box lives; one per pair of boxes and interval.
type beat struct {
	Boot   uint64 `cbor:"1,keyasint"`           // drawn at every start
	Digest uint64 `cbor:"2,keyasint"`           // of the sleeping shards that the sender leads, with their terms
	Sent   int64  `cbor:"3,keyasint"`           // the sender's clock in nanoseconds, echoed
	Echo   int64  `cbor:"4,keyasint,omitempty"` // the receiver's last Sent
	Lay    int64  `cbor:"5,keyasint,omitempty"` // nanoseconds between its arrival and this beat
}

func (f frame) empty() bool {
	return f.Beat == nil && f.longest() == 0
}

// longest is the length of the longest list.
func (f frame) longest() int {
	return max(len(f.Raft), len(f.Sleep), len(f.Wake), len(f.Lost), len(f.Ask), len(f.Tell), len(f.Count), len(f.Gone))
}

func encodeFrame(f *frame) []byte { return wire.MustMarshal(*f) }

func decodeFrame(b []byte) (frame, error) {
	var f frame
	if len(b) > maxFrame {
		return f, fmt.Errorf("frame of %d bytes: %w", len(b), wire.ErrTooLarge)
	}
	if err := wire.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("frame: %w", err)
	}
	if f.longest() > maxFrameMessages {
		return f, fmt.Errorf("frame: %w", wire.ErrTooLarge)
	}
	return f, nil
}

func decodeRaft(b []byte) (*pb.Message, error) {
	m := &pb.Message{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("raft message: %w", err)
	}
	return m, nil
}
