package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
)

const password = "three brown hens"

// world is a circle of boxes 1, 2 and 3 that see one directory and one clock. Each
// box has a keeper: hen1, hen2 and hen3.
type world struct {
	t       *testing.T
	machine directory.Machine
	state   *kv.Layer
	index   uint64
	hasher  *Hasher
	keepers []directory.Account
	damaged bool

	mu  sync.Mutex
	now time.Time
}

func quick() *Hasher { return NewHasher(Cost{Passes: 1, Memory: 64}) }

func boxKey(n int) ident.Key {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{byte(n)}, 32))
	if err != nil {
		panic(err)
	}
	return k
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, state: kv.NewLayer(kv.Empty{}), hasher: quick(), now: time.UnixMilli(1_790_000_000_000)}
	for n := 1; n <= 3; n++ {
		person, err := w.hasher.NewKeeperAccount(t.Context(), fmt.Sprintf("hen%d", n), "Hen", password)
		if err != nil {
			t.Fatal(err)
		}
		w.keepers = append(w.keepers, person)
		w.join(n, person)
	}
	return w
}

func (w *world) join(n int, person directory.Account) {
	w.t.Helper()
	box, inviter, house := boxKey(n), boxKey(1), ident.HouseID(fmt.Sprintf("%016x", n))
	if n == 1 {
		w.do(directory.Command{Found: &directory.Found{Account: person, Change: roster.NewFound(roster.FoundBody{
			CircleName: "Hens", Box: box.BoxID(), BoxName: "box 1", House: house, HouseName: "house 1",
			Keeper: person.ID, KeeperKey: person.KeeperKey,
		}, box)}})
		return
	}
	var circle ident.CircleID
	w.look(func(v directory.View) { circle = v.Roster().Circle() })
	w.do(directory.Command{Admit: &directory.Admit{Account: &person, Change: roster.NewAdmit(roster.AdmitBody{
		Circle: circle, Inviter: inviter.BoxID(), Box: box.BoxID(), BoxName: fmt.Sprint("box ", n),
		House: house, HouseName: fmt.Sprint("house ", n), Keeper: person.ID, KeeperKey: person.KeeperKey,
	}, inviter, box)}})
}

// do applies a command that box 1 proposes.
func (w *world) do(c directory.Command) {
	w.t.Helper()
	w.index++
	c.ID[0], c.ID[1], c.By, c.Time = 1, byte(w.index), boxKey(1).BoxID(), w.clock().UnixMilli()
	out, err := w.machine.Apply(w.state, w.index, c)
	if err != nil || out.Code != directory.Done {
		w.t.Fatalf("command refused: %q, %v", out.Code, err)
	}
}

// leaves takes box 3 out, signed by the keepers of the others or by itself.
func (w *world) leaves(kind roster.Kind) {
	w.t.Helper()
	at := w.clock().UnixMilli()
	body := roster.GoneBody{Box: boxKey(3).BoxID(), Time: at}
	w.look(func(v directory.View) {
		b, _ := v.Roster().Box(body.Box)
		body.Circle, body.Rev = v.Roster().Circle(), b.Rev
	})
	var keys []ident.Key
	for _, k := range w.keepers[:2] {
		key, err := w.hasher.OpenKeeper(w.t.Context(), k.SealedKey, password)
		if err != nil {
			w.t.Fatal(err)
		}
		keys = append(keys, key)
	}
	change := map[roster.Kind]func() roster.Change{
		roster.Gone:   func() roster.Change { return roster.NewGone(body, keys...) },
		roster.Stolen: func() roster.Change { return roster.NewStolen(body, keys...) },
		roster.Retire: func() roster.Change {
			return roster.NewRetire(roster.RetireBody{Circle: body.Circle, Box: body.Box, Rev: body.Rev, Time: at}, boxKey(3))
		},
	}[kind]()
	w.do(directory.Command{Roster: &directory.RosterChange{Change: change}})
}

func (w *world) look(fn func(directory.View)) { fn(w.machine.View(w.state)) }

// Directory implements Directory.
func (w *world) Directory(fn func(directory.View) error) error {
	if w.damaged {
		return errors.New("the file cannot be read")
	}
	return fn(w.machine.View(w.state))
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// at returns the accounts as box n sees them.
func (w *world) at(n int) *Accounts {
	w.t.Helper()
	a, err := New(Config{Key: boxKey(n), Directory: w, Hasher: w.hasher, Now: w.clock})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) account(name string) (person directory.Account) {
	w.look(func(v directory.View) { person, _ = v.AccountByName(name) })
	return person
}

func from(t *testing.T, address string) context.Context {
	return WithSource(t.Context(), netip.MustParseAddr(address))
}
