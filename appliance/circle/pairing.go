package circle

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// Host is what pairing needs of the box's host beside pair itself.
type Host = *p2p.Host

// openDesk lets this box invite others.
func (c *Circle) openDesk() (err error) {
	c.desk, err = pair.New(pair.Config{
		Host: c.cfg.Host, Key: c.cfg.Key, Dir: c.cfg.Dir, Circle: c.Roster, Admit: c.admit, Guide: c.guide, Logger: c.log,
	})
	return err
}

// Roster returns who belongs to the circle, nil when this box is in none.
func (c *Circle) Roster() (r *roster.State) {
	_ = c.cfg.Node.Directory(func(v directory.View) error { // without a circle there is none
		r = v.Roster()
		return nil
	})
	return r
}

// InviteBox makes a ticket for one box; zero ttl is ten minutes.
func (c *Circle) InviteBox(ttl time.Duration) (ticket.Ticket, error) {
	return c.Invite(pair.Terms{TTL: ttl})
}

// Invite makes a ticket for one box, on terms.
func (c *Circle) Invite(terms pair.Terms) (ticket.Ticket, error) {
	if !c.Claimed() {
		return ticket.Ticket{}, ErrNoCircle
	}
	return c.desk.Issue(terms)
}

// Desk is where tickets and waiting boxes are listed, approved and refused.
func (c *Circle) Desk() *pair.Desk { return c.desk }

// arrivalPatience is how long Join waits for the directory after it was let in.
const arrivalPatience = 30 * time.Second

// Join brings this box into the circle of whoever made the ticket. It returns
// when the directory is here, or at least on its way. Nothing is changed when it
// fails, and the log says once why it did.
func (c *Circle) Join(ctx context.Context, text string, place Place, keeper Person, progress func(pair.Progress)) error {
	w, err := c.ask(ctx, text, place, keeper, progress)
	if err == nil {
		err = c.enter(ctx, w)
	}
	if err != nil {
		c.log.Info("circle not joined", "err", err)
	}
	return err
}

// ask has the inviter let this box in.
func (c *Circle) ask(ctx context.Context, text string, place Place, keeper Person, progress func(pair.Progress)) (w pair.Welcome, err error) {
	if c.Claimed() || c.entered.Load() {
		return w, &pair.Refusal{Code: pair.InCircle}
	}
	t, err := ticket.Parse(text)
	if err != nil {
		return w, err
	}
	who := applicant{c: c, place: place, keeper: keeper}
	login := account.CleanName(keeper.Login)
	if err := account.CheckName(login); err != nil {
		return w, err
	}
	return pair.Join(ctx, pair.Joiner{
		Host: c.cfg.Host, Key: c.cfg.Key, Ticket: t, Progress: progress, Logger: c.log, Fit: who.fit,
		Application: pair.Application{BoxName: place.Box, HouseName: place.House, KeeperName: login},
	})
}

// enter begins to take part in the circle that a welcome describes.
func (c *Circle) enter(ctx context.Context, w pair.Welcome) error {
	r, err := roster.Replay(w.Roster)
	if err != nil {
		return fmt.Errorf("welcome: %w", err)
	}
	if r.Circle() != w.Circle || !r.Active(c.cfg.Key.BoxID()) {
		return errors.New("welcome: of another circle, or for another box")
	}
	var boxes []ident.BoxID
	var members []p2p.Member
	for _, b := range r.Members() {
		boxes = append(boxes, b.ID)
		members = append(members, p2p.Member{Box: b.ID, Name: b.Name})
		c.cfg.Host.Learn(b.ID, w.Addrs[b.ID]...)
	}
	if err := c.cfg.Host.SetMembers(members); err != nil {
		return err
	}
	if err := c.remember(members); err != nil {
		return err // a restart would not find the others
	}
	if err := c.cfg.Node.Join(ctx, w.Replica, boxes); err != nil {
		return err
	}
	c.entered.Store(true)
	c.arrive(ctx)
	return nil
}

