// Package raftnodetest runs a whole circle of Nodes in one process, on an
// in-memory network and on disks that are simulated (Disk): boxes that are added,
// crash, lose their power, restart, burn, and are cut off from each other.
package raftnodetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/transport"
)

// Config says how the boxes of a circle run.
type Config struct {
	Seed         uint64
	PromoteAfter time.Duration // 0: one second
	KeepEntries  uint64        // see raftnode.Config
	CutEntries   uint64
	SweepEvery   time.Duration
	GarbageAfter time.Duration
	Logger       *slog.Logger // nil: none

	// Dir is where the boxes' folders are; empty: a folder of the test. With OnDisk they hold
	// everything, on the real disk: the boxes then may be stopped, but not lose their power.
	Dir    string
	OnDisk bool
}

// Circle is several boxes in one process.
type Circle struct {
	T    testing.TB
	Mesh *transport.Mesh
	Said *Said // what the boxes logged
	cfg  Config
	dir  string

	mu    sync.Mutex
	boxes map[string]*Box
	order []string
}

// New makes a circle without boxes. It ends with the test.
func New(t testing.TB, cfg Config) *Circle {
	if cfg.PromoteAfter == 0 {
		cfg.PromoteAfter = time.Second
	}
	c := &Circle{T: t, Mesh: transport.NewMesh(cfg.Seed), Said: &Said{}, cfg: cfg, dir: t.TempDir(), boxes: map[string]*Box{}}
	if cfg.Dir != "" {
		c.dir = cfg.Dir
	}
	t.Cleanup(c.Close)
	return c
}

// Close stops every box.
func (c *Circle) Close() {
	for _, b := range c.All() {
		b.Crash()
	}
	c.Mesh.Close()
}

// All returns the boxes in the order in which they were added.
func (c *Circle) All() []*Box {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*Box, len(c.order))
	for i, name := range c.order {
		list[i] = c.boxes[name]
	}
	return list
}

// Box returns a box by its name.
func (c *Circle) Box(name string) *Box {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.boxes[name]
	if b == nil {
		c.T.Fatalf("no box %q", name)
	}
	return b
}

// drawn gives keys that follow from the seed and a name.
func (c *Circle) drawn(name string) ident.Key {
	seed := sha256.Sum256(fmt.Appendf(nil, "%d %s", c.cfg.Seed, name))
	k, err := ident.KeyFromSeed(seed[:])
	if err != nil {
		c.T.Fatal(err)
	}
	return k
}

// Named returns the name of a box; for one that is not of this circle its ID.
func (c *Circle) Named(id ident.BoxID) string {
	for _, b := range c.All() {
		if b.Key.BoxID() == id {
			return b.Name
		}
	}
	return string(id)
}

// Up returns the boxes that are up, in the order in which they were added.
func (c *Circle) Up() []*Box {
	return slices.DeleteFunc(c.All(), func(b *Box) bool { return b.Node == nil })
}

// Add starts a fresh box: the first one founds the circle, the others are
// admitted by the first one that is up.
func (c *Circle) Add(ctx context.Context, name, house string) (*Box, error) {
	inviter := c.anyUp()
	b, err := c.Resume(name, house)
	switch {
	case err != nil:
		return nil, err
	case inviter == nil:
		return b, b.found(ctx)
	}
	return b, b.join(ctx, inviter)
}

