package appliance

import (
	"context"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/appliance/drill"
	"redhen/appliance/firstboot"
	"redhen/appliance/home"
	"redhen/appliance/space"
	"redhen/appliance/status"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/raftnode"
)

// What follows is for programs that bring doors of their own. It works between
// Open and the end of Run.

// Circle is what people decide about the circle.
func (a *Appliance) Circle() *circle.Circle { return a.circle }

// Start is what the card asked for, and how far that is.
func (a *Appliance) Start() *firstboot.Start { return a.start }

// Accounts is who may come in.
func (a *Appliance) Accounts() *account.Accounts { return a.accounts }

// Home is how boxes that were given up come home.
func (a *Appliance) Home() *home.Home { return a.home }

// Drills are the fire drills of the circle.
func (a *Appliance) Drills() *drill.Drills { return a.drills }

// Node is this box's part in the shards.
func (a *Appliance) Node() *raftnode.Node { return a.node }

// Host is the links to the other boxes.
func (a *Appliance) Host() *p2p.Host { return a.host }

// Watch is how the circle is, seen from here.
func (a *Appliance) Watch() *status.Watch { return a.watch }

// Space returns an account's view of a space, space.ErrNotFound when it may not
// see one of that name.
func (a *Appliance) Space(ctx context.Context, account ident.AccountID, name string) (*space.FS, error) {
	return spaces{a.node}.Space(ctx, account, name)
}
