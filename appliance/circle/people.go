package circle

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
	"redhen/raftnode/placement"
)

// Replica is the placement's; named here for Node.
type Replica = placement.Replica

// inviteLife is how long an invite for a person holds.
const inviteLife = 7 * 24 * time.Hour

// Account finds an account by its login name.
func (c *Circle) Account(login string) (acc directory.Account, err error) {
	err = c.look(func(v directory.View) error {
		var ok bool
		if acc, ok = v.AccountByName(account.CleanName(login)); !ok {
			return fmt.Errorf("%w: %q", ErrNoAccount, login)
		}
		return nil
	})
	return acc, err
}

// Accounts lists the people of the circle by their login names.
func (c *Circle) Accounts() (list []directory.Account, err error) {
	err = c.look(func(v directory.View) error {
		for _, a := range v.Accounts() {
			if !a.Removed {
				list = append(list, a)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b directory.Account) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// AddAccount makes an account and its space.
func (c *Circle) AddAccount(ctx context.Context, by ident.AccountID, p Person) (directory.Account, error) {
	acc, space, err := c.newAccount(ctx, by, p)
	if err != nil {
		return directory.Account{}, err
	}
	_, err = c.command(ctx, directory.Command{PutAccount: &directory.PutAccount{Account: acc, Space: space}})
	return acc, err
}

func (c *Circle) newAccount(ctx context.Context, by ident.AccountID, p Person) (directory.Account, *directory.NewSpace, error) {
	acc, err := c.cfg.Hasher.NewKeeperAccount(ctx, account.CleanName(p.Login), p.FullName, p.Password)
	if err != nil {
		return acc, nil, err
	}
	acc.Created, acc.InvitedBy, acc.Space = c.cfg.Now().UnixMilli(), by, ident.NewShardID()
	space, err := c.newSpace(acc)
	return acc, space, err
}

// newSpace is the space of a new account, with the replicas that begin it.
func (c *Circle) newSpace(acc directory.Account) (*directory.NewSpace, error) {
	first, err := c.cfg.Node.First(acc.Space, acc.ID, 0)
	if err != nil {
		return nil, err
	}
	return &directory.NewSpace{
		Space:    directory.Space{ID: acc.Space, Name: acc.Name, Owner: acc.ID, Created: acc.Created},
		Replicas: first,
	}, nil
}

// SetPassword changes a password with the old one, and ends all sessions.
func (c *Circle) SetPassword(ctx context.Context, login, old, password string) error {
	acc, err := c.Account(login)
	if err != nil {
		return err
	}
	put, err := c.cfg.Accounts.ChangePassword(ctx, acc.ID, old, password)
	if err != nil {
		return err
	}
	_, err = c.command(ctx, directory.Command{PutAccount: &put})
	return err
}

// ResetPassword sets a password without the old one: by presence at this box.
func (c *Circle) ResetPassword(ctx context.Context, login, password string) error {
	acc, err := c.Account(login)
	if err != nil {
		return err
	}
	put, err := c.cfg.Accounts.ResetPassword(ctx, acc.ID, password)
	if err != nil {
		return err
	}
	_, err = c.command(ctx, directory.Command{PutAccount: &put})
	return err
}

// RemoveAccount ends an account; its space stays.
func (c *Circle) RemoveAccount(ctx context.Context, login string) error {
	acc, err := c.Account(login)
	if err != nil {
		return err
	}
	_, err = c.command(ctx, directory.Command{RemoveAccount: &directory.RemoveAccount{ID: acc.ID, If: acc.Version}})
	return err
}

// AddDevice draws a password for one program or machine of an account. It is
// shown once and stored nowhere.
func (c *Circle) AddDevice(ctx context.Context, login, label string) (id, password string, err error) {
	acc, err := c.Account(login)
	if err != nil {
		return "", "", err
	}
	d, password := account.NewDevice(acc.Name, label)
	d.Created = c.cfg.Now().UnixMilli()
	_, err = c.command(ctx, directory.Command{AddDevice: &directory.AddDevice{Account: acc.ID, Device: d}})
	return d.ID, password, err
}

// RemoveDevice takes a device password away.
func (c *Circle) RemoveDevice(ctx context.Context, login, id string) error {
	acc, err := c.Account(login)
	if err != nil {
		return err
	}
	_, err = c.command(ctx, directory.Command{RemoveDevice: &directory.RemoveDevice{Account: acc.ID, Device: id}})
	return err
}

// Invitation lets one person make an account; the code is its only secret.
type Invitation struct {
	Code    string
	Expires time.Time
}

// InviteAccount invites a person. The login name is a proposal and may be empty.
func (c *Circle) InviteAccount(ctx context.Context, by ident.AccountID, login, fullName string) (Invitation, error) {
	var secret [15]byte
	rand.Read(secret[:])
	code := strings.ToLower(base32.StdEncoding.EncodeToString(secret[:]))
	now := c.cfg.Now()
	inv := directory.Invite{
		Hash: inviteHash(code), Name: account.CleanName(login), FullName: fullName, By: by,
		Created: now.UnixMilli(), Expires: now.Add(inviteLife).UnixMilli(),
	}
	if _, err := c.command(ctx, directory.Command{Invite: &inv}); err != nil {
		return Invitation{}, err
	}
	return Invitation{code, now.Add(inviteLife)}, nil
}

// Invited returns what an invitation says, false when it does not hold (any more).
func (c *Circle) Invited(code string) (inv directory.Invite, ok bool) {
	err := c.look(func(v directory.View) error {
		inv, ok = v.Invite(inviteHash(code))
		return nil
	})
	return inv, err == nil && ok && inv.Expires > c.cfg.Now().UnixMilli()
}

// UseInvite makes an account by an invitation, which is used up.
func (c *Circle) UseInvite(ctx context.Context, code string, p Person) (directory.Account, error) {
	inv, ok := c.Invited(code)
	if !ok {
		return directory.Account{}, &RefusedError{directory.Expired}
	}
	acc, space, err := c.newAccount(ctx, inv.By, p)
	if err != nil {
		return acc, err
	}
	_, err = c.command(ctx, directory.Command{UseInvite: &directory.UseInvite{Hash: inv.Hash, Account: acc, Space: space}})
	return acc, err
}

func inviteHash(code string) [32]byte {
	clean := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, code))
	return sha256.Sum256([]byte("redhen invite " + clean))
}
