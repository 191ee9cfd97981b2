package p2p

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// A host that plays dead is reached by nobody and reaches nobody, and is back by itself.
func TestPlayDead(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	run(t, a)
	run(t, b)
	circle(t, a, b)
	together := func() bool { return a.state(b.Self()) == Direct && b.state(a.Self()) == Direct }
	wait(t, a, "together", together)
	const dead = 4 * time.Second
	var calls atomic.Int64
	a.h.Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { calls.Add(1) }})
	time.Sleep(brief) // the link has lasted
	begun := time.Now()
	b.PlayDead(dead)
	wait(t, a, "apart", func() bool { return a.state(b.Self()) == None })
	for time.Since(begun) < dead-time.Second {
		_, err := b.Open(t.Context(), a.Self(), beatProtocol)
		n := len(b.h.Network().Conns())
		if time.Since(begun) >= dead {
			break // the machine was busy with something else
		}
		if err == nil || n != 0 {
			t.Fatalf("it opens a stream: %v; it has %d connections", err, n)
		}
		time.Sleep(20 * time.Millisecond) // real sockets
	}
	if n := calls.Load(); n > 12 {
		t.Errorf("the other box called %d times", n)
	}
	wait(t, a, "together again", together)
	if took := time.Since(begun); took < dead {
		t.Errorf("back after %v, want %v at least", took, dead)
	}
}

// Nobody is turned into a corpse: the time is bounded.
func TestPlayDeadIsBounded(t *testing.T) {
	g := newGuests("")
	g.playDead(time.Now().Add(-time.Second))
	if g.playsDead() {
		t.Error("its time is over")
	}
	h := testHost(t, Config{})
	h.PlayDead(100 * time.Hour)
	if left := time.Until(h.guests.dead); left > MaxDead {
		t.Errorf("dead for %v", left)
	}
}
