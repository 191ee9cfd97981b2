package circle

import (
	"context"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// AddPasskey gives an account one more passkey, made by account.Passkeys.
func (c *Circle) AddPasskey(ctx context.Context, add directory.AddPasskey) error {
	_, err := c.command(ctx, directory.Command{AddPasskey: &add})
	return err
}

// RemovePasskey takes a passkey away.
func (c *Circle) RemovePasskey(ctx context.Context, id ident.AccountID, key []byte) error {
	_, err := c.command(ctx, directory.Command{RemovePasskey: &directory.RemovePasskey{Account: id, ID: key}})
	return err
}
