package transport

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
)

func TestABoxWithoutMeasurementsIsNotPaced(t *testing.T) {
	var p pacer
	now := time.Unix(0, 0)
	for range 1000 {
		if wait := p.book(now, 1<<20); wait != 0 {
			t.Fatalf("held back for %v", wait)
		}
	}
	p.measured(now, time.Millisecond)
	if wait := p.book(now, 1<<20); wait != 0 {
		t.Errorf("a box nearby is held back for %v", wait)
	}
}

// measure sends as much as the pacer allows for a second, then tells it a round trip.
func measure(p *pacer, now *time.Time, rtt time.Duration) {
	end := now.Add(time.Second)
	for n := 0; n < 10_000; n++ {
		at := now.Add(p.book(*now, paceBytes))
		if at.After(end) {
			break
		}
		*now = at
	}
	*now = end
	p.measured(*now, rtt)
}

func TestTheRateFallsWhenFramesGetSlow(t *testing.T) {
	var p pacer
	now := time.Unix(1, 0)
	p.measured(now, 40*time.Millisecond)
	if p.rate != startRate {
		t.Fatalf("starts at %v", p.rate)
	}
	for range 3 {
		measure(&p, &now, 60*time.Millisecond)
	}
	if p.rate != 8*startRate {
		t.Errorf("after 3 s without a slow frame: %v, want 8 times the start", p.rate)
	}
	for range 3 {
		measure(&p, &now, 500*time.Millisecond)
	}
	low := p.rate
	if low > 3*startRate {
		t.Errorf("after 3 s of slow frames: %v", low)
	}
	for range 10 {
		measure(&p, &now, 45*time.Millisecond)
	}
	if p.rate <= low*1.3 || p.rate > low*2 {
		t.Errorf("in 10 s it rose from %v to %v", low, p.rate)
	}
	for range 100 {
		measure(&p, &now, 5*time.Second)
	}
	if p.rate != minRate {
		t.Errorf("the rate fell to %v, want %v", p.rate, minRate)
	}
}

// What goes at once takes a slow line 20 ms, not 130: the frame behind it would be
// taken for slow, and the rate fall without need.
func TestBurstsFitTheRate(t *testing.T) {
	for rate, want := range map[float64]int{0: paceBytes, maxRate: paceBytes, 200_000: 4000, minRate: paceLeast} {
		if got := (&pacer{rate: rate}).burst(); got != want {
			t.Errorf("at %v bytes/s: %d, want %d", rate, got, want)
		}
	}
}

// Slow frames while we send nothing are somebody else's doing, and a rate that is not used proves nothing.
func TestARateThatIsNotUsedStays(t *testing.T) {
	var p pacer
	now := time.Unix(1, 0)
	for _, rtt := range []time.Duration{40, 4000, 40, 40, 4000, 40} {
		now = now.Add(time.Second)
		p.measured(now, rtt*time.Millisecond)
	}
	if p.rate != startRate {
		t.Errorf("got %v", p.rate)
	}
}

// After the way to a box has changed for a longer one, the longer one is what is usual.
func TestTheBestRoundTripIsForgotten(t *testing.T) {
	var p pacer
	now := time.Unix(1, 0)
	p.measured(now, 20*time.Millisecond)
	for range 11 * 60 {
		measure(&p, &now, 200*time.Millisecond)
	}
	if p.rate <= minRate {
		t.Error("a longer way is still taken for a full one")
	}
}

func TestTheStartOfAStreamIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		defer m.Close()
		a, b := m.Join(annas), m.Join(berts)
		b.Handle("drop", func(_ context.Context, _ ident.BoxID, s Stream) { io.Copy(io.Discard, s) })
		p := &pacer{rate: 100 << 10}
		p.book(time.Now(), 1<<20) // others are sending
		s := newPaced(dial(t, a, berts, "drop"), p, &share{}, false)
		begin := time.Now()
		if _, err := s.Write(make([]byte, freeBytes)); err != nil || time.Since(begin) != 0 {
			t.Errorf("the first 64 KiB took %v, %v", time.Since(begin), err)
		}
		s.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := s.Write(make([]byte, 100))
		if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("held back: %d, %v after %v", n, err, time.Since(begin))
		}
		s.SetDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { s.Reset() })
		if _, err := s.Write(make([]byte, 100)); !errors.Is(err, ErrReset) || time.Since(begin) != 2*time.Second {
			t.Errorf("reset while held back: %v after %v", err, time.Since(begin))
		}
	})
}

