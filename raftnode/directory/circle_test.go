package directory

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
)

// circle is a directory in memory, with the keys of all who are in it.
type circle struct {
	t     *testing.T
	m     *Machine
	state *kv.Layer
	index uint64
	now   int64
}

// member is a person with one box in a house of their own.
type member struct {
	box, keeper ident.Key
	house       ident.HouseID
	account     ident.AccountID
	name        string
}

func newMember(t *testing.T, n byte) member {
	t.Helper()
	key := func(b byte) ident.Key {
		k, err := ident.KeyFromSeed(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	return member{
		box: key(n), keeper: key(n + 100), name: fmt.Sprintf("hen%d", n),
		house: ident.HouseID(fmt.Sprintf("%016x", n)), account: ident.AccountID(fmt.Sprintf("%016x", n)),
	}
}

func (m member) id() ident.BoxID { return m.box.BoxID() }

func (m member) person() Account {
	return Account{ID: m.account, Name: m.name, FullName: "Hen", KeeperKey: m.keeper.Public(), Password: []byte("p"), Space: m.shard()}
}

func (m member) shard() ident.ShardID { return ident.ShardID(m.house[15]) + 100 }

func (m member) space(on ...member) *NewSpace {
	n := &NewSpace{Space: Space{ID: m.shard(), Name: m.name, Owner: m.account}}
	for i, b := range append([]member{m}, on...) {
		n.Replicas = append(n.Replicas, placement.Replica{ID: ident.ReplicaID(i + 1), Box: b.id(), Role: placement.Voter})
	}
	return n
}

func newCircle(t *testing.T) *circle {
	return &circle{t: t, m: new(Machine), state: kv.NewLayer(kv.Empty{}), now: 1_700_000_000_000}
}

// do applies a command as raft would: after it was encoded and decoded.
func (c *circle) do(by member, cmd Command) Outcome {
	c.t.Helper()
	c.index++
	c.now++
	if cmd.ID == ([16]byte{}) {
		cmd.ID[0], cmd.ID[14], cmd.ID[15] = 1, byte(c.index>>8), byte(c.index)
	}
	cmd.By, cmd.Time = by.id(), c.now
	b, err := EncodeCommand(cmd)
	if err != nil {
		c.t.Fatalf("encode: %v", err)
	}
	cmd, err = DecodeCommand(b)
	if err != nil {
		c.t.Fatalf("decode: %v", err)
	}
	out, err := c.m.Apply(c.state, c.index, cmd)
	if err != nil {
		c.t.Fatalf("apply: %v", err)
	}
	return out
}

func (c *circle) want(code Code, by member, cmd Command) Outcome {
	c.t.Helper()
	out := c.do(by, cmd)
	if out.Code != code {
		c.t.Fatalf("got %q, want %q", out.Code, code)
	}
	return out
}

func (c *circle) view() View { return c.m.View(c.state) }

func (c *circle) account(id ident.AccountID) Account {
	c.t.Helper()
	a, ok := c.view().Account(id)
	if !ok {
		c.t.Fatalf("no account %s", id)
	}
	return a
}

func foundBy(m member) Command {
	space := m.space().Space
	return Command{Found: &Found{
		Change: roster.NewFound(roster.FoundBody{
			CircleName: "Hens", Box: m.id(), BoxName: "box " + m.name, House: m.house, HouseName: "house " + m.name,
			Keeper: m.account, KeeperKey: m.keeper.Public(), Time: 1,
		}, m.box),
		Account: m.person(), Space: &space,
	}}
}

func (c *circle) admission(inviter, joiner member) roster.Change {
	return roster.NewAdmit(roster.AdmitBody{
		Circle: c.view().Roster().Circle(), Inviter: inviter.id(), Box: joiner.id(), BoxName: "box " + joiner.name,
		House: joiner.house, HouseName: "house " + joiner.name, Keeper: joiner.account, KeeperKey: joiner.keeper.Public(), Time: 2,
	}, inviter.box, joiner.box)
}

func (c *circle) admit(inviter, joiner member) Command {
	person := joiner.person()
	return Command{Admit: &Admit{Change: c.admission(inviter, joiner), Account: &person, Space: joiner.space()}}
}

// founded returns a circle of n members, each with a box, an account and a space.
func founded(t *testing.T, n int) (*circle, []member) {
	t.Helper()
	c := newCircle(t)
	members := []member{newMember(t, 1)}
	c.want(Done, members[0], foundBy(members[0]))
	for i := 1; i < n; i++ {
		m := newMember(t, byte(i+1))
		c.want(Done, members[0], c.admit(members[0], m))
		members = append(members, m)
	}
	return c, members
}

func (c *circle) gone(box member, signers ...member) roster.Change {
	b, _ := c.view().Roster().Box(box.id())
	body := roster.GoneBody{Circle: c.view().Roster().Circle(), Box: box.id(), Rev: b.Rev, Time: 5}
	var keys []ident.Key
	for _, s := range signers {
		keys = append(keys, s.keeper)
	}
	return roster.NewGone(body, keys...)
}

func otherKey() ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{200}, 32)).Public().(ed25519.PublicKey)
}
