package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type record struct {
	Name string            `cbor:"1,keyasint"`
	N    uint64            `cbor:"2,keyasint,omitempty"`
	Map  map[string]uint64 `cbor:"3,keyasint,omitempty"`
}

func TestEqualValuesGiveEqualBytes(t *testing.T) {
	first := MustMarshal(record{"a", 1, map[string]uint64{"x": 1, "y": 2, "zz": 3}})
	for range 50 {
		again := MustMarshal(record{"a", 1, map[string]uint64{"zz": 3, "y": 2, "x": 1}})
		if !bytes.Equal(first, again) {
			t.Fatalf("got %x, want %x", again, first)
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	tests := map[string][]byte{
		"trailing bytes":    append(MustMarshal(record{Name: "a"}), 0),
		"duplicate key":     {0xa2, 1, 0x61, 'a', 1, 0x61, 'b'},
		"unknown field":     {0xa1, 9, 1},
		"indefinite length": {0xbf, 1, 0x61, 'a', 0xff},
		"invalid UTF-8":     {0xa1, 1, 0x61, 0xff},
		"tag":               {0xa1, 1, 0xc0, 0x61, 'a'},
		"huge array":        {0xa1, 3, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		"empty":             {},
	}
	for name, b := range tests {
		var r record
		if err := Unmarshal(b, &r); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
}

func TestFrames(t *testing.T) {
	var buf bytes.Buffer
	want := record{Name: "hen", N: 7}
	if err := Write(&buf, want); err != nil {
		t.Fatal(err)
	}
	whole := bytes.Clone(buf.Bytes())
	var got record
	if err := Read(&buf, 0, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := Read(&buf, 0, &got); err != io.EOF {
		t.Errorf("at the end: got %v, want io.EOF", err)
	}
	if err := Read(bytes.NewReader(whole[:len(whole)-1]), 0, &got); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: got %v, want io.ErrUnexpectedEOF", err)
	}
	if err := Read(bytes.NewReader(whole), 3, &got); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: got %v, want ErrTooLarge", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(MustMarshal(record{"a", 1, map[string]uint64{"x": 1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r record
		if Unmarshal(b, &r) != nil {
			return
		}
		var again record
		if err := Unmarshal(MustMarshal(r), &again); err != nil {
			t.Fatalf("own encoding refused: %v", err)
		}
	})
}
