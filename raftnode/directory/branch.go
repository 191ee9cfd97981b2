package directory

import (
	"fmt"
	"reflect"

	"redhen/provision/ident"
	"redhen/provision/roster"
)

// maxLogin is the length of a login name in bytes.
const maxLogin = 32

// Branch returns the commands that bring what one side of a circle that parted, mine,
// knows of people and spaces to the other, theirs, as far as the circle is to have it:
// accounts and spaces that were made, with another name where it is taken; accounts and
// device passwords that were ended; passwords that were changed more often here. Box is
// the one that brings it, whose settings come along. The Replicas of spaces are the
// caller's to fill in. Invites, petitions and the diary stay behind; boxes that were
// admitted on the branch must be invited again. After all of it nothing is left.
func Branch(mine, theirs View, box ident.BoxID) []Command {
	b := &branch{mine: mine, theirs: theirs, since: parted(mine, theirs)}
	for _, a := range mine.Accounts() {
		b.account(a)
	}
	for _, s := range mine.Spaces() {
		b.space(s, box)
	}
	b.settings(box)
	return b.commands
}

// branch is one comparison.
type branch struct {
	mine, theirs View
	since        int64 // when they parted, Unix milliseconds
	commands     []Command
}

func (b *branch) add(c Command) { b.commands = append(b.commands, c) }

// parted is when mine went on alone, by the clock of whoever said so.
func parted(mine, theirs View) int64 {
	m, t := mine.Roster(), theirs.Roster()
	for _, c := range mine.Changes(uint64(roster.Common(m, t)), 1) {
		if body, err := c.TakeoverBody(); err == nil {
			return body.Time
		}
	}
	return 1 << 62 // never: nothing was made or ended since
}

func (b *branch) account(a Account) {
	t, known := b.theirs.Account(a.ID)
	switch {
	case !known && !a.Removed:
		b.newAccount(a)
	case !known || t.Removed:
	case a.Removed:
		if _, keeps := b.theirs.Roster().KeeperKey(a.ID); !keeps {
			b.add(Command{RemoveAccount: &RemoveAccount{ID: a.ID, If: t.Version}})
		}
	default:
		b.secrets(a, t)
		b.devices(a, t)
	}
}

func (b *branch) newAccount(a Account) {
	put := &PutAccount{Account: a}
	put.Account.Name = b.freeName(a.Name, func(name string) bool { _, taken := b.theirs.AccountByName(name); return taken })
	if s, ok := b.mine.Space(a.Space); ok && s.Owner == a.ID {
		put.Space = &NewSpace{Space: s}
		put.Space.Space.Name = b.freeSpaceName(put.Account.Name)
	} else {
		put.Account.Space = 0
	}
	b.add(Command{PutAccount: put})
}

// secrets brings a password that was changed on the branch, if it was changed more
// often there. A key that the roster knows a keeper by stays.
func (b *branch) secrets(a, t Account) {
	if a.Epoch <= t.Epoch {
		return
	}
	next := t
	next.Password, next.Epoch, next.FullName = a.Password, a.Epoch, a.FullName
	if _, keeps := b.theirs.Roster().KeeperKey(a.ID); !keeps || a.KeeperKey.Equal(t.KeeperKey) {
		next.KeeperKey, next.SealedKey = a.KeeperKey, a.SealedKey
	}
	b.add(Command{PutAccount: &PutAccount{Account: next, If: t.Version}})
}

func (b *branch) devices(a, t Account) {
	for _, d := range a.Devices {
		if t.device(d.ID) < 0 && d.Created > b.since {
			b.add(Command{AddDevice: &AddDevice{Account: a.ID, Device: d}})
		}
	}
	for _, d := range t.Devices {
		if a.device(d.ID) < 0 && d.Created <= b.since {
			b.add(Command{RemoveDevice: &RemoveDevice{Account: a.ID, Device: d.ID}})
		}
	}
}

// space brings a space; an account's own comes with the account. Where its owner was removed,
// what they wrote stays, as ever: it is the keeper's whose box brings it.
func (b *branch) space(s Space, box ident.BoxID) {
	if _, known := b.theirs.Space(s.ID); known {
		return
	}
	here, _ := b.mine.Account(s.Owner)
	there, known := b.theirs.Account(s.Owner)
	switch {
	case !known && !here.Removed:
		return // the account comes first
	case !known, there.Removed:
		by, _ := b.theirs.Roster().Box(box)
		s.Owner = by.Keeper
	}
	s.Name = b.freeSpaceName(s.Name)
	b.add(Command{CreateSpace: &NewSpace{Space: s}})
}

func (b *branch) settings(box ident.BoxID) {
	m, t := b.mine.BoxSettings(box), b.theirs.BoxSettings(box)
	m.Reads, m.Leaving = t.Reads, t.Leaving
	if !reflect.DeepEqual(m, t) {
		b.add(Command{SetBox: &SetBox{Settings: m}})
	}
}

func (b *branch) freeSpaceName(name string) string {
	return b.freeName(name, func(name string) bool { _, taken := b.theirs.SpaceByName(name); return taken })
}

// freeName is a name, or one with a number behind it that nothing has.
func (b *branch) freeName(name string, taken func(string) bool) string {
	try := name
	for i := 2; taken(try); i++ {
		end := fmt.Sprint("-", i)
		try = name[:min(len(name), maxLogin-len(end))] + end
	}
	return try
}
