package transport

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
)

// sent has a box send to another from several streams for a while, each its own or
// not, under a limit, and returns the bytes that each sent.
func sent(t *testing.T, limit int64, length time.Duration, own ...bool) (bytes []int64) {
	bytes = make([]int64, len(own))
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		a, stopA := testPeers(t, m, annas)
		b, stopB := testPeers(t, m, berts)
		a.SetLimit(func(time.Time) int64 { return limit })
		b.Handle("drop", func(_ context.Context, _ ident.BoxID, s Stream) { io.Copy(io.Discard, s) })
		var streams []Stream
		var wg sync.WaitGroup
		for i, mine := range own {
			ctx := t.Context()
			if mine {
				ctx = Own(ctx)
			}
			s, err := a.Dial(ctx, berts, "drop")
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
			wg.Go(func() { bytes[i], _ = io.Copy(s, zeros{}) })
		}
		time.Sleep(length)
		for _, s := range streams {
			s.Reset()
		}
		wg.Wait()
		m.Close()
		stopA()
		stopB()
	})
	return bytes
}

// TestAKeepersLimitHolds for all bulk together, whoever wants it.
func TestAKeepersLimitHolds(t *testing.T) {
	const seconds, limit = 60, 100_000
	all := sent(t, limit, seconds*time.Second, false, false, false)
	total := all[0] + all[1] + all[2]
	if total > limit*seconds+3*freeBytes || total < limit*seconds*8/10 {
		t.Errorf("%d bytes in %d s at %d a second", total, seconds, limit)
	}
}

// TestTheKeepersOwnGoesFirst: beside it the rest gets an eighth, and all of it when
// there is nothing of the keeper's own.
func TestTheKeepersOwnGoesFirst(t *testing.T) {
	const seconds, limit = 60, 100_000
	both := sent(t, limit, seconds*time.Second, false, true, false)
	if own, rest := both[1], both[0]+both[2]; own < 5*rest || rest < limit*seconds/20 {
		t.Errorf("%d bytes of the keeper's own, %d of others'", own, rest)
	}
	if alone := sent(t, limit, seconds*time.Second, true); alone[0] < limit*seconds*8/10 {
		t.Errorf("the keeper's own alone: %d bytes", alone[0])
	}
}

// TestALimitChanges within two seconds of what the keeper says.
func TestALimitChanges(t *testing.T) {
	var s share
	now, limit := time.Unix(100, 0), int64(0)
	s.set(func(time.Time) int64 { return limit })
	if s.book(now, 1<<20, false); s.book(now, 1, false) != 0 {
		t.Error("held back without a limit")
	}
	limit, now = 1000, now.Add(time.Second)
	if s.book(now, 5000, false); s.book(now, 1, false) != 5*time.Second {
		t.Error("the limit is not taken")
	}
	limit, now = 0, now.Add(time.Second)
	if s.book(now, 1, false) != 0 {
		t.Error("the limit was lifted, and holds")
	}
}
