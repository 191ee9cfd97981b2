package appliancetest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/appliancetest"
	"redhen/appliance/vault"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2ptest"
	"redhen/provision/pair"
	"redhen/raftnode/directory"
)

// keyOf reads the key on the disk of a box, as a thief does.
func keyOf(t *testing.T, b *appliancetest.Box) ident.Key {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.Dir, "box.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		t.Fatal("no key in box.key")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ident.KeyFromSeed(private.(ed25519.PrivateKey).Seed())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// vaultOf opens the secrets of the circle as a box does.
func vaultOf(t *testing.T, b *appliancetest.Box) *vault.Vault {
	t.Helper()
	v, err := vault.New(vault.Config{Key: keyOf(t, b), Node: b.Node()})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// keysOfSecrets names the keys with which secrets are sealed, as a box knows them.
func keysOfSecrets(t *testing.T, b *appliancetest.Box) (names []string) {
	t.Helper()
	err := b.Node().Directory(func(v directory.View) error {
		names = v.SealedNames("ring/secret")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A box is stolen, and two keepers of others say so while it is in reach. From then on no
// house speaks to it, the sessions that it gave are over elsewhere, the secrets that it knew
// are changed, and it neither comes home nor lets anybody in.
func TestABoxIsStolen(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		token, _, err := c.hill.Accounts().Login(t.Context(), "zoe", appliancetest.Password("zoe"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.oak.Accounts().Verify(token); err != nil {
			t.Fatalf("before the theft: %v", err)
		}
		if err := vaultOf(t, c.oak).Put(t.Context(), "test/token", []byte("hush")); err != nil {
			t.Fatal(err)
		}
		opens := func(b *appliancetest.Box, name string) bool {
			_, err := vaultOf(t, b).Get(name)
			return err == nil
		}
		c.Until("all know the secret", 5*time.Minute, func() bool {
			return opens(c.oak, "test/token") && opens(c.mill, "test/token") && opens(c.hill, "test/token")
		})
		first := keysOfSecrets(t, c.oak)

		hill := c.hill.ID()
		for i, keeper := range []string{"ada", "bert"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			more, err := c.mill.Circle().Stolen(ctx, "hill", "", keeper, appliancetest.Password(keeper))
			cancel()
			if err != nil || more != 1-i {
				t.Fatalf("%s says that hill is stolen: %d more needed, %v", keeper, more, err)
			}
		}
		for _, b := range []*appliancetest.Box{c.oak, c.mill} {
			c.Until(b.Name+" shuts it out", 5*time.Minute, func() bool { return !member(t, b, hill) })
			if _, err := b.Accounts().Verify(token); !errors.Is(err, account.ErrSession) {
				t.Errorf("%s takes a session of it: %v", b.Name, err)
			}
			c.Until(b.Name+" has no link to it", 5*time.Minute, func() bool {
				return !slices.ContainsFunc(b.Host().Links(), func(l p2p.Link) bool { return l.Box == hill })
			})
			c.Until("the secrets are changed at "+b.Name, 10*time.Minute, func() bool {
				now := keysOfSecrets(t, b)
				return len(now) == 1 && !slices.Equal(now, first) && opens(b, "test/token")
			})
		}
		if len(told(t, c.oak, "box-stolen")) != 1 {
			t.Error("the diary does not tell of it once")
		}

		if err := vaultOf(t, c.oak).Put(t.Context(), "test/next", []byte("hush")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		carl, err := c.hill.Circle().Account("carl")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.hill.Circle().AddAccount(ctx, carl.ID, appliancetest.PersonOf("eve")); err == nil {
			t.Error("it still decides something")
		}
		// Meanwhile it looked for its way home, all the time.
		if member(t, c.oak, hill) {
			t.Error("it is back")
		}
		if _, err := c.oak.Circle().Account("eve"); err == nil {
			t.Error("it let somebody in")
		}
		c.Until("mill opens what was sealed since", time.Minute, func() bool { return opens(c.mill, "test/next") })
		if opens(c.hill, "test/next") {
			t.Error("it opens that, too")
		}
		key := keyOf(t, c.hill)
		c.hill.Stop()
		thief(t, c, key)
	})
}

// thief tries every protocol with the key of the stolen box while the door is open.
func thief(t *testing.T, c houses, key ident.Key) {
	t.Helper()
	st := p2ptest.Start(t, c.Net.Spot(), p2p.Config{Key: key})
	defer st.Stop()
	c.oak.Invite()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := st.Connect(ctx, p2p.Target{Box: c.oak.ID(), Addrs: c.oak.Host().Addrs()}); err != nil {
		t.Fatalf("the door is not open: %v", err)
	}
	for _, protocol := range ours() {
		if got, err := ask(ctx, st, c.oak.ID(), protocol); err == nil || len(got) > 0 {
			t.Errorf("%s answers a thief: %x, %v", protocol, got, err)
		}
	}
	if got, err := ask(ctx, st, c.oak.ID(), pair.Protocol); len(got) > 32 {
		t.Errorf("pairing tells a thief %x, %v", got, err)
	}
}
