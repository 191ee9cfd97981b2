package chunk

import (
	"encoding/hex"
	"strings"
	"testing"

	"redhen/provision/wire"
)

func TestSumIsSHA256(t *testing.T) {
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, "abc"
	if got := Sum([]byte("abc")).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHashTextGoesRound(t *testing.T) {
	h := Sum([]byte("x"))
	text, _ := h.MarshalText()
	var got Hash
	if err := got.UnmarshalText(text); err != nil || got != h {
		t.Errorf("got %v, %v; want %v", got, err, h)
	}
	for _, s := range []string{"", "ab", strings.ToUpper(h.String()), h.String() + "0", strings.Repeat("g", 64)} {
		if h, err := ParseHash(s); err == nil {
			t.Errorf("%q accepted as %v", s, h)
		}
	}
}

func TestHashHasOneEncoding(t *testing.T) {
	h := Sum([]byte("x"))
	b := wire.MustMarshal(h)
	if got, want := hex.EncodeToString(b), "5820"+h.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var got Hash
	if err := wire.Unmarshal(b, &got); err != nil || got != h {
		t.Errorf("got %v, %v; want %v", got, err, h)
	}
	numbers := make([]int, 32)
	for name, v := range map[string]any{"short": h[:31], "long": append(h[:], 0), "array": numbers, "text": h.String()} {
		if err := wire.Unmarshal(wire.MustMarshal(v), &got); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
