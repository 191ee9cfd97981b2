package raftnode_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
)

// A large file leaves the writer's house once: the nearest voter gets it, and the
// other one from there. A small one goes to both at once.
func TestALargeFileLeavesTheHouseOnce(t *testing.T) {
	inCircle(t, []string{"oak", "mill", "hill"}, func(t *testing.T, ctx context.Context, c *raftnodetest.Circle) {
		space := newSpace(t, ctx, c, 3)
		oak, mill, hill := c.Box("oak"), c.Box("mill"), c.Box("hill")
		c.Mesh.SetLinks(transport.Link{Latency: 5 * time.Millisecond})
		for _, from := range []*raftnodetest.Box{oak, mill} {
			c.Mesh.SetLink(from.Key.BoxID(), hill.Key.BoxID(), transport.Link{Latency: 40 * time.Millisecond})
		}
		c.Mesh.SetUpload(oak.Key.BoxID(), 1<<20)
		time.Sleep(5 * time.Second) // beats tell how far everybody is

		sent := func() int64 {
			return c.Mesh.Traffic(oak.Key.BoxID(), mill.Key.BoxID()).StreamBytes +
				c.Mesh.Traffic(oak.Key.BoxID(), hill.Key.BoxID()).StreamBytes
		}
		for name, size := range map[string]int64{"large": 8 << 20, "small": 2 << 20} {
			before := sent()
			data := make([]byte, size)
			rand.NewChaCha8([32]byte{byte(size >> 20)}).Read(data)
			if _, kept, err := oak.Put(ctx, space, name, data); err != nil || kept < 2 {
				t.Fatalf("%s: kept in %d houses, %v", name, kept, err)
			}
			times := float64(sent()-before) / float64(size)
			t.Logf("%s: %.2f times its size", name, times)
			if name == "large" && times > 1.1 || name == "small" && times < 1.1 {
				t.Errorf("%s: %.2f times its size left the house before it was kept in two", name, times)
			}
			for _, b := range c.All() {
				until(t, ctx, b.Name+" has "+name, func() bool {
					got, err := b.Get(ctx, space, name)
					return err == nil && bytes.Equal(got, data)
				})
			}
		}
	})
}
