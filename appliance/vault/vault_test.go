package vault

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
)

// circle is a directory that several boxes share.
type circle struct {
	t     *testing.T
	mu    sync.Mutex
	m     directory.Machine
	state *kv.Layer
	index uint64
	news  chan struct{}
}

// node is one box's sight of it.
type node struct {
	*circle
	key ident.Key
}

func (n node) Directory(fn func(directory.View) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fn(n.m.View(n.state))
}

func (n node) News() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.news
}

func (n node) Command(_ context.Context, c directory.Command) (directory.Outcome, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.index++
	c.ID, c.By, c.Time = [16]byte{byte(n.index >> 8), byte(n.index)}, n.key.BoxID(), time.Now().UnixMilli()
	raw, err := directory.EncodeCommand(c)
	if err != nil {
		return directory.Outcome{}, err
	}
	if c, err = directory.DecodeCommand(raw); err != nil {
		return directory.Outcome{}, err
	}
	close(n.news)
	n.news = make(chan struct{})
	return n.m.Apply(n.state, n.index, c)
}

func key(t *testing.T, b byte) ident.Key {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newCircle(t *testing.T) (*circle, node) {
	c := &circle{t: t, state: kv.NewLayer(kv.Empty{}), news: make(chan struct{})}
	n := node{circle: c, key: key(t, 1)}
	keeper := key(t, 101)
	acc := directory.Account{ID: "0000000000000001", Name: "anna", KeeperKey: keeper.Public(), Space: 7}
	c.do(n, directory.Command{Found: &directory.Found{
		Change: roster.NewFound(roster.FoundBody{
			CircleName: "Hens", Box: n.key.BoxID(), BoxName: "mill", House: "0000000000000001", HouseName: "Mill Lane",
			Keeper: acc.ID, KeeperKey: acc.KeeperKey, Time: 1,
		}, n.key),
		Account: acc, Space: &directory.Space{ID: 7, Name: "anna", Owner: acc.ID},
	}})
	return c, n
}

func (c *circle) do(n node, cmd directory.Command) {
	c.t.Helper()
	out, err := n.Command(c.t.Context(), cmd)
	if err != nil || out.Code != directory.Done {
		c.t.Fatalf("%v %v", out.Code, err)
	}
}

// admit lets a second box in, as a gift or not.
func (c *circle) admit(by node, b byte, gift bool) node {
	n := node{circle: c, key: key(c.t, b)}
	var r *roster.State
	by.Directory(func(v directory.View) error { r = v.Roster(); return nil })
	body := roster.AdmitBody{
		Circle: r.Circle(), Inviter: by.key.BoxID(), Box: n.key.BoxID(), BoxName: "oak", House: "0000000000000002",
		HouseName: "Oak Street", Keeper: "0000000000000002", KeeperKey: key(c.t, b+100).Public(), Time: 2,
	}
	acc := &directory.Account{ID: body.Keeper, Name: "ben", KeeperKey: body.KeeperKey, Space: 8}
	space := &directory.NewSpace{Space: directory.Space{ID: 8, Name: "ben", Owner: acc.ID}, Replicas: []placement.Replica{{ID: 1, Box: n.key.BoxID(), Role: placement.Voter}}}
	if gift {
		me, _ := r.Box(by.key.BoxID())
		body.Gift, body.Keeper, body.KeeperKey, acc, space = true, me.Keeper, me.KeeperKey, nil, nil
	}
	c.do(by, directory.Command{Admit: &directory.Admit{Change: roster.NewAdmit(body, by.key, n.key), Account: acc, Space: space}})
	return n
}

func vaultOf(t *testing.T, n node) *Vault {
	v, err := New(Config{Key: n.key, Node: n})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEveryBoxOpensWhatOneSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := newCircle(t)
		va := vaultOf(t, a)
		if err := va.Put(t.Context(), "domain", []byte("token")); err != nil {
			t.Fatal(err)
		}
		b := c.admit(a, 2, false)
		vb := vaultOf(t, b)
		if _, err := vb.Get("domain"); !errors.Is(err, ErrLocked) {
			t.Fatalf("before anybody handed the secret on: %v", err)
		}
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { va.Run(ctx) })
		wg.Go(func() { vb.Run(ctx) })
		time.Sleep(10 * time.Second)
		got, err := vb.Get("domain")
		if err != nil || string(got) != "token" {
			t.Errorf("at the other box: %q, %v", got, err)
		}
		if err := vb.Put(t.Context(), "certs/a", []byte("x")); err != nil {
			t.Error(err)
		}
		if got, err := va.Get("certs/a"); err != nil || string(got) != "x" {
			t.Errorf("back at the first: %q, %v", got, err)
		}
		end()
		wg.Wait()
	})
}

func TestAGiftGetsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := newCircle(t)
		va := vaultOf(t, a)
		if err := va.Put(t.Context(), "domain", []byte("token")); err != nil {
			t.Fatal(err)
		}
		b := c.admit(a, 2, true)
		vb := vaultOf(t, b)
		// It tells a key all the same.
		c.do(b, directory.Command{PutSealed: &directory.PutSealed{Name: boxKeyName(b.key.BoxID()), Value: vb.keys.publish()}})
		ctx, end := context.WithTimeout(t.Context(), 10*time.Second)
		defer end()
		va.Run(ctx)
		if _, err := vb.Get("domain"); !errors.Is(err, ErrLocked) {
			t.Errorf("at the gift: %v", err)
		}
	})
}

// A key that another box told in a box's name is not believed.
func TestAForgedKeyGetsNoSecret(t *testing.T) {
	c, a := newCircle(t)
	va := vaultOf(t, a)
	b := c.admit(a, 2, false)
	forger, err := newKeys(key(t, 9))
	if err != nil {
		t.Fatal(err)
	}
	c.do(a, directory.Command{PutSealed: &directory.PutSealed{Name: boxKeyName(b.key.BoxID()), Value: forger.publish()}})
	if err := va.Put(t.Context(), "domain", []byte("token")); err != nil {
		t.Fatal(err)
	}
	s, err := va.read()
	if err != nil || len(s.ring.Wraps) != 1 {
		t.Errorf("wrapped for %d boxes, want 1 (%v)", len(s.ring.Wraps), err)
	}
}

func TestRotateSealsAnew(t *testing.T) {
	_, a := newCircle(t)
	va := vaultOf(t, a)
	for _, name := range []string{"domain", "certs/a"} {
		if err := va.Put(t.Context(), name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	old, err := va.secret(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := va.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"domain", "certs/a"} {
		if got, err := va.Get(name); err != nil || string(got) != name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := va.secret(1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old ring: %v", err)
	}
	if fresh, err := va.secret(2); err != nil || fresh == old {
		t.Errorf("the new secret: same %v, %v", fresh == old, err)
	}
}

func TestValuesByName(t *testing.T) {
	_, a := newCircle(t)
	v := vaultOf(t, a)
	for _, name := range []string{"certs/a/x", "certs/a/y", "certs/b"} {
		if err := v.Put(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := v.Names("certs/a"); err != nil || !slices.Equal(got, []string{"certs/a/x", "certs/a/y"}) {
		t.Errorf("%q %v", got, err)
	}
	if err := v.Delete(t.Context(), "certs/a"); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Names(""); err != nil || !slices.Equal(got, []string{"certs/b"}) {
		t.Errorf("%q %v", got, err)
	}
	if _, err := v.Get("certs/a/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed value: %v", err)
	}
	if err := v.Put(t.Context(), "large", make([]byte, MaxValue+1)); err == nil {
		t.Error("a value over the limit was taken")
	}
	if err := v.Put(t.Context(), "large", make([]byte, MaxValue)); err != nil {
		t.Errorf("a value at the limit: %v", err)
	}
}

// What lies sealed is bound to its name: moved, it opens nothing.
func TestAValueOpensOnlyUnderItsName(t *testing.T) {
	c, a := newCircle(t)
	v := vaultOf(t, a)
	if err := v.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	s, _ := v.sealed(valuesBelow + "a")
	c.do(a, directory.Command{PutSealed: &directory.PutSealed{Name: valuesBelow + "b", Value: s.Value}})
	if got, err := v.Get("b"); err == nil {
		t.Errorf("opened under another name: %q", got)
	}
	if bytes.Contains(s.Value, []byte("x")) && len(s.Value) < 30 {
		t.Error("not sealed at all")
	}
}

func TestALeaseIsKeptAndEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := newCircle(t)
		b := c.admit(a, 2, false)
		va, vb := vaultOf(t, a), vaultOf(t, b)
		held, err := va.Take(t.Context(), "cert")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if _, ok, err := vb.TryTake(t.Context(), "cert"); ok || err != nil {
			t.Fatalf("taken from its holder: %v %v", ok, err)
		}
		held.end() // the box burns
		held.done.Wait()
		begun := time.Now()
		second, err := vb.Take(t.Context(), "cert")
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited > leaseFor+leaseAgain {
			t.Errorf("waited %s for a box that burnt", waited)
		}
		if err := second.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		third, ok, err := va.TryTake(t.Context(), "cert")
		if !ok || err != nil {
			t.Fatalf("after it was given back: %v %v", ok, err)
		}
		if err := third.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
