package home

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
)

// box is one box with a directory of its own in memory, and its keeper.
type box struct {
	t           *testing.T
	name        string
	key, keeper ident.Key
	machine     directory.Machine
	state       *kv.Layer // nil: in no circle
	index       uint64
	apart       bool
	alone       bool // nobody but who asks is in touch
	*Home

	ahead    *roster.State
	rejoined ident.ReplicaID
	gaveWay  ident.ReplicaID
	boxes    []ident.BoxID
}

var _ Node = (*box)(nil)

func (b *box) Directory(fn func(directory.View) error) error {
	if b.state == nil {
		return raftnode.ErrNoCircle
	}
	return fn(b.machine.View(b.state))
}

func (b *box) Command(_ context.Context, c directory.Command) (directory.Outcome, error) {
	b.index++
	c.ID, c.By, c.Time = [16]byte{byte(b.index >> 8), byte(b.index), b.name[0]}, b.key.BoxID(), int64(b.index)
	raw, err := directory.EncodeCommand(c)
	if err != nil {
		return directory.Outcome{}, err
	}
	if c, err = directory.DecodeCommand(raw); err != nil {
		return directory.Outcome{}, err
	}
	return b.machine.Apply(b.state, b.index, c)
}

func (b *box) Rejoin(_ context.Context, id ident.ReplicaID, boxes []ident.BoxID) error {
	b.rejoined, b.boxes = id, boxes
	return nil
}

func (b *box) GiveWay(_ context.Context, id ident.ReplicaID, boxes []ident.BoxID) error {
	b.gaveWay, b.boxes = id, boxes
	return nil
}

func (b *box) Apart() bool { return b.apart }

func (b *box) TogetherWithout(ident.BoxID) bool { return !b.apart && !b.alone }

// world connects boxes by pipes.
type world struct {
	t        *testing.T
	handlers map[ident.BoxID]func(context.Context, ident.BoxID, p2p.Stream)
}

// port is the host of one box.
type port struct {
	w    *world
	self ident.BoxID
}

func (p port) Handle(_ string, _ p2p.Access, fn func(context.Context, ident.BoxID, p2p.Stream)) {
	p.w.handlers[p.self] = fn
}

func (p port) Visit(context.Context, ident.BoxID) error { return nil }

func (p port) Open(ctx context.Context, to ident.BoxID, _ string) (p2p.Stream, error) {
	fn := p.w.handlers[to]
	if fn == nil {
		return nil, p2p.ErrNoLink
	}
	here, there := net.Pipe()
	go func() { // ends with the stream
		defer there.Close()
		fn(ctx, p.self, pipe{there})
	}()
	return pipe{here}, nil
}

// pipe is a stream without half-closing.
type pipe struct{ net.Conn }

func (p pipe) CloseWrite() error { return nil }
func (p pipe) Reset() error      { return p.Close() }

func newWorld(t *testing.T) *world {
	return &world{t: t, handlers: map[ident.BoxID]func(context.Context, ident.BoxID, p2p.Stream){}}
}

func (w *world) box(n byte, name string) *box {
	w.t.Helper()
	key := func(b byte) ident.Key {
		k, err := ident.KeyFromSeed(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			w.t.Fatal(err)
		}
		return k
	}
	b := &box{t: w.t, name: name, key: key(n), keeper: key(n + 100)}
	b.Home = New(Config{
		Key: b.key, Host: port{w, b.key.BoxID()}, Node: b, Dir: w.t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Ahead: func(r *roster.State) { b.ahead = r },
		Now:   func() time.Time { return time.UnixMilli(1_000_000) },
	})
	return b
}

func (b *box) id() ident.BoxID { return b.key.BoxID() }

func (b *box) account() directory.Account {
	id := ident.AccountID(fmt.Sprintf("%016x", b.name[0]))
	return directory.Account{ID: id, Name: "keeper-" + b.name, KeeperKey: b.keeper.Public(), SealedKey: []byte{1}, Password: []byte{1}}
}

func (b *box) house() ident.HouseID { return ident.HouseID(fmt.Sprintf("%016x", b.name[0])) }

// found begins a circle.
func (b *box) found() {
	b.t.Helper()
	b.state = kv.NewLayer(kv.Empty{})
	b.must(directory.Command{Found: &directory.Found{Account: b.account(), Change: roster.NewFound(roster.FoundBody{
		CircleName: "Hens", Box: b.id(), BoxName: b.name, House: b.house(), HouseName: b.name + " house",
		Keeper: b.account().ID, KeeperKey: b.keeper.Public(), Time: 1,
	}, b.key)}})
}

func (b *box) admit(o *box) {
	b.t.Helper()
	acc := o.account()
	b.must(directory.Command{Admit: &directory.Admit{Account: &acc, Change: roster.NewAdmit(roster.AdmitBody{
		Circle: b.roster().Circle(), Inviter: b.id(), Box: o.id(), BoxName: o.name, House: o.house(), HouseName: o.name + " house",
		Keeper: acc.ID, KeeperKey: o.keeper.Public(), Time: 2,
	}, b.key, o.key)}})
}

// copyOf gives this box the directory that another has now.
func (b *box) copyOf(o *box) {
	b.t.Helper()
	b.state = kv.NewLayer(kv.Empty{})
	for k, v := range o.state.Scan(nil, nil) {
		b.state.Put(slices.Clone(k), slices.Clone(v))
	}
	b.index = o.index
}

func (b *box) must(c directory.Command) {
	b.t.Helper()
	out, err := b.Command(context.Background(), c)
	if err != nil || out.Code != directory.Done {
		b.t.Fatalf("%+v: %q %v", c, out.Code, err)
	}
}

func (b *box) takeOver(lost ...*box) {
	b.t.Helper()
	r := b.roster()
	body := roster.TakeoverBody{Circle: r.Circle(), Box: b.id(), Era: r.Era() + 1, Head: r.Head(), Time: 3}
	for _, o := range lost {
		box, _ := r.Box(o.id())
		body.Lost = append(body.Lost, roster.Lost{Box: box.ID, Rev: box.Rev})
	}
	slices.SortFunc(body.Lost, func(x, y roster.Lost) int { return strings.Compare(string(x.Box), string(y.Box)) })
	b.must(directory.Command{Takeover: &directory.Takeover{Change: roster.NewTakeover(body, b.key, b.keeper), Replica: 50}})
}

func (b *box) goneBody(o *box) roster.GoneBody {
	box, _ := b.roster().Box(o.id())
	return roster.GoneBody{Circle: b.roster().Circle(), Box: o.id(), Rev: box.Rev, Time: 4}
}

func (b *box) look() error { return b.lookAround(b.t.Context()) }
