package clients

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// mib is how large the file of TestStreaming is: -args -mib 4096 for one of 4 GiB.
var mib = flag.Int64("mib", 512, "MiB of the file that is streamed through a box")

// memoryBound is the most that a box may ever have had in memory while a file of
// any size goes through it.
const memoryBound = 128 << 20

// TestStreaming sends one large file through one box and reads it at another: no
// box ever needs more memory than memoryBound, not those that get the copies either.
func TestStreaming(t *testing.T) {
	long(t)
	c := newCircle(t, 3)
	size := *mib << 20
	for i := range c.boxes {
		t.Logf("%s before: at most %d MB", boxNames()[i], c.peak(i)/1e6)
	}
	began := time.Now()
	a := c.put(0, "film.mkv", 1, size)
	t.Logf("PUT of %d MiB: %.1f s, kept in %d houses", *mib, time.Since(began).Seconds(), a.kept())
	c.awaitSafe(0)
	t.Logf("at every house after %.1f s", time.Since(began).Seconds())
	for _, i := range []int{0, 2} {
		began = time.Now()
		got, err := c.dav(c.ctx, i, http.MethodGet, "film.mkv", nil)
		if err != nil || got.sum != a.sum {
			t.Errorf("GET at %s: %v, %v", boxNames()[i], got, err)
		}
		t.Logf("GET at %s: %.1f s", boxNames()[i], time.Since(began).Seconds())
	}
	for i := range c.boxes {
		peak := c.peak(i)
		t.Logf("%s after: at most %d MB", boxNames()[i], peak/1e6)
		if peak > memoryBound {
			t.Errorf("%s had %d MB in memory, at most %d MB are allowed", boxNames()[i], peak/1e6, int64(memoryBound)/1e6)
		}
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most memory that a box ever had, in bytes.
func (c *circle) peak(i int) int64 {
	c.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.boxes[i].PID()))
	m := highWater.FindSubmatch(b)
	if err != nil || m == nil {
		c.t.Skipf("this machine does not tell how much memory a process had: %v", err)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	return kb << 10
}
