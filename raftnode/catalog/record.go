package catalog

import (
	"encoding/binary"

	"redhen/provision/wire"
	"redhen/raftnode/kv"
)

// The tables of a space by the first byte of their keys (0x10–0x3f are the
// catalog's). Numbers in keys are big-endian, so that they sort.
const (
	tableMeta     = 0x10 // → meta
	tableNodes    = 0x11 // node → node
	tableNames    = 0x12 // directory, folded name → Entry without content
	tableContents = 0x13 // node → manifest.Content; none for an empty file
	tableVersions = 0x14 // node, number → Version that was replaced
	tableRemoved  = 0x15 // inverted time, node → Removed; the latest first
	tableExpiry   = 0x16 // time, key in another table → nothing
	tableOutcomes = 0x17 // incarnation of a box, number → Outcome
	tableFloors   = 0x18 // incarnation of a box → number
	tableLanded   = 0x19 // write → landing
	tableAlias    = 0x1a // node that a write would have made → node used instead
	tableLocks    = 0x1b // node → Lock
	tableTokens   = 0x1c // token → node
	tableDoomed   = 0x1d // removed directory whose time is over → nothing
)

// meta counts what the tables hold.
type meta struct {
	Time  int64 `cbor:"1,keyasint,omitempty"` // the highest Write.Time applied
	Stats Stats `cbor:"2,keyasint,omitzero"`
	Locks int64 `cbor:"3,keyasint,omitempty"` // rows of tableLocks, expired ones too
	// Next is when something expires at the earliest; 0: nothing will.
	Next   int64 `cbor:"4,keyasint,omitempty"`
	Doomed int64 `cbor:"5,keyasint,omitempty"` // rows of tableDoomed
}

// node says where a node is.
type node struct {
	Dir   NodeID `cbor:"1,keyasint,omitzero"`
	Name  string `cbor:"2,keyasint,omitempty"`
	IsDir bool   `cbor:"3,keyasint,omitempty"`
	// Removed is the time in tableRemoved; 0: it stands in tableNames. Then what is
	// in it still hangs under it.
	Removed int64 `cbor:"4,keyasint,omitempty"`
}

func metaKey() []byte              { return []byte{tableMeta} }
func nodeKey(n NodeID) []byte      { return idKey(tableNodes, n, 0) }
func contentKey(n NodeID) []byte   { return idKey(tableContents, n, 0) }
func aliasKey(n NodeID) []byte     { return idKey(tableAlias, n, 0) }
func lockKey(n NodeID) []byte      { return idKey(tableLocks, n, 0) }
func doomedKey(n NodeID) []byte    { return idKey(tableDoomed, n, 0) }
func versionsKey(n NodeID) []byte  { return idKey(tableVersions, n, 4) }
func tokenKey(token string) []byte { return append([]byte{tableTokens}, token...) }

func idKey(table byte, n NodeID, more int) []byte {
	return append(append(make([]byte, 0, 17+more), table), n[:]...)
}

func versionKey(n NodeID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(versionsKey(n), number)
}

func nameKey(dir NodeID, folded string) []byte {
	return append(idKey(tableNames, dir, len(folded)), folded...)
}

func removedKey(at int64, n NodeID) []byte {
	b := append(make([]byte, 0, 25), tableRemoved)
	return append(binary.BigEndian.AppendUint64(b, ^uint64(at)), n[:]...)
}

func expiryKey(at int64, key []byte) []byte {
	b := append(make([]byte, 0, 9+len(key)), tableExpiry)
	return append(binary.BigEndian.AppendUint64(b, uint64(at)), key...)
}

// writeKey has the box behind its length, so that no incarnation is the prefix of another.
func writeKey(table byte, id WriteID) []byte {
	return binary.BigEndian.AppendUint64(incarnationKey(table, id), id.Seq)
}

func incarnationKey(table byte, id WriteID) []byte {
	b := append(make([]byte, 0, 18+len(id.Box)), table, byte(len(id.Box)))
	return binary.BigEndian.AppendUint64(append(b, id.Box...), id.Inc)
}

func encode(record any) []byte { return wire.MustMarshal(record) }

func decode(key, b []byte, record any) {
	if err := wire.Unmarshal(b, record); err != nil {
		kv.Damaged("catalog record %x: %v", key, err)
	}
}
