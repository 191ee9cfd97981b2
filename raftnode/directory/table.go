package directory

import (
	"encoding/binary"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

// The tables of the circle shard by the first byte of their keys (0x40–0x7f are
// the directory's). Numbers in keys are big-endian, so that they sort.
const (
	tableMeta         = 0x40
	tableRoster       = 0x41 // position → rosterRow
	tableAccounts     = 0x42 // account ID → Account
	tableAccountNames = 0x43 // name → account ID
	tableSpaces       = 0x44 // shard → Space
	tableSpaceNames   = 0x45 // name → shard
	tablePlacements   = 0x46 // shard → Placement
	tableBoxes        = 0x47 // box ID → BoxSettings
	tableInvites      = 0x48 // hash → Invite
	tablePetitions    = 0x49 // SHA-256 of the change's body → Petition
	tableDiary        = 0x4a // number → Entry
	tableCommands     = 0x4b // command ID → remembered
	tableOrder        = 0x4c // number → command ID
)

// meta counts what the tables hold.
type meta struct {
	// Roster is the length of the chain.
	Roster uint64 `cbor:"1,keyasint,omitempty"`
	// Diary and Commands number the next rows.
	Diary    uint64 `cbor:"2,keyasint,omitempty"`
	Commands uint64 `cbor:"3,keyasint,omitempty"`
	Accounts uint64 `cbor:"4,keyasint,omitempty"` // not removed
	Spaces   uint64 `cbor:"5,keyasint,omitempty"`
	Invites  uint64 `cbor:"6,keyasint,omitempty"`
	// Petitions counts open ones.
	Petitions uint64 `cbor:"7,keyasint,omitempty"`
	// Formats is the level that every active box can read. It never falls.
	Formats uint64 `cbor:"8,keyasint,omitempty"`
}

// rosterRow holds a change and the head of the chain after it, so that a longer
// chain is known to extend one that was verified before.
type rosterRow struct {
	Change roster.Change `cbor:"1,keyasint"`
	Head   [32]byte      `cbor:"2,keyasint"`
}

type remembered struct {
	Outcome Outcome `cbor:"1,keyasint"`
}

func metaKey() []byte                       { return []byte{tableMeta} }
func rosterKey(n uint64) []byte             { return numberKey(tableRoster, n) }
func accountKey(id ident.AccountID) []byte  { return textKey(tableAccounts, string(id)) }
func accountNameKey(name string) []byte     { return textKey(tableAccountNames, name) }
func spaceKey(id ident.ShardID) []byte      { return numberKey(tableSpaces, uint64(id)) }
func spaceNameKey(name string) []byte       { return textKey(tableSpaceNames, name) }
func placementKey(id ident.ShardID) []byte  { return numberKey(tablePlacements, uint64(id)) }
func boxKey(id ident.BoxID) []byte          { return textKey(tableBoxes, string(id)) }
func inviteKey(hash [32]byte) []byte        { return append([]byte{tableInvites}, hash[:]...) }
func petitionKey(hash [32]byte) []byte      { return append([]byte{tablePetitions}, hash[:]...) }
func diaryKey(n uint64) []byte              { return numberKey(tableDiary, n) }
func commandKey(id [16]byte) []byte         { return append([]byte{tableCommands}, id[:]...) }
func orderKey(n uint64) []byte              { return numberKey(tableOrder, n) }
func textKey(table byte, s string) []byte   { return append([]byte{table}, s...) }
func numberKey(table byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{table}, n) }

func encode(record any) []byte { return wire.MustMarshal(record) }
