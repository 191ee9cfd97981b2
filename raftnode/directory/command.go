package directory

import (
	"errors"
	"fmt"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/placement"
)

// MaxCommand is the size in bytes of the largest command.
const MaxCommand = 128 << 10

// Command is one change that a box proposes. Exactly one of the pointers is set.
type Command struct {
	// ID is drawn by the proposer and stays the same when it proposes again.
	ID [16]byte `cbor:"1,keyasint"`
	// By is the proposing box; it must be an active one.
	By   ident.BoxID `cbor:"2,keyasint"`
	Time int64       `cbor:"3,keyasint"`

	Found         *Found         `cbor:"4,keyasint,omitempty"`
	Admit         *Admit         `cbor:"5,keyasint,omitempty"`
	Roster        *RosterChange  `cbor:"6,keyasint,omitempty"`
	Petition      *SignPetition  `cbor:"7,keyasint,omitempty"`
	PutAccount    *PutAccount    `cbor:"8,keyasint,omitempty"`
	RemoveAccount *RemoveAccount `cbor:"9,keyasint,omitempty"`
	AddDevice     *AddDevice     `cbor:"10,keyasint,omitempty"`
	RemoveDevice  *RemoveDevice  `cbor:"11,keyasint,omitempty"`
	CreateSpace   *NewSpace      `cbor:"12,keyasint,omitempty"`
	SetPlacement  *SetPlacement  `cbor:"13,keyasint,omitempty"`
	SetBox        *SetBox        `cbor:"14,keyasint,omitempty"`
	Invite        *Invite        `cbor:"15,keyasint,omitempty"`
	UseInvite     *UseInvite     `cbor:"16,keyasint,omitempty"`
	Diary         *Entry         `cbor:"17,keyasint,omitempty"`
	PutSpace      *PutSpace      `cbor:"18,keyasint,omitempty"`
	Takeover      *Takeover      `cbor:"19,keyasint,omitempty"`
	BeginEra      *BeginEra      `cbor:"20,keyasint,omitempty"`
	PutSealed     *PutSealed     `cbor:"41,keyasint,omitempty"`
	DropSealed    *DropSealed    `cbor:"42,keyasint,omitempty"`
	TakeLease     *TakeLease     `cbor:"43,keyasint,omitempty"`
	AddPasskey    *AddPasskey    `cbor:"44,keyasint,omitempty"`
	RemovePasskey *RemovePasskey `cbor:"45,keyasint,omitempty"`
}

// Found begins the circle: its first change, first account and that account's
// space. The founding box gets replica 1 of the circle shard and of the space.
type Found struct {
	Change  roster.Change `cbor:"1,keyasint"`
	Account Account       `cbor:"2,keyasint"`
	Space   *Space        `cbor:"3,keyasint,omitempty"`
}

// Admit lets a box in and gives it a replica of the circle shard, a learner. The
// keeper's account is new, or nil when the circle knows the keeper already.
type Admit struct {
	Change  roster.Change `cbor:"1,keyasint"`
	Account *Account      `cbor:"2,keyasint,omitempty"`
	Space   *NewSpace     `cbor:"3,keyasint,omitempty"`
}

// RosterChange carries a change that is complete by its own signatures: a rename,
// a retirement, or one that all needed keepers signed at once.
type RosterChange struct {
	Change roster.Change `cbor:"1,keyasint"`
}

// SignPetition adds signatures to a change that needs several keepers, and makes
// the change when they suffice.
type SignPetition struct {
	Change roster.Change `cbor:"1,keyasint"`
}

// PutAccount makes an account (If zero) or changes the one whose Version is If.
// Devices, Created and Version are the directory's own and ignored on a change.
type PutAccount struct {
	Account Account `cbor:"1,keyasint"`
	If      uint64  `cbor:"2,keyasint,omitempty"`
	// Space is made along with a new account.
	Space *NewSpace `cbor:"3,keyasint,omitempty"`
}

// RemoveAccount ends an account; a keeper of an active box cannot be removed. The
// account's space stays.
type RemoveAccount struct {
	ID ident.AccountID `cbor:"1,keyasint"`
	If uint64          `cbor:"2,keyasint"`
}

// AddDevice gives an account one more device password.
type AddDevice struct {
	Account ident.AccountID `cbor:"1,keyasint"`
	Device  Device          `cbor:"2,keyasint"`
}

// RemoveDevice takes a device password away.
type RemoveDevice struct {
	Account ident.AccountID `cbor:"1,keyasint"`
	Device  string          `cbor:"2,keyasint"`
}

// PutSpace changes the title and the copies wanted of the space whose Version is If.
type PutSpace struct {
	Space Space  `cbor:"1,keyasint"`
	If    uint64 `cbor:"2,keyasint"`
}

// SetPlacement replaces the placement of a shard whose Version is If. Replicas
// that stay keep ID and box, new ones take unused IDs on active boxes.
type SetPlacement struct {
	Shard    ident.ShardID       `cbor:"1,keyasint"`
	If       uint64              `cbor:"2,keyasint"`
	Replicas []placement.Replica `cbor:"3,keyasint"`
	Next     ident.ReplicaID     `cbor:"4,keyasint"`
}

// SetBox replaces the settings of the proposing box.
type SetBox struct {
	Settings BoxSettings `cbor:"1,keyasint"`
}

// UseInvite makes an account with an invite and uses the invite up.
type UseInvite struct {
	Hash    [32]byte  `cbor:"1,keyasint"`
	Account Account   `cbor:"2,keyasint"`
	Space   *NewSpace `cbor:"3,keyasint,omitempty"`
}

// Code says how a command ended; the empty Code means that it was done.
type Code string

