// Package placement decides which boxes should hold which replicas, as a plan of
// changes. It is pure: the same boxes and spaces give the same plan everywhere.
package placement

import (
	"fmt"

	"redhen/provision/ident"
)

// Role says what a replica does in its raft group. The numbers are stored.
type Role uint8

const (
	// Voter counts for the quorum.
	Voter Role = 1
	// Learner holds a copy and has no vote.
	Learner Role = 2
)

// String returns "voter" or "learner".
func (r Role) String() string {
	switch r {
	case Voter:
		return "voter"
	case Learner:
		return "learner"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Replica is one copy of a shard on one box.
type Replica struct {
	// ID is raft's node ID, never zero and never reused within the shard.
	ID ident.ReplicaID `cbor:"1,keyasint,omitempty"`
	// Box holds the copy.
	Box ident.BoxID `cbor:"2,keyasint,omitempty"`
	// Role is what the replica is or should become.
	Role Role `cbor:"3,keyasint,omitempty"`
}

// MaxReplicas is the most replicas of one shard: every box of the largest circle,
// and as many again while they are being exchanged.
const MaxReplicas = 128

// Check refuses a list of replicas that no shard can have: too many, a box or an
// ID twice, an ID of zero or not below next, an unknown role, no voter. An empty list passes.
func Check(rs []Replica, next ident.ReplicaID) error {
	if len(rs) > MaxReplicas {
		return fmt.Errorf("placement: %d replicas", len(rs))
	}
	boxes, ids, voters := map[ident.BoxID]bool{}, map[ident.ReplicaID]bool{}, 0
	for _, r := range rs {
		switch {
		case r.ID == 0 || r.ID >= next || ids[r.ID]:
			return fmt.Errorf("placement: replica %d: number not to be used", r.ID)
		case r.Box == "" || boxes[r.Box]:
			return fmt.Errorf("placement: replica %d: box %q not to be used", r.ID, r.Box)
		case r.Role != Voter && r.Role != Learner:
			return fmt.Errorf("placement: replica %d: %v", r.ID, r.Role)
		case r.Role == Voter:
			voters++
		}
		boxes[r.Box], ids[r.ID] = true, true
	}
	if len(rs) > 0 && voters == 0 {
		return fmt.Errorf("placement: %d replicas and no voter", len(rs))
	}
	return nil
}
