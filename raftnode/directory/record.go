package directory

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/placement"
)

// What a circle may hold at most, and how large a record may be.
const (
	MaxAccounts  = 4096
	MaxSpaces    = 4096
	MaxDevices   = 32   // of one account
	MaxInvites   = 1024 // open at once
	MaxPetitions = 64   // open at once
	MaxDiary     = 1000 // rows kept
	MaxCommands  = 4096 // command IDs remembered
	MaxCopies    = 9    // of one space

	maxText   = 255 // bytes of a name for people
	maxSecret = 1024
	maxList   = 1024
)

// Account is one person of the circle. Devices change only by AddDevice and
// RemoveDevice, so that a changed password never loses a device added meanwhile.
type Account struct {
	ID ident.AccountID `cbor:"1,keyasint"`
	// Name is what the person logs in with; see CheckName.
	Name string `cbor:"2,keyasint"`
	// FullName is what others read, at most 255 bytes.
	FullName string `cbor:"3,keyasint,omitempty"`
	// Password is a record of appliance/account, empty while none is set.
	Password []byte `cbor:"4,keyasint,omitempty"`
	// Epoch ends all older sessions when it grows; it never shrinks.
	Epoch uint64 `cbor:"5,keyasint,omitempty"`
	// KeeperKey is the public half of SealedKey; everybody has one, for a box to come.
	KeeperKey ed25519.PublicKey `cbor:"6,keyasint,omitempty"`
	// SealedKey is opened by the password alone.
	SealedKey []byte   `cbor:"7,keyasint,omitempty"`
	Devices   []Device `cbor:"8,keyasint,omitempty"`
	// Space is the account's own, zero when it has none.
	Space ident.ShardID `cbor:"9,keyasint,omitempty"`
	// InvitedBy is empty for the founder.
	InvitedBy ident.AccountID `cbor:"10,keyasint,omitempty"`
	Created   int64           `cbor:"11,keyasint,omitempty"`
	// Removed accounts keep their ID for ever and have neither name nor secrets in force.
	Removed bool `cbor:"12,keyasint,omitempty"`
	// Version is the log index of the last change, set by Apply: the If of the next one.
	Version uint64 `cbor:"13,keyasint,omitempty"`
	// Passkeys change only by AddPasskey and RemovePasskey.
	Passkeys []Passkey `cbor:"41,keyasint,omitempty"`
}

// Device is a password of its own for one program or machine of an account.
type Device struct {
	// ID is 1 to 32 of the characters of a login name.
	ID      string `cbor:"1,keyasint"`
	Name    string `cbor:"2,keyasint,omitempty"`
	Record  []byte `cbor:"3,keyasint,omitempty"`
	Created int64  `cbor:"4,keyasint,omitempty"`
}

// Space is what one account or group keeps.
type Space struct {
	ID ident.ShardID `cbor:"1,keyasint"`
	// Name stands in addresses and follows CheckName; an account's own space bears its name.
	Name string `cbor:"2,keyasint"`
	// Title is what people read, at most 255 bytes; empty means Name.
	Title string          `cbor:"3,keyasint,omitempty"`
	Owner ident.AccountID `cbor:"4,keyasint"`
	// Copies wanted; zero means three.
	Copies  int    `cbor:"5,keyasint,omitempty"`
	Created int64  `cbor:"6,keyasint,omitempty"`
	Version uint64 `cbor:"7,keyasint,omitempty"`
	// First are the replicas that began it, set by Apply: the membership of the
	// shard at its first index, whatever its placement became since.
	First []placement.Replica `cbor:"8,keyasint,omitempty"`
}

// NewSpace is a space with the replicas that begin it, numbered from 1.
type NewSpace struct {
	Space    Space               `cbor:"1,keyasint"`
	Replicas []placement.Replica `cbor:"2,keyasint"`
}

