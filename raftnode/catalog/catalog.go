// Package catalog is the state machine of a space: which name in which directory
// is which file, with what content, and what was there before. Apply is pure: the
// same writes in the same order give the same state on every box, and the same
// code shows what the writes of a box would do before they are agreed upon.
//
// Whatever the order, the bytes of a write are never dropped: they become a
// version, stand beside the file they were meant for, or are kept among the
// removed for 30 days. DESIGN.md has the table of all pairs.
package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"redhen/provision/ident"
	"redhen/raftnode/manifest"
)

// Errors of reading and of encoding.
var (
	// ErrNotFound says that a path leads nowhere.
	ErrNotFound = errors.New("catalog: not found")
	// ErrNotDirectory says that a path goes through a file.
	ErrNotDirectory = errors.New("catalog: not a directory")
	// ErrBadName says that nothing can have that name.
	ErrBadName = errors.New("catalog: not a possible name")
	// ErrInvalid says that a write is over a limit or contradicts itself. Such a
	// write is never proposed; one in the log stops the shard.
	ErrInvalid = errors.New("catalog: not a valid write")
)

// WriteID names one write for ever: the box that accepted it, the incarnation that
// the box drew when it started, and a number that counts up from 1 within it. It
// also names the version that a write made. The zero value names none.
type WriteID struct {
	Box ident.BoxID `cbor:"1,keyasint,omitempty"`
	Inc uint64      `cbor:"2,keyasint,omitempty"`
	Seq uint64      `cbor:"3,keyasint,omitempty"`
}

// IsZero reports whether the ID names none.
func (id WriteID) IsZero() bool { return id == WriteID{} }

// Compare orders IDs by box, incarnation and number.
func (id WriteID) Compare(other WriteID) int {
	return cmp.Or(cmp.Compare(id.Box, other.Box), cmp.Compare(id.Inc, other.Inc), cmp.Compare(id.Seq, other.Seq))
}

// String returns "BOX.INCARNATION.NUMBER", the last two in hex: safe in an ETag.
// The zero ID is "".
func (id WriteID) String() string {
	if id.IsZero() {
		return ""
	}
	return string(id.Box) + "." + strconv.FormatUint(id.Inc, 16) + "." + strconv.FormatUint(id.Seq, 16)
}

// ParseWriteID reads what String wrote.
func ParseWriteID(s string) (WriteID, error) {
	box, rest, _ := strings.Cut(s, ".")
	inc, seq, _ := strings.Cut(rest, ".")
	i, errInc := strconv.ParseUint(inc, 16, 64)
	n, errSeq := strconv.ParseUint(seq, 16, 64)
	id := WriteID{ident.BoxID(box), i, n}
	if errInc != nil || errSeq != nil || id.String() != s || id.check() != nil {
		return WriteID{}, fmt.Errorf("%w: write ID %q", ErrInvalid, s)
	}
	return id, nil
}

// NodeID names a file or directory, whatever its name and place. Root is the
// directory that everything is in.
type NodeID [16]byte

// Root is the directory at the top of the space. It cannot be moved or removed.
var Root NodeID

// NodeOf returns the ID of the node that a write makes, if it makes one.
func NodeOf(id WriteID) NodeID {
	b := make([]byte, 0, 96)
	b = append(append(b, id.Box...), 0)
	b = binary.BigEndian.AppendUint64(b, id.Inc)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, id.Seq))
	return NodeID(sum[:16])
}

// String returns 32 hex digits.
func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// Kind says what an Op does. The numbers are stored: never reused.
type Kind uint8

// The kinds.
const (
	Put      Kind = 1 // a file's content, new or changed
	Mkdir    Kind = 2 // a directory
	Move     Kind = 3 // another name or directory for Node
	Remove   Kind = 4 // Node and all that is in it, kept for 30 days
	Restore  Kind = 5 // Node from among the removed, or Version as the newest
	SetProps Kind = 6 // all dead properties of Node, or of the root
	SetLock  Kind = 7 // a lock on Node, or its refreshing
	Unlock   Kind = 8 // the end of a lock
)

// Condition is judged when the write is applied.
type Condition struct {
	// Match: the file's newest version must be this one.
	Match *WriteID `cbor:"1,keyasint,omitempty"`
	// Absent: nothing may have the name yet.
	Absent bool `cbor:"2,keyasint,omitempty"`
}

