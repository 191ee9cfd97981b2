package raftnodetest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Said is what the boxes of a circle logged, at every level.
type Said struct {
	mu    sync.Mutex
	lines []Line
}

// Line is one line of a box's log.
type Line struct {
	At      time.Time
	Box     string
	Level   slog.Level
	Message string
	Attrs   string // key=value, separated by spaces
}

// Of returns the lines of one message, of a box or of all ("").
func (s *Said) Of(box, message string) []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.lines), func(l Line) bool {
		return l.Message != message || box != "" && l.Box != box
	})
}

// Forget forgets what was said so far.
func (s *Said) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = nil
}

// Dump writes the last n lines of info and above into a test's log.
func (s *Said) Dump(t testing.TB, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := slices.DeleteFunc(slices.Clone(s.lines), func(l Line) bool { return l.Level < slog.LevelInfo })
	for _, l := range news[max(0, len(news)-n):] {
		t.Logf("%s %s: %s %s", l.At.Format("15:04:05.000"), l.Box, l.Message, l.Attrs)
	}
}

// handler collects what one box logs, and passes it on to next if there is one.
func (s *Said) handler(box string, next *slog.Logger) slog.Handler {
	h := &hearing{said: s, box: box}
	if next != nil {
		h.next = next.Handler().WithAttrs([]slog.Attr{slog.String("at", box)})
	}
	return h
}

type hearing struct {
	said  *Said
	box   string
	attrs []slog.Attr
	next  slog.Handler
}

var _ slog.Handler = (*hearing)(nil)

// Enabled implements slog.Handler.
func (h *hearing) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next != nil
}

// Handle implements slog.Handler.
func (h *hearing) Handle(ctx context.Context, r slog.Record) error {
	var attrs []string
	add := func(a slog.Attr) bool {
		attrs = append(attrs, fmt.Sprintf("%s=%v", a.Key, a.Value))
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.said.mu.Lock()
	h.said.lines = append(h.said.lines, Line{r.Time, h.box, r.Level, r.Message, strings.Join(attrs, " ")})
	h.said.mu.Unlock()
	if h.next != nil && h.next.Enabled(ctx, r.Level) {
		return h.next.Handle(ctx, r)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *hearing) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(slices.Clone(h.attrs), attrs...)
	if h.next != nil {
		c.next = h.next.WithAttrs(attrs)
	}
	return &c
}

// WithGroup implements slog.Handler; nobody here uses groups.
func (h *hearing) WithGroup(string) slog.Handler { return h }
