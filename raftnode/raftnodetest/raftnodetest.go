// Package raftnodetest runs a whole circle of Nodes in one process, on an
// in-memory network, with real files below a test's folder: boxes that are added,
// crash, restart, burn, and are cut off from each other.
package raftnodetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/catalog"
	"redhen/raftnode/chunk"
	"redhen/raftnode/directory"
	"redhen/raftnode/raftlog"
	"redhen/raftnode/transport"
	"redhen/raftnode/vfs"
)

// Config says how the boxes of a circle run.
type Config struct {
	Seed         uint64
	PromoteAfter time.Duration // 0: one second
	Logger       *slog.Logger  // nil: none
}

// Circle is several boxes in one process.
type Circle struct {
	T    testing.TB
	Mesh *transport.Mesh
	cfg  Config
	dir  string

	mu    sync.Mutex
	boxes map[string]*Box
	order []string
}

// Box is one box; its fields stay when it crashes and restarts.
type Box struct {
	Name, House string
	Key         ident.Key
	Keeper      ident.Key
	Account     ident.AccountID
	Node        *raftnode.Node // nil while it is down
	Chunks      *chunk.Store

	c    *Circle
	dir  string
	stop func()
}

// New makes a circle without boxes. It ends with the test.
func New(t testing.TB, cfg Config) *Circle {
	if cfg.PromoteAfter == 0 {
		cfg.PromoteAfter = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Circle{T: t, Mesh: transport.NewMesh(cfg.Seed), cfg: cfg, dir: t.TempDir(), boxes: map[string]*Box{}}
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

// Add starts a fresh box: the first one founds the circle, the others are
// admitted by the first one that is up.
func (c *Circle) Add(ctx context.Context, name, house string) (*Box, error) {
	b := &Box{
		Name: name, House: house, c: c, dir: filepath.Join(c.dir, name),
		Key: c.drawn("box " + name), Keeper: c.drawn("keeper " + name),
		Account: ident.AccountID(fmt.Sprintf("%016x", sha256.Sum256([]byte(name)))[:16]),
	}
	inviter := c.anyUp()
	if err := b.Start(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.boxes[name] = b
	c.order = append(c.order, name)
	c.mu.Unlock()
	if inviter == nil {
		return b, b.found(ctx)
	}
	return b, b.join(ctx, inviter)
}

// known lists all boxes, as a box remembers them beside its directory.
func (c *Circle) known() (ids []ident.BoxID) {
	for _, b := range c.All() {
		ids = append(ids, b.Key.BoxID())
	}
	return ids
}

func (c *Circle) anyUp() *Box {
	for _, b := range c.All() {
		if b.Node != nil {
			return b
		}
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

// Start starts a box that is down, from what is on its disk.
func (b *Box) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	log, err := raftlog.Open(raftlog.Config{FS: vfs.OS{}, Dir: filepath.Join(b.dir, "raftlog"), SegmentBytes: 1 << 20})
	if err != nil {
		cancel()
		return err
	}
	b.Chunks, err = chunk.Open(chunk.Config{FS: vfs.OS{}, Dir: filepath.Join(b.dir, "chunks")})
	if err != nil {
		cancel()
		return err
	}
	var wg sync.WaitGroup
	logCtx, endLog := context.WithCancel(context.Background())
	wg.Go(func() { _ = log.Run(logCtx) }) // a stopped log stops the Node, which reports
	node, err := raftnode.Open(raftnode.Config{
		Box: b.Key.BoxID(), Dir: b.dir, Log: log, Chunks: b.Chunks, Net: b.c.Mesh.Join(b.Key.BoxID()),
		Logger: b.c.cfg.Logger.With("at", b.Name), PromoteAfter: b.c.cfg.PromoteAfter, Known: b.c.known(),
	})
	if err != nil {
		cancel()
		endLog()
		wg.Wait()
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := node.Run(ctx); err != nil {
			b.c.T.Errorf("box %s: %v", b.Name, err)
		}
	}()
	b.Node = node
	b.stop = func() {
		cancel()
		<-done
		endLog()
		wg.Wait()
		if err := b.Chunks.Close(); err != nil {
			b.c.T.Errorf("box %s: %v", b.Name, err)
		}
	}
	return nil
}

// Crash takes a box off the network at once and ends it; what is on its disk stays.
func (b *Box) Crash() {
	if b.Node == nil {
		return
	}
	b.c.Mesh.Leave(b.Key.BoxID())
	b.stop()
	b.Node = nil
}

// Stop ends a box as a planned stop does: leadership moves away first.
func (b *Box) Stop() {
	if b.Node == nil {
		return
	}
	b.stop()
	b.c.Mesh.Leave(b.Key.BoxID())
	b.Node = nil
}

// Burn crashes a box and destroys its disk.
func (b *Box) Burn() error {
	b.Crash()
	return os.RemoveAll(b.dir)
}

// Gone has the keepers of the other boxes that are up declare a box gone.
func (c *Circle) Gone(ctx context.Context, name string, replacement ident.BoxID) error {
	at := c.anyUp()
	var body roster.GoneBody
	err := at.Node.Directory(func(v directory.View) error {
		box, _ := v.Roster().Box(c.Box(name).Key.BoxID())
		body = roster.GoneBody{Circle: v.Roster().Circle(), Box: box.ID, Rev: box.Rev, Replacement: replacement, Time: 2}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range c.All() {
		if b.Name == name || b.Node == nil || b.Key.BoxID() == replacement {
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

// NewSpace makes a space that belongs to the box's keeper.
func (b *Box) NewSpace(ctx context.Context, name string) (ident.ShardID, error) {
	id := ident.ShardID(0x1000) + ident.ShardID(len(name))<<32
	for _, r := range name {
		id = id*31 + ident.ShardID(r)
	}
	first, err := b.Node.First(id, b.Account, 0)
	if err != nil {
		return 0, err
	}
	out, err := b.Node.Command(ctx, directory.Command{CreateSpace: &directory.NewSpace{
		Space: directory.Space{ID: id, Name: name, Owner: b.Account}, Replicas: first,
	}})
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("create space: %s", out.Code)
	}
	return id, err
}

// Put writes a file into the root of a space, over what this box sees there.
func (b *Box) Put(ctx context.Context, space ident.ShardID, name string, data []byte) (catalog.Outcome, int, error) {
	s := b.Node.Space(space)
	content, err := s.Upload(ctx, bytes.NewReader(data))
	if err != nil {
		return catalog.Outcome{}, 0, err
	}
	op := catalog.Op{Kind: catalog.Put, Dir: catalog.Root, Name: name, Content: &content}
	switch e, err := s.Stat(ctx, name); {
	case err == nil:
		op.Node, op.Base = e.Node, e.Version
	case !errors.Is(err, catalog.ErrNotFound):
		return catalog.Outcome{}, 0, err
	}
	return s.Write(ctx, b.Account, op, 0)
}

// Get reads a file.
func (b *Box) Get(ctx context.Context, space ident.ShardID, path string) ([]byte, error) {
	s := b.Node.Space(space)
	e, err := s.Stat(ctx, path)
	if err != nil {
		return nil, err
	}
	r := s.Open(ctx, e.Content)
	defer r.Close()
	return io.ReadAll(r)
}
