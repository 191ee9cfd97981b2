package directory

import (
	"encoding/binary"
	"fmt"
	"iter"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/kv"
)

// View reads the directory. What it returns is the caller's own. A record that
// cannot be decoded counts as missing and is told by Err.
type View struct {
	r    kv.Reader
	memo *memo
	bad  *error
}

// Err returns ErrDamaged with the first record that could not be read, nil when
// there was none.
func (v View) Err() error { return *v.bad }

func (v View) damaged(key []byte, err error) {
	if *v.bad == nil {
		*v.bad = fmt.Errorf("%w %x: %v", ErrDamaged, key, err)
	}
}

func (v View) get(key []byte, record any) bool {
	b := v.r.Get(key)
	if b == nil {
		return false
	}
	return v.decode(key, b, record)
}

func (v View) decode(key, b []byte, record any) bool {
	if err := wire.Unmarshal(b, record); err != nil {
		v.damaged(key, err)
		return false
	}
	return true
}

func (v View) readMeta() (m meta) {
	v.get(metaKey(), &m)
	return m
}

func scan[T any](v View, table byte) iter.Seq2[[]byte, T] {
	return func(yield func([]byte, T) bool) {
		for key, b := range v.r.Scan([]byte{table}, nil) {
			var record T
			if v.decode(key, b, &record) && !yield(key[1:], record) {
				return
			}
		}
	}
}

func all[T any](v View, table byte) (list []T) {
	for _, record := range scan[T](v, table) {
		list = append(list, record)
	}
	return list
}

// Roster returns who belongs to the circle, nil before it is founded.
func (v View) Roster() *roster.State {
	s, err := v.memo.state(v, v.readMeta().Roster)
	if err != nil {
		v.damaged([]byte{tableRoster}, err)
	}
	return s
}

// Changes returns the chain from position from (zero is the first change), at
// most limit changes.
func (v View) Changes(from uint64, limit int) (list []roster.Change) {
	for key, b := range v.r.Scan([]byte{tableRoster}, rosterKey(from)) {
		var row rosterRow
		if len(list) == limit || !v.decode(key, b, &row) {
			break
		}
		list = append(list, row.Change)
	}
	return list
}

// Account returns an account by its ID, also a removed one.
func (v View) Account(id ident.AccountID) (Account, bool) {
	var a Account
	ok := v.get(accountKey(id), &a)
	return a, ok
}

// AccountByName returns the account with that login name; none is removed.
func (v View) AccountByName(name string) (Account, bool) {
	id := v.r.Get(accountNameKey(name))
	if id == nil {
		return Account{}, false
	}
	return v.Account(ident.AccountID(id))
}

// Accounts returns all accounts, also removed ones, ordered by ID.
func (v View) Accounts() []Account { return all[Account](v, tableAccounts) }

// Space returns a space by its shard.
func (v View) Space(id ident.ShardID) (Space, bool) {
	var s Space
	ok := v.get(spaceKey(id), &s)
	return s, ok
}

// SpaceByName returns the space with that name.
func (v View) SpaceByName(name string) (Space, bool) {
	b := v.r.Get(spaceNameKey(name))
	if len(b) != 8 {
		return Space{}, false
	}
	return v.Space(ident.ShardID(binary.BigEndian.Uint64(b)))
}

// Spaces returns all spaces, ordered by shard.
func (v View) Spaces() []Space { return all[Space](v, tableSpaces) }

// Placement returns which boxes hold a shard.
func (v View) Placement(id ident.ShardID) (Placement, bool) {
	var p Placement
	ok := v.get(placementKey(id), &p)
	return p, ok
}

// Placements yields the placement of every shard, the circle shard first.
func (v View) Placements() iter.Seq2[ident.ShardID, Placement] {
	return func(yield func(ident.ShardID, Placement) bool) {
		for key, p := range scan[Placement](v, tablePlacements) {
			if len(key) == 8 && !yield(ident.ShardID(binary.BigEndian.Uint64(key)), p) {
				return
			}
		}
	}
}

// BoxSettings returns what the keeper of a box decided, zero when nothing was.
func (v View) BoxSettings(box ident.BoxID) BoxSettings {
	var s BoxSettings
	v.get(boxKey(box), &s)
	return s
}

// Petitions returns the changes that wait for signatures.
func (v View) Petitions() []Petition { return all[Petition](v, tablePetitions) }

// Invite returns an open invite by the hash of its secret; the caller judges Expires.
func (v View) Invite(hash [32]byte) (Invite, bool) {
	var i Invite
	ok := v.get(inviteKey(hash), &i)
	return i, ok
}

// Invites returns all open invites.
func (v View) Invites() []Invite { return all[Invite](v, tableInvites) }

// Diary returns the newest rows, at most limit, the newest first.
func (v View) Diary(limit int) (list []Entry) {
	for n := v.readMeta().Diary; n > 0 && len(list) < limit; n-- {
		var e Entry
		if !v.get(diaryKey(n-1), &e) {
			break
		}
		list = append(list, e)
	}
	return list
}

// Formats returns the level of stored and sent formats that every active box can
// read; zero is the level of the first release.
func (v View) Formats() uint64 { return v.readMeta().Formats }

// Outcome returns what became of a command, if it is among the last MaxCommands.
func (v View) Outcome(id [16]byte) (Outcome, bool) {
	var r remembered
	ok := v.get(commandKey(id), &r)
	return r.Outcome, ok
}
