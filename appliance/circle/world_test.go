package circle

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
)

// node is a directory of one box in memory.
type node struct {
	box ident.BoxID

	mu      sync.Mutex // guards what follows
	machine directory.Machine
	state   *kv.Layer // nil before a circle is founded
	index   uint64
	apart   bool
	refuse  error // of takeovers
}

var _ Node = (*node)(nil)

func (n *node) Directory(fn func(directory.View) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state == nil {
		return raftnode.ErrNoCircle
	}
	return fn(n.machine.View(n.state))
}

func (n *node) Command(_ context.Context, c directory.Command) (directory.Outcome, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state == nil {
		return directory.Outcome{}, raftnode.ErrNoCircle
	}
	if n.apart {
		return directory.Outcome{}, raftnode.ErrApart
	}
	n.index++
	c.ID, c.By, c.Time = [16]byte{byte(n.index >> 8), byte(n.index)}, n.box, int64(n.index)
	raw, err := directory.EncodeCommand(c)
	if err != nil {
		return directory.Outcome{}, err
	}
	if c, err = directory.DecodeCommand(raw); err != nil {
		return directory.Outcome{}, err
	}
	return n.machine.Apply(n.state, n.index, c)
}

func (n *node) TakeOver(ctx context.Context, _ []ident.BoxID, sign func(directory.View) (roster.Change, error)) error {
	if n.refuse != nil {
		return n.refuse
	}
	var change roster.Change
	err := n.Directory(func(v directory.View) (err error) {
		change, err = sign(v)
		return err
	})
	if err != nil {
		return err
	}
	out, err := n.Command(ctx, directory.Command{Takeover: &directory.Takeover{Change: change, Replica: 1000}})
	if err == nil && out.Code != directory.Done {
		err = errors.New(string(out.Code))
	}
	return err
}

func (w *world) placement(shard ident.ShardID) (p directory.Placement, ok bool) {
	w.t.Helper()
	err := w.node.Directory(func(v directory.View) error {
		p, ok = v.Placement(shard)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p, ok
}

func (n *node) Found(ctx context.Context, f directory.Found) error {
	n.mu.Lock()
	n.state = kv.NewLayer(kv.Empty{})
	n.mu.Unlock()
	out, err := n.Command(ctx, directory.Command{Found: &f})
	if err == nil && out.Code != directory.Done {
		err = errors.New(string(out.Code))
	}
	return err
}

func (n *node) Join(context.Context, ident.ReplicaID, []ident.BoxID) error {
	return errors.New("not in this test")
}

func (n *node) First(ident.ShardID, ident.AccountID, int) ([]Replica, error) {
	return []Replica{{ID: 1, Box: n.box, Role: placement.Voter}}, nil
}

func (n *node) News() <-chan struct{} { return make(chan struct{}) }

// world is a box with its circle, and a clock.
type world struct {
	t *testing.T
	*Circle
	node *node
	key  ident.Key
	now  time.Time
}

// cheap is what a hash costs in tests.
func cheap() account.Cost { return account.Cost{Passes: 1, Memory: 64} }

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := ident.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	host, err := p2p.New(p2p.Config{Key: key, Dir: dir, ListenIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	w := &world{t: t, node: &node{box: key.BoxID()}, key: key, now: time.Date(2026, 11, 12, 14, 2, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	hasher := account.NewHasher(cheap())
	accounts, err := account.New(account.Config{Key: key, Directory: w.node, Hasher: hasher, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	w.Circle, err = New(Config{Key: key, Dir: dir, Node: w.node, Host: host, Accounts: accounts, Hasher: hasher, Logger: log, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func password(login string) string { return login + " likes old hens" }

func somebody(login string) Person { return Person{Login: login, Password: password(login)} }

// founded is a world with a circle that anna founded.
func founded(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if err := w.Found(t.Context(), "Hens", Place{House: "Mill Lane", Box: "hen"}, somebody("anna")); err != nil {
		t.Fatal(err)
	}
	return w
}

// admitBox has a friend's box join, and returns its name in the roster.
func (w *world) admitBox(house, box, keeper string) ident.BoxID {
	w.t.Helper()
	key, err := ident.NewKey(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	acc, err := w.cfg.Hasher.NewKeeperAccount(w.t.Context(), keeper, "", password(keeper))
	if err != nil {
		w.t.Fatal(err)
	}
	acc.Space = ident.NewShardID()
	change := roster.AddSignature(roster.NewAdmit(roster.AdmitBody{
		Circle: w.Roster().Circle(), Inviter: w.key.BoxID(), Box: key.BoxID(), BoxName: box,
		House: ident.NewHouseID(), HouseName: house, Keeper: acc.ID, KeeperKey: acc.KeeperKey, Time: w.now.UnixMilli(),
	}, key), w.key)
	space, err := w.newSpace(acc)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.command(w.t.Context(), directory.Command{Admit: &directory.Admit{Change: change, Account: &acc, Space: space}}); err != nil {
		w.t.Fatal(err)
	}
	return key.BoxID()
}

// wants checks that an error has the words of a code.
func (w *world) wants(what string, err error, code string) {
	w.t.Helper()
	if words, ok := Explain(err); !ok || words.Code != code {
		w.t.Errorf("%s: %v (%+v), want code %s", what, err, words, code)
	}
}
