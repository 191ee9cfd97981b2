package appliancetest

import (
	"net"
	"strings"
	"sync"
)

// Log is what a box has logged, line by line.
type Log struct {
	mu    sync.Mutex
	lines []string
}

// Write takes one line.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// Lines returns the lines that contain all of the parts.
func (l *Log) Lines(parts ...string) []string { return l.from(0, parts) }

// Since returns what gives the lines that are logged from now on, as Lines does.
func (l *Log) Since() func(parts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	begin := len(l.lines)
	return func(parts ...string) []string { return l.from(begin, parts) }
}

func (l *Log) from(begin int, parts []string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines[begin:] {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

// tail returns the last n lines.
func (l *Log) tail(n int) string {
	all := l.Lines()
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// silence is a door at which nobody knocks: a listener that only ends.
type silence struct {
	done  chan struct{}
	close func()
}

var _ net.Listener = (*silence)(nil)

func newSilence() *silence {
	s := &silence{done: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.done) })
	return s
}

// Accept waits for Close.
func (s *silence) Accept() (net.Conn, error) {
	<-s.done
	return nil, net.ErrClosed
}

// Close ends Accept.
func (s *silence) Close() error {
	s.close()
	return nil
}

// Addr is nowhere.
func (s *silence) Addr() net.Addr { return &net.UnixAddr{Name: "nowhere", Net: "unix"} }