// Resume starts a box of a circle of the same seed with what is in its folder.
func (c *Circle) Resume(name, house string) (*Box, error) {
	b := &Box{
		Name: name, House: house, c: c, dir: filepath.Join(c.dir, name),
		Key: c.drawn("box " + name), Keeper: c.drawn("keeper " + name),
		Account: ident.AccountID(fmt.Sprintf("%016x", sha256.Sum256([]byte(name)))[:16]),
	}
	b.Disk = newDisk(c.cfg.Seed, name, b.dir)
	if err := b.Start(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boxes[name] = b
	c.order = append(c.order, name)
	return b, nil
}

// known lists all boxes, as a box remembers them beside its directory.
func (c *Circle) known() (ids []ident.BoxID) {
	for _, b := range c.All() {
		ids = append(ids, b.Key.BoxID())
	}
	return ids
}

func (c *Circle) anyUp() *Box {
	if up := c.Up(); len(up) > 0 {
		return up[0]
	}
	return nil
}

func (c *Circle) houseID(name string) ident.HouseID {
	return ident.HouseID(fmt.Sprintf("%x", sha256.Sum256([]byte("house "+name)))[:16])
}

// Dir is the box's state directory.
func (b *Box) Dir() string { return b.dir }

func (b *Box) account() directory.Account {
	return directory.Account{
		ID: b.Account, Name: "keeper-" + b.Name, KeeperKey: b.Keeper.Public(), SealedKey: []byte{1}, Password: []byte{1},
	}
}

func (b *Box) found(ctx context.Context) error {
	change := roster.NewFound(roster.FoundBody{
		CircleName: "Test Circle", Box: b.Key.BoxID(), BoxName: b.Name, House: b.c.houseID(b.House), HouseName: b.House,
		Keeper: b.Account, KeeperKey: b.Keeper.Public(), Time: 1,
	}, b.Key)
	return b.Node.Found(ctx, directory.Found{Change: change, Account: b.account()})
}

func (b *Box) join(ctx context.Context, inviter *Box) error {
	var circle ident.CircleID
	var boxes []ident.BoxID
	err := inviter.Node.Directory(func(v directory.View) error {
		circle = v.Roster().Circle()
		for _, m := range v.Roster().Members() {
			boxes = append(boxes, m.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	change := roster.NewAdmit(roster.AdmitBody{
		Circle: circle, Inviter: inviter.Key.BoxID(), Box: b.Key.BoxID(), BoxName: b.Name,
		House: b.c.houseID(b.House), HouseName: b.House, Keeper: b.Account, KeeperKey: b.Keeper.Public(), Time: 1,
	}, inviter.Key, b.Key)
	acc := b.account()
	out, err := inviter.Node.Command(ctx, directory.Command{Admit: &directory.Admit{Change: change, Account: &acc}})
	if err != nil {
		return err
	}
	if out.Code != directory.Done {
		return fmt.Errorf("admit %s: %s", b.Name, out.Code)
	}
	return b.Node.Join(ctx, out.Replica, boxes)
}

// Gone has the keepers of the other boxes that are up declare a box gone.
func (c *Circle) Gone(ctx context.Context, name string, replacement ident.BoxID) error {
	up := slices.DeleteFunc(c.Up(), func(b *Box) bool { return b.Name == name })
	if len(up) == 0 {
		return errors.New("no other box is up")
	}
	at := up[0]
	var body roster.GoneBody
	err := at.Node.Directory(func(v directory.View) error {
		box, _ := v.Roster().Box(c.Box(name).Key.BoxID())
		body = roster.GoneBody{Circle: v.Roster().Circle(), Box: box.ID, Rev: box.Rev, Replacement: replacement, Time: 2}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range up {
		if b.Key.BoxID() == replacement {
			continue
		}
		change := roster.NewGone(body, b.Keeper)
		out, err := at.Node.Command(ctx, directory.Command{Petition: &directory.SignPetition{Change: change}})
		if err != nil {
			return err
		}
		if out.Code == directory.Done {
			return nil
		}
	}
	return errors.New("too few keepers to declare the box gone")
}

// Retire takes the box out of the circle by its own signature, as package circle does: what
// waits goes to other houses, its copies and votes move there, and then it leaves.
func (b *Box) Retire(ctx context.Context) error {
	if err := b.left(ctx, false); err != nil {
		return err
	}
	leaving := directory.SetBox{Settings: directory.BoxSettings{Leaving: true}}
	if _, err := b.Node.Command(ctx, directory.Command{SetBox: &leaving}); err != nil {
		return err
	}
	if err := b.left(ctx, true); err != nil {
		return err
	}
	var body roster.RetireBody
	err := b.Node.Directory(func(v directory.View) error {
		me, _ := v.Roster().Box(b.Key.BoxID())
		body = roster.RetireBody{Circle: v.Roster().Circle(), Box: me.ID, Rev: me.Rev, Time: 5}
		return nil
	})
	if err != nil {
		return err
	}
	change := directory.RosterChange{Change: roster.NewRetire(body, b.Key)}
	out, err := b.Node.Command(ctx, directory.Command{Roster: &change})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("retire %s: %s", b.Name, out.Code)
	}
	return err
}

// left waits until nothing waits at the box for other houses; with all, until it has neither a
// space nor a vote.
func (b *Box) left(ctx context.Context, all bool) error {
	for {
		st, err := b.Node.Status(ctx)
		if err != nil {
			return err
		}
		here := slices.ContainsFunc(st.Shards, func(sh raftnode.ShardStatus) bool {
			return sh.Pending > 0 || all && (sh.Shard != ident.CircleShard && sh.Replica != 0 || b.votes(sh))
		})
		if !here {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("%s retires: %w", b.Name, ctx.Err())
		}
	}
}

func (b *Box) votes(sh raftnode.ShardStatus) bool {
	return slices.ContainsFunc(sh.Members, func(m raftnode.MemberStatus) bool { return m.Voter && m.Box == b.Key.BoxID() })
}

// TakeOver has a box go on without those that are down, as its keeper says.
func (c *Circle) TakeOver(ctx context.Context, name string) error {
	b := c.Box(name)
	var lost []ident.BoxID
	for _, o := range c.All() {
		if o.Node == nil {
			lost = append(lost, o.Key.BoxID())
		}
	}
	return b.TakeOver(ctx, lost...)
}

// TakeOver has the box go on without others, as its keeper says.
func (b *Box) TakeOver(ctx context.Context, lost ...ident.BoxID) error {
	return b.Node.TakeOver(ctx, lost, b.SignTakeover(lost...))
}

// SignTakeover signs that the box goes on without others, with its keeper's key.
func (b *Box) SignTakeover(lost ...ident.BoxID) func(directory.View) (roster.Change, error) {
	return func(v directory.View) (roster.Change, error) {
		r := v.Roster()
		body := roster.TakeoverBody{Circle: r.Circle(), Box: b.Key.BoxID(), Era: r.Era() + 1, Head: r.Head(), Time: 3}
		for _, m := range r.Members() {
			if slices.Contains(lost, m.ID) {
				body.Lost = append(body.Lost, roster.Lost{Box: m.ID, Rev: m.Rev})
			}
		}
		return roster.NewTakeover(body, b.Key, b.Keeper), nil
	}
}

// Home lets a box come back that the others went on without: one that was given up is
// admitted again, and any gets its new place in the circle.
func (c *Circle) Home(ctx context.Context, name string) error {
	id, boxes, err := c.place(ctx, name)
	if err != nil {
		return err
	}
	err = c.Box(name).Node.Rejoin(ctx, id, boxes)
	if errors.Is(err, raftnode.ErrNoCircle) { // its disk was lost
		err = c.Box(name).Node.Join(ctx, id, boxes)
	}
	return err
}

// GiveWay lets a box that went on without the others come back to them, who went on
// without it: it leaves its branch of the circle for theirs.
func (c *Circle) GiveWay(ctx context.Context, name string) error {
	id, boxes, err := c.place(ctx, name)
	if err != nil {
		return err
	}
	b := c.Box(name)
	if err := b.Node.GiveWay(ctx, id, boxes); err != nil {
		return err
	}
	<-b.gone
	b.Stop()
	return b.Start()
}

// place is where the others have a box: it is admitted again if they gave it up.
func (c *Circle) place(ctx context.Context, name string) (ident.ReplicaID, []ident.BoxID, error) {
	b := c.Box(name)
	others := slices.DeleteFunc(c.Up(), func(o *Box) bool { return o == b })
	if len(others) == 0 {
		return 0, nil, ErrDown
	}
	at := others[0]
	var circle ident.CircleID
	var box roster.Box
	var active bool
	var boxes []ident.BoxID
	replica := ident.ReplicaID(0)
	err := at.Node.Directory(func(v directory.View) error {
		circle = v.Roster().Circle()
		box, _ = v.Roster().Box(b.Key.BoxID())
		active = v.Roster().Active(box.ID)
		for _, m := range v.Roster().Members() {
			boxes = append(boxes, m.ID)
		}
		p, _ := v.Placement(ident.CircleShard)
		for _, r := range p.Replicas {
			if r.Box == box.ID {
				replica = r.ID
			}
		}
		return nil
	})
	if err != nil || active {
		return replica, boxes, err
	}
	change := roster.NewAdmit(roster.AdmitBody{
		Circle: circle, Inviter: at.Key.BoxID(), Box: box.ID, Rev: box.Rev, BoxName: box.Name,
		House: box.House, Keeper: box.Keeper, KeeperKey: box.KeeperKey, Time: 4,
	}, at.Key, b.Key)
	out, err := at.Node.Command(ctx, directory.Command{Admit: &directory.Admit{Change: change}})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("admit %s again: %s", name, out.Code)
	}
	return out.Replica, boxes, err
}

// SpaceID is the number of the space of a name.
func SpaceID(name string) ident.ShardID {
	id := ident.ShardID(0x1000) + ident.ShardID(len(name))<<32
	for _, r := range name {
		id = id*31 + ident.ShardID(r)
	}
	return id
}

// NewSpace makes a space of the usual number of copies that belongs to the box's keeper.
func (b *Box) NewSpace(ctx context.Context, name string) (ident.ShardID, error) {
	return b.NewSpaceOf(ctx, name, 0)
}

// NewSpaceOf makes a space of a number of copies.
func (b *Box) NewSpaceOf(ctx context.Context, name string, copies int) (ident.ShardID, error) {
	id := SpaceID(name)
	first, err := b.Node.First(id, b.Account, copies)
	if err != nil {
		return 0, err
	}
	out, err := b.Node.Command(ctx, directory.Command{CreateSpace: &directory.NewSpace{
		Space: directory.Space{ID: id, Name: name, Owner: b.Account, Copies: copies}, Replicas: first,
	}})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("create space: %s", out.Code)
	}
	return id, err
}
