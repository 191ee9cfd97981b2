package directory

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/kv"
	"redhen/raftnode/placement"
)

func TestFoundMakesCircleAccountAndSpace(t *testing.T) {
	c, m := founded(t, 1)
	v := c.view()
	if r := v.Roster(); r.Name() != "Hens" || !r.Active(m[0].id()) || r.Len() != 1 {
		t.Errorf("roster: %q with %d changes", r.Name(), r.Len())
	}
	got, ok := v.AccountByName("hen1")
	want := m[0].person()
	want.Created, want.Version = c.now, 1
	if d := cmp.Diff(want, got); !ok || d != "" {
		t.Errorf("account: %v %s", ok, d)
	}
	first := Placement{Version: 1, Replicas: []placement.Replica{{ID: 1, Box: m[0].id(), Role: placement.Voter}}, Next: 2}
	s, ok := v.SpaceByName("hen1")
	space := Space{ID: m[0].shard(), Name: "hen1", Owner: m[0].account, Created: c.now, Version: 1, First: first.Replicas}
	if d := cmp.Diff(space, s); !ok || d != "" {
		t.Errorf("space: %v %s", ok, d)
	}
	var shards []ident.ShardID
	for id, p := range v.Placements() {
		shards = append(shards, id)
		if d := cmp.Diff(first, p); d != "" {
			t.Errorf("placement of %v: %s", id, d)
		}
	}
	if d := cmp.Diff([]ident.ShardID{ident.CircleShard, m[0].shard()}, shards); d != "" {
		t.Error(d)
	}
	c.want(Exists, m[0], foundBy(m[0]))
}

func TestFoundIsRefusedWhenTheParts(t *testing.T) {
	a, b := newMember(t, 1), newMember(t, 2)
	for name, change := range map[string]func(*Found){
		"account is another's":   func(f *Found) { f.Account.ID = b.account },
		"keeper key is another":  func(f *Found) { f.Account.KeeperKey = b.keeper.Public() },
		"keeper key is missing":  func(f *Found) { f.Account.KeeperKey = nil },
		"change is not founding": func(f *Found) { f.Change.Kind = roster.Rename },
		"signature is broken":    func(f *Found) { f.Change.Sigs[0].Sig[3] ^= 1 },
	} {
		c := newCircle(t)
		cmd := foundBy(a)
		change(cmd.Found)
		if out := c.do(a, cmd); out.Code != Refused {
			t.Errorf("%s: got %q", name, out.Code)
		}
		if c.view().Roster() != nil || c.view().Accounts() != nil || c.view().Diary(1) != nil {
			t.Errorf("%s: something was changed", name)
		}
	}
	c := newCircle(t)
	c.want(Refused, b, foundBy(a)) // another box proposes it
}

func TestAdmitGivesTheBoxACircleReplica(t *testing.T) {
	c, m := founded(t, 2)
	late := newMember(t, 3)
	out := c.want(Done, m[1], c.admit(m[1], late))
	if out.Replica != 3 {
		t.Errorf("replica %d, want 3", out.Replica)
	}
	p, _ := c.view().Placement(ident.CircleShard)
	want := []placement.Replica{
		{ID: 1, Box: m[0].id(), Role: placement.Voter},
		{ID: 2, Box: m[1].id(), Role: placement.Learner},
		{ID: 3, Box: late.id(), Role: placement.Learner},
	}
	if d := cmp.Diff(want, p.Replicas); d != "" || p.Next != 4 {
		t.Errorf("next %d: %s", p.Next, d)
	}
	if a := c.account(late.account); a.InvitedBy != m[1].account {
		t.Errorf("invited by %q", a.InvitedBy)
	}
}

func TestAdmitIsAllOrNothing(t *testing.T) {
	c, m := founded(t, 2)
	taken := newMember(t, 3)
	taken.name = "hen2"
	cmd := c.admit(m[0], taken)
	cmd.Admit.Change = c.admission(m[0], newMember(t, 3)) // box names differ: only the account clashes
	before := c.view()
	changes, diary := before.Roster().Len(), len(before.Diary(100))
	c.want(NameTaken, m[0], cmd)
	v := c.view()
	p, _ := v.Placement(ident.CircleShard)
	if v.Roster().Len() != changes || len(v.Diary(100)) != diary || len(p.Replicas) != 2 || p.Next != 3 {
		t.Error("a refused admission left something behind")
	}
}

