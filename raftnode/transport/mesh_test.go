package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
)

const (
	annas = ident.BoxID("box-anna")
	berts = ident.BoxID("box-bert")
	carls = ident.BoxID("box-carl")
)

// inbox collects the frames that a box receives.
type inbox struct {
	mu     sync.Mutex
	frames []string
	at     []time.Duration
	begin  time.Time
}

func collect(n Network) *inbox {
	in := &inbox{begin: time.Now()}
	n.Receive(func(from ident.BoxID, frame []byte) {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.frames = append(in.frames, string(from)+" "+string(frame))
		in.at = append(in.at, time.Since(in.begin))
	})
	return in
}

func (in *inbox) got() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.frames)
}

// pass lets virtual time pass, and all that falls due in it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// echo answers every stream with what it reads.
func echo(_ context.Context, _ ident.BoxID, s Stream) {
	io.Copy(s, s)
	s.CloseWrite()
}

func dial(t *testing.T, n Network, to ident.BoxID, service string) Stream {
	t.Helper()
	s, err := n.Dial(t.Context(), to, service)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFramesAreCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		a, b := m.Join(annas), m.Join(berts)
		in := collect(b)
		frame := []byte("egg")
		a.Send(berts, frame)
		copy(frame, "bad")
		synctest.Wait()
		if got, want := in.got(), []string{"box-anna egg"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestFramesTakeTheLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLink(annas, berts, Link{Latency: 70 * time.Millisecond})
		a, b := m.Join(annas), m.Join(berts)
		ina, inb := collect(a), collect(b)
		a.Send(berts, []byte("there"))
		b.Send(annas, []byte("back"))
		pass(time.Second)
		if !slices.Equal(inb.at, []time.Duration{70 * time.Millisecond}) || !slices.Equal(ina.at, []time.Duration{0}) {
			t.Errorf("arrived there after %v, back after %v; want 70 ms and 0", inb.at, ina.at)
		}
	})
}

// A slow link must not hold up frames of a fast one that were sent later.
func TestALaterFrameMayBeDueEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLink(annas, carls, Link{Latency: time.Second})
		a, b, c := m.Join(annas), m.Join(berts), m.Join(carls)
		in := collect(c)
		a.Send(carls, []byte("slow"))
		synctest.Wait()
		b.Send(carls, []byte("fast"))
		pass(2 * time.Second)
		if got, want := in.got(), []string{"box-bert fast", "box-anna slow"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func rough(t *testing.T, seed uint64) (got []string) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(seed)
		m.SetLinks(Link{Latency: 10 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.3, Duplicate: 0.2})
		a, b := m.Join(annas), m.Join(berts)
		in := collect(b)
		for i := range 300 {
			a.Send(berts, fmt.Append(nil, i))
			time.Sleep(time.Millisecond)
		}
		pass(time.Second)
		got = in.got()
	})
	return got
}

func TestASeedGivesTheSameLossesAgain(t *testing.T) {
	first := rough(t, 7)
	if !slices.Equal(first, rough(t, 7)) {
		t.Error("the same seed gave another run")
	}
	if slices.Equal(first, rough(t, 8)) {
		t.Error("another seed gave the same run")
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(first)))
	if n := len(distinct); n < 180 || n > 240 {
		t.Errorf("%d of 300 frames arrived at a loss of 0.3", n)
	}
	if twice := len(first) - len(distinct); twice < 20 || twice > 70 {
		t.Errorf("%d of %d frames came twice at a rate of 0.2", twice, len(distinct))
	}
	if slices.Equal(first, distinct) {
		t.Error("jitter reordered nothing")
	}
}

func TestACutIsOneWayForFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLinks(Link{Latency: 10 * time.Millisecond})
		a, b := m.Join(annas), m.Join(berts)
		ina, inb := collect(a), collect(b)
		a.Send(berts, []byte("lost on the way"))
		m.Cut(annas, berts)
		a.Send(berts, []byte("lost"))
		b.Send(annas, []byte("heard"))
		pass(time.Second)
		m.Mend(annas, berts)
		a.Send(berts, []byte("mended"))
		pass(time.Second)
		if got, want := inb.got(), []string{"box-anna mended"}; !slices.Equal(got, want) {
			t.Errorf("bert got %q, want %q", got, want)
		}
		if got, want := ina.got(), []string{"box-bert heard"}; !slices.Equal(got, want) {
			t.Errorf("anna got %q, want %q", got, want)
		}
	})
}

func TestPartitionAndHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		nets := map[ident.BoxID]Network{}
		in := map[ident.BoxID]*inbox{}
		for _, box := range []ident.BoxID{annas, berts, carls} {
			nets[box] = m.Join(box)
			in[box] = collect(nets[box])
		}
		everybodySends := func(what string) {
			for from := range nets {
				for to := range nets {
					nets[from].Send(to, []byte(what))
				}
			}
			synctest.Wait()
		}
		m.Partition([]ident.BoxID{annas})
		everybodySends("apart")
		m.Heal()
		everybodySends("together")
		for box, want := range map[ident.BoxID][]string{
			annas: {"box-bert together", "box-carl together"},
			berts: {"box-anna together", "box-carl apart", "box-carl together"},
			carls: {"box-anna together", "box-bert apart", "box-bert together"},
		} {
			if got := slices.Sorted(slices.Values(in[box].got())); !slices.Equal(got, want) {
				t.Errorf("%s got %q, want %q", box, got, want)
			}
		}
	})
}

func TestABoxThatJoinsAgainBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLinks(Link{Latency: 10 * time.Millisecond})
		a, old := m.Join(annas), m.Join(berts)
		before := collect(old)
		ended := false
		old.Handle("wait", func(ctx context.Context, _ ident.BoxID, s Stream) {
			<-ctx.Done()
			ended = true
		})
		s := dial(t, a, berts, "wait")
		a.Send(berts, []byte("to the dead"))
		time.Sleep(time.Millisecond)
		again := m.Join(berts)
		after := collect(again)
		old.Send(annas, []byte("from the dead"))
		a.Send(berts, []byte("to the living"))
		pass(time.Second)
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrReset) {
			t.Errorf("stream to the dead: got %v, want ErrReset", err)
		}
		if !ended {
			t.Error("the handler's context did not end")
		}
		if len(before.got()) != 0 || !slices.Equal(after.got(), []string{"box-anna to the living"}) {
			t.Errorf("the dead got %q, the living %q", before.got(), after.got())
		}
		if _, err := old.Dial(t.Context(), annas, "echo"); !errors.Is(err, ErrUnreachable) {
			t.Errorf("dial by the dead: got %v, want ErrUnreachable", err)
		}
	})
}

func TestWhatIsUnderWayIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLinks(Link{Latency: time.Second})
		a, b := m.Join(annas), m.Join(berts)
		in := collect(b)
		for range meshFrames + 100 {
			a.Send(berts, []byte("x"))
		}
		pass(2 * time.Second)
		if got := len(in.got()); got != meshFrames {
			t.Errorf("%d frames arrived, want %d", got, meshFrames)
		}
		if got := m.Traffic(annas, berts).Frames; got != meshFrames+100 {
			t.Errorf("traffic: %d frames, want %d", got, meshFrames+100)
		}
		a.Send(berts, []byte("x"))
		pass(2 * time.Second)
		if got := len(in.got()); got != meshFrames+1 {
			t.Error("the link did not recover")
		}
	})
}

func TestAFilterStopsFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		a, b := m.Join(annas), m.Join(berts)
		in := collect(b)
		m.SetFilter(func(from, to ident.BoxID, frame []byte) bool { return string(frame) != "vote" })
		a.Send(berts, []byte("vote"))
		a.Send(berts, []byte("beat"))
		synctest.Wait()
		if got, want := in.got(), []string{"box-anna beat"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestUploadIsSharedByStreamsAndFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		a, b := m.Join(annas), m.Join(berts)
		m.SetUpload(annas, 1<<20)
		b.Handle("echo", echo)
		in := collect(b)
		s := dial(t, a, berts, "echo")
		if _, err := s.Write(make([]byte, 512<<10)); err != nil {
			t.Fatal(err)
		}
		a.Send(berts, []byte("behind"))
		begin := time.Now()
		s.CloseWrite()
		if _, err := io.Copy(io.Discard, s); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took.Round(time.Millisecond) != 500*time.Millisecond {
			t.Errorf("512 KiB at 1 MiB/s took %v", took)
		}
		synctest.Wait()
		if len(in.at) != 1 || in.at[0] < 500*time.Millisecond {
			t.Errorf("the frame arrived after %v, want after the stream's bytes", in.at)
		}
		s.Close()
	})
}

func TestAStreamWaitsForItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		a, b := m.Join(annas), m.Join(berts)
		b.Handle("sleep", func(ctx context.Context, _ ident.BoxID, s Stream) { <-ctx.Done() })
		s := dial(t, a, berts, "sleep")
		s.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := s.Write(make([]byte, 4<<20))
		if n != meshWindow || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v; want %d and a deadline", n, err, meshWindow)
		}
		m.Close()
		if _, err := s.Write([]byte("x")); !errors.Is(err, ErrReset) {
			t.Errorf("after Close: got %v, want ErrReset", err)
		}
	})
}

func TestACutIsNoticedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetNotice(5 * time.Second)
		a, b := m.Join(annas), m.Join(berts)
		b.Handle("echo", echo)
		s := dial(t, a, berts, "echo")
		s.Write([]byte("one"))
		read := func(n int) (string, error) {
			buf := make([]byte, n)
			_, err := io.ReadFull(s, buf)
			return string(buf), err
		}
		if got, err := read(3); got != "one" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		m.Cut(annas, berts)
		s.Write([]byte("two"))
		s.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := read(3); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("while cut: got %v, want a deadline", err)
		}
		m.Heal()
		s.SetReadDeadline(time.Time{})
		if got, err := read(3); got != "two" || err != nil {
			t.Errorf("mended in time: got %q, %v", got, err)
		}
		m.Cut(berts, annas)
		begin := time.Now()
		if _, err := read(1); !errors.Is(err, ErrReset) || time.Since(begin) != 5*time.Second {
			t.Errorf("cut for good: got %v after %v, want ErrReset after 5 s", err, time.Since(begin))
		}
		begin = time.Now()
		if _, err := a.Dial(t.Context(), berts, "echo"); !errors.Is(err, ErrUnreachable) || time.Since(begin) != 5*time.Second {
			t.Errorf("dial while cut: got %v after %v", err, time.Since(begin))
		}
	})
}

func TestMeshForgetsItsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		a, b := m.Join(annas), m.Join(berts)
		b.Handle("echo", echo)
		for range 10 {
			s := dial(t, a, berts, "echo")
			s.Close()
			dial(t, a, berts, "echo").Reset()
		}
		synctest.Wait()
		if n := len(m.streams); n != 0 {
			t.Errorf("%d streams are remembered", n)
		}
	})
}

// The mesh also works in real time, for tests with real files.
func TestMeshInRealTime(t *testing.T) {
	m := NewMesh(1)
	m.SetLinks(Link{Latency: time.Millisecond})
	a, b := m.Join(annas), m.Join(berts)
	testNetwork(t, a, annas, b, berts)
	m.Close()
}

func TestMeshIsANetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1)
		m.SetLinks(Link{Latency: 30 * time.Millisecond, Jitter: 10 * time.Millisecond})
		a, b := m.Join(annas), m.Join(berts)
		testNetwork(t, a, annas, b, berts)
		m.Close()
	})
}

// testNetwork is what every Network of two boxes that reach each other must do.
func testNetwork(t *testing.T, a Network, aID ident.BoxID, b Network, bID ident.BoxID) {
	t.Helper()
	frames := make(chan []byte, 100)
	b.Receive(func(from ident.BoxID, frame []byte) {
		if from != aID {
			t.Errorf("frame of %s, want %s", from, aID)
		}
		frames <- frame
	})
	b.Handle("echo", func(ctx context.Context, from ident.BoxID, s Stream) {
		if from != aID {
			t.Errorf("stream of %s, want %s", from, aID)
		}
		echo(ctx, from, s)
	})
	b.Handle("reset", func(_ context.Context, _ ident.BoxID, s Stream) { s.Reset() })
	b.Handle("silent", func(_ context.Context, _ ident.BoxID, s Stream) { io.Copy(io.Discard, s) })
	b.Handle("close", func(context.Context, ident.BoxID, Stream) {})

	largest := bytes.Repeat([]byte("x"), MaxFrame)
	a.Send(bID, largest)
	for _, want := range [][]byte{largest, {}, []byte("small")} {
		got := sendUntil(t, a, bID, want, frames)
		if !bytes.Equal(got, want) {
			t.Errorf("a frame of %d bytes arrived with %d", len(want), len(got))
		}
	}
	testEcho(t, a, bID)
	testStreamErrors(t, a, bID)
}

// sendUntil sends until the frame has come, as it may be lost.
func sendUntil(t *testing.T, n Network, to ident.BoxID, frame []byte, frames <-chan []byte) []byte {
	t.Helper()
	for range 600 {
		n.Send(to, frame)
		deadline := time.After(200 * time.Millisecond)
		for open := true; open; {
			select {
			case got := <-frames:
				if bytes.Equal(got, frame) {
					return got
				}
			case <-deadline:
				open = false
			}
		}
	}
	t.Fatalf("a frame of %d bytes never arrived", len(frame))
	return nil
}

func testEcho(t *testing.T, a Network, bID ident.BoxID) {
	s := dial(t, a, bID, "echo")
	defer s.Close()
	s.SetDeadline(time.Now().Add(2 * time.Minute))
	want := bytes.Repeat([]byte("redhen "), 300_000) // more than a window
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Write(want); err != nil {
			t.Error(err)
		}
		s.CloseWrite()
	})
	got, err := io.ReadAll(s)
	wg.Wait()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(want), err)
	}
}

func testStreamErrors(t *testing.T, a Network, bID ident.BoxID) {
	read := func(service string, setup func(Stream)) error {
		s, err := a.Dial(t.Context(), bID, service)
		if err != nil {
			return err
		}
		defer s.Reset()
		s.SetDeadline(time.Now().Add(2 * time.Minute))
		s.Write([]byte("hello"))
		setup(s)
		_, err = s.Read(make([]byte, 1))
		return err
	}
	nothing := func(Stream) {}
	if err := read("reset", nothing); err == nil || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reset: got %v", err)
	}
	if err := read("close", nothing); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("handler has returned: got %v, want an end", err)
	}
	if err := read("no such", nothing); err == nil || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no such service: got %v", err)
	}
	if err := read("silent", func(s Stream) { s.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: got %v", err)
	}
	if err := read("silent", func(s Stream) { time.AfterFunc(50*time.Millisecond, func() { s.Reset() }) }); err == nil || err == io.EOF {
		t.Errorf("own reset while reading: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Dial(ctx, bID, "echo"); err == nil {
		t.Error("dial with an ended context: no error")
	}
}
