package phone

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// line is the connection between a phone and a box: it breaks once, after so many
// bytes, and is dead for a moment.
type line struct {
	listener net.Listener
	to       string
	breakAt  int64
	dead     time.Duration

	sent   atomic.Int64 // bytes from the phone
	silent atomic.Bool  // nothing comes back, and nothing breaks

	mu    sync.Mutex // guards conns and until
	conns map[net.Conn]bool
	until time.Time
}

func newLine(t *testing.T, to string, breakAt int64, dead time.Duration) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, to: to, breakAt: breakAt, dead: dead, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.hold(false)
		listener.Close()
		l.cut(0)
		all.Wait()
	})
	return l
}

// carry carries one connection, while the line is not dead.
func (l *line) carry(phone net.Conn) {
	defer phone.Close()
	box, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer box.Close()
	l.mu.Lock()
	dead := time.Now().Before(l.until)
	l.conns[phone], l.conns[box] = true, true
	l.mu.Unlock()
	if dead {
		return
	}
	go func() {
		io.Copy(holding{phone, l}, box) // ends with either
		phone.Close()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := phone.Read(buf)
		if was := l.sent.Add(int64(n)) - int64(n); was < l.breakAt && was+int64(n) >= l.breakAt {
			l.cut(l.dead)
			return
		}
		if _, failed := box.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

// hold has the line carry nothing back, or go on.
func (l *line) hold(on bool) { l.silent.Store(on) }

// holding writes to a phone while its line is not held.
type holding struct {
	phone net.Conn
	l     *line
}

func (h holding) Write(b []byte) (int, error) {
	for h.l.silent.Load() {
		time.Sleep(50 * time.Millisecond) // real connections
	}
	return h.phone.Write(b)
}

// cut breaks all connections; new ones are refused for so long.
func (l *line) cut(dead time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(dead)
	for c := range l.conns {
		c.Close()
	}
	clear(l.conns)
}

// TestALineThatBreaks: a film of 30 MB goes on where it was when the line broke, and
// is not sent all over again.
func TestALineThatBreaks(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e breaks the line")
	}
	box := newHouse(t, t.TempDir(), "mill")
	p := newPhone(t, "Anna", "")
	p.claims(box)
	const size, breakAt = 30 << 20, 13 << 20
	l := newLine(t, box.HTTP, breakAt, 2*time.Second)
	film := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range film {
		film[i] = byte(r.Uint32())
	}
	path := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(path, film, 0o600); err != nil {
		t.Fatal(err)
	}
	p.open("http://" + l.listener.Addr().String() + "/files")
	p.sees("Nothing is here yet")
	p.sends([]string{path})
	p.sees("“film.mp4” is here.")
	if sent := l.sent.Load(); sent < size || sent > size+9<<20 {
		t.Errorf("%d bytes were sent for a film of %d", sent, size)
	}
	if got := p.fetches(box, "/get/anna/film.mp4"); !bytes.Equal(got, film) {
		t.Errorf("%d bytes are not those of the film", len(got))
	}
}
