package vmtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"redhen/images/layout"
)

// TestPowerCutsDuringWrites cuts the power of a box ten times while a person writes, and
// looks after each cut for every file that was answered as kept.
func TestPowerCutsDuringWrites(t *testing.T) {
	need(t, layout.AMD64, "all")
	c, m := claimed(t, Config{Direct: true})
	const cuts = 10
	kept := 0 // files 0 to kept-1 were answered
	for cut := range cuts {
		before := kept
		// The first cuts come within the first writes, the last ones among many.
		kept = writesUntil(t, m, kept, time.Duration(500+700*cut)*time.Millisecond)
		t.Logf("cut %d came after %d more writes", cut+1, kept-before)
		m = start(t, c)
		answers(t, m, "/healthz", "ok")
		for i := range kept {
			has(t, m, noteName(i), noteText(i))
		}
	}
	if kept < cuts {
		t.Errorf("only %d writes were kept in all: the cuts came too early to show anything", kept)
	}
	code, half := dav(t, m, http.MethodGet, noteName(kept), "")
	if code != http.StatusNotFound && (code != http.StatusOK || half != noteText(kept)) {
		t.Errorf("the write that the last cut met is there in part: %d, %d bytes of %d", code, len(half), len(noteText(kept)))
	}
}

// writesUntil writes files from number n on and cuts the power after some time, within
// a write. It returns the number of the first file that was not answered.
func writesUntil(t *testing.T, m *Machine, n int, after time.Duration) int {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	last := make(chan int, 1)
	go func() { // ends with the machine
		for ; ; n++ {
			if code, _, err := davWithin(ctx, m, http.MethodPut, noteName(n), noteText(n)); err != nil || code/100 != 2 {
				last <- n
				return
			}
		}
	}()
	time.Sleep(after)
	m.Cut()
	end()
	return <-last
}

func noteName(i int) string { return fmt.Sprintf("note %04d.txt", i) }

// noteText is from a line to half a megabyte, and differs from file to file.
func noteText(i int) string {
	return strings.Repeat(fmt.Sprintf("note %d of the hens\n", i), 1+i%7*i%7*700)
}
