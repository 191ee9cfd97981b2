package kv

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// list returns what a scan yields, as "key=value".
func list(r Reader, prefix, from string) []string {
	var out []string
	var f []byte
	if from != "" {
		f = []byte(from)
	}
	for k, v := range r.Scan([]byte(prefix), f) {
		out = append(out, string(k)+"="+string(v))
	}
	return out
}

func put(w Writer, pairs ...string) {
	for _, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		w.Put([]byte(k), []byte(v))
	}
}

func TestLayerMergesScans(t *testing.T) {
	base := NewLayer(Empty{})
	put(base, "a=1", "b=1", "b1=1", "b3=1", "c=1")
	l := NewLayer(base)
	put(l, "b=2", "b2=2", "b9=2", "a0=2")
	l.Delete([]byte("b3"))
	l.Delete([]byte("nothing"))
	tests := []struct{ prefix, from, want string }{
		{"", "", "a=1 a0=2 b=2 b1=1 b2=2 b9=2 c=1"},
		{"b", "", "b=2 b1=1 b2=2 b9=2"},
		{"b", "b1", "b1=1 b2=2 b9=2"},
		{"b", "b10", "b2=2 b9=2"},
		{"b", "a", "b=2 b1=1 b2=2 b9=2"},
		{"b", "c", ""},
		{"x", "", ""},
		{"b3", "", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(list(l, tt.prefix, tt.from), " "); got != tt.want {
			t.Errorf("scan %q from %q: got %q, want %q", tt.prefix, tt.from, got, tt.want)
		}
	}
	if got := l.Get([]byte("b3")); got != nil {
		t.Errorf("deleted key: got %q, want nil", got)
	}
	if got := list(base, "", ""); len(got) != 5 {
		t.Errorf("the base was changed: %q", got)
	}
}

func TestScanEndsEarly(t *testing.T) {
	base := NewLayer(Empty{})
	put(base, "a=", "c=", "e=")
	l := NewLayer(base)
	put(l, "b=", "d=", "f=")
	for want := 1; want <= 6; want++ {
		got := 0
		for range l.Scan(nil, nil) {
			if got++; got == want {
				break
			}
		}
		if got != want {
			t.Errorf("stopped after %d, want %d", got, want)
		}
	}
}

func TestLayerKeepsNothingOfTheCaller(t *testing.T) {
	l := NewLayer(Empty{})
	k, v := []byte("key"), []byte("value")
	l.Put(k, v)
	k[0], v[0] = 'x', 'x'
	if got := string(l.Get([]byte("key"))); got != "value" {
		t.Errorf("got %q, want value", got)
	}
	l.Put([]byte("empty"), nil)
	if got := l.Get([]byte("empty")); got == nil {
		t.Error("an empty value reads as missing")
	}
}

func TestLayerOver(t *testing.T) {
	a, b := NewLayer(Empty{}), NewLayer(Empty{})
	put(a, "k=a")
	put(b, "k=b", "only=b")
	l := NewLayer(a)
	put(l, "mine=1")
	m := l.Over(b)
	put(m, "mine=2")
	if got := list(l, "", ""); !slices.Equal(got, []string{"k=a", "mine=1"}) {
		t.Errorf("original: %q", got)
	}
	if got := list(m, "", ""); !slices.Equal(got, []string{"k=b", "mine=2", "only=b"}) {
		t.Errorf("copy: %q", got)
	}
	if l.Len() != 1 {
		t.Errorf("got %d changes, want 1", l.Len())
	}
}

func TestHash(t *testing.T) {
	hash := func(pairs ...string) [32]byte {
		l := NewLayer(Empty{})
		put(l, pairs...)
		return Hash(l)
	}
	if hash("a=1", "b=2") != hash("b=2", "a=1") {
		t.Error("the order of writing shows")
	}
	seen := map[[32]byte]bool{}
	for _, pairs := range [][]string{{}, {"a=1"}, {"a=2"}, {"a1="}, {"a=", "1="}, {"a=1", "b=2"}, {"a=1b"}} {
		seen[hash(pairs...)] = true
	}
	if len(seen) != 7 {
		t.Errorf("got %d different hashes, want 7", len(seen))
	}
}

// TestAgainstMap does random things to a stack of layers above a file and to a map.
func TestAgainstMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := newStore(t)
	want := map[string]string{}
	for index := uint64(1); index <= 300; index++ {
		err := s.Apply(index, 1, func(w Writer) error {
			l := NewLayer(w)
			for range rnd.IntN(12) {
				k := fmt.Sprintf("%x", rnd.IntN(200))
				if rnd.IntN(3) == 0 {
					l.Delete([]byte(k))
					delete(want, k)
				} else {
					v := fmt.Sprint(rnd.IntN(1000))
					put(l, k+"="+v)
					want[k] = v
				}
			}
			compare(t, l, want, fmt.Sprintf("%x", rnd.IntN(16)))
			l.changed.Scan(func(k string, v []byte) bool {
				if v == nil {
					w.Delete([]byte(k))
				} else {
					w.Put([]byte(k), v)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if rnd.IntN(10) == 0 {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.View(func(r Reader) error { compare(t, r, want, ""); return nil }); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, r Reader, m map[string]string, prefix string) {
	t.Helper()
	var want []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(k, prefix) {
			want = append(want, k+"="+m[k])
		}
		if got := r.Get([]byte(k)); !bytes.Equal(got, []byte(m[k])) {
			t.Fatalf("get %q: got %q, want %q", k, got, m[k])
		}
	}
	if d := cmp.Diff(want, list(r, prefix, "")); d != "" {
		t.Fatalf("scan %q: %s", prefix, d)
	}
}
