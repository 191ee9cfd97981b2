package p2ptest

import (
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/p2p"
)

func waitState(t testing.TB, a, b *Box, want p2p.State, max time.Duration) time.Duration {
	t.Helper()
	return a.Wait(t, want.String(), max, func() bool { return a.State(b) == want })
}

func membersOf(boxes []*Box) (list []p2p.Member) {
	for _, b := range boxes {
		list = append(list, p2p.Member{Box: b.Self()})
	}
	return list
}

func TestARestartedBoxComesBackOnEitherSide(t *testing.T) {
	for _, x := range []NAT{PortRestricted, Symmetric} {
		t.Run(x.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(Config{Latency: 20 * time.Millisecond})
				ra, rb := n.Router(PortRestricted), n.Router(x)
				spots := []*Spot{n.Spot(), ra.Spot(), rb.Spot()}
				boxes := make([]*Box, 3)
				dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
				for i := range boxes {
					boxes[i] = boxOn(t, spots[i], byte(i+1), dirs[i])
				}
				Circle(t, boxes...)
				members := membersOf(boxes)
				linked := func(a, b *Box) func() bool { return func() bool { return a.State(b) != p2p.None } }
				boxes[1].Wait(t, "a link", 30*time.Second, linked(boxes[1], boxes[2]))
				time.Sleep(20 * time.Second)
				for i := range boxes { // also the public one, through which the others met
					boxes[i].Stop()
					time.Sleep(10 * time.Minute)
					boxes[i] = boxOn(t, spots[i], byte(i+1), dirs[i])
					boxes[i].SetMembers(members) // and nothing else: the book knows the way
					for j := range boxes {
						if j != i {
							d := boxes[i].Wait(t, fmt.Sprint("link ", i, " to ", j), 30*time.Second, linked(boxes[i], boxes[j]))
							t.Logf("box %d: %d again after %v", i, j, d)
						}
					}
					time.Sleep(30 * time.Second)
					talk(t, boxes[1], boxes[2])
				}
			})
		})
	}
}

// All houses lose power at once, seconds after a box has joined: each has on its disk
// where the others are.
func TestPowerIsCutEverywhereSoonAfterAJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		spots := []*Spot{n.Spot(), n.Spot(), n.Spot()}
		boxes := make([]*Box, 3)
		dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
		for i := range boxes {
			boxes[i] = boxOn(t, spots[i], byte(i+1), dirs[i])
		}
		Circle(t, boxes[:2]...)
		waitState(t, boxes[0], boxes[1], p2p.Direct, 10*time.Second)
		time.Sleep(time.Second)
		Circle(t, boxes...)
		waitState(t, boxes[1], boxes[2], p2p.Direct, 10*time.Second)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for i, was := range dirs { // what is on the disks now; a stop would write more
			dirs[i] = t.TempDir()
			if err := os.CopyFS(dirs[i], os.DirFS(was)); err != nil {
				t.Fatal(err)
			}
		}
		members := membersOf(boxes)
		for i := range boxes {
			boxes[i].Stop()
		}
		for i := range boxes {
			boxes[i] = boxOn(t, spots[i], byte(i+1), dirs[i])
			boxes[i].SetMembers(members)
		}
		waitState(t, boxes[0], boxes[1], p2p.Direct, 30*time.Second)
		waitState(t, boxes[1], boxes[2], p2p.Direct, 30*time.Second)
		waitState(t, boxes[2], boxes[0], p2p.Direct, 30*time.Second)
	})
}

func TestAChangedAddressIsPassedQuickly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		relay, a, b, ra, rb := homes(t, n, PortRestricted, PortRestricted)
		waitState(t, a, b, p2p.Direct, 30*time.Second)
		time.Sleep(time.Minute)
		for _, r := range []*Router{ra, rb} {
			moved := time.Now()
			r.Move()
			lost := a.Wait(t, "the loss noticed", 10*time.Second, func() bool { return a.State(b) != p2p.Direct })
			direct := waitState(t, a, b, p2p.Direct, 30*time.Second)
			t.Logf("lost after %v, direct again %v later", lost, direct)
			if all := time.Since(moved); all > 15*time.Second {
				t.Errorf("direct again after %v, want 15 s at most", all)
			}
			talk(t, a, b)
			talk(t, b, relay)
			time.Sleep(time.Minute)
		}
	})
}

func TestTheRelayDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		first, a, b, _, _ := homes(t, n, Symmetric, Symmetric)
		second := box(t, n.Spot(), 4)
		Circle(t, first, second, a, b)
		waitState(t, a, b, p2p.Relayed, 30*time.Second)
		time.Sleep(time.Minute)
		relays := map[any]*Box{first.Self(): first, second.Self(): second}
		dead := via(a, b)
		relays[dead].Stop()
		a.Wait(t, "through the other relay", 30*time.Second, func() bool { return a.State(b) == p2p.Relayed && via(a, b) != dead })
		talk(t, a, b)
	})
}

func TestACutCableIsNoticedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond, Loss: 0.01})
		relay, a, b, ra, _ := homes(t, n, PortRestricted, PortRestricted)
		waitState(t, a, b, p2p.Direct, 30*time.Second)
		time.Sleep(20 * time.Second)
		ra.Cut(true)
		d := b.Wait(t, "the loss noticed", 10*time.Second, func() bool { return b.State(a) == p2p.None })
		t.Logf("noticed after %v", d)
		time.Sleep(20 * time.Minute) // calls have their longest pause since long
		ra.Cut(false)
		d = b.Wait(t, "link", 30*time.Second, func() bool { return b.State(a) != p2p.None && a.State(relay) == p2p.Direct })
		t.Logf("linked %v after the cable was back", d)
		waitState(t, b, a, p2p.Direct, 30*time.Second)
		talk(t, a, b)
	})
}

func TestSettledLinksKeepOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		relay, a, b, _, _ := homes(t, n, PortRestricted, Restricted)
		waitState(t, a, b, p2p.Direct, 30*time.Second)
		time.Sleep(time.Minute)
		since := map[*Box]time.Time{}
		for _, x := range []*Box{relay, a, b} {
			for _, l := range x.Links() {
				if l.State != p2p.Direct {
					t.Errorf("link %+v", l)
				}
				since[x] = l.Since
			}
		}
		time.Sleep(65 * time.Minute) // idle, over every mapping and reservation life
		for _, x := range []*Box{relay, a, b} {
			links := x.Links()
			if last := links[len(links)-1]; last.State != p2p.Direct || !last.Since.Equal(since[x]) {
				t.Errorf("an idle link was replaced: %+v", last)
			}
		}
	})
}

// A new box knows of its membership before the others do.
func TestAMemberThatOthersHearOfLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		a, b := box(t, n.Spot(), 1), box(t, n.Router(PortRestricted).Spot(), 2)
		members := []p2p.Member{{Box: a.Self()}, {Box: b.Self()}}
		b.Learn(a.Self(), a.Addrs()...)
		b.SetMembers(members)
		time.Sleep(time.Minute)
		if b.State(a) != p2p.None {
			t.Fatal("linked with who does not know it")
		}
		a.SetMembers(members) // it cannot dial the home: the home has to come again
		d := b.Wait(t, "a link", 20*time.Second, func() bool { return b.State(a) == p2p.Direct && a.State(b) == p2p.Direct })
		t.Logf("linked after %v", d)
		talk(t, a, b)
	})
}

func TestTwoBoxesInOneHomeNeedNoInternet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		r := n.Router(Symmetric)
		a, b := box(t, r.Spot(), 1), box(t, r.Spot(), 2)
		r.Cut(true)
		Circle(t, a, b)
		waitState(t, a, b, p2p.Direct, 10*time.Second)
		talk(t, a, b)
	})
}

// A narrow line carries what it can and delays the rest; beats still pass, so that
// a busy connection is not taken for a dead one.
func TestABusyLineIsNotADeadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		_, a, b, ra, _ := homes(t, n, PortRestricted, PortRestricted)
		const rate = 4e6 // bits per second
		ra.Shape(rate, 10*rate, 256<<10)
		waitState(t, a, b, p2p.Direct, 30*time.Second)
		time.Sleep(20 * time.Second)
		since := link(a, b).Since
		s, err := a.Open(t.Context(), b.Self(), echoProtocol)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		const size = 5 << 20
		begun := time.Now()
		go func() { s.Write(make([]byte, size)); s.CloseWrite() }()
		got, err := io.Copy(io.Discard, s)
		took := time.Since(begun)
		share := float64(got) * 8 / took.Seconds() / rate
		t.Logf("%d bytes in %v: %.0f %% of the line, round trip %v", got, took, 100*share, link(a, b).RTT)
		if err != nil || got != size || share > 1 || share < 0.5 {
			t.Errorf("%d bytes, %v, %.2f of the line", got, err, share)
		}
		if !link(a, b).Since.Equal(since) {
			t.Error("the connection was replaced")
		}
	})
}

func link(a, b *Box) p2p.Link {
	for _, l := range a.Links() {
		if l.Box == b.Self() {
			return l
		}
	}
	return p2p.Link{}
}

// Two homes without any public member left: each knows where the other was last.
func TestTwoHomesFindEachOtherWithoutARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{Latency: 20 * time.Millisecond})
		relay, a, b, ra, _ := homes(t, n, PortRestricted, PortRestricted)
		waitState(t, a, b, p2p.Direct, 30*time.Second)
		time.Sleep(time.Minute)
		relay.Stop()
		time.Sleep(time.Hour)
		if a.State(b) != p2p.Direct {
			t.Fatal("the link did not outlive the relay")
		}
		ra.Cut(true)
		waitState(t, b, a, p2p.None, 10*time.Second)
		time.Sleep(20 * time.Second) // shorter than a NAT forgets
		ra.Cut(false)
		d := waitState(t, a, b, p2p.Direct, time.Minute)
		t.Logf("direct after %v", d)
		talk(t, a, b)
	})
}
