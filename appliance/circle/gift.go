package circle

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/seed"
	"redhen/provision/ticket"
	"redhen/raftnode/directory"
)

// ErrNoGift says that this box was no gift, or has its keeper already.
var ErrNoGift = errors.New("this box is no gift that waits for its keeper")

// Gift is a box to be made for somebody who only plugs it in.
type Gift struct {
	Place  Place       // where it will stand; both names new to the circle
	Keeper string      // login name of whom it is for; may be that of an account
	Wifi   []seed.Wifi // networks of the house it goes to
	Waived bool        // let it in without asking again
}

// Present is a gift as it is handed on. The seed goes onto the card, the code onto
// paper; neither is kept here.
type Present struct {
	Seed    seed.Seed
	Code    string // claims the box: 8 letters and digits with a hyphen
	Ticket  string // ID of the ticket, to take it back
	Expires time.Time
}

// Gift makes the seed of a box that joins by itself, and a ticket for it.
func (c *Circle) Gift(g Gift) (Present, error) {
	g.Keeper = account.CleanName(g.Keeper)
	if err := account.CheckName(g.Keeper); err != nil {
		return Present{}, err
	}
	if err := c.look(func(v directory.View) error { return checkPlace(v.Roster(), g.Place) }); err != nil {
		return Present{}, err
	}
	t, err := c.Invite(pair.Terms{TTL: pair.GiftTTL, Waived: g.Waived, Gift: g.Place.House})
	if err != nil {
		return Present{}, err
	}
	code := newCode()
	return Present{
		Code: code, Ticket: t.ID(), Expires: c.cfg.Now().Add(pair.GiftTTL),
		Seed: seed.Seed{
			House: g.Place.House, Box: g.Place.Box, Keeper: g.Keeper, Wifi: g.Wifi,
			Ticket: seed.Secret(t.Text()), Ways: c.ways(t), ClaimHash: seed.HashClaim(code), Setup: seed.NewSetup(),
		},
	}, nil
}

// checkPlace refuses names that the circle would refuse when the gift is plugged in.
func checkPlace(r *roster.State, p Place) error {
	for _, name := range []string{p.House, p.Box} {
		if err := roster.CheckName(name); err != nil {
			return err
		}
	}
	for _, b := range r.Members() {
		h, _ := r.House(b.House)
		if strings.EqualFold(b.Name, p.Box) || strings.EqualFold(h.Name, p.House) {
			return roster.ErrNameTaken
		}
	}
	return nil
}

// newCode draws a claim code of 40 bits, without letters that look like others.
func newCode() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// ways lists where this box is, and who relays to it, beside what the ticket says:
// first the members that relay now, then the others, who may in a month.
func (c *Circle) ways(t ticket.Ticket) (list []seed.Way) {
	self := c.cfg.Key.BoxID()
	add := func(box ident.BoxID, addrs []netip.AddrPort) {
		for _, a := range addrs {
			w := seed.Way{Box: box, Addr: netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())}
			dialable := w.Addr.Addr().IsLoopback() || box == self || netaddr.IsPublic(w.Addr.Addr())
			known := box == self && slices.Contains(t.Addrs, w.Addr) || slices.Contains(list, w)
			if dialable && !known && len(list) < seed.MaxWays {
				list = append(list, w)
			}
		}
	}
	relays := c.cfg.Host.Relays()
	for _, box := range relays {
		add(box, c.cfg.Host.AddrsOf(box))
	}
	add(self, c.cfg.Host.Addrs())
	for _, b := range c.Roster().Members() {
		if b.ID != self && !slices.Contains(relays, b.ID) {
			add(b.ID, c.cfg.Host.AddrsOf(b.ID))
		}
	}
	return list
}