// The ways in which a command can end. The texts are stored and never change.
const (
	Done Code = ""
	// Waiting: the petition was signed and needs further keepers.
	Waiting Code = "waiting"
	// Invalid: a field is outside of its limits.
	Invalid Code = "invalid"
	// Stranger: the proposing box is not an active one.
	Stranger Code = "stranger"
	// NotYours: another box or keeper decides that.
	NotYours Code = "not-yours"
	// Refused: the roster refuses the change: a bad signature, a name taken, a repeat.
	Refused Code = "refused"
	// Changed: the record is not the one that the proposer saw.
	Changed Code = "changed"
	// Missing: there is no such account, space, device or invite.
	Missing Code = "missing"
	// Exists: there is such an account, space or device already.
	Exists Code = "exists"
	// NameTaken: another account or space has that name.
	NameTaken Code = "name-taken"
	// Full: there are as many as there may be.
	Full Code = "full"
	// Keeps: the account still keeps an active box.
	Keeps Code = "keeps-a-box"
	// Expired: the invite is too old.
	Expired Code = "expired"
)

// Outcome is what became of a command.
type Outcome struct {
	Code Code `cbor:"1,keyasint,omitempty"`
	// Index is the command's place in the log, and the Version of what it wrote.
	Index uint64 `cbor:"2,keyasint,omitempty"`
	// Replica is what an admitted box got in the circle shard.
	Replica ident.ReplicaID `cbor:"3,keyasint,omitempty"`
	// Needs is how many more keepers a waiting petition needs.
	Needs int `cbor:"4,keyasint,omitempty"`
}

// action is one kind of command.
type action interface {
	check() error
	apply(*txn) Code
}

// action returns the one thing that the command asks for.
func (c *Command) action() (action, error) {
	var one action
	n := 0
	set := func(isSet bool, a action) {
		if isSet {
			one, n = a, n+1
		}
	}
	set(c.Found != nil, c.Found)
	set(c.Admit != nil, c.Admit)
	set(c.Roster != nil, c.Roster)
	set(c.Petition != nil, c.Petition)
	set(c.PutAccount != nil, c.PutAccount)
	set(c.RemoveAccount != nil, c.RemoveAccount)
	set(c.AddDevice != nil, c.AddDevice)
	set(c.RemoveDevice != nil, c.RemoveDevice)
	set(c.CreateSpace != nil, c.CreateSpace)
	set(c.SetPlacement != nil, c.SetPlacement)
	set(c.SetBox != nil, c.SetBox)
	set(c.Invite != nil, c.Invite)
	set(c.UseInvite != nil, c.UseInvite)
	set(c.Diary != nil, c.Diary)
	set(c.PutSpace != nil, c.PutSpace)
	set(c.Takeover != nil, c.Takeover)
	set(c.BeginEra != nil, c.BeginEra)
	set(c.PutSealed != nil, c.PutSealed)
	set(c.DropSealed != nil, c.DropSealed)
	set(c.TakeLease != nil, c.TakeLease)
	set(c.AddPasskey != nil, c.AddPasskey)
	set(c.RemovePasskey != nil, c.RemovePasskey)
	if n != 1 {
		return nil, ErrUnknown
	}
	return one, nil
}

func (c *Command) check() error {
	act, err := c.action()
	if err != nil {
		return err
	}
	if c.By.PublicKey() == nil {
		return fmt.Errorf("directory: command by %.80q: %w", c.By, ident.ErrBadBoxID)
	}
	if err := act.check(); err != nil {
		return fmt.Errorf("directory: command %T: %w", act, err)
	}
	return nil
}

// EncodeCommand refuses what DecodeCommand would refuse.
func EncodeCommand(c Command) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b, err := wire.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("directory: encode command: %w", err)
	}
	if len(b) > MaxCommand {
		return nil, fmt.Errorf("directory: command of %d bytes: %w", len(b), wire.ErrTooLarge)
	}
	return b, nil
}

// DecodeCommand reads one command and checks all its limits.
func DecodeCommand(b []byte) (Command, error) {
	if len(b) > MaxCommand {
		return Command{}, fmt.Errorf("directory: command of %d bytes: %w", len(b), wire.ErrTooLarge)
	}
	var c Command
	if err := wire.Unmarshal(b, &c); err != nil {
		return Command{}, errors.Join(ErrUnknown, err)
	}
	if err := c.check(); err != nil {
		return Command{}, err
	}
	return c, nil
}

func checkSpace(n *NewSpace) error {
	if n == nil {
		return nil
	}
	return n.check()
}

func (f *Found) check() error {
	if f.Space == nil {
		return f.Account.check()
	}
	return errors.Join(f.Account.check(), f.Space.check())
}

func (a *Admit) check() error {
	if a.Account == nil {
		if a.Space != nil {
			return errors.New("a space without its account")
		}
		return nil
	}
	return errors.Join(a.Account.check(), checkSpace(a.Space))
}

func (r *RosterChange) check() error  { return nil } // the roster checks its own
func (p *SignPetition) check() error  { return nil }
func (p *PutAccount) check() error    { return errors.Join(p.Account.check(), checkSpace(p.Space)) }
func (r *RemoveAccount) check() error { return checkHexID(string(r.ID)) }
func (d *AddDevice) check() error {
	return errors.Join(checkHexID(string(d.Account)), d.Device.check())
}
func (d *RemoveDevice) check() error {
	return errors.Join(checkHexID(string(d.Account)), CheckName(d.Device))
}
func (p *PutSpace) check() error     { return p.Space.check() }
func (s *SetPlacement) check() error { return placement.Check(s.Replicas, s.Next) }
func (s *SetBox) check() error       { return s.Settings.check() }
func (u *UseInvite) check() error    { return errors.Join(u.Account.check(), checkSpace(u.Space)) }
