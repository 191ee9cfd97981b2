package space

import (
	"bytes"
	"math"
	"testing"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
)

func TestETagsComeBackAndAreShort(t *testing.T) {
	key, err := ident.KeyFromSeed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []catalog.WriteID{
		{Box: key.BoxID(), Inc: 1, Seq: 1}, {Box: key.BoxID(), Inc: math.MaxUint64, Seq: 1 << 20},
		{Box: key.BoxID(), Inc: 5, Seq: math.MaxUint64}, {Box: "a box of a test", Inc: 1, Seq: 2},
	} {
		tag := Info{Version: id}.ETag()
		got, err := parseETag(tag)
		if err != nil || got != id {
			t.Errorf("%v: %s is read as %v, %v", id, tag, got, err)
		}
		// Two of them, a lock token and what litmus writes between fit into 200 bytes.
		if id.Seq <= 1<<20 && len(tag) > 60 {
			t.Errorf("%v: %d bytes, at most 60", id, len(tag))
		}
	}
}

func FuzzParseETag(f *testing.F) {
	f.Add(`"12D3.1.2"`)
	f.Add(`"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"`)
	f.Add(`W/"x"`)
	f.Fuzz(func(t *testing.T, tag string) {
		if id, err := parseETag(tag); err == nil && (Info{Version: id}).ETag() != tag {
			t.Errorf("%s and %s are one version", tag, Info{Version: id}.ETag())
		}
	})
}
