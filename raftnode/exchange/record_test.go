package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/chunk"
	"redhen/raftnode/transport"
)

type ctxt = context.Context

func TestRecordsHaveLimits(t *testing.T) {
	many := make([]chunk.Hash, batch+1)
	for name, r := range map[string]record{
		"no chunks":       question{},
		"too many chunks": question{Hashes: many},
		"long lease":      question{Hashes: many[:1], Lease: maxLease.Milliseconds() + 1},
		"negative lease":  question{Hashes: many[:1], Lease: -1},
		"no code":         answer{},
		"negative size":   answer{Code: codeDone, Size: -1},
		"too many":        answer{Code: codeDone, Have: make([]bool, batch+1)},
		"empty chunk":     announcement{},
		"huge chunk":      announcement{Size: chunk.Size + 1},
		"negative chunk":  announcement{Size: -1},
		"no name":         fileQuestion{},
		"long name":       fileQuestion{Name: string(make([]byte, maxName+1))},
		"before the file": fileQuestion{Name: "x", From: -1},
	} {
		if err := r.validate(); !errors.Is(err, errProtocol) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := (question{Hashes: many[:batch], Lease: leaseTime.Milliseconds()}).validate(); err != nil {
		t.Error(err)
	}
	if n := len(wire.MustMarshal(question{Hashes: many[:batch], Lease: maxLease.Milliseconds()})); n > maxRecord {
		t.Errorf("the largest question has %d bytes, a record may have %d", n, maxRecord)
	}
}

// Codes are sent: their numbers must not change.
func TestCodes(t *testing.T) {
	for err, want := range map[error]code{
		nil: 1, chunk.ErrMissing: 2, chunk.ErrDamaged: 2, chunk.ErrFull: 3, chunk.ErrContent: 4, chunk.ErrStopped: 5, io.EOF: 5,
	} {
		if got := codeOf(err); got != want {
			t.Errorf("%v: got code %d, want %d", err, got, want)
		}
	}
	for c := range code(255) {
		if err := c.err(); (err == nil) != (c == codeDone) {
			t.Errorf("code %d means %v", c, err)
		}
	}
}

// scripted is a stream that was recorded.
type scripted struct {
	in  *bytes.Reader
	mu  sync.Mutex
	out bytes.Buffer
}

var _ transport.Stream = (*scripted)(nil)

func (s *scripted) Read(b []byte) (int, error) { return s.in.Read(b) }
func (s *scripted) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}
func (s *scripted) Close() error                     { return nil }
func (s *scripted) CloseWrite() error                { return nil }
func (s *scripted) Reset() error                     { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// frames encodes records as they are sent; raw bytes as they are.
func frames(vs ...any) []byte {
	var b bytes.Buffer
	for _, v := range vs {
		if raw, ok := v.([]byte); ok {
			b.Write(raw)
		} else {
			wire.Write(&b, v)
		}
	}
	return b.Bytes()
}

// loner is a Network that reaches nobody.
type loner struct{ transport.Network }

func (loner) Handle(string, func(context.Context, ident.BoxID, transport.Stream)) {}

// FuzzServe feeds every service with any bytes: no panic, nothing stored under a wrong
// name, and only records come back that the asking side would accept.
func FuzzServe(f *testing.F) {
	body := []byte("eggs")
	h := chunk.Sum(body)
	f.Add(uint8(0), frames(question{Hashes: []chunk.Hash{h}, Lease: 1000}))
	f.Add(uint8(1), frames(announcement{Hash: h, Size: 4}, body))
	f.Add(uint8(1), frames(announcement{Hash: h, Size: 4}, []byte("bad!")))
	f.Add(uint8(2), frames(question{Hashes: []chunk.Hash{h}}, question{Hashes: []chunk.Hash{{}}}))
	f.Add(uint8(3), frames(fileQuestion{Name: "nest", From: 2}))
	path := f.TempDir() + "/none"
	f.Fuzz(func(t *testing.T, service uint8, in []byte) {
		store := newMemory([]byte("hen"))
		x, err := New(Config{Net: loner{}, Chunks: store, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		x.Offer("nest", path)
		s := &scripted{in: bytes.NewReader(in)}
		fl := newFlow(t.Context(), s, time.Minute)
		serve := []func(context.Context, ident.BoxID, *flow) error{x.serveHave, x.servePut, x.serveGet, x.serveFile}[service%4]
		fl.close(serve(t.Context(), annas, fl))
		if len(x.slots) != 0 {
			t.Error("a slot was not given back")
		}
		for h, b := range store.chunks {
			if chunk.Sum(b) != h {
				t.Errorf("stored under a wrong name: %v", h)
			}
		}
		for out := bytes.NewReader(s.out.Bytes()); out.Len() > 0; {
			var a answer
			if err := wire.Read(out, maxRecord, &a); err != nil || a.validate() != nil {
				t.Fatalf("answer %+v: %v", a, err)
			}
			out.Seek(a.Size, io.SeekCurrent)
		}
	})
}

// FuzzAnswers feeds the asking sides with any bytes: no panic, and nothing is believed that was not proved.
func FuzzAnswers(f *testing.F) {
	body := []byte("eggs")
	h := chunk.Sum(body)
	f.Add(uint8(0), frames(answer{Code: codeDone, Hash: h, Size: 4}, body))
	f.Add(uint8(0), frames(answer{Code: codeDone, Hash: h, Size: 4}, []byte("bad!")))
	f.Add(uint8(1), frames(answer{Code: codeWaiting}, answer{Code: codeDone, Hash: h}))
	f.Add(uint8(1), frames(answer{Code: codeFull, Hash: h}))
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		x, err := New(Config{Net: loner{}, Chunks: newMemory(body), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		fl := newFlow(t.Context(), &scripted{in: bytes.NewReader(in)}, time.Minute)
		defer fl.close(nil)
		if which%2 == 0 {
			if b, err := x.response(fl, annas, h); err == nil && !bytes.Equal(b, body) {
				t.Errorf("believed %q", b)
			}
			return
		}
		p := &putting{flow: fl, room: make(chan struct{}, window), sent: map[chunk.Hash]bool{h: false}}
		p.room <- struct{}{}
		if err := p.listen(1); err == nil && len(p.unconfirmed([]chunk.Hash{h})) != 0 {
			t.Error("nil without a confirmation")
		}
	})
}