// Placement says which boxes hold a shard. Version is the log index of the last
// change; Next is the replica ID to be given out next, and never falls.
type Placement struct {
	Version  uint64              `cbor:"1,keyasint,omitempty"`
	Replicas []placement.Replica `cbor:"2,keyasint,omitempty"`
	Next     ident.ReplicaID     `cbor:"3,keyasint,omitempty"`
	// Era counts how often the shard went on without a majority of its voters, and
	// Begins is the replica with which the present era began; zero in the first one.
	Era    uint64          `cbor:"4,keyasint,omitempty"`
	Begins ident.ReplicaID `cbor:"5,keyasint,omitempty"`
}

// BoxSettings is what a keeper decided about a box. Only the box itself sets them.
type BoxSettings struct {
	// Given is the room for the circle in bytes; zero means no limit.
	Given int64 `cbor:"1,keyasint,omitempty"`
	// Refuses lists accounts whose spaces the box will not hold.
	Refuses []ident.AccountID `cbor:"2,keyasint,omitempty"`
	// UploadKBps limits bulk uploads, in 1,000 bytes a second; zero means no limit. It holds from
	// LimitFrom to LimitTo, in minutes after midnight on the box's clock; always when they are the same.
	UploadKBps int64 `cbor:"3,keyasint,omitempty"`
	LimitFrom  int   `cbor:"9,keyasint,omitempty"`
	LimitTo    int   `cbor:"10,keyasint,omitempty"`
	// Pinned boxes do not update by themselves.
	Pinned bool `cbor:"4,keyasint,omitempty"`
	// Reads is the newest format level that the program on the box can read.
	Reads uint64 `cbor:"5,keyasint,omitempty"`
	// NoDrills: the box takes no part in fire drills.
	NoDrills bool `cbor:"6,keyasint,omitempty"`
	// Leaving: the box is about to retire, and its copies move to others.
	Leaving bool `cbor:"7,keyasint,omitempty"`
	// Updating: the box installs a release and may be away until then, in milliseconds.
	// No other box begins to meanwhile, since all of them hold the circle's own shard.
	Updating int64 `cbor:"8,keyasint,omitempty"`
	// Elsewhere lists boxes that are near on the network and yet stand in another house, by
	// the keeper's word.
	Elsewhere []ident.BoxID `cbor:"11,keyasint,omitempty"`
}

const dayMinutes = 24 * 60

// Upload returns how many bytes of bulk a second the box may send at a moment, on the
// clock of its place; zero means as many as go.
func (b BoxSettings) Upload(now time.Time) int64 {
	minute := now.Hour()*60 + now.Minute()
	holds := b.LimitFrom <= minute && minute < b.LimitTo
	switch {
	case b.LimitFrom == b.LimitTo:
		holds = true
	case b.LimitFrom > b.LimitTo: // over midnight
		holds = minute >= b.LimitFrom || minute < b.LimitTo
	}
	if !holds {
		return 0
	}
	return b.UploadKBps * 1000
}

// MaxUpdating bounds how far ahead Updating may be, in milliseconds.
const MaxUpdating = 60 * 60 * 1000

// Invite lets whoever knows the secret behind Hash make one account.
type Invite struct {
	Hash     [32]byte        `cbor:"1,keyasint"`
	Name     string          `cbor:"2,keyasint,omitempty"`
	FullName string          `cbor:"3,keyasint,omitempty"`
	By       ident.AccountID `cbor:"4,keyasint"`
	Created  int64           `cbor:"5,keyasint,omitempty"`
	Expires  int64           `cbor:"6,keyasint"`
}

// Petition is a roster change that waits for further signatures.
type Petition struct {
	Change roster.Change `cbor:"1,keyasint"`
	// Since is the time of the first signature.
	Since int64 `cbor:"2,keyasint,omitempty"`
}

// Entry is one row of the diary: what happened, for a page to put into words.
type Entry struct {
	Time int64       `cbor:"1,keyasint,omitempty"`
	By   ident.BoxID `cbor:"2,keyasint,omitempty"`
	// What is a short code, such as "box-admitted".
	What string `cbor:"3,keyasint"`
	// About holds what the sentence needs: names, IDs, numbers.
	About map[string]string `cbor:"4,keyasint,omitempty"`
}

