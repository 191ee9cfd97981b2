package account

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// NewAccount draws an ID and makes the record of a person with a login name and a
// password, which are checked by the rules of this package.
func (h *Hasher) NewAccount(ctx context.Context, name, fullName, password string) (directory.Account, error) {
	if err := CheckName(name); err != nil {
		return directory.Account{}, err
	}
	if err := CheckNewPassword(name, password); err != nil {
		return directory.Account{}, err
	}
	record, err := h.Password(ctx, password)
	if err != nil {
		return directory.Account{}, err
	}
	return directory.Account{ID: ident.NewAccountID(), Name: name, FullName: fullName, Password: record}, nil
}

// NewKeeperAccount is NewAccount with a keeper's key, sealed with the password.
func (h *Hasher) NewKeeperAccount(ctx context.Context, name, fullName, password string) (directory.Account, error) {
	person, err := h.NewAccount(ctx, name, fullName, password)
	if err != nil {
		return directory.Account{}, err
	}
	person.KeeperKey, person.SealedKey, err = h.NewKeeper(ctx, password)
	return person, err
}

// ChangePassword checks the old password and makes the change that sets the new
// one, seals the keeper's key with it, and ends all sessions. The caller proposes it.
func (a *Accounts) ChangePassword(ctx context.Context, id ident.AccountID, old, password string) (directory.PutAccount, error) {
	person, err := a.checkID(ctx, id, old)
	if err != nil {
		return directory.PutAccount{}, err
	}
	change, err := a.withPassword(ctx, person, password)
	if err != nil || len(person.SealedKey) == 0 {
		return change, err // without a key, or with a new one
	}
	change.Account.SealedKey, err = a.cfg.Hasher.Reseal(ctx, person.SealedKey, old, password)
	if err != nil {
		return directory.PutAccount{}, fmt.Errorf("account: seal the keeper's key again: %w", err)
	}
	return change, nil
}

// ResetPassword makes the change that sets a password without the old one, after a
// keeper or presence at the box proved the person. The sealed key is lost with the
// old password; who keeps no box at the moment gets a new one.
func (a *Accounts) ResetPassword(ctx context.Context, id ident.AccountID, password string) (directory.PutAccount, error) {
	person, err := a.byID(id)
	if err != nil {
		return directory.PutAccount{}, err
	}
	person.SealedKey = nil
	return a.withPassword(ctx, person, password)
}

func (a *Accounts) withPassword(ctx context.Context, person directory.Account, password string) (directory.PutAccount, error) {
	if err := CheckNewPassword(person.Name, password); err != nil {
		return directory.PutAccount{}, err
	}
	record, err := a.cfg.Hasher.Password(ctx, password)
	if err != nil {
		return directory.PutAccount{}, err
	}
	person.Password = record
	person.Epoch++
	if err := a.renewKey(ctx, &person, password); err != nil {
		return directory.PutAccount{}, err
	}
	return directory.PutAccount{Account: person, If: person.Version}, nil
}

// renewKey gives a person without a sealed key one, for the box that they may bring
// one day; unless they keep a box now, whose roster knows them by the lost one.
func (a *Accounts) renewKey(ctx context.Context, person *directory.Account, password string) (err error) {
	if len(person.SealedKey) > 0 {
		return nil
	}
	keeps := false
	err = a.look(func(v directory.View) {
		if r := v.Roster(); r != nil {
			_, keeps = r.KeeperKey(person.ID)
		}
	})
	if err == nil && !keeps {
		person.KeeperKey, person.SealedKey, err = a.cfg.Hasher.NewKeeper(ctx, password)
	}
	return err
}

// EndSessions makes the change that ends all sessions of an account, at every box.
func (a *Accounts) EndSessions(id ident.AccountID) (directory.PutAccount, error) {
	person, err := a.byID(id)
	if err != nil {
		return directory.PutAccount{}, err
	}
	person.Epoch++
	return directory.PutAccount{Account: person, If: person.Version}, nil
}

// KeeperKey opens the keeper's key of an account, to sign one thing. Guesses are
// counted as those of Login are.
func (a *Accounts) KeeperKey(ctx context.Context, id ident.AccountID, password string) (ident.Key, error) {
	person, err := a.checkID(ctx, id, password)
	if err != nil {
		return ident.Key{}, err
	}
	if len(person.SealedKey) == 0 {
		return ident.Key{}, ErrNotKeeper
	}
	key, err := a.cfg.Hasher.OpenKeeper(ctx, person.SealedKey, password)
	if err == nil && !key.Public().Equal(ed25519.PublicKey(person.KeeperKey)) {
		return ident.Key{}, ErrRecord
	}
	return key, err
}

// checkID checks the own password of an account that is known by its ID.
func (a *Accounts) checkID(ctx context.Context, id ident.AccountID, password string) (directory.Account, error) {
	person, err := a.byID(id)
	if err != nil {
		return directory.Account{}, err
	}
	return a.check(ctx, person.Name, password)
}