func TestAdmitNeedsTheAccountThatTheJoinerSigned(t *testing.T) {
	c, m := founded(t, 2)
	joiner := newMember(t, 3)
	stranger := c.admit(m[0], joiner)
	stranger.Admit.Account.KeeperKey = otherKey()
	c.want(Refused, m[0], stranger)
	c.want(Missing, m[0], Command{Admit: &Admit{Change: c.admission(m[0], joiner)}})
	c.want(Refused, m[1], c.admit(m[0], joiner)) // proposed by another than the inviter
	second := newMember(t, 4)                    // hen2's second box, in a house of its own
	second.account, second.keeper = m[1].account, m[1].keeper
	c.want(Done, m[0], Command{Admit: &Admit{Change: c.admission(m[0], second)}})
	forged := newMember(t, 5)
	forged.account = m[1].account
	c.want(Refused, m[0], Command{Admit: &Admit{Change: c.admission(m[0], forged)}})
}

// A stolen box admits nobody, not by an admission that it signed before, nor with one that
// another box proposes; nor is it admitted again.
func TestAStolenBoxAdmitsNobody(t *testing.T) {
	c, m := founded(t, 3)
	early := c.admit(m[2], newMember(t, 4))
	r := c.view().Roster()
	b, _ := r.Box(m[2].id())
	body := roster.GoneBody{Circle: r.Circle(), Box: b.ID, Rev: b.Rev, Time: 9}
	c.want(Done, m[0], Command{Roster: &RosterChange{roster.NewStolen(body, m[0].keeper, m[1].keeper)}})
	c.want(Stranger, m[2], early)
	c.want(Refused, m[0], early)
	b, _ = c.view().Roster().Box(m[2].id())
	again := roster.NewAdmit(roster.AdmitBody{
		Circle: r.Circle(), Inviter: m[0].id(), Box: m[2].id(), Rev: b.Rev, BoxName: "back",
		House: m[2].house, Keeper: m[2].account, KeeperKey: m[2].keeper.Public(), Time: 10,
	}, m[0].box, m[2].box)
	c.want(Refused, m[0], Command{Admit: &Admit{Change: again}})
	if n := len(c.view().Roster().Members()); n != 2 {
		t.Errorf("%d members", n)
	}
}

func TestAReturningBoxGetsANewReplicaID(t *testing.T) {
	c, m := founded(t, 2)
	c.want(Done, m[0], Command{Roster: &RosterChange{c.gone(m[1], m[0])}})
	b, _ := c.view().Roster().Box(m[1].id())
	again := roster.NewAdmit(roster.AdmitBody{
		Circle: c.view().Roster().Circle(), Inviter: m[0].id(), Box: m[1].id(), Rev: b.Rev, BoxName: "back",
		House: m[1].house, Keeper: m[1].account, KeeperKey: m[1].keeper.Public(), Time: 9,
	}, m[0].box, m[1].box)
	out := c.want(Done, m[0], Command{Admit: &Admit{Change: again}})
	p, _ := c.view().Placement(ident.CircleShard)
	if out.Replica != 3 || len(p.Replicas) != 2 || p.Replicas[1].ID != 3 || p.Next != 4 {
		t.Errorf("got replica %d of %+v", out.Replica, p)
	}
}

func TestOnlyActiveBoxesPropose(t *testing.T) {
	c, m := founded(t, 2)
	stranger := newMember(t, 9)
	c.want(Stranger, stranger, Command{Diary: &Entry{What: "hello"}})
	c.want(Stranger, stranger, c.admit(m[0], stranger))
	c.want(Done, m[0], Command{Roster: &RosterChange{c.gone(m[1], m[0])}})
	c.want(Stranger, m[1], Command{Diary: &Entry{What: "hello"}})
}

