// Package pair is the protocol by which a box with a ticket joins a circle: the
// inviter's Desk, the joiner's Join, and the words that both show.
//
//	joiner  → hello      the ticket's name, a nonce
//	inviter → challenge  proof that it knows the secret, a nonce, the circle
//	joiner  → question   proof that it knows the secret; the login of its keeper
//	inviter → guide      the houses, the keepers, and that account if it is one of the circle
//	joiner  → apply      proof again; who it is; its signature of the admission, and its
//	                     keeper's of the talk when the account is one of the circle
//	inviter → waiting    both sides show the same words
//	inviter → welcome    after a person approved: the roster, and where the others are
//
// The connection is authenticated by both boxes' keys already, so a proof is an
// HMAC over those keys and is worth nothing between any other two. A broken
// connection begins anew at hello; nothing is used up before the welcome.
//
// A keeper whose house burnt comes back under the old account: its key, sealed with
// the password, is in the guide; who opens it signs with it. So the password leaves
// the joining box in no form, and the inviter knows that it was right before anybody
// is asked. Passwords could be guessed at a sealed key; only who has the ticket sees
// any, and three at most.
package pair

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/provision/wire"
)

// Protocol is the libp2p protocol of pairing.
const Protocol = "/redhen/pair/1"

const (
	version       = 2
	maxHello      = 256
	maxChallenge  = 1 << 10
	maxApply      = 80 << 10
	maxOpaque     = 32 << 10 // Application.Account and Extra, each
	maxWelcome    = 1 << 20  // a frame of the welcome
	welcomeFrame  = 256 << 10
	maxWelcomeBox = 2 * p2p.MaxMembers // boxes in Welcome.Addrs
	maxBoxAddrs   = 16
)

// Application is what a joiner says about itself.
type Application struct {
	BoxName    string            `cbor:"1,keyasint"`
	House      ident.HouseID     `cbor:"2,keyasint,omitempty"` // a house of the circle; empty = a new one, which Join draws
	HouseName  string            `cbor:"3,keyasint,omitempty"` // may be empty for a house of the circle
	Keeper     ident.AccountID   `cbor:"4,keyasint"`
	KeeperKey  ed25519.PublicKey `cbor:"5,keyasint"`
	KeeperName string            `cbor:"6,keyasint,omitempty"`
	Account    []byte            `cbor:"7,keyasint,omitempty"` // the appliance's record of a new keeper; opaque here; empty = an account of the circle
	Extra      []byte            `cbor:"8,keyasint,omitempty"` // opaque here
	Time       int64             `cbor:"9,keyasint,omitempty"` // milliseconds since 1970 by the joiner's clock; set by Join
}

func (a Application) validate() error {
	if len(a.Account) > maxOpaque || len(a.Extra) > maxOpaque {
		return fmt.Errorf("application: %w", wire.ErrTooLarge)
	}
	if a.KeeperName != "" {
		return roster.CheckName(a.KeeperName)
	}
	return nil
}

// Welcome is what a box gets that was let in.
type Welcome struct {
	Circle     ident.CircleID
	CircleName string
	Roster     []roster.Change // the whole chain; Join has verified it
	Replica    ident.ReplicaID // of the circle shard, for the new box
	Addrs      map[ident.BoxID][]netip.AddrPort
	Extra      []byte // opaque here, at most 1 MiB less the addresses
}

type hello struct {
	Version int      `cbor:"1,keyasint"`
	Ticket  string   `cbor:"2,keyasint"`
	Nonce   [16]byte `cbor:"3,keyasint"`
}

type challenge struct {
	Nonce  [16]byte       `cbor:"1,keyasint"`
	Proof  []byte         `cbor:"2,keyasint"`
	Circle ident.CircleID `cbor:"3,keyasint"`
	Name   string         `cbor:"4,keyasint"` // of the circle
	Box    string         `cbor:"5,keyasint"` // name of the inviter's box
	Rev    uint64         `cbor:"6,keyasint,omitempty"`
}

type application struct {
	Proof  []byte `cbor:"1,keyasint"`
	Body   []byte `cbor:"2,keyasint"`           // wire encoding of Application
	Change []byte `cbor:"3,keyasint"`           // roster.Encode of the admission, signed by the joiner
	Keeper []byte `cbor:"4,keyasint,omitempty"` // signature by the keeper's key; of an account of the circle
}

// reply is what the inviter sends: exactly one field is set.
type reply struct {
	Refused   Code         `cbor:"1,keyasint,omitempty"`
	Challenge *challenge   `cbor:"2,keyasint,omitempty"`
	Waiting   bool         `cbor:"3,keyasint,omitempty"`
	Welcome   *welcomeHead `cbor:"4,keyasint,omitempty"`
	Guide     *Guide       `cbor:"5,keyasint,omitempty"`
}

