package appliancetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/provision/p2ptest"
)

// A house burns. Its people, and those who only had an account, log in elsewhere
// with the password they have, read everything that was kept in two houses, and
// write. A fresh box of the same keeper takes the place of the burnt one while they
// do, by the word of two keepers, and in the end every replica is complete again.
func TestAHouseBurns(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		files := map[string][]byte{}
		for i := range 20 {
			path, body := fmt.Sprintf("/photo %d.jpg", i), random(byte(i), 1000+i*70_000)
			if a := c.hill.Write("zoe", path, body); a.Kept >= 2 {
				files[path] = body
			}
		}
		c.hill.Write("carl", "/mine.txt", []byte("carl's own"))
		if len(files) != 20 {
			t.Errorf("only %d of 20 files were kept in two houses", len(files))
		}
		c.hill.Burn()

		for path, body := range files {
			c.mill.Holds("zoe", path, body)
			c.oak.Holds("zoe", path, body)
		}
		c.mill.Holds("carl", "/mine.txt", []byte("carl's own"))
		begun := time.Now()
		if a := c.mill.Write("carl", "/after the fire.txt", []byte("safe")); a.Kept < 2 {
			t.Errorf("kept in %d houses with two left", a.Kept)
		}
		t.Logf("first write after the fire took %v", time.Since(begun))

		d := keepWriting(t, c.mill)
		dale := c.Box("dale", "Dale Farm", c.Net.Router(p2ptest.PortRestricted).Spot())
		dale.Join(c.oak, "carl") // whose house it was
		for i, keeper := range []string{"ada", "bert"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			more, err := c.mill.Circle().Replace(ctx, "hill", "dale", keeper, appliancetest.Password(keeper))
			cancel()
			if err != nil || more != 1-i {
				t.Fatalf("%s says that hill is replaced: %d more needed, %v", keeper, more, err)
			}
		}
		t.Logf("complete %v after the second keeper's word", c.AwaitComplete(3, 5*time.Minute))
		for path, body := range files {
			dale.Holds("zoe", path, body)
		}
		d.check(t, c)
		dale.Holds("carl", "/after the fire.txt", []byte("safe"))
		for _, sh := range dale.Status().Shards {
			if sh.Owes || sh.Replica == 0 {
				t.Errorf("dale: %+v", sh)
			}
		}
		if n := len(dale.Status().Shards); n < 5 {
			t.Errorf("dale has %d shards: not all that burnt", n)
		}
	})
}