func TestACommandAppliesOnce(t *testing.T) {
	c, m := founded(t, 1)
	id := [16]byte{7}
	cmd := Command{ID: id, Diary: &Entry{What: "hello"}}
	first := c.want(Done, m[0], cmd)
	rows := len(c.view().Diary(100))
	if again := c.do(m[0], cmd); again != first {
		t.Errorf("got %+v, want %+v", again, first)
	}
	if n := len(c.view().Diary(100)); n != rows {
		t.Errorf("%d rows, want %d", n, rows)
	}
	if out, ok := c.view().Outcome(id); !ok || out != first {
		t.Errorf("got %+v, %v", out, ok)
	}
	refused := Command{ID: [16]byte{8}, RemoveAccount: &RemoveAccount{ID: m[0].account, If: 99}}
	c.want(Changed, m[0], refused)
	refused.RemoveAccount.If = 1
	c.want(Changed, m[0], refused) // a refusal uses the ID up too
}

func TestMemoryOfCommandsIsBounded(t *testing.T) {
	c, m := founded(t, 1)
	id := [16]byte{7}
	c.want(Done, m[0], Command{ID: id, Diary: &Entry{What: "first"}})
	for range MaxCommands - 1 {
		c.do(m[0], Command{Diary: &Entry{What: "more"}})
	}
	if _, ok := c.view().Outcome(id); !ok {
		t.Error("forgotten too early")
	}
	c.do(m[0], Command{Diary: &Entry{What: "more"}})
	if _, ok := c.view().Outcome(id); ok {
		t.Error("still remembered")
	}
	for table, limit := range map[byte]int{tableCommands: MaxCommands, tableOrder: MaxCommands, tableDiary: MaxDiary} {
		n := 0
		for range c.state.Scan([]byte{table}, nil) {
			n++
		}
		if n != limit {
			t.Errorf("table %x has %d rows, want %d", table, n, limit)
		}
	}
	if newest := c.view().Diary(2000); len(newest) != MaxDiary || newest[0].Time <= newest[1].Time {
		t.Error("the diary is not the newest rows first")
	}
}

