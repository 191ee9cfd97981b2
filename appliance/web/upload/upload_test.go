package upload

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"redhen/appliance/space"
	"redhen/provision/ident"
)

const ada = ident.AccountID("00000000000000aa")

// shelf is a store that remembers what it was given.
type shelf struct {
	fail error

	mu  sync.Mutex // guards got
	got string
}

func (s *shelf) keep(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = text
}

// text is what was kept.
func (s *shelf) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

func (s *shelf) store(_ context.Context, r io.Reader) (space.Answer, error) {
	if s.fail != nil {
		return space.Answer{}, s.fail
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return space.Answer{}, err
	}
	s.keep(string(b))
	return space.Answer{Kept: 2}, nil
}

func file(size int) File { return File{Owner: ada, Space: "ada", Path: "/film.mp4", Size: int64(size)} }

func begin(t *testing.T, u *Uploads, f File, s *shelf) string {
	t.Helper()
	id, at, err := u.Begin(t.Context(), f, s.store)
	if err != nil || at != 0 {
		t.Fatalf("begin: %d, %v", at, err)
	}
	return id
}

func TestPieces(t *testing.T) {
	u, s := New(nil), &shelf{}
	id := begin(t, u, file(10), s)
	if st, err := u.Piece(t.Context(), ada, id, 0, strings.NewReader("hello")); err != nil || st.At != 5 || st.Done {
		t.Fatalf("%+v, %v", st, err)
	}
	if st, err := u.Look(ada, id); err != nil || st.At != 5 || st.Done {
		t.Errorf("%+v, %v", st, err)
	}
	for _, from := range []int64{0, 4, 6, -1} {
		if st, err := u.Piece(t.Context(), ada, id, from, strings.NewReader("xx")); !errors.Is(err, ErrElsewhere) || st.At != 5 {
			t.Errorf("a piece from %d: %+v, %v", from, st, err)
		}
	}
	st, err := u.Piece(t.Context(), ada, id, 5, strings.NewReader(" hens"))
	if err != nil || !st.Done || st.Answer.Kept != 2 || s.text() != "hello hens" {
		t.Fatalf("%+v, %v: %q", st, err, s.text())
	}
	if st, err := u.Piece(t.Context(), ada, id, 5, strings.NewReader(" hens")); err != nil || !st.Done {
		t.Errorf("the last piece again, whose answer was lost: %+v, %v", st, err)
	}
}

// TestItGoesOnWhereItBroke: what arrived before the line broke is not sent again.
func TestItGoesOnWhereItBroke(t *testing.T) {
	u, s := New(nil), &shelf{}
	id := begin(t, u, file(10), s)
	broken := io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if st, err := u.Piece(t.Context(), ada, id, 0, broken); !errors.Is(err, space.ErrCut) || st.At != 3 {
		t.Fatalf("%+v, %v", st, err)
	}
	again, at, err := u.Begin(t.Context(), file(10), s.store) // the page was loaded anew
	if err != nil || again != id || at != 3 {
		t.Fatalf("%s at %d, %v", again, at, err)
	}
	if st, err := u.Piece(t.Context(), ada, id, at, strings.NewReader("lo hens")); err != nil || !st.Done || s.text() != "hello hens" {
		t.Errorf("%+v, %v: %q", st, err, s.text())
	}
	if other, at, err := u.Begin(t.Context(), file(10), s.store); err != nil || other == id || at != 0 {
		t.Errorf("a finished file is sent again: %s at %d, %v", other, at, err)
	}
}

func TestAnEmptyFile(t *testing.T) {
	u, s := New(nil), &shelf{}
	id := begin(t, u, file(0), s)
	if st, err := u.Piece(t.Context(), ada, id, 0, strings.NewReader("")); err != nil || !st.Done {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestMoreThanAnnouncedIsNothing(t *testing.T) {
	u, s := New(nil), &shelf{}
	id := begin(t, u, file(3), s)
	if _, err := u.Piece(t.Context(), ada, id, 0, strings.NewReader("hello")); !errors.Is(err, space.ErrCut) {
		t.Errorf("%v", err)
	}
	if st, err := u.Look(ada, id); st.Done || s.text() != "" {
		t.Errorf("%+v, %v, %q", st, err, s.text())
	}
}

// TestTheStoresWord: a full disk is told to whoever sends.
func TestTheStoresWord(t *testing.T) {
	u, s := New(nil), &shelf{fail: space.ErrFull}
	id := begin(t, u, file(5), s)
	if _, err := u.Piece(t.Context(), ada, id, 0, strings.NewReader("hello")); !errors.Is(err, space.ErrFull) {
		t.Errorf("%v", err)
	}
}

func TestNobodyElses(t *testing.T) {
	u, s := New(nil), &shelf{}
	id := begin(t, u, file(5), s)
	if _, err := u.Piece(t.Context(), "ben", id, 0, strings.NewReader("hello")); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	if err := u.Stop("ben", id); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	if err := u.Stop(ada, id); err != nil {
		t.Error(err)
	}
	if _, err := u.Look(ada, id); !errors.Is(err, ErrUnknown) || s.text() != "" {
		t.Errorf("%v, %q", err, s.text())
	}
}

// TestNotTooMany: what is under way is bounded, and what nobody goes on with ends.
func TestNotTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := New(nil)
		for i := range MaxPerson {
			begin(t, u, file(i+1), &shelf{})
		}
		if _, _, err := u.Begin(t.Context(), file(99), (&shelf{}).store); !errors.Is(err, ErrBusy) {
			t.Errorf("%v", err)
		}
		time.Sleep(Patience + time.Minute)
		id := begin(t, u, file(99), &shelf{})
		synctest.Wait()
		if len(u.byID) != 1 {
			t.Errorf("%d are remembered", len(u.byID))
		}
		if err := u.Stop(ada, id); err != nil {
			t.Error(err)
		}
		begin(t, u, file(1), &shelf{}) // and ends with the test's context
	})
}

// TestFinishedOnesAreForgotten: the outcome is there for a while.
func TestFinishedOnesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := New(nil)
		id := begin(t, u, file(1), &shelf{})
		if st, err := u.Piece(t.Context(), ada, id, 0, strings.NewReader("x")); err != nil || !st.Done {
			t.Fatalf("%+v, %v", st, err)
		}
		time.Sleep(kept / 2)
		if st, err := u.Look(ada, id); err != nil || !st.Done {
			t.Errorf("%+v, %v", st, err)
		}
		time.Sleep(kept)
		if err := u.Stop(ada, begin(t, u, file(2), &shelf{})); err != nil {
			t.Error(err)
		}
		if _, err := u.Look(ada, id); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
}
