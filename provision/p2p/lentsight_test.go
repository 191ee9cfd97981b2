package p2p

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"
)

func identified(t testing.TB, m *pb.Identify) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)
}

func TestSightOfAStranger(t *testing.T) {
	seen := ma.StringCast("/ip4/8.1.2.3/udp/4717/quic-v1").Bytes()
	good := identified(t, &pb.Identify{ObservedAddr: seen})
	if a, err := readSight(bytes.NewReader(good)); err != nil || a.String() != "8.1.2.3:4717" {
		t.Errorf("got %v, %v", a, err)
	}
	for name, b := range map[string][]byte{
		"nothing":   nil,
		"cut":       good[:len(good)-1],
		"too large": binary.AppendUvarint(nil, 1<<40),
		"garbage":   {3, 0xff, 0xff, 0xff},
		"no sight":  identified(t, &pb.Identify{}),
	} {
		if a, err := readSight(bytes.NewReader(b)); err == nil && a.IsValid() {
			t.Errorf("%s: got %v", name, a)
		}
	}
}

func FuzzReadSight(f *testing.F) {
	f.Add(identified(f, &pb.Identify{ObservedAddr: ma.StringCast("/ip4/8.1.2.3/udp/4717/quic-v1").Bytes()}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := readSight(bytes.NewReader(b)); err != nil && a.IsValid() {
			t.Fatalf("%v with %v", a, err)
		}
	})
}