var (
	errName = errors.New("a name has 1 to 32 of a–z, 0–9, dot, dash and underscore, and begins and ends with a letter or digit")
	errText = errors.New("text is too long or has control characters")
	errSize = errors.New("too long")
)

// CheckName refuses what cannot be a login name or the name of a space: it has 1
// to 32 of a–z, 0–9, dot, dash and underscore, and begins and ends with a letter or digit.
func CheckName(s string) error {
	if len(s) < 1 || len(s) > 32 || strings.Trim(s, ".-_") != s {
		return errName
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return errName
		}
	}
	return nil
}

// checkText allows any UTF-8 of up to 255 bytes without control characters. It
// asks no Unicode table, whose next edition would make boxes disagree.
func checkText(s string) error {
	if len(s) > maxText || !utf8.ValidString(s) {
		return errText
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return errText
		}
	}
	return nil
}

// checkHexID wants what ident draws: 16 lower-case hex digits.
func checkHexID(s string) error {
	if len(s) != 16 || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("%.32q is no ID", s)
	}
	return nil
}

func checkSizes(bs ...[]byte) error {
	for _, b := range bs {
		if len(b) > maxSecret {
			return errSize
		}
	}
	return nil
}

func (a *Account) check() error {
	err := errors.Join(checkHexID(string(a.ID)), CheckName(a.Name), checkText(a.FullName),
		checkSizes(a.Password, a.SealedKey))
	if a.InvitedBy != "" {
		err = errors.Join(err, checkHexID(string(a.InvitedBy)))
	}
	if n := len(a.KeeperKey); n != 0 && n != ed25519.PublicKeySize {
		err = errors.Join(err, errSize)
	}
	if len(a.Devices) > MaxDevices {
		err = errors.Join(err, errSize)
	}
	for i := range a.Devices {
		err = errors.Join(err, a.Devices[i].check())
	}
	if len(a.Passkeys) > MaxPasskeys {
		err = errors.Join(err, errSize)
	}
	for i := range a.Passkeys {
		err = errors.Join(err, a.Passkeys[i].check())
	}
	return err
}

func (d *Device) check() error {
	return errors.Join(CheckName(d.ID), checkText(d.Name), checkSizes(d.Record))
}

func (s *Space) check() error {
	if s.ID <= ident.CircleShard || s.Copies < 0 || s.Copies > MaxCopies {
		return fmt.Errorf("space %v with %d copies", s.ID, s.Copies)
	}
	return errors.Join(CheckName(s.Name), checkText(s.Title), checkHexID(string(s.Owner)))
}

func (n *NewSpace) check() error {
	if len(n.Replicas) == 0 {
		return errors.New("a space without replicas")
	}
	return errors.Join(n.Space.check(), placement.Check(n.Replicas, ident.ReplicaID(len(n.Replicas)+1)))
}

func (b *BoxSettings) check() error {
	if b.Given < 0 || b.UploadKBps < 0 || b.LimitFrom < 0 || b.LimitTo < 0 || b.LimitFrom >= dayMinutes || b.LimitTo >= dayMinutes || len(b.Refuses) > maxList || len(b.Elsewhere) > maxList {
		return errSize
	}
	var err error
	for _, a := range b.Refuses {
		err = errors.Join(err, checkHexID(string(a)))
	}
	for _, box := range b.Elsewhere {
		if len(box) == 0 || len(box) > 128 {
			err = errors.Join(err, errSize)
		}
	}
	return err
}

func (i *Invite) check() error {
	err := errors.Join(checkText(i.FullName), checkHexID(string(i.By)))
	if i.Name != "" {
		err = errors.Join(err, CheckName(i.Name))
	}
	return err
}

func (e *Entry) check() error {
	err := CheckName(e.What)
	if len(e.About) > 16 {
		return errSize
	}
	for k, v := range e.About {
		err = errors.Join(err, CheckName(k), checkText(v))
	}
	return err
}

// WantedCopies returns Copies, three when none were named.
func (s Space) WantedCopies() int {
	if s.Copies == 0 {
		return 3
	}
	return s.Copies
}
