package appliancetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/appliance/space"
	"redhen/provision/ident"
)

// slowly gives bytes at a rate, as a person's own slow line does.
type slowly struct {
	r    io.Reader
	rate int // bytes per second
}

func (s slowly) Read(b []byte) (int, error) {
	n, err := s.r.Read(b[:min(len(b), 64<<10)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(s.rate))
	return n, err
}

// sending is an upload under way.
type sending struct {
	answer space.Answer
	err    error
	done   chan struct{}
	ended  time.Time
}

// send begins to upload a body to a box, at a rate.
func send(at *appliancetest.Box, path string, body []byte, rate int) *sending {
	s := &sending{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.answer, s.err = at.TryUpload(context.Background(), "zoe", path, slowly{bytes.NewReader(body), rate}, int64(len(body)))
		s.ended = time.Now()
	}()
	return s
}

func (s *sending) wait(t *testing.T, max time.Duration) {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(max):
		t.Fatalf("the upload has no answer after %v", max)
	}
}

// nothingAt ends the test when a box shows something at the path.
func nothingAt(t *testing.T, b *appliancetest.Box, path string) {
	t.Helper()
	if _, err := b.TryRead(t.Context(), "zoe", path); !errors.Is(err, space.ErrNotFound) {
		t.Errorf("%s at %s: %v; want nothing there", path, b.Name, err)
	}
}

// The box at which a large file arrives is pulled away in the middle: whoever sends
// it gets an error, no house shows a part of it, and sending it again works.
func TestTheBoxIsPulledAwayMidUpload(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		body := random(7, 10<<20)
		s := send(c.hill, "/film.mp4", body, 1<<20)
		time.Sleep(5 * time.Second)
		c.hill.Crash()
		s.wait(t, time.Minute)
		trouble := space.Explain(s.err)
		t.Logf("the answer: %v: %s", s.err, trouble)
		if s.err == nil {
			t.Errorf("answered %+v", s.answer)
		}
		nothingAt(t, c.oak, "/film.mp4")
		nothingAt(t, c.mill, "/film.mp4")
		c.hill.Start()
		c.AwaitComplete(3, time.Minute)
		nothingAt(t, c.hill, "/film.mp4")
		if a := c.hill.Write("zoe", "/film.mp4", body); a.Kept < 2 || !a.Created || a.Beside {
			t.Errorf("sent again: %+v", a)
		}
		for _, b := range c.Boxes() {
			b.Shows("zoe", "/film.mp4", body, 30*time.Second)
		}
	})
}

// Another house, also the leader's, is pulled away in the middle: the upload goes on,
// is answered, and is kept in the two that are left.
func TestAnotherHouseIsPulledAwayMidUpload(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		for i, gone := range []*appliancetest.Box{c.mill, c.oak} {
			path, body := fmt.Sprintf("/film %d.mp4", i), random(byte(i), 10<<20)
			s := send(c.hill, path, body, 1<<20)
			time.Sleep(9800 * time.Millisecond) // the last chunks are on their way
			gone.Crash()
			s.wait(t, time.Minute)
			if s.err != nil || s.answer.Kept < 1 {
				t.Errorf("without %s: %+v, %v", gone.Name, s.answer, s.err)
			}
			t.Logf("without %s: kept in %d houses", gone.Name, s.answer.Kept)
			gone.Start()
			c.AwaitComplete(3, time.Minute)
			for _, b := range c.Boxes() {
				b.Holds("zoe", path, body)
			}
		}
	})
}

// The line of the house is cut in the middle of an upload: it is kept in this one
// house, which says so, and reaches the others by itself when the line is back.
func TestTheLineIsCutMidUpload(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		body := random(7, 10<<20)
		s := send(c.hill, "/film.mp4", body, 1<<20)
		time.Sleep(5 * time.Second)
		c.hillR.Cut(true)
		s.wait(t, time.Minute)
		if s.err != nil || s.answer.Kept != 1 {
			t.Errorf("%+v, %v; want kept in one house", s.answer, s.err)
		}
		c.hill.Holds("zoe", "/film.mp4", body)
		nothingAt(t, c.mill, "/film.mp4")
		time.Sleep(time.Minute)
		c.hillR.Cut(false)
		t.Logf("elsewhere %v after the line was back", c.oak.Shows("zoe", "/film.mp4", body, time.Minute))
		c.AwaitComplete(3, time.Minute)
		c.mill.Holds("zoe", "/film.mp4", body)
	})
}

// terms returns the term of every shard that a box holds.
func terms(b *appliancetest.Box) map[ident.ShardID]uint64 {
	list := map[ident.ShardID]uint64{}
	for _, sh := range b.Status().Shards {
		list[sh.Shard] = sh.Term
	}
	return list
}

// Thirty megabytes from a house with an uplink of 1 Mbit/s. The person is answered
// 10 s after the last byte that it is kept here and on its way; it drains by itself,
// in little more than the line needs for one house; and all the while heartbeats keep
// their time: no shard changes its leader and no house falls silent.
func TestASlowUplink(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		c.hillR.Shape(1e6, 20e6, 64<<10)
		time.Sleep(10 * time.Second)
		before := terms(c.oak)
		log := c.oak.Log.Since()
		body := random(7, 30_000_000)
		begun := time.Now()
		s := send(c.hill, "/film.mp4", body, 10e6)
		s.wait(t, 2*time.Minute)
		took := s.ended.Sub(begun)
		if s.err != nil || s.answer.Kept != 1 || took < 12*time.Second || took > 16*time.Second {
			t.Errorf("after %v: %+v, %v; want kept in one house after 3 + 10 s", took, s.answer, s.err)
		}
		c.hill.Holds("zoe", "/film.mp4", body)
		small := time.Now()
		a := c.hill.Write("zoe", "/note.txt", []byte("while it drains"))
		t.Logf("answered after %v; a note while it drains: kept in %d after %v", took, a.Kept, time.Since(small))
		drained := c.AwaitComplete(3, 8*time.Minute) // the line alone needs 4
		t.Logf("in three houses %v after the answer", drained)
		c.oak.Holds("zoe", "/film.mp4", body)
		c.mill.Holds("zoe", "/film.mp4", body)
		for shard, term := range terms(c.oak) {
			if before[shard] != term {
				t.Errorf("shard %s went from term %d to %d", shard, before[shard], term)
			}
		}
		if silent := log("fell silent"); len(silent) > 0 {
			t.Errorf("heartbeats did not keep their time: %q", silent)
		}
	})
}
