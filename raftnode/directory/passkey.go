package directory

import (
	"errors"

	"redhen/provision/ident"
)

// MaxPasskeys is how many passkeys an account may have.
const MaxPasskeys = 16

// Passkey is the public half of a key that a phone or computer of the account keeps
// (WebAuthn): it logs in at the circle's public name without a password.
type Passkey struct {
	// ID is the credential ID, 16 to 255 bytes.
	ID []byte `cbor:"1,keyasint"`
	// Name is what the person calls it, at most 255 bytes.
	Name string `cbor:"2,keyasint,omitempty"`
	// PublicKey is in COSE form, at most 1,024 bytes.
	PublicKey []byte `cbor:"3,keyasint"`
	// Flags are the authenticator's at registration; see appliance/account.
	Flags   uint8 `cbor:"4,keyasint,omitempty"`
	Created int64 `cbor:"5,keyasint,omitempty"`
}

// AddPasskey gives an account one more passkey.
type AddPasskey struct {
	Account ident.AccountID `cbor:"1,keyasint"`
	Passkey Passkey         `cbor:"2,keyasint"`
}

// RemovePasskey takes a passkey away.
type RemovePasskey struct {
	Account ident.AccountID `cbor:"1,keyasint"`
	ID      []byte          `cbor:"2,keyasint"`
}

var errPasskey = errors.New("a passkey has an ID of 16 to 255 bytes and a public key")

func (p *Passkey) check() error {
	if len(p.ID) < 16 || len(p.ID) > 255 || len(p.PublicKey) == 0 || len(p.PublicKey) > maxSecret {
		return errPasskey
	}
	return checkText(p.Name)
}

func (a *AddPasskey) check() error {
	return errors.Join(checkHexID(string(a.Account)), a.Passkey.check())
}

func (r *RemovePasskey) check() error {
	if len(r.ID) > 255 {
		return errPasskey
	}
	return checkHexID(string(r.Account))
}

func (a *AddPasskey) apply(t *txn) Code {
	acc, ok := t.standing(a.Account)
	switch {
	case !ok:
		return Missing
	case len(acc.Passkeys) >= MaxPasskeys:
		return Full
	case acc.passkey(a.Passkey.ID) >= 0:
		return Exists
	}
	added := a.Passkey
	added.Created = t.cmd.Time
	acc.Passkeys = append(acc.Passkeys, added)
	t.putAccount(acc)
	t.note(Entry{What: "passkey-added", About: map[string]string{"name": acc.Name}})
	return Done
}

func (r *RemovePasskey) apply(t *txn) Code {
	acc, ok := t.standing(r.Account)
	if !ok {
		return Missing
	}
	i := acc.passkey(r.ID)
	if i < 0 {
		return Missing
	}
	acc.Passkeys = append(acc.Passkeys[:i], acc.Passkeys[i+1:]...)
	t.putAccount(acc)
	return Done
}

// passkey returns the place of a passkey in the list, -1 when it is not there.
func (a *Account) passkey(id []byte) int {
	for i := range a.Passkeys {
		if string(a.Passkeys[i].ID) == string(id) {
			return i
		}
	}
	return -1
}
