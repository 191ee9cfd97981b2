package manifest

import (
	"errors"
	"testing"

	"redhen/provision/wire"
	"redhen/raftnode/chunk"
)

func hashes(n int) []chunk.Hash { return make([]chunk.Hash, n) }

func TestValidate(t *testing.T) {
	const mib = chunk.Size
	for _, tt := range []struct {
		name string
		c    Content
		ok   bool
	}{
		{"empty file", Content{}, true},
		{"inline", Content{Size: 3, Inline: []byte("abc")}, true},
		{"most inline", Content{Size: InlineMax, Inline: make([]byte, InlineMax)}, true},
		{"one chunk", Content{Size: InlineMax + 1, Chunks: hashes(1)}, true},
		{"one full chunk", Content{Size: mib, Chunks: hashes(1)}, true},
		{"two chunks", Content{Size: mib + 1, Chunks: hashes(2)}, true},
		{"most chunks", Content{Size: MaxHashes * mib, Chunks: hashes(MaxHashes)}, true},
		{"one listing", Content{Size: MaxHashes*mib + 1, Depth: 1, Chunks: hashes(1)}, true},
		{"two listings", Content{Size: int64(ListHashes)*mib + 1, Depth: 1, Chunks: hashes(2)}, true},
		{"longest", Content{Size: MaxSize, Depth: 1, Chunks: hashes(MaxHashes)}, true},

		{"negative", Content{Size: -1}, false},
		{"too long", Content{Size: MaxSize + 1, Depth: 1, Chunks: hashes(MaxHashes + 1)}, false},
		{"inline short", Content{Size: 4, Inline: []byte("abc")}, false},
		{"inline and chunks", Content{Size: 3, Inline: []byte("abc"), Chunks: hashes(1)}, false},
		{"inline of depth 1", Content{Size: 3, Inline: []byte("abc"), Depth: 1}, false},
		{"small in a chunk", Content{Size: InlineMax, Chunks: hashes(1)}, false},
		{"large inline", Content{Size: InlineMax + 1, Inline: make([]byte, InlineMax+1)}, false},
		{"large with inline", Content{Size: mib, Chunks: hashes(1), Inline: []byte("x")}, false},
		{"chunk missing", Content{Size: mib + 1, Chunks: hashes(1)}, false},
		{"chunk over", Content{Size: mib, Chunks: hashes(2)}, false},
		{"listing where none is needed", Content{Size: mib, Depth: 1, Chunks: hashes(1)}, false},
		{"no listing where needed", Content{Size: MaxHashes*mib + 1, Chunks: hashes(MaxHashes + 1)}, false},
		{"depth 2", Content{Size: MaxHashes*mib + 1, Depth: 2, Chunks: hashes(1)}, false},
	} {
		if err := tt.c.Validate(); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestEqual(t *testing.T) {
	a := Content{Size: 3, Inline: []byte("abc")}
	b := Content{Size: chunk.Size, Chunks: []chunk.Hash{{1}}}
	for _, tt := range []struct {
		a, b Content
		want bool
	}{
		{a, a, true}, {b, b, true}, {a, b, false}, {Content{}, Content{Inline: []byte{}}, true},
		{a, Content{Size: 3, Inline: []byte("abd")}, false},
		{b, Content{Size: chunk.Size, Chunks: []chunk.Hash{{2}}}, false},
	} {
		if got := tt.a.Equal(tt.b); got != tt.want {
			t.Errorf("%v = %v: got %v", tt.a, tt.b, got)
		}
	}
}

func TestContentGoesRound(t *testing.T) {
	for _, want := range []Content{{}, {Size: 3, Inline: []byte("abc")}, {Size: chunk.Size, Chunks: []chunk.Hash{{1}}}} {
		var got Content
		if err := wire.Unmarshal(wire.MustMarshal(want), &got); err != nil || !got.Equal(want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	}
}

func FuzzDecodeContent(f *testing.F) {
	f.Add(wire.MustMarshal(Content{Size: 3, Inline: []byte("abc")}))
	f.Add(wire.MustMarshal(Content{Size: chunk.Size + 1, Chunks: hashes(2)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Content
		if wire.Unmarshal(b, &c) != nil || c.Validate() != nil {
			return
		}
		if len(c.Chunks) > MaxHashes || len(c.Inline) > InlineMax {
			t.Errorf("over the limits: %v", c)
		}
	})
}
