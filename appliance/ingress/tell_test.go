package ingress

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

// pipe is a stream within this process.
type pipe struct{ net.Conn }

func (p pipe) CloseWrite() error { return nil }
func (p pipe) Reset() error      { return p.Close() }

// tell has a relay tell a box of a flood.
func tell(t *testing.T, f Flood, note func(context.Context, Flood) error) (told, heard error) {
	a, b := net.Pipe()
	ended := make(chan error, 1)
	told = Tell(t.Context(), func(context.Context, ident.BoxID, string) (p2p.Stream, error) {
		go func() { ended <- HearFlood(t.Context(), pipe{b}, note) }()
		return pipe{a}, nil
	}, boxKey(t, 1).BoxID(), f)
	return told, <-ended
}

// Rule: a relay learns whether a box wrote down what it told.
func TestARelayTellsOfAFlood(t *testing.T) {
	var noted []int
	note := func(_ context.Context, f Flood) error { noted = append(noted, f.Refused); return nil }
	if told, heard := tell(t, Flood{Refused: 200}, note); told != nil || heard != nil {
		t.Errorf("told: %v, %v", told, heard)
	}
	if told, heard := tell(t, Flood{}, note); !errors.Is(told, errNotNoted) || heard == nil {
		t.Errorf("told of nobody: %v, %v", told, heard)
	}
	if len(noted) != 1 || noted[0] != 200 {
		t.Errorf("noted %v", noted)
	}
	apart := errors.New("apart")
	if told, heard := tell(t, Flood{Refused: 200}, func(context.Context, Flood) error { return apart }); !errors.Is(told, errNotNoted) || !errors.Is(heard, apart) {
		t.Errorf("told a box that is apart: %v, %v", told, heard)
	}
}

// paper is a stream on which all was said beforehand.
type paper struct {
	pipe
	said  *bytes.Reader
	heard bytes.Buffer
}

func (p *paper) Read(b []byte) (int, error)  { return p.said.Read(b) }
func (p *paper) Write(b []byte) (int, error) { return p.heard.Write(b) }

func FuzzTold(f *testing.F) {
	var good bytes.Buffer
	if err := wire.Write(&good, told{200}); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte{0, 0, 0, 3, 0xa1, 1, 0x20})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, _ := net.Pipe()
		p := &paper{pipe: pipe{a}, said: bytes.NewReader(b)}
		noted := 0
		err := HearFlood(t.Context(), p, func(_ context.Context, f Flood) error { noted = f.Refused; return nil })
		if (err == nil) != (noted > 0) || noted > maxRefused {
			t.Errorf("noted %d, %v", noted, err)
		}
		var answer taken
		if wire.Read(&p.heard, 16, &answer) != nil || answer.OK != (err == nil) {
			t.Errorf("answered %+v to %v", answer, err)
		}
	})
}