// busyLink measures the round trips of frames while bulk goes the same way, for a
// minute, over an uplink of 1 MiB/s; bulk begins earlier by head. It returns how many bytes of bulk arrived per second.
func busyLink(t *testing.T, pacing bool, head time.Duration) (rtts []time.Duration, rate int64) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLinks(Link{Latency: 20 * time.Millisecond})
		a, stopA := testPeers(t, m, annas)
		b, stopB := testPeers(t, m, berts)
		m.SetUpload(annas, 1<<20)
		b.Receive(func(from ident.BoxID, frame []byte) { b.Send(from, frame) })
		var bulk int64
		answers := make(chan struct{}, 1)
		a.Receive(func(ident.BoxID, []byte) { answers <- struct{}{} })
		b.Handle("drop", func(_ context.Context, _ ident.BoxID, s Stream) {
			bulk, _ = io.Copy(io.Discard, s)
		})
		var wg sync.WaitGroup
		start := time.Now()
		s := dial(t, a, berts, "drop")
		wg.Go(func() { io.Copy(s, zeros{}) })
		time.Sleep(head)
		for range 60 {
			begin := time.Now()
			a.Send(berts, []byte("beat"))
			<-answers
			rtts = append(rtts, time.Since(begin))
			if pacing {
				a.SetRTT(berts, time.Since(begin))
			}
			time.Sleep(time.Second)
		}
		s.Reset()
		wg.Wait()
		synctest.Wait()
		rate = int64(float64(bulk) / time.Since(start).Seconds())
		m.Close()
		stopA()
		stopB()
	})
	return rtts, rate
}

// zeros is an endless source.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestPacingLetsFramesKeepTheirTime(t *testing.T) {
	p90 := func(rtts []time.Duration) time.Duration {
		late := slices.Sorted(slices.Values(rtts[10:])) // after it has found its rate
		return late[len(late)*9/10]
	}
	plain, all := busyLink(t, false, 0)
	if p90(plain) < 500*time.Millisecond {
		t.Errorf("unpaced p90 %v: the test's link does not queue", p90(plain))
	}
	for _, head := range []time.Duration{0, 10 * time.Second} {
		paced, some := busyLink(t, true, head)
		t.Logf("p90 of frames: %v unpaced, %v paced; bulk %d and %d KiB/s", p90(plain), p90(paced), all>>10, some>>10)
		if p90(paced) > 200*time.Millisecond {
			t.Errorf("paced p90 %v, want at most 200 ms", p90(paced))
		}
		if some < all*2/3 {
			t.Errorf("pacing left %d of %d bytes per second", some, all)
		}
	}
}

// Bulk that began before the first measurement must not make a full queue look usual.
func TestAQueueIsNotTakenForTheWay(t *testing.T) {
	var p pacer
	now := time.Unix(1, 0)
	p.book(now, 1<<20)
	p.measured(now, 1500*time.Millisecond)
	if p.rate != startRate/2 {
		t.Errorf("rate %v while the queue is to drain", p.rate)
	}
	for _, rtt := range []time.Duration{800, 40} {
		measure(&p, &now, rtt*time.Millisecond)
	}
	if p.rate != startRate {
		t.Errorf("rate %v after it has drained", p.rate)
	}
	for range 2 {
		measure(&p, &now, 1500*time.Millisecond)
	}
	if p.rate >= startRate {
		t.Errorf("rate %v when it is full again", p.rate)
	}
}

// A frame that is slow alone is the doing of a busy machine: a queue would be there a second later, too.
func TestOneSlowFrameIsNoQueue(t *testing.T) {
	var p pacer
	now := time.Unix(1, 0)
	p.measured(now, 40*time.Millisecond)
	for i := range 20 {
		measure(&p, &now, []time.Duration{40 * time.Millisecond, 400 * time.Millisecond}[i%2])
	}
	if p.slowed {
		t.Errorf("every other frame was slow, and the rate is %v", p.rate)
	}
	before := p.rate
	for range 2 {
		measure(&p, &now, 400*time.Millisecond)
	}
	if !p.slowed || p.rate > before/2 && before > 0 {
		t.Errorf("two frames were slow, and the rate is %v; before %v", p.rate, before)
	}
}

// In one network bulk is not paced because the first frame, with a connection to be made, was slow;
// and after a busy minute it soon goes as fast as ever.
func TestABoxNearbySoonHasItsRateAgain(t *testing.T) {
	var p pacer
	now := time.Unix(1, 0)
	p.measured(now, 30*time.Millisecond)
	measure(&p, &now, time.Millisecond)
	if p.rate != 0 {
		t.Fatalf("paced to %v", p.rate)
	}
	for range 2 { // as fast as it goes here
		p.book(now, 16<<20)
		now = now.Add(time.Second)
		p.measured(now, 200*time.Millisecond)
	}
	if p.rate < 7<<20 || p.rate > 9<<20 {
		t.Errorf("after two slow frames: %v, want half of 16 MiB", p.rate)
	}
	for range 60 {
		measure(&p, &now, 200*time.Millisecond)
	}
	if p.rate != minRateNear {
		t.Errorf("after a minute of slow frames: %v, want %v", p.rate, float64(minRateNear))
	}
	for range 20 {
		measure(&p, &now, time.Millisecond)
	}
	if p.rate != 0 {
		t.Errorf("20 s later it is paced to %v", p.rate)
	}
}
