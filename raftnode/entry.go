package raftnode

import (
	"fmt"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// entryKind says which state machine an entry is for. The numbers are on disk: never reused.
type entryKind uint8

const (
	entryWrite   entryKind = 1 // catalog.Write, of a space
	entryCommand entryKind = 2 // directory.Command, of the circle shard
)

// maxEntry is the largest entry in bytes: a write with its inline content, its
// properties and its chunk list.
const maxEntry = 1 << 20

// entry is what stands in the log of a shard, behind raft's own header.
type entry struct {
	Kind    entryKind         `cbor:"1,keyasint"`
	Body    []byte            `cbor:"2,keyasint"`
	Holders []ident.ReplicaID `cbor:"3,keyasint,omitempty"` // replicas that hold every chunk of the write, synced
}

func (e entry) encode() []byte { return wire.MustMarshal(e) }

func decodeEntry(b []byte) (entry, error) {
	var e entry
	if len(b) > maxEntry {
		return e, fmt.Errorf("entry of %d bytes: %w", len(b), wire.ErrTooLarge)
	}
	if err := wire.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("entry: %w", err)
	}
	if len(e.Holders) > maxReplicas {
		return e, fmt.Errorf("entry with %d holders: %w", len(e.Holders), wire.ErrTooLarge)
	}
	return e, nil
}
