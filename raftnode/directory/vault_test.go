package directory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"redhen/provision/ident"
)

func putSealed(name, value string) Command {
	return Command{PutSealed: &PutSealed{Name: name, Value: []byte(value)}}
}

func TestSealedValuesArePutReplacedAndDropped(t *testing.T) {
	c, m := founded(t, 1)
	c.want(Done, m[0], putSealed("certs/a/a.crt", "one"))
	c.want(Done, m[0], putSealed("certs/a/a.key", "two"))
	c.want(Done, m[0], putSealed("certs/ab", "three"))
	c.want(Done, m[0], putSealed("certs/a/a.crt", "four"))
	if got, ok := c.view().Sealed("certs/a/a.crt"); !ok || string(got.Value) != "four" || got.Version != c.index || got.Time != c.now {
		t.Errorf("got %q %v", got.Value, got)
	}
	if got := c.view().SealedNames("certs/a"); !slices.Equal(got, []string{"certs/a/a.crt", "certs/a/a.key"}) {
		t.Errorf("names below certs/a: %q", got)
	}
	c.want(Done, m[0], Command{DropSealed: &DropSealed{Name: "certs/a"}})
	c.want(Done, m[0], Command{DropSealed: &DropSealed{Name: "certs/a"}})
	if got := c.view().SealedNames(""); !slices.Equal(got, []string{"certs/ab"}) {
		t.Errorf("names after the drop: %q", got)
	}
}

func TestSealedValueIsPutOnlyOnWhatWasSeen(t *testing.T) {
	c, m := founded(t, 1)
	first := Command{PutSealed: &PutSealed{Name: "ring/1", Value: []byte("a"), Only: true}}
	c.want(Done, m[0], first)
	seen := c.index
	c.want(Changed, m[0], first)
	c.want(Done, m[0], Command{PutSealed: &PutSealed{Name: "ring/1", Value: []byte("b"), Only: true, If: seen}})
}

// The room is counted, given back, and has an end.
func TestSealedValuesHaveLittleRoom(t *testing.T) {
	c, m := founded(t, 1)
	large := strings.Repeat("x", MaxSealedValue)
	n := MaxSealedBytes / MaxSealedValue
	for i := range n {
		c.want(Done, m[0], putSealed(fmt.Sprintf("a/%d", i), large))
	}
	c.want(Full, m[0], putSealed("b", "x"))
	c.want(Done, m[0], putSealed("a/0", "x"))
	c.want(Done, m[0], putSealed("b", "x"))
	c.want(Done, m[0], Command{DropSealed: &DropSealed{Name: "a"}})
	for i := range MaxSealed - 1 {
		c.want(Done, m[0], putSealed(fmt.Sprintf("c/%d", i), ""))
	}
	c.want(Full, m[0], putSealed("d", ""))
}

func TestLeases(t *testing.T) {
	c, m := founded(t, 1)
	take := func(name string, holder byte, ms int64) Command {
		return Command{TakeLease: &TakeLease{Name: name, Holder: [16]byte{holder}, For: ms}}
	}
	c.want(Done, m[0], take("a", 1, 1000))
	c.want(Leased, m[0], take("a", 2, 1000))
	c.want(Leased, m[0], take("a", 2, 0))
	c.want(Done, m[0], take("a", 1, 1000)) // longer
	c.want(Done, m[0], take("a", 1, 0))
	c.want(Done, m[0], take("a", 2, 1000))
	c.now += 1000
	c.want(Done, m[0], take("a", 1, 1000)) // it had ended
	for i := range MaxLeases - 1 {
		c.want(Done, m[0], take(fmt.Sprintf("b%d", i), 1, MaxLease))
	}
	c.want(Full, m[0], take("d", 1, 1))
	c.now += 2000 // that of a has ended
	c.want(Done, m[0], take("d", 1, 1))
	if _, ok := c.view().Lease("a"); ok {
		t.Error("a lease that ended was kept although room was needed")
	}
}

func TestLimitsOfSealedValuesAndPasskeys(t *testing.T) {
	m := newMember(t, 1)
	for name, cmd := range map[string]Command{
		"no name":        putSealed("", ""),
		"parent":         putSealed("a/../b", ""),
		"empty part":     putSealed("a//b", ""),
		"slash at end":   putSealed("a/", ""),
		"strange letter": putSealed("a b", ""),
		"long name":      putSealed(strings.Repeat("a", 256), ""),
		"large":          putSealed("a", strings.Repeat("x", MaxSealedValue+1)),
		"drop all":       {DropSealed: &DropSealed{}},
		"long lease":     {TakeLease: &TakeLease{Name: "a", For: MaxLease + 1}},
		"back in time":   {TakeLease: &TakeLease{Name: "a", For: -1}},
		"short ID":       {AddPasskey: &AddPasskey{m.account, Passkey{ID: []byte("x"), PublicKey: []byte("k")}}},
		"no key":         {AddPasskey: &AddPasskey{m.account, Passkey{ID: make([]byte, 16)}}},
		"no account":     {RemovePasskey: &RemovePasskey{"x", nil}},
	} {
		cmd.By = m.id()
		if _, err := EncodeCommand(cmd); err == nil {
			t.Errorf("%s: accepted to be proposed", name)
		}
		if _, err := DecodeCommand(encode(cmd)); err == nil {
			t.Errorf("%s: accepted from others", name)
		}
	}
}

// A passkey survives a change of the account that did not know of it, and ends with
// the account.
func TestPasskeys(t *testing.T) {
	c, m := founded(t, 1)
	id := m[0].account
	before := c.account(id)
	key := Passkey{ID: make([]byte, 16), Name: "phone", PublicKey: []byte("k")}
	c.want(Done, m[0], Command{AddPasskey: &AddPasskey{id, key}})
	c.want(Exists, m[0], Command{AddPasskey: &AddPasskey{id, key}})
	before.Version = c.account(id).Version
	before.FullName = "Henrietta"
	c.want(Done, m[0], Command{PutAccount: &PutAccount{Account: before, If: before.Version}})
	if got := c.account(id).Passkeys; len(got) != 1 || got[0].Name != "phone" || got[0].Created == 0 {
		t.Fatalf("after a change of the account: %v", got)
	}
	for i := range MaxPasskeys - 1 {
		key.ID = append(make([]byte, 16), byte(i))
		c.want(Done, m[0], Command{AddPasskey: &AddPasskey{id, key}})
	}
	key.ID = make([]byte, 18)
	c.want(Full, m[0], Command{AddPasskey: &AddPasskey{id, key}})
	c.want(Done, m[0], Command{RemovePasskey: &RemovePasskey{id, make([]byte, 16)}})
	c.want(Missing, m[0], Command{RemovePasskey: &RemovePasskey{id, make([]byte, 16)}})

	second := newMember(t, 2).person()
	second.Space = 0
	c.want(Done, m[0], Command{PutAccount: &PutAccount{Account: second}})
	c.want(Done, m[0], Command{AddPasskey: &AddPasskey{ident.AccountID(second.ID), key}})
	c.want(Done, m[0], Command{RemoveAccount: &RemoveAccount{second.ID, c.index}})
	if got := c.account(second.ID).Passkeys; len(got) != 0 {
		t.Errorf("a removed account has %d passkeys", len(got))
	}
}