// Op is what a write does, as its author meant it. Dir and Name are the place that
// the author saw; Node is the file or directory that was there, zero if none. For
// SetProps, SetLock and Unlock a zero Node with an empty Name is the root.
type Op struct {
	Kind Kind   `cbor:"1,keyasint"`
	Dir  NodeID `cbor:"2,keyasint,omitzero"`
	Name string `cbor:"3,keyasint,omitempty"`
	Node NodeID `cbor:"4,keyasint,omitzero"`
	// Base is what the author saw: for Move the write that put Node where it was
	// (Entry.Placed), else its version (Entry.Version). Zero: saw none; then Move
	// and Remove are done whatever happened meanwhile.
	Base WriteID `cbor:"5,keyasint,omitzero"`
	// ToDir and ToName are where Move and Restore put Node; Restore without ToName
	// puts it where it was.
	ToDir  NodeID `cbor:"6,keyasint,omitzero"`
	ToName string `cbor:"7,keyasint,omitempty"`
	// Content is Put's, never nil there.
	Content *manifest.Content `cbor:"8,keyasint,omitempty"`
	// ModTime is the author's time of the content, Unix milliseconds.
	ModTime int64 `cbor:"9,keyasint,omitempty"`
	// Props are dead properties; for Put an empty map keeps those there are.
	Props map[string][]byte `cbor:"10,keyasint,omitempty"`
	If    Condition         `cbor:"11,keyasint,omitzero"`
	// Version is what Restore makes the newest again; zero: only Node comes back.
	Version WriteID `cbor:"12,keyasint,omitzero"`
	// Lock is set for SetLock, and with its Token for Unlock.
	Lock *Lock `cbor:"13,keyasint,omitempty"`
	// Overwrite lets Move remove what has the new name.
	Overwrite bool `cbor:"14,keyasint,omitempty"`
}

// Write is one Op with who, when and after what.
type Write struct {
	ID     WriteID         `cbor:"1,keyasint"`
	Author ident.AccountID `cbor:"2,keyasint,omitempty"`
	// Time is when the box accepted it, Unix milliseconds.
	Time int64 `cbor:"3,keyasint,omitempty"`
	// Where is the name of the house that accepted it, for the name of a file that
	// is kept beside another.
	Where string `cbor:"4,keyasint,omitempty"`
	// After are writes that must have been decided before this one.
	After []WriteID `cbor:"5,keyasint,omitempty"`
	// Floor says that all writes of this incarnation below it are decided and their
	// outcomes known at the box: they may be forgotten. At most ID.Seq.
	Floor uint64 `cbor:"6,keyasint,omitempty"`
	Op    Op     `cbor:"7,keyasint"`
}

// Status is what became of a write. The numbers are stored: never reused.
type Status uint8

// The statuses. All but Unresolved and NoHolders use the write's ID up.
const (
	Done         Status = 1  // as meant
	Beside       Status = 2  // done, at the place or under the name that Outcome tells
	Precondition Status = 3  // what the author saw or asked for is no longer so
	NotFound     Status = 4  // the node, its directory or the version does not exist
	NotDirectory Status = 5  // a file where a directory was meant
	IsDirectory  Status = 6  // a directory where a file was meant
	Exists       Status = 7  // the name is taken
	Cycle        Status = 8  // a directory would be inside itself
	Locked       Status = 9  // another account holds a lock there
	TooMany      Status = 10 // over a limit of the space
	Unresolved   Status = 11 // a write in After is not decided yet: propose again
	NoHolders    Status = 12 // too few replicas hold its chunks: propose again
	Stale        Status = 13 // was decided before, and the outcome is forgotten
)

// String returns the name in lower case.
func (s Status) String() string {
	names := [...]string{"", "done", "beside", "precondition", "not found", "not directory", "is directory", "exists",
		"cycle", "locked", "too many", "unresolved", "no holders", "stale"}
	if s == 0 || int(s) >= len(names) {
		return "status " + strconv.Itoa(int(s))
	}
	return names[s]
}

// Outcome is what a write did. Node, Version, Dir and Name are where its effect now
// is; a refused Put tells in Node under which ID its bytes are kept among the removed.
type Outcome struct {
	Status  Status  `cbor:"1,keyasint"`
	Node    NodeID  `cbor:"2,keyasint,omitzero"`
	Version WriteID `cbor:"3,keyasint,omitzero"`
	Dir     NodeID  `cbor:"4,keyasint,omitzero"`
	Name    string  `cbor:"5,keyasint,omitempty"`
	Index   uint64  `cbor:"6,keyasint,omitempty"` // of the log entry that decided it
}

