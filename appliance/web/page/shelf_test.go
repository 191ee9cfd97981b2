package page

import (
	"testing"
	"time"
)

func TestShelf(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	s := NewShelf(func() time.Time { return now })
	id := s.Put("ada", "a secret", time.Minute)
	if got, ok := Take[string](s, "ada", id); !ok || got != "a secret" {
		t.Errorf("%q, %v", got, ok)
	}
	if _, ok := Take[string](s, "ben", id); ok {
		t.Error("somebody else's")
	}
	if _, ok := Take[int](s, "ada", id); ok {
		t.Error("as something else")
	}
	now = now.Add(2 * time.Minute)
	if _, ok := Take[string](s, "ada", id); ok {
		t.Error("too late")
	}
	for range 2 * MaxShelf {
		s.Put("ada", 1, time.Minute)
	}
	if len(s.items) != MaxShelf {
		t.Errorf("%d things", len(s.items))
	}
}
