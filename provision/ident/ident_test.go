package ident

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

func testKey(t *testing.T, b byte) Key {
	t.Helper()
	k, err := KeyFromSeed(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The golden name was computed by go-libp2p's peer.IDFromPublicKey for the same key.
func TestBoxIDIsThePeerID(t *testing.T) {
	k := testKey(t, 1)
	const want = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
	if got := k.BoxID(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !bytes.Equal(k.BoxID().PublicKey(), k.Public()) {
		t.Error("the key cannot be read back from the name")
	}
}

func TestParseBoxIDRefuses(t *testing.T) {
	for _, s := range []string{"", "12D3", "Qm", strings.Repeat("1", 52), string(testKey(t, 1).BoxID()) + "1", strings.Repeat("z", 4096)} {
		if id, err := ParseBoxID(s); err == nil {
			t.Errorf("%q accepted as %q", s, id)
		}
	}
}

func TestAKeyDoesNotPrintItsSecret(t *testing.T) {
	k := testKey(t, 7)
	secret := hex.EncodeToString(k.Seed())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		out := fmt.Sprintf(verb, k)
		if strings.Contains(out, secret) || strings.Contains(out, "7 7 7") || strings.Contains(out, "0x7, 0x7") {
			t.Errorf("%s prints the secret: %s", verb, out)
		}
	}
}

func TestASignatureHoldsForItsPurposeOnly(t *testing.T) {
	k := testKey(t, 3)
	sig := k.Sign("admit", []byte("x"))
	if !Verify(k.Public(), "admit", []byte("x"), sig) {
		t.Error("own signature refused")
	}
	for name, ok := range map[string]bool{
		"other purpose": Verify(k.Public(), "retire", []byte("x"), sig),
		"other message": Verify(k.Public(), "admit", []byte("y"), sig),
		"other key":     Verify(testKey(t, 4).Public(), "admit", []byte("x"), sig),
		"no key":        Verify(nil, "admit", []byte("x"), sig),
		"no signature":  Verify(k.Public(), "admit", []byte("x"), nil),
	} {
		if ok {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestShardIDText(t *testing.T) {
	id := NewShardID()
	got, err := ParseShardID(id.String())
	if err != nil || got != id {
		t.Errorf("got %v, %v; want %v", got, err, id)
	}
	for _, s := range []string{"", "1", "00000000000000FF", "zz00000000000000"} {
		if _, err := ParseShardID(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}