// Entry is a file or directory as it is now.
type Entry struct {
	Node  NodeID `cbor:"1,keyasint,omitzero"`
	Dir   NodeID `cbor:"2,keyasint,omitzero"`
	Name  string `cbor:"3,keyasint,omitempty"`
	IsDir bool   `cbor:"4,keyasint,omitempty"`
	// Size is in bytes; ModTime is the author's, Unix milliseconds.
	Size    int64 `cbor:"5,keyasint,omitempty"`
	ModTime int64 `cbor:"6,keyasint,omitempty"`
	// Version is the write that made the content, or the directory; Placed the
	// write that put it at this place; Author who made the version, at Changed.
	Version WriteID         `cbor:"7,keyasint,omitzero"`
	Placed  WriteID         `cbor:"8,keyasint,omitzero"`
	Author  ident.AccountID `cbor:"9,keyasint,omitempty"`
	Created int64           `cbor:"10,keyasint,omitempty"`
	Changed int64           `cbor:"11,keyasint,omitempty"`
	// Content is complete in what Stat, Lookup and Node return. List gives its Size
	// alone, which no Put accepts for a file that is not empty.
	Content manifest.Content  `cbor:"12,keyasint,omitzero"`
	Props   map[string][]byte `cbor:"13,keyasint,omitempty"`
	// Older counts the versions that were ever replaced; it numbers the next.
	Older uint32 `cbor:"14,keyasint,omitempty"`
}

// Version is one version of a file.
type Version struct {
	ID      WriteID          `cbor:"1,keyasint"`
	Content manifest.Content `cbor:"2,keyasint"`
	ModTime int64            `cbor:"3,keyasint,omitempty"`
	Author  ident.AccountID  `cbor:"4,keyasint,omitempty"`
	Time    int64            `cbor:"5,keyasint,omitempty"` // when it was accepted
	Until   int64            `cbor:"6,keyasint,omitempty"` // kept until; 0 for the newest
}

// Removed is a file or directory that can be restored.
type Removed struct {
	// Entry is what it was; in a list without content.
	Entry Entry `cbor:"1,keyasint"`
	// Path is where it was, if that directory is still known.
	Path string          `cbor:"2,keyasint,omitempty"`
	Time int64           `cbor:"3,keyasint"` // of the removal, in the time of the catalog
	By   ident.AccountID `cbor:"4,keyasint,omitempty"`
	// Refused is why bytes were never a file: the status of their Put. Else 0.
	Refused Status `cbor:"5,keyasint,omitempty"`
	// Cursor continues a list behind this row.
	Cursor string `cbor:"6,keyasint,omitempty"`
}

// Lock keeps other accounts from changing a node, and what is in it unless
// Depth0. Which of the account's own programs holds it, the doors judge.
type Lock struct {
	Token  string          `cbor:"1,keyasint"`
	Node   NodeID          `cbor:"2,keyasint,omitzero"`
	Depth0 bool            `cbor:"3,keyasint,omitempty"`
	Owner  string          `cbor:"4,keyasint,omitempty"` // the client's own words
	Author ident.AccountID `cbor:"5,keyasint,omitempty"`
	// Expires is in the time of the catalog: the highest Write.Time applied.
	Expires int64 `cbor:"6,keyasint,omitempty"`
	// Path is filled in by View.Locks: where the node now is.
	Path string `cbor:"7,keyasint,omitempty"`
}

// Found is one result of a search.
type Found struct {
	Path  string `cbor:"1,keyasint"`
	Entry Entry  `cbor:"2,keyasint"`
}

// Stats counts what a space holds. Bytes of chunks that files share count for each.
type Stats struct {
	// Files, Dirs and Bytes are what is there. What is inside a removed directory
	// counts until the directory is purged.
	Files int64 `cbor:"1,keyasint,omitempty"`
	Dirs  int64 `cbor:"2,keyasint,omitempty"`
	Bytes int64 `cbor:"3,keyasint,omitempty"`
	// Kept are the bytes of older versions and of removed files.
	Kept int64 `cbor:"4,keyasint,omitempty"`
}
