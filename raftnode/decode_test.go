package raftnode

import (
	"bytes"
	"errors"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/directory"
)

func TestFramesComeBackAndAreBounded(t *testing.T) {
	f := frame{
		Raft:  []raftMessage{{7, []byte("m")}},
		Sleep: []sleep{{7, 2, 1, 3, 4}},
		Beat:  &beat{Boot: 1, Digest: 2, Sent: 3},
		Wake:  []wakeCall{{7}},
		Lost:  []lostPart{{7, 2}},
		Ask:   []askWhole{{7, 2}},
		Tell:  []tellWhole{{7, 2, 8, 9, true}},
		Count: []askCounted{{7, 2, 9}},
		Gone:  []tellGone{{7, 2}},
	}
	b := encodeFrame(&f)
	back, err := decodeFrame(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encodeFrame(&back), b) || back.empty() {
		t.Errorf("got %+v, want %+v", back, f)
	}
	if !(frame{}).empty() {
		t.Error("nothing is something")
	}
	if _, err := decodeFrame(make([]byte, maxFrame+1)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a frame over the limit: %v", err)
	}
	many := frame{Wake: make([]wakeCall, maxFrameMessages+1)}
	if _, err := decodeFrame(encodeFrame(&many)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a frame with too many parts: %v", err)
	}
}

func FuzzDecodeFrame(f *testing.F) {
	f.Add(encodeFrame(&frame{Beat: &beat{Boot: 1}}))
	f.Add(encodeFrame(&frame{Raft: []raftMessage{{1, []byte{8, 1}}}, Gone: []tellGone{{1, 1}}}))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := decodeFrame(b)
		if err != nil {
			return
		}
		if fr.longest() > maxFrameMessages {
			t.Fatal("over the limit")
		}
		for _, m := range fr.Raft {
			_, _ = decodeRaft(m.Message) // must not panic
		}
		again, err := decodeFrame(encodeFrame(&fr))
		if err != nil || !bytes.Equal(encodeFrame(&again), encodeFrame(&fr)) {
			t.Fatalf("does not come back: %v", err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(entry{Kind: entryWrite, Body: []byte{1}, Holders: []ident.ReplicaID{1, 2}}.encode())
	f.Add(entry{Kind: 99}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		if len(e.Holders) > maxReplicas {
			t.Fatal("over the limit")
		}
		again, err := decodeEntry(e.encode())
		if err != nil || again.Kind != e.Kind || !bytes.Equal(again.Body, e.Body) {
			t.Fatalf("does not come back: %v", err)
		}
	})
}

func TestEntriesAreBounded(t *testing.T) {
	if _, err := decodeEntry(make([]byte, maxEntry+1)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("an entry over the limit: %v", err)
	}
	many := entry{Kind: entryWrite, Holders: make([]ident.ReplicaID, maxReplicas+1)}
	if _, err := decodeEntry(many.encode()); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("an entry with too many holders: %v", err)
	}
}

// keyOf gives the ID of a box that exists.
func keyOf(t *testing.T, n byte) ident.BoxID {
	t.Helper()
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k.BoxID()
}

// TestABoxBringsOnlyItsOwn guards that no member can stop a shard everywhere, or
// write in the name of another.
func TestABoxBringsOnlyItsOwn(t *testing.T) {
	me, other := keyOf(t, 1), keyOf(t, 2)
	w := catalog.Write{ID: catalog.WriteID{Box: me, Inc: 1, Seq: 1}, Op: catalog.Op{Kind: catalog.Mkdir, Name: "d"}}
	wb, err := catalog.EncodeWrite(w)
	if err != nil {
		t.Fatal(err)
	}
	c := directory.Command{ID: [16]byte{1}, By: me, Diary: &directory.Entry{What: "box-admitted"}}
	cb, err := directory.EncodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	write := settleCall{Shard: 9, Key: writeKey(w.ID), Entry: entry{Kind: entryWrite, Body: wb}}
	command := settleCall{Shard: ident.CircleShard, Key: commandKey(c.ID), Entry: entry{Kind: entryCommand, Body: cb}}
	swap := func(call settleCall, f func(*settleCall)) settleCall {
		f(&call)
		return call
	}
	tests := []struct {
		name string
		from ident.BoxID
		call settleCall
		ok   bool
	}{
		{"own write", me, write, true},
		{"own command", me, command, true},
		{"write of another, from a branch", other, write, true},
		{"command of another", other, command, false},
		{"write to the circle", me, swap(write, func(c *settleCall) { c.Shard = ident.CircleShard }), false},
		{"command to a space", me, swap(command, func(c *settleCall) { c.Shard = 9 }), false},
		{"unknown kind", me, swap(write, func(c *settleCall) { c.Entry.Kind = 3 }), false},
		{"wrong key", me, swap(write, func(c *settleCall) { c.Key = "x" }), false},
		{"garbage", me, swap(write, func(c *settleCall) { c.Entry.Body = []byte{1, 2} }), false},
		{"too many holders", me, swap(write, func(c *settleCall) { c.Entry.Holders = make([]ident.ReplicaID, maxReplicas+1) }), false},
	}
	for _, tt := range tests {
		if err := mayBring(tt.from, tt.call); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want it taken: %v", tt.name, err, tt.ok)
		}
	}
}

func TestRaftMessagesDecode(t *testing.T) {
	b, err := proto.Marshal(&pb.Message{Type: pb.MsgHeartbeat.Enum(), From: proto.Uint64(1), To: proto.Uint64(2)})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := decodeRaft(b); err != nil || m.GetFrom() != 1 || m.GetType() != pb.MsgHeartbeat {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := decodeRaft([]byte{0xff}); err == nil {
		t.Error("garbage was taken for a message")
	}
}
