package directory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/raftnode/placement"
)

func TestLoginNames(t *testing.T) {
	for _, s := range []string{"a", "anna", "anna.b", "a-b_c.9", strings.Repeat("x", 32)} {
		if err := CheckName(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "Anna", ".a", "a.", "-a", "_", "a b", "a/b", "ä", "a\x00", "..", strings.Repeat("x", 33)} {
		if CheckName(s) == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

// Each limit refuses at proposing, and again at decoding.
func TestLimits(t *testing.T) {
	m := newMember(t, 1)
	person := func(change func(*Account)) Command {
		a := m.person()
		change(&a)
		return Command{PutAccount: &PutAccount{Account: a}}
	}
	many := make([]ident.AccountID, maxList+1)
	for i := range many {
		many[i] = m.account
	}
	for name, cmd := range map[string]Command{
		"account ID":         person(func(a *Account) { a.ID = "x" }),
		"login name":         person(func(a *Account) { a.Name = "Ä" }),
		"full name too long": person(func(a *Account) { a.FullName = strings.Repeat("x", 256) }),
		"control character":  person(func(a *Account) { a.FullName = "a\nb" }),
		"C1 control":         person(func(a *Account) { a.FullName = "a\u0085b" }),
		"password record":    person(func(a *Account) { a.Password = make([]byte, maxSecret+1) }),
		"keeper key":         person(func(a *Account) { a.KeeperKey = []byte{1} }),
		"inviter":            person(func(a *Account) { a.InvitedBy = "nobody" }),
		"devices":            person(func(a *Account) { a.Devices = make([]Device, MaxDevices+1) }),
		"device":             {AddDevice: &AddDevice{m.account, Device{ID: ""}}},
		"device to remove":   {RemoveDevice: &RemoveDevice{m.account, "a/b"}},
		"space on the circle": {CreateSpace: &NewSpace{Space: Space{ID: ident.CircleShard, Name: "x", Owner: m.account},
			Replicas: m.space().Replicas}},
		"space without replicas": {CreateSpace: &NewSpace{Space: m.space().Space}},
		"too many copies":        {PutSpace: &PutSpace{Space: Space{ID: 5, Name: "x", Owner: m.account, Copies: MaxCopies + 1}}},
		"replica number":         {SetPlacement: &SetPlacement{Replicas: m.space().Replicas, Next: 1}},
		"given room":             {SetBox: &SetBox{BoxSettings{Given: -1}}},
		"refused accounts":       {SetBox: &SetBox{BoxSettings{Refuses: many}}},
		"diary code":             {Diary: &Entry{What: "A sentence"}},
		"diary text":             {Diary: &Entry{What: "a", About: map[string]string{"x": strings.Repeat("x", 256)}}},
		"space without account":  {Admit: &Admit{Space: m.space()}},
	} {
		cmd.By = m.id()
		if _, err := EncodeCommand(cmd); err == nil {
			t.Errorf("%s: accepted to be proposed", name)
		}
		if _, err := DecodeCommand(encode(cmd)); err == nil {
			t.Errorf("%s: accepted from others", name)
		}
	}
	if _, err := DecodeCommand(make([]byte, MaxCommand+1)); err == nil {
		t.Error("a command over the limit accepted")
	}
	if _, err := EncodeCommand(Command{By: "nobody", Diary: &Entry{What: "a"}}); err == nil {
		t.Error("a command by no box accepted")
	}
}

func TestAccounts(t *testing.T) {
	c, m := founded(t, 2)
	guest := newMember(t, 7)
	guest.keeper = m[0].keeper
	put := func(a Account, If uint64, s *NewSpace) Command {
		return Command{PutAccount: &PutAccount{Account: a, If: If, Space: s}}
	}
	a := guest.person()
	a.KeeperKey = nil
	c.want(Missing, m[0], put(a, 0, nil)) // the space it names does not exist
	space := guest.space()
	space.Replicas = m[1].space(m[0]).Replicas
	c.want(Done, m[0], put(a, 0, space))
	c.want(Exists, m[0], put(a, 0, space))
	twin := a
	twin.ID, twin.Space = "00000000000000aa", 0
	c.want(NameTaken, m[0], put(twin, 0, nil))

	a = c.account(guest.account)
	a.FullName, a.Epoch = "Guest", 4
	c.want(Changed, m[0], put(a, a.Version-1, nil))
	c.want(Done, m[1], put(a, a.Version, nil))
	a = c.account(guest.account)
	if a.FullName != "Guest" || a.Version != c.index || a.Epoch != 4 {
		t.Errorf("got %+v", a)
	}
	back := a
	back.Epoch, back.Devices = 1, []Device{{ID: "forged"}}
	c.want(Done, m[0], put(back, a.Version, nil))
	if a = c.account(guest.account); a.Epoch != 4 || a.Devices != nil {
		t.Errorf("epoch %d, devices %v: want 4 and none", a.Epoch, a.Devices)
	}
	renamed := a
	renamed.Name = "other"
	c.want(Invalid, m[0], put(renamed, a.Version, nil))
	greedy := a
	greedy.Space = m[0].shard()
	c.want(Missing, m[0], put(greedy, a.Version, nil))
	key := c.account(m[0].account)
	key.KeeperKey = otherKey()
	c.want(Keeps, m[0], put(key, key.Version, nil)) // the roster knows the keeper by the old key
}

func TestDevices(t *testing.T) {
	c, m := founded(t, 1)
	id := m[0].account
	add := func(d string) Command {
		return Command{AddDevice: &AddDevice{id, Device{ID: d, Name: "Phone", Record: []byte(d)}}}
	}
	before := c.account(id)
	c.want(Done, m[0], add("d1"))
	c.want(Exists, m[0], add("d1"))
	stale := Command{PutAccount: &PutAccount{Account: before, If: before.Version}}
	c.want(Changed, m[0], stale) // a password change made before the device was added
	for i := 2; i <= MaxDevices; i++ {
		c.want(Done, m[0], add(fmt.Sprintf("d%d", i)))
	}
	c.want(Full, m[0], add("one-too-many"))
	c.want(Done, m[0], Command{RemoveDevice: &RemoveDevice{id, "d3"}})
	c.want(Missing, m[0], Command{RemoveDevice: &RemoveDevice{id, "d3"}})
	c.want(Missing, m[0], Command{RemoveDevice: &RemoveDevice{"00000000000000ff", "d3"}})
	a := c.account(id)
	if len(a.Devices) != MaxDevices-1 || a.Devices[2].ID != "d4" || a.Devices[0].Created == 0 {
		t.Errorf("%d devices, third %q", len(a.Devices), a.Devices[2].ID)
	}
}

func TestRemovedAccountsHaveNothingInForce(t *testing.T) {
	c, m := founded(t, 2)
	remove := func(id ident.AccountID) Command {
		return Command{RemoveAccount: &RemoveAccount{ID: id, If: c.account(id).Version}}
	}
	c.want(Keeps, m[0], remove(m[1].account))
	c.want(Done, m[0], Command{AddDevice: &AddDevice{m[1].account, Device{ID: "d"}}})
	c.want(Done, m[0], Command{Roster: &RosterChange{c.gone(m[1], m[0])}})
	epoch := c.account(m[1].account).Epoch
	c.want(Done, m[0], remove(m[1].account))
	a := c.account(m[1].account)
	if !a.Removed || a.Epoch != epoch+1 || a.Password != nil || a.SealedKey != nil || a.Devices != nil {
		t.Errorf("got %+v", a)
	}
	if _, ok := c.view().AccountByName("hen2"); ok {
		t.Error("the name still leads to the account")
	}
	c.want(Missing, m[0], remove(m[1].account))
	c.want(Missing, m[0], Command{PutAccount: &PutAccount{Account: a, If: a.Version}})
	c.want(Missing, m[0], Command{AddDevice: &AddDevice{a.ID, Device{ID: "d"}}})
	heir := m[1].person()
	heir.ID, heir.Space = "00000000000000aa", 0
	c.want(Done, m[0], Command{PutAccount: &PutAccount{Account: heir}}) // the name is free again
	heir.ID, heir.Name = a.ID, "hen9"
	c.want(Exists, m[0], Command{PutAccount: &PutAccount{Account: heir}}) // the ID never is
	if _, ok := c.view().SpaceByName("hen2"); !ok {
		t.Error("the space went with the account")
	}
}

func TestInvites(t *testing.T) {
	c, m := founded(t, 1)
	invite := Invite{Hash: [32]byte{1}, Name: "guest", By: m[0].account, Expires: c.now + 1000}
	c.want(Done, m[0], Command{Invite: &invite})
	use := func(name string) Command {
		return Command{UseInvite: &UseInvite{Hash: invite.Hash, Account: Account{ID: "00000000000000aa", Name: name}}}
	}
	c.want(Invalid, m[0], use("other"))
	c.want(Done, m[0], use("guest"))
	if a := c.account("00000000000000aa"); a.InvitedBy != m[0].account {
		t.Errorf("invited by %q", a.InvitedBy)
	}
	c.want(Missing, m[0], use("guest")) // used up

	c.want(Done, m[0], Command{Invite: &invite})
	c.now = invite.Expires + 1
	c.want(Expired, m[0], use("guest"))
	c.want(Done, m[0], Command{Invite: &invite}) // an expired one takes it back
	c.want(Missing, m[0], Command{Invite: &invite})
	c.want(Missing, m[0], Command{Invite: &Invite{By: "00000000000000ff", Expires: c.now + 1000}})

	for i := range MaxInvites {
		c.want(Done, m[0], Command{Invite: &Invite{Hash: [32]byte{2, byte(i >> 8), byte(i)}, By: m[0].account, Expires: c.now + 5000}})
	}
	one := Command{Invite: &Invite{Hash: [32]byte{3}, By: m[0].account, Expires: c.now + 50_000}}
	c.want(Full, m[0], one)
	c.now += 6000
	c.want(Done, m[0], one) // the expired ones made room
	if n := len(c.view().Invites()); n != 1 {
		t.Errorf("%d invites, want 1", n)
	}
}

func TestSpaces(t *testing.T) {
	c, m := founded(t, 2)
	group := NewSpace{Space: Space{ID: 900, Name: "choir", Owner: m[1].account, Copies: 2}, Replicas: m[0].space(m[1]).Replicas}
	c.want(Done, m[0], Command{CreateSpace: &group})
	c.want(Exists, m[0], Command{CreateSpace: &group})
	group.Space.ID = 901
	c.want(NameTaken, m[0], Command{CreateSpace: &group})
	group.Space.Name, group.Space.Owner = "band", "00000000000000ff"
	c.want(Missing, m[0], Command{CreateSpace: &group})
	group.Space.Owner, group.Replicas = m[1].account, newMember(t, 9).space().Replicas
	c.want(Stranger, m[0], Command{CreateSpace: &group})

	s, _ := c.view().Space(900)
	s.Title, s.Copies = "The choir", 3
	c.want(Changed, m[0], Command{PutSpace: &PutSpace{s, s.Version + 1}})
	c.want(Done, m[0], Command{PutSpace: &PutSpace{s, s.Version}})
	got, _ := c.view().SpaceByName("choir")
	if got.Title != "The choir" || got.WantedCopies() != 3 || got.Version != c.index {
		t.Errorf("got %+v", got)
	}
	got.Owner = m[0].account
	c.want(Invalid, m[0], Command{PutSpace: &PutSpace{got, got.Version}})
	got.ID = 77
	c.want(Missing, m[0], Command{PutSpace: &PutSpace{got, got.Version}})
	if names := len(c.view().Spaces()); names != 3 || (Space{}).WantedCopies() != 3 {
		t.Errorf("%d spaces, want 3", names)
	}
}

func TestPlacementNeverUsesAReplicaIDAgain(t *testing.T) {
	c, m := founded(t, 3)
	shard := m[0].shard()
	set := func(next ident.ReplicaID, rs ...placement.Replica) Command {
		p, _ := c.view().Placement(shard)
		return Command{SetPlacement: &SetPlacement{Shard: shard, If: p.Version, Replicas: rs, Next: next}}
	}
	on := func(id ident.ReplicaID, b member, r placement.Role) placement.Replica {
		return placement.Replica{ID: id, Box: b.id(), Role: r}
	}
	c.want(Done, m[0], set(4, on(1, m[0], placement.Voter), on(2, m[1], placement.Learner), on(3, m[2], placement.Learner)))
	c.want(Done, m[0], set(4, on(1, m[0], placement.Voter), on(2, m[1], placement.Voter))) // promoted, and one left
	c.want(Invalid, m[0], set(4, on(1, m[0], placement.Voter), on(3, m[2], placement.Learner)))
	c.want(Invalid, m[0], set(4, on(1, m[1], placement.Voter)))
	c.want(Invalid, m[0], set(3, on(1, m[0], placement.Voter)))
	c.want(Invalid, m[0], set(4))
	c.want(Stranger, m[0], set(5, on(1, m[0], placement.Voter), on(4, newMember(t, 9), placement.Learner)))
	stale := set(5, on(1, m[0], placement.Voter), on(4, m[2], placement.Learner))
	stale.SetPlacement.If--
	c.want(Changed, m[0], stale)
	stale.ID, stale.SetPlacement.If = [16]byte{}, stale.SetPlacement.If+1
	c.want(Done, m[0], stale)
	stale.ID, stale.SetPlacement.Shard = [16]byte{}, 12345
	c.want(Missing, m[0], stale)
	c.want(Done, m[0], Command{Roster: &RosterChange{c.gone(m[2], m[0], m[1])}})
	c.want(Done, m[0], set(6, on(4, m[2], placement.Learner), on(5, m[1], placement.Voter))) // a dead box's replica may stay a while
}

func TestAKeeperAloneDecidesAboutTheBox(t *testing.T) {
	c, m := founded(t, 2)
	want := BoxSettings{Given: 1 << 40, Refuses: []ident.AccountID{m[1].account}, UploadKBps: 500, Pinned: true}
	c.want(Done, m[0], Command{SetBox: &SetBox{want}})
	if d := cmp.Diff(want, c.view().BoxSettings(m[0].id())); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(BoxSettings{}, c.view().BoxSettings(m[1].id())); d != "" {
		t.Error(d)
	}
}

func TestFormatsRiseWhenEveryActiveBoxReadsThem(t *testing.T) {
	c, m := founded(t, 3)
	for _, step := range []struct {
		by          member
		reads, want uint64
	}{{m[0], 2, 0}, {m[1], 3, 0}, {m[2], 2, 2}, {m[0], 3, 2}, {m[0], 1, 2}, {m[0], 4, 2}, {m[2], 5, 3}} {
		c.want(Done, step.by, Command{SetBox: &SetBox{BoxSettings{Reads: step.reads}}})
		if got := c.view().Formats(); got != step.want {
			t.Fatalf("%s reads %d: level %d, want %d", step.by.name, step.reads, got, step.want)
		}
	}
}

// Rule: no two boxes update at once, and a clock that is wrong holds up nobody for long.
func TestOneBoxUpdatesAtATime(t *testing.T) {
	c, m := founded(t, 3)
	const now, minute = int64(1_800_000_000_000), int64(60_000)
	for i, step := range []struct {
		by        member
		at, until int64
		want      Code
	}{
		{m[0], now, now + 15*minute, Done},
		{m[0], now + minute, now + 15*minute, Done}, // the same again
		{m[1], now + minute, now + 16*minute, Changed},
		{m[1], now + minute, 0, Done}, // what is over is no turn
		{m[1], now + 15*minute, now + 30*minute, Done},
		{m[0], now + 16*minute, now + 31*minute, Changed},
		{m[1], now + 17*minute, 0, Done},
		{m[2], now + 17*minute, now + 32*minute, Done},
		{m[2], now + 18*minute, 0, Done},
		{m[2], now + 18*minute, now + 79*minute, Invalid},
		{m[2], now + 1e11, now + 1e11 + minute, Done}, // a clock that is years ahead
		{m[0], now + 19*minute, now + 34*minute, Done},
	} {
		c.now = step.at - 1
		out := c.do(step.by, Command{SetBox: &SetBox{BoxSettings{Updating: step.until}}})
		if out.Code != step.want {
			t.Errorf("step %d: %q, want %q", i, out.Code, step.want)
		}
	}
}

func TestAPetitionGathersKeepers(t *testing.T) {
	c, m := founded(t, 3)
	whole := c.gone(m[2], m[0], m[1])
	one, two := c.gone(m[2], m[0]), c.gone(m[2], m[1])
	c.want(Refused, m[0], Command{Roster: &RosterChange{one}})
	out := c.want(Waiting, m[0], Command{Petition: &SignPetition{one}})
	if out.Needs != 1 || len(c.view().Petitions()) != 1 {
		t.Errorf("needs %d more, %d petitions", out.Needs, len(c.view().Petitions()))
	}
	c.want(Waiting, m[0], Command{Petition: &SignPetition{one}})                // the same keeper again
	c.want(Refused, m[0], Command{Petition: &SignPetition{c.gone(m[2], m[2])}}) // not the box's own keeper
	c.want(Invalid, m[0], Command{Petition: &SignPetition{c.admission(m[0], newMember(t, 9))}})
	c.want(Done, m[1], Command{Petition: &SignPetition{two}})
	v := c.view()
	if v.Roster().Active(m[2].id()) || len(v.Petitions()) != 0 || v.readMeta().Petitions != 0 {
		t.Error("the box is still a member, or the petition still open")
	}
	c.want(Refused, m[1], Command{Petition: &SignPetition{whole}}) // it is gone already
}

func TestOnlyPetitionsThatCanSucceedAreKept(t *testing.T) {
	c, m := founded(t, 4)
	for i := range MaxPetitions {
		change := c.gone(m[3], m[0])
		body, _ := change.GoneBody()
		body.Time = int64(i)
		c.want(Waiting, m[0], Command{Petition: &SignPetition{roster.NewGone(body, m[0].keeper)}})
	}
	c.want(Full, m[0], Command{Petition: &SignPetition{c.gone(m[2], m[0])}})
	c.want(Done, m[0], Command{Roster: &RosterChange{c.gone(m[3], m[0], m[1])}})
	c.want(Waiting, m[0], Command{Petition: &SignPetition{c.gone(m[2], m[0])}})
	if n := len(c.view().Petitions()); n != 1 {
		t.Errorf("%d petitions, want 1", n)
	}
}

func TestTheDiaryTellsOfTheRoster(t *testing.T) {
	c, m := founded(t, 2)
	circle := c.view().Roster().Circle()
	box, _ := c.view().Roster().Box(m[0].id())
	house, _ := c.view().Roster().House(m[0].house)
	c.want(Done, m[0], Command{Roster: &RosterChange{roster.NewRename(roster.RenameBody{Circle: circle, Box: m[0].id(), Rev: box.NameRev, Name: "attic"}, m[0].box)}})
	c.want(Done, m[0], Command{Roster: &RosterChange{roster.NewRename(roster.RenameBody{Circle: circle, House: m[0].house, Rev: house.NameRev, Name: "Mill Lane"}, m[0].box)}})
	c.want(NameTaken, m[0], Command{Roster: &RosterChange{roster.NewRename(roster.RenameBody{Circle: circle, Box: m[0].id(), Rev: 3, Name: "box hen2"}, m[0].box)}})
	b, _ := c.view().Roster().Box(m[1].id())
	c.want(Done, m[1], Command{Roster: &RosterChange{roster.NewRetire(roster.RetireBody{Circle: circle, Box: m[1].id(), Rev: b.Rev, Replacement: m[0].id()}, m[1].box)}})
	c.want(Invalid, m[0], Command{Roster: &RosterChange{c.admission(m[0], newMember(t, 8))}})
	var got []string
	for _, e := range c.view().Diary(100) {
		got = append(got, fmt.Sprint(e.What, " ", e.About["name"], e.About["box"], "|", e.About["house"], "|", e.About["was"], e.About["replacement"]))
	}
	want := []string{
		"box-retired box hen2|house hen2|attic",
		"house-renamed |Mill Lane|house hen1",
		"box-renamed attic|house hen1|box hen1",
		"account-added hen2||",
		"box-admitted box hen2|house hen2|",
		"account-added hen1||",
		"circle-founded Hens||",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
