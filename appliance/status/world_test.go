package status

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/roster"
	"redhen/raftnode"
	"redhen/raftnode/directory"
	"redhen/raftnode/kv"
)

// noon is the moment of most tests: a Thursday.
var noon = time.Date(2026, 11, 12, 12, 0, 0, 0, time.UTC)

const ada = ident.ShardID(77)

func boxID(n int) ident.BoxID { return boxKey(n).BoxID() }

func boxKey(n int) ident.Key {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{byte(n)}, 32))
	if err != nil {
		panic(err)
	}
	return k
}

func houseID(n int) ident.HouseID { return ident.HouseID(fmt.Sprintf("%016x", n)) }

// whole is n houses with a box each, seen from box 1, where nothing is wrong.
func whole(n int) Facts {
	f := Facts{Now: noon, Started: noon.Add(-time.Hour), Self: boxID(1), Outside: true,
		Circle: Circle{Name: "Riverside", Spaces: []SpaceFacts{{ID: ident.CircleShard, Copies: 3}, {ID: ada, Name: "ada", Copies: 3}}}}
	names := []string{"Oak Street", "Mill Lane", "Hill Farm", "Quay"}
	for i := 1; i <= n; i++ {
		f.Circle.Houses = append(f.Circle.Houses, HouseFacts{houseID(i), names[i-1]})
		f.Circle.Boxes = append(f.Circle.Boxes, BoxFacts{ID: boxID(i), Name: fmt.Sprint("box ", i), House: houseID(i), Keeper: []string{"Ada", "Ben", "Cleo", "Dora"}[i-1]})
		st := raftnode.Status{Box: boxID(i), Time: noon.UnixMilli(), Bytes: 5 << 30}
		for j := 1; j <= n; j++ {
			if j != i {
				st.Boxes = append(st.Boxes, raftnode.BoxStatus{Box: boxID(j), Alive: true, Since: noon.Add(-time.Hour).UnixMilli(), Last: noon.UnixMilli()})
			}
		}
		for _, shard := range []ident.ShardID{ident.CircleShard, ada} {
			st.Shards = append(st.Shards, raftnode.ShardStatus{Shard: shard, Replica: ident.ReplicaID(i), Leads: i == 1, Term: 3, Leader: boxID(1)})
		}
		f.Boxes = append(f.Boxes, st)
		if i > 1 {
			f.Links = append(f.Links, p2p.Link{Box: boxID(i), State: p2p.Direct, Since: noon.Add(-time.Hour)})
		}
	}
	for s := range f.Boxes[0].Shards {
		for i := 1; i <= n; i++ {
			f.Boxes[0].Shards[s].Members = append(f.Boxes[0].Shards[s].Members,
				raftnode.MemberStatus{Replica: ident.ReplicaID(i), Box: boxID(i), Voter: true, Alive: true, Known: true})
		}
	}
	return f
}

// away takes box n out of reach since two hours.
func away(f Facts, n int) Facts {
	f.Boxes[0].Boxes[n-2] = raftnode.BoxStatus{Box: boxID(n), Last: noon.Add(-2 * time.Hour).UnixMilli()}
	f.Links[n-2] = p2p.Link{Box: boxID(n), State: p2p.None, Since: noon.Add(-2 * time.Hour)}
	for s := range f.Boxes[0].Shards {
		f.Boxes[0].Shards[s].Members[n-1].Alive = false
	}
	for i, st := range f.Boxes {
		if st.Box == boxID(n) {
			f.Boxes = append(f.Boxes[:i:i], f.Boxes[i+1:]...)
			break
		}
	}
	return f
}

// circle is a directory in memory, box 1 of which asks.
type circle struct {
	machine  directory.Machine
	state    *kv.Layer
	index    uint64
	statuses []raftnode.Status
}

func newCircle(t *testing.T) *circle {
	t.Helper()
	c := &circle{state: kv.NewLayer(kv.Empty{}), statuses: whole(1).Boxes}
	keeper := boxKey(101)
	c.do(t, directory.Command{Found: &directory.Found{
		Account: directory.Account{ID: "00000000000000aa", Name: "ada", FullName: "Ada", KeeperKey: keeper.Public(), SealedKey: []byte{1}},
		Change: roster.NewFound(roster.FoundBody{
			CircleName: "Riverside", Box: boxID(1), BoxName: "box 1", House: houseID(1), HouseName: "Oak Street",
			Keeper: "00000000000000aa", KeeperKey: keeper.Public(), Time: noon.UnixMilli(),
		}, boxKey(1)),
	}})
	return c
}

func (c *circle) do(t *testing.T, cmd directory.Command) {
	t.Helper()
	if cmd.ID == ([16]byte{}) {
		cmd.ID[0], cmd.ID[1] = 1, byte(c.index)
	}
	if out, err := c.Command(t.Context(), cmd); err != nil || out.Code != directory.Done {
		t.Fatalf("command: %q, %v", out.Code, err)
	}
}

// Command implements Node.
func (c *circle) Command(_ context.Context, cmd directory.Command) (directory.Outcome, error) {
	c.index++
	cmd.By, cmd.Time = boxID(1), noon.UnixMilli()
	return c.machine.Apply(c.state, c.index, cmd)
}

// Directory implements Node.
func (c *circle) Directory(fn func(directory.View) error) error { return fn(c.machine.View(c.state)) }

// CircleStatus implements Node.
func (c *circle) CircleStatus(context.Context) ([]raftnode.Status, error) { return c.statuses, nil }