// Batches of any size, a store on disk, and another program's empty memory of
// rosters give the same bytes.
func TestApplyIsDeterministic(t *testing.T) {
	var log []Command
	c, m := founded(t, 3)
	record := func(by member, cmd Command) {
		cmd.ID[0], cmd.ID[1], cmd.By, cmd.Time = 2, byte(len(log)), by.id(), 1000
		log = append(log, cmd)
	}
	record(m[0], foundBy(m[0]))
	record(m[0], c.admit(m[0], m[1]))
	record(m[0], c.admit(m[0], m[2]))
	record(m[1], Command{AddDevice: &AddDevice{m[1].account, Device{ID: "phone", Record: []byte{1}}}})
	record(m[2], Command{Petition: &SignPetition{c.gone(m[1], m[0])}})
	record(m[2], Command{SetBox: &SetBox{BoxSettings{Given: 5, Reads: 2}}})
	record(m[2], Command{Petition: &SignPetition{c.gone(m[1], m[2])}})
	record(m[1], Command{Diary: &Entry{What: "too-late", About: map[string]string{"a": "1", "b": "2", "c": "3"}}})

	memory, machine := kv.NewLayer(kv.Empty{}), new(Machine)
	for i, cmd := range log {
		if _, err := machine.Apply(memory, uint64(i+1), cmd); err != nil {
			t.Fatal(err)
		}
	}
	store, err := kv.Open(filepath.Join(t.TempDir(), "circle.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i, cmd := range log {
		err := store.Apply(uint64(i+1), 1, func(w kv.Writer) error {
			_, err := new(Machine).Apply(w, uint64(i+1), cmd)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			if err := store.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	store.View(func(r kv.Reader) error {
		if kv.Hash(r) != kv.Hash(memory) {
			t.Error("the same commands gave different states")
		}
		if got := machine.View(r).Roster(); got.Active(m[1].id()) || !got.Active(m[2].id()) {
			t.Error("the petition was not carried out")
		}
		return nil
	})
}

func TestAViewMayBeOlderThanTheMemory(t *testing.T) {
	c, m := founded(t, 2)
	old := c.state.Over(kv.Empty{})
	for i := range 6 {
		joiner := newMember(t, byte(20+i))
		c.want(Done, m[0], c.admit(m[0], joiner))
		if got, want := c.view().Roster().Len(), 3+i; got != want {
			t.Fatalf("got %d changes, want %d", got, want)
		}
		if got := c.m.View(old).Roster(); got.Len() != 2 || got.Active(joiner.id()) {
			t.Fatalf("the older view has %d changes", got.Len())
		}
	}
	if got := c.view().Changes(2, 3); len(got) != 3 || got[0].Kind != roster.Admit {
		t.Errorf("got %d changes", len(got))
	}
}

func TestAForgedChainIsNotBelieved(t *testing.T) {
	c, m := founded(t, 2)
	v := c.view()
	var row rosterRow
	v.get(rosterKey(1), &row)
	row.Change.Sigs[0].Sig[0] ^= 1
	c.state.Put(rosterKey(1), encode(row))
	fresh := new(Machine).View(c.state)
	if r := fresh.Roster(); r != nil || !errors.Is(fresh.Err(), ErrDamaged) {
		t.Errorf("got %d changes, %v", r.Len(), fresh.Err())
	}
	cmd := Command{ID: [16]byte{9}, By: m[0].id(), Diary: &Entry{What: "hello"}}
	if _, err := new(Machine).Apply(c.state, 99, cmd); !errors.Is(err, ErrDamaged) {
		t.Errorf("apply: got %v, want ErrDamaged", err)
	}
}

func TestADamagedRecordIsToldAndCountsAsMissing(t *testing.T) {
	c, m := founded(t, 1)
	c.state.Put(accountKey(m[0].account), []byte{0xff})
	v := c.view()
	if _, ok := v.AccountByName("hen1"); ok || !errors.Is(v.Err(), ErrDamaged) {
		t.Errorf("got %v, %v", ok, v.Err())
	}
	if fresh := c.view(); fresh.Err() != nil {
		t.Error("another view bears the error")
	}
}

func TestUnknownCommandsStopTheShard(t *testing.T) {
	c, m := founded(t, 1)
	for name, cmd := range map[string]Command{
		"none": {},
		"two":  {Diary: &Entry{What: "a"}, SetBox: &SetBox{}},
	} {
		if _, err := c.m.Apply(c.state, 9, cmd); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	b := wire.MustMarshal(map[int]any{1: make([]byte, 16), 2: m[0].id(), 3: 1, 99: map[int]any{1: 2}})
	if _, err := DecodeCommand(b); !errors.Is(err, ErrUnknown) {
		t.Errorf("a command of a newer program: got %v", err)
	}
}

func FuzzDecodeCommand(f *testing.F) {
	t := &testing.T{}
	m := newMember(t, 1)
	for _, cmd := range []Command{
		foundBy(m),
		{Diary: &Entry{What: "a", About: map[string]string{"x": "y"}}},
		{SetPlacement: &SetPlacement{Shard: 3, Replicas: m.space().Replicas, Next: 2}},
		{PutAccount: &PutAccount{Account: m.person(), Space: m.space()}},
		{BeginEra: &BeginEra{Shard: 3, Box: m.id(), Replica: 7, Voters: []ident.BoxID{m.id()}}},
		{Takeover: &Takeover{Change: foundBy(m).Found.Change, Replica: 7}},
	} {
		cmd.By = m.id()
		b, err := EncodeCommand(cmd)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		again, err := EncodeCommand(c)
		if err != nil {
			t.Fatalf("decoded, but not to be encoded: %v", err)
		}
		if _, err := DecodeCommand(again); err != nil {
			t.Fatal(err)
		}
		state := kv.NewLayer(kv.Empty{})
		if _, err := new(Machine).Apply(state, 1, c); err != nil {
			t.Fatalf("a decoded command stops the shard: %v", err)
		}
	})
}

func TestCommandEncodingIsGolden(t *testing.T) {
	m := newMember(t, 1)
	c := Command{ID: [16]byte{1}, By: m.id(), Time: 3, AddDevice: &AddDevice{m.account, Device{ID: "ph", Name: "Phone", Record: []byte{9}}}}
	b, err := EncodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	const want = "a4015001000000000000000000000000000000027834" +
		"313244334b6f6f574b3939566f56784e4537587a79427758457a57" +
		"3778684b37477076383572394633563366794b53554b504835" + "0303" +
		"0aa2017030303030303030303030303030303031" + "02a30162706802655068" + "6f6e65034109"
	if got := fmt.Sprintf("%x", b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
