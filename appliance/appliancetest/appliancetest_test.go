package appliancetest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/provision/p2ptest"
)

// random returns n bytes that follow from the seed.
func random(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// houses are three houses: oak has a public address, mill and hill are behind NATs.
type houses struct {
	*appliancetest.World
	oak, mill, hill *appliancetest.Box
	millR, hillR    *p2ptest.Router
}

// inCircle runs a test in simulated time with three houses that are a circle, and
// an account without a box, zoe.
func inCircle(t *testing.T, fn func(t *testing.T, c houses)) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		w := appliancetest.New(t, appliancetest.Config{Net: p2ptest.Config{Latency: 20 * time.Millisecond}})
		c := houses{World: w, millR: w.Net.Router(p2ptest.PortRestricted), hillR: w.Net.Router(p2ptest.PortRestricted)}
		c.oak = w.Box("oak", "Oak Street", w.Net.Spot())
		c.oak.Found("Henhouse", "ada")
		c.mill = w.Box("mill", "Mill Lane", c.millR.Spot())
		c.mill.Join(c.oak, "bert")
		c.hill = w.Box("hill", "Hill Top", c.hillR.Spot())
		c.hill.Join(c.mill, "carl")
		c.hill.AddAccount("zoe")
		t.Logf("paired after %v; three voters everywhere %v later", time.Since(begun), w.AwaitComplete(3, 5*time.Minute))
		fn(t, c)
	})
}

// Three houses, two of them behind port-restricted NATs, become one circle by
// tickets alone, and grow to three voters without anybody's doing.
func TestACircleBehindNATs(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		for i, at := range c.Boxes() {
			path, body := fmt.Sprintf("/from %s.txt", at.Name), []byte("hello from "+at.Name)
			big := random(byte(i), 3<<20+5)
			for name, body := range map[string][]byte{path: body, path + ".jpg": big} {
				begun := time.Now()
				if a := at.Write("zoe", name, body); a.Kept < 2 || a.Beside {
					t.Errorf("%s: kept in %d houses, beside %v", name, a.Kept, a.Beside)
				}
				t.Logf("%s: %d bytes kept after %v", at.Name, len(body), time.Since(begun))
				for _, other := range c.Boxes() {
					other.Shows("zoe", name, body, 10*time.Second)
				}
			}
		}
		c.AwaitComplete(3, time.Minute)
	})
}
