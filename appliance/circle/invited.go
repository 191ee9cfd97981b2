package circle

import (
	"context"
	"slices"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// MaxPeople is how many accounts and open invitations a circle has at most: it is
// made for friends, and everybody's files are at everybody's house.
const MaxPeople = 100

// Invitations lists those that hold, the one that ends first first.
func (c *Circle) Invitations() (list []directory.Invite, err error) {
	now := c.cfg.Now().UnixMilli()
	err = c.look(func(v directory.View) error {
		for _, i := range v.Invites() {
			if i.Expires > now {
				list = append(list, i)
			}
		}
		return v.Err()
	})
	slices.SortFunc(list, func(a, b directory.Invite) int { return int(a.Expires - b.Expires) })
	return list, err
}

// roomForOne returns a refusal when the circle is full.
func (c *Circle) roomForOne() error {
	people, err := c.Accounts()
	if err != nil {
		return err
	}
	open, err := c.Invitations()
	if err != nil {
		return err
	}
	if len(people)+len(open) >= MaxPeople {
		return &RefusedError{directory.Full}
	}
	return nil
}

// Uninvite takes an invitation back.
func (c *Circle) Uninvite(ctx context.Context, hash [32]byte, by ident.AccountID) error {
	over := directory.Invite{Hash: hash, By: by, Expires: 1}
	_, err := c.command(ctx, directory.Command{Invite: &over})
	return err
}

// HelpWithPassword sets the password of somebody who forgot theirs, with the word of
// a keeper who knows them. Everybody reads in the diary that it happened. Whoever
// keeps a box loses with the old password the key to speak about other boxes.
func (c *Circle) HelpWithPassword(ctx context.Context, login, password string, by ident.AccountID) error {
	if err := c.ResetPassword(ctx, login, password); err != nil {
		return err
	}
	about := map[string]string{"name": account.CleanName(login)}
	if err := c.look(func(v directory.View) error {
		if a, ok := v.Account(by); ok {
			about["by"] = a.FullName
			if about["by"] == "" {
				about["by"] = a.Name
			}
		}
		return nil
	}); err != nil {
		return err
	}
	_, err := c.command(ctx, directory.Command{Diary: &directory.Entry{What: "password-reset", About: about}})
	return err
}