// arrive waits until the directory is here, or for so long that a person would
// rather be told.
func (c *Circle) arrive(ctx context.Context) {
	late := time.NewTimer(arrivalPatience)
	defer late.Stop()
	for {
		news := c.cfg.Node.News()
		if r := c.Roster(); r != nil && r.Active(c.cfg.Key.BoxID()) {
			return
		}
		select {
		case <-news:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// admit has the circle let a box in; for pair.
func (c *Circle) admit(ctx context.Context, app pair.Application, change roster.Change) (pair.Welcome, error) {
	body, err := change.AdmitBody()
	if err != nil {
		return pair.Welcome{}, err
	}
	if r := c.Roster(); r == nil || !r.Active(body.Box) {
		err = c.admitNew(ctx, app, change)
	} else {
		err = c.renumber(ctx, body.Box)
	}
	if err != nil {
		return pair.Welcome{}, err
	}
	return c.welcome(body.Box)
}

// renumber gives every replica of a box a new number. A box that asks again for
// what it was told may have lost its disk, and with it the votes that it gave under
// the old numbers.
func (c *Circle) renumber(ctx context.Context, box ident.BoxID) error {
	var changes []directory.SetPlacement
	err := c.look(func(v directory.View) error {
		for shard, p := range v.Placements() {
			for i, r := range p.Replicas {
				if r.Box == box {
					p.Replicas[i].ID = p.Next
					changes = append(changes, directory.SetPlacement{Shard: shard, If: p.Version, Replicas: p.Replicas, Next: p.Next + 1})
				}
			}
		}
		return nil
	})
	for i := 0; err == nil && i < len(changes); i++ {
		_, err = c.command(ctx, directory.Command{SetPlacement: &changes[i]})
	}
	return err
}

func (c *Circle) admitNew(ctx context.Context, app pair.Application, change roster.Change) error {
	admit, err := c.admission(app, change)
	if err != nil {
		return err
	}
	out, err := c.cfg.Node.Command(ctx, directory.Command{Admit: admit})
	if err != nil {
		return err
	}
	switch out.Code {
	case directory.Done:
		return nil
	case directory.NameTaken, directory.Exists:
		return &pair.Refusal{Code: pair.NameTaken}
	case directory.Full:
		return &pair.Refusal{Code: pair.Full}
	case directory.Invalid:
		return &pair.Refusal{Code: pair.BadName}
	case directory.Missing:
		return &pair.Refusal{Code: pair.BadKeeper}
	}
	return &RefusedError{out.Code}
}

// admission is what the circle is to decide: with an account and its space, unless
// the keeper has one, which the desk has seen proved.
func (c *Circle) admission(app pair.Application, change roster.Change) (*directory.Admit, error) {
	if len(app.Account) == 0 {
		return &directory.Admit{Change: change}, nil
	}
	var acc directory.Account
	if err := wire.Unmarshal(app.Account, &acc); err != nil {
		return nil, &pair.Refusal{Code: pair.Garbage}
	}
	if acc.ID != app.Keeper || len(acc.Devices) > 0 || acc.Removed || account.CheckName(acc.Name) != nil {
		return nil, &pair.Refusal{Code: pair.Garbage}
	}
	acc.Version, acc.Epoch = 0, 0
	space, err := c.newSpace(acc)
	return &directory.Admit{Change: change, Account: &acc, Space: space}, err
}

// welcome is what an admitted box needs to take part.
func (c *Circle) welcome(box ident.BoxID) (w pair.Welcome, err error) {
	err = c.look(func(v directory.View) error {
		r := v.Roster()
		p, _ := v.Placement(ident.CircleShard)
		for _, rep := range p.Replicas {
			if rep.Box == box {
				w.Replica = rep.ID
			}
		}
		w.Circle, w.CircleName = r.Circle(), r.Name()
		w.Roster = v.Changes(0, roster.MaxChanges)
		w.Addrs = map[ident.BoxID][]netip.AddrPort{c.cfg.Key.BoxID(): c.cfg.Host.Addrs()}
		for _, b := range r.Members() {
			if b.ID != box && b.ID != c.cfg.Key.BoxID() {
				w.Addrs[b.ID] = c.cfg.Host.AddrsOf(b.ID)
			}
		}
		if w.Replica == 0 {
			return fmt.Errorf("box %s has no replica of the circle shard", box.Short())
		}
		return nil
	})
	return w, err
}
