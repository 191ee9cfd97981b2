package raftlog

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/wire"
)

func testBatch() ([]byte, header) {
	h := header{id: 0x0102030405060708, seq: 3, pos: 2 * page, synced: position{3, 2 * page}, prev: 77}
	var b batch
	b.reset()
	b.add(record{Kind: kindEntry, Shard: 9, Index: 5, Term: 2, Data: []byte("hello")})
	b.add(record{Kind: kindState, Shard: 9, Term: 2, Vote: 1, Commit: 4})
	b.seal(h)
	return b.buf, h
}

// TestGolden fixes the format: a log of an older version must stay readable.
func TestGolden(t *testing.T) {
	b, _ := testBatch()
	const want = "72684c31" + "c658603c" + "0807060504030201" + "0300000000000000" + "00200000" + "2b000000" +
		"0300000000000000" + "00200000" + "4d000000" + "00000000000000000000000000000000"
	if got := hex.EncodeToString(b[:headerSize]); got != want {
		t.Errorf("header\n%s, want\n%s", got, want)
	}
	if got, want := hex.EncodeToString(b[headerSize+recordHead:][:17]), "a5010102090305040206"+"4568656c6c6f"; got[:len(want)] != want {
		t.Errorf("record\n%s, want\n%s", got, want)
	}
	if len(b) != page {
		t.Errorf("%d bytes", len(b))
	}
}

func TestBatchRoundTrip(t *testing.T) {
	b, want := testBatch()
	h, crc, ok := parseHeader(b)
	want.size = h.size
	if !ok || h != want {
		t.Fatalf("header %+v, want %+v", h, want)
	}
	recs, end, ok := parseBatch(b, h, crc)
	if !ok || len(recs) != 2 || string(recs[0].Data) != "hello" || recs[1].Commit != 4 {
		t.Fatalf("records %+v", recs)
	}
	for _, r := range recs {
		at := int64(r.off) - h.pos
		if _, got, ok := checkRecord(b[at:at+int64(r.size)], r.prev); !ok || r.off == recs[1].off && got != end {
			t.Errorf("record at %d does not verify alone", r.off)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, r := range []record{{}, {Kind: 8}, {Kind: kindEntry, Type: 3}, {Kind: kindSegment, End: 5}, {Kind: kindSegment, End: -page}} {
		if _, err := decodeRecord(wire.MustMarshal(r)); err == nil {
			t.Errorf("%+v: accepted", r)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(wire.MustMarshal(record{Kind: kindEntry, Shard: 9, Index: 5, Term: 2, Data: []byte("hello")}))
	f.Add(wire.MustMarshal(record{Kind: kindSegment, Seq: 1, ID: 2, End: page}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(wire.MustMarshal(r))
		if err != nil || !cmp.Equal(r, again) {
			t.Errorf("%+v, again %+v, %v", r, again, err)
		}
	})
}

// FuzzBatch changes a batch anywhere: it may only be read as it was written.
func FuzzBatch(f *testing.F) {
	whole, _ := testBatch()
	f.Add(whole, uint64(0))
	f.Add(whole[:100], uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		for range seed % 4 {
			rng := rand.New(rand.NewPCG(seed, 0))
			if len(b) > 0 {
				b = bytes.Clone(b)
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			}
		}
		h, crc, ok := parseHeader(b)
		if !ok {
			return
		}
		recs, _, ok := parseBatch(b, h, crc)
		if !ok {
			return
		}
		size := int64(headerSize)
		for _, r := range recs {
			size += int64(r.size)
		}
		if size != headerSize+h.size || size > int64(len(b)) {
			t.Errorf("%d bytes of records in a batch of %d", size, h.size)
		}
	})
}