// JoinGift brings this box into the circle that a seed names, kept by the giver for
// now. Otherwise it is as Join.
func (c *Circle) JoinGift(ctx context.Context, s seed.Seed, progress func(pair.Progress)) error {
	if c.Claimed() || c.entered.Load() {
		return &pair.Refusal{Code: pair.InCircle}
	}
	t, err := ticket.Parse(string(s.Ticket))
	if err != nil {
		return err
	}
	j := pair.Joiner{
		Host: c.cfg.Host, Key: c.cfg.Key, Ticket: t, Progress: progress, Logger: c.log,
		Application: pair.Application{BoxName: s.Box, HouseName: s.House, Gift: true, KeeperName: s.Keeper},
	}
	for _, w := range s.Ways {
		i := slices.IndexFunc(j.Through, func(p pair.Way) bool { return p.Box == w.Box })
		if i < 0 {
			i, j.Through = len(j.Through), append(j.Through, pair.Way{Box: w.Box})
		}
		j.Through[i].Addrs = append(j.Through[i].Addrs, w.Addr)
	}
	w, err := pair.Join(ctx, j)
	if err == nil {
		err = c.enter(ctx, w)
	}
	if err != nil {
		c.log.Info("circle not joined", "err", err)
		return err
	}
	c.arrive(ctx)
	return nil
}

// Unreceived reports whether this box is a gift that waits for its keeper.
func (c *Circle) Unreceived() bool {
	me, ok := c.Roster().Box(c.cfg.Key.BoxID())
	return ok && me.Gift && me.Status == roster.StatusActive
}

// Receive makes a person the keeper of this box, which was a gift: somebody new to the
// circle, or somebody with an account, whose password it must be. Who may do so is for
// the caller to know.
func (c *Circle) Receive(ctx context.Context, p Person) error {
	c.entering.Lock()
	defer c.entering.Unlock()
	if !c.Unreceived() {
		return ErrNoGift
	}
	acc, key, err := c.newKeeper(ctx, p)
	if err != nil {
		return err
	}
	r := c.Roster()
	me, _ := r.Box(c.cfg.Key.BoxID())
	change := roster.NewKeep(roster.KeepBody{
		Circle: r.Circle(), Box: me.ID, Rev: me.Rev, Keeper: acc.ID, KeeperKey: key.Public(), Time: c.cfg.Now().UnixMilli(),
	}, c.cfg.Key, key)
	_, err = c.command(ctx, directory.Command{Roster: &directory.RosterChange{Change: change}})
	return err
}

// newKeeper finds or makes the account of somebody who will keep a box. When it is
// broken off the account is there, and the same password leads on.
func (c *Circle) newKeeper(ctx context.Context, p Person) (acc directory.Account, key ident.Key, err error) {
	if acc, err = c.Account(p.Login); err == nil {
		return c.promote(ctx, acc, p.Password)
	}
	if !errors.Is(err, ErrNoAccount) {
		return acc, key, err
	}
	if acc, err = c.cfg.Hasher.NewKeeperAccount(ctx, account.CleanName(p.Login), p.FullName, p.Password); err != nil {
		return acc, key, err
	}
	me, _ := c.Roster().Box(c.cfg.Key.BoxID())
	acc.Created, acc.InvitedBy, acc.Space = c.cfg.Now().UnixMilli(), me.Keeper, ident.NewShardID()
	space, err := c.newSpace(acc)
	if err != nil {
		return acc, key, err
	}
	if _, err = c.command(ctx, directory.Command{PutAccount: &directory.PutAccount{Account: acc, Space: space}}); err != nil {
		return acc, key, err
	}
	key, err = c.cfg.Hasher.OpenKeeper(ctx, acc.SealedKey, p.Password)
	return acc, key, err
}

// promote opens the keeper's key of an account by its password, and gives it one when
// it has none.
func (c *Circle) promote(ctx context.Context, acc directory.Account, password string) (directory.Account, ident.Key, error) {
	key, err := c.cfg.Accounts.KeeperKey(ctx, acc.ID, password)
	if !errors.Is(err, account.ErrNotKeeper) {
		return acc, key, err
	}
	if acc.KeeperKey, acc.SealedKey, err = c.cfg.Hasher.NewKeeper(ctx, password); err != nil {
		return acc, key, err
	}
	if _, err := c.command(ctx, directory.Command{PutAccount: &directory.PutAccount{Account: acc, If: acc.Version}}); err != nil {
		return acc, key, fmt.Errorf("a key for the keeper: %w", err)
	}
	key, err = c.cfg.Hasher.OpenKeeper(ctx, acc.SealedKey, password)
	return acc, key, err
}
