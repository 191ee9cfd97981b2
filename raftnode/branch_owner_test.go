package raftnode_test

import (
	"context"
	"fmt"
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
	"redhen/raftnode/raftnodetest"
)

// person makes an account with a space of its own; n tells it from others.
func person(t *testing.T, ctx context.Context, at *raftnodetest.Box, name string, n int) (ident.AccountID, ident.ShardID) {
	t.Helper()
	id, space := ident.AccountID(fmt.Sprintf("%016x", n)), raftnodetest.SpaceID(name)
	first, err := at.Node.First(space, id, 2)
	if err != nil {
		t.Fatal(err)
	}
	acc := directory.Account{ID: id, Name: name, Space: space, KeeperKey: at.Keeper.Public(), SealedKey: []byte{1}, Password: []byte{1}}
	mustCommand(t, ctx, at, directory.Command{PutAccount: &directory.PutAccount{Account: acc, Space: &directory.NewSpace{
		Space: directory.Space{ID: space, Name: name, Owner: id, Copies: 2}, Replicas: first,
	}}})
	return id, space
}

// removePerson ends an account. Its space stays.
func removePerson(t *testing.T, ctx context.Context, at *raftnodetest.Box, id ident.AccountID) {
	t.Helper()
	var a directory.Account
	if err := at.Node.Directory(func(v directory.View) error {
		a, _ = v.Account(id)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	mustCommand(t, ctx, at, directory.Command{RemoveAccount: &directory.RemoveAccount{ID: id, If: a.Version}})
}

func mustCommand(t *testing.T, ctx context.Context, at *raftnodetest.Box, c directory.Command) {
	t.Helper()
	out, err := at.Node.Command(ctx, c)
	if err != nil || out.Code != directory.Done {
		t.Fatalf("%v, %v", out.Code, err)
	}
}

// Whoever was removed, on either side, what they wrote on a branch comes home with it: into
// their space where the others have it, and else into one of the keeper who brings it.
func TestWhatARemovedPersonWroteComesHome(t *testing.T) {
	var zoe ident.AccountID
	var zoes ident.ShardID
	before := func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		zoe, zoes = person(t, ctx, c.Box("a"), "zoe", 1)
		waitVoters(t, ctx, c, zoes, 2)
	}
	inTwoBranchesAfter(t, before, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle, space ident.ShardID) {
		a, b := c.Box("a"), c.Box("b")
		until(t, ctx, "zoe's space goes on at both", func() bool {
			return shardAt(t, ctx, a, zoes).Leads && shardAt(t, ctx, b, zoes).Leads
		})
		removePerson(t, ctx, b, zoe)
		mustPut(t, ctx, a, zoes, "letter", pattern(100_003))
		yan, yans := person(t, ctx, a, "yan", 2)
		until(t, ctx, "yan's space is there", func() bool { return shardAt(t, ctx, a, yans).Leads })
		mustPut(t, ctx, a, yans, "song", pattern(100_004))
		removePerson(t, ctx, a, yan)

		if err := c.GiveWay(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		together(t, ctx, c, space)
		waitVoters(t, ctx, c, yans, 2)
		until(t, ctx, "both have all of it", func() bool {
			for _, s := range []ident.ShardID{zoes, yans} {
				if whole, err := c.Complete(ctx, s); !whole || err != nil {
					return false
				}
			}
			return true
		})
		mustGet(t, ctx, b, zoes, "letter", pattern(100_003))
		mustGet(t, ctx, b, yans, "song", pattern(100_004))
		if err := b.Node.Directory(func(v directory.View) error {
			if s, ok := v.Space(yans); !ok || s.Owner != a.Account || s.Name != "yan" {
				t.Errorf("yan's space: %+v", s)
			}
			if s, ok := v.Space(zoes); !ok || s.Owner != zoe {
				t.Errorf("zoe's space: %+v", s)
			}
			for _, id := range []ident.AccountID{zoe, yan} {
				if acc, ok := v.Account(id); ok && !acc.Removed {
					t.Errorf("%s is back", acc.Name)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}