// welcomeHead is followed by frames of encoded changes until Changes have come.
type welcomeHead struct {
	Changes int                      `cbor:"1,keyasint"`
	Replica ident.ReplicaID          `cbor:"2,keyasint"`
	Addrs   map[ident.BoxID][][]byte `cbor:"3,keyasint,omitempty"`
	Extra   []byte                   `cbor:"4,keyasint,omitempty"`
}

// proofKey is what the inviter keeps of a secret: enough to check a proof, too
// little to make the ticket again.
func proofKey(s ticket.Secret) [32]byte {
	return sha256.Sum256(append([]byte("redhen pair key\x00"), s[:]...))
}

// transcript is what a proof is about.
type transcript struct {
	Role    string      `cbor:"1,keyasint"`
	Inviter ident.BoxID `cbor:"2,keyasint"`
	Joiner  ident.BoxID `cbor:"3,keyasint"`
	Hello   [16]byte    `cbor:"4,keyasint"`
	Answer  [16]byte    `cbor:"5,keyasint"`
	Body    []byte      `cbor:"6,keyasint"` // all else that was said, encoded
}

func (t transcript) mac(key [32]byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(wire.MustMarshal(t))
	return m.Sum(nil)
}

func (c challenge) said() []byte {
	c.Proof = nil
	return wire.MustMarshal(c)
}

func (a application) said() []byte {
	a.Proof = nil
	return wire.MustMarshal(a)
}

// wordsFor returns the words that both sides show. They depend on the secret and
// both boxes: someone else with a copied ticket shows others.
func wordsFor(key [32]byte, inviter, joiner ident.BoxID) []Word {
	sum := transcript{Role: "words", Inviter: inviter, Joiner: joiner}.mac(key)
	words := make([]Word, 4)
	for i := range words {
		words[i] = wordAt(sum[i])
	}
	return words
}

// writeWelcome sends w in frames of bounded size, whatever the length of the chain.
func writeWelcome(s p2p.Stream, w Welcome) error {
	head := welcomeHead{Changes: len(w.Roster), Replica: w.Replica, Extra: w.Extra, Addrs: map[ident.BoxID][][]byte{}}
	for box, addrs := range w.Addrs {
		for _, a := range addrs[:min(len(addrs), maxBoxAddrs)] {
			raw, _ := a.MarshalBinary() // never fails
			head.Addrs[box] = append(head.Addrs[box], raw)
		}
	}
	if err := wire.Write(s, reply{Welcome: &head}); err != nil {
		return err
	}
	for changes := w.Roster; len(changes) > 0; {
		var frame [][]byte
		for size := 0; len(changes) > 0 && size < welcomeFrame; changes = changes[1:] {
			raw := roster.Encode(changes[0])
			frame = append(frame, raw)
			size += len(raw)
		}
		if err := wire.Write(s, frame); err != nil {
			return err
		}
	}
	return nil
}

// readWelcome reads what writeWelcome wrote; it verifies forms and limits only.
func readWelcome(s p2p.Stream, head welcomeHead) (Welcome, error) {
	w := Welcome{Replica: head.Replica, Extra: head.Extra, Addrs: map[ident.BoxID][]netip.AddrPort{}}
	if head.Changes < 0 || head.Changes > roster.MaxChanges || len(head.Addrs) > maxWelcomeBox {
		return w, errors.New("welcome over the limits")
	}
	for box, addrs := range head.Addrs {
		if _, err := ident.ParseBoxID(string(box)); err != nil || len(addrs) > maxBoxAddrs {
			return w, errors.New("welcome with bad addresses")
		}
		for _, raw := range addrs {
			var a netip.AddrPort
			if err := a.UnmarshalBinary(raw); err != nil {
				return w, fmt.Errorf("welcome with bad addresses: %w", err)
			}
			w.Addrs[box] = append(w.Addrs[box], a)
		}
	}
	for len(w.Roster) < head.Changes {
		var frame [][]byte
		if err := wire.Read(s, maxWelcome, &frame); err != nil {
			return w, err
		}
		if len(frame) == 0 || len(w.Roster)+len(frame) > head.Changes {
			return w, errors.New("welcome with a wrong number of changes")
		}
		for _, raw := range frame {
			c, err := roster.Decode(raw)
			if err != nil {
				return w, err
			}
			w.Roster = append(w.Roster, c)
		}
	}
	return w, nil
}
