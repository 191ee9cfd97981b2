package ingress

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/wire"
)

// Listener gives the visitors that doors brought here, from this box's own and from
// others. The address of each connection is the client's.
type Listener struct {
	ready func(name string, acme bool) bool
	queue chan net.Conn

	once   sync.Once
	closed chan struct{}
}

var _ net.Listener = (*Listener)(nil)

// queued is how many visitors may wait to be accepted.
const queued = 64

// NewListener returns a Listener. ready says whether this box serves a name now; acme:
// for an authority that looks whether we hold it.
func NewListener(ready func(name string, acme bool) bool) *Listener {
	return &Listener{ready: ready, queue: make(chan net.Conn, queued), closed: make(chan struct{})}
}

// Accept waits for the next visitor.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; connections that were accepted stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is no address of the network.
func (l *Listener) Addr() net.Addr { return name("visitors") }

type name string

func (n name) Network() string { return "redhen" }
func (n name) String() string  { return string(n) }

// offer hands a client over when this box serves it, and returns when it has left.
func (l *Listener) offer(ctx context.Context, c net.Conn, from netip.AddrPort, h hello) bool {
	if !l.ready(h.name, h.acme()) {
		return false
	}
	return l.give(ctx, newVisitor(c, from))
}

// give hands a visitor over and waits until it has left; false: nobody takes it.
func (l *Listener) give(ctx context.Context, v *visitor) bool {
	select {
	case l.queue <- v:
	case <-l.closed:
		return false
	default: // the box has no time: another one may
		return false
	}
	select {
	case <-v.left:
	case <-ctx.Done():
		v.Close()
	case <-l.closed:
		<-v.leftSoon()
	}
	return true
}

// Receive serves a stream that another box's door or a relay opened.
func (l *Listener) Receive(ctx context.Context, _ ident.BoxID, s p2p.Stream) {
	s.SetDeadline(time.Now().Add(passWithin))
	var p prelude
	if err := wire.Read(s, maxPrelude, &p); err != nil {
		s.Reset()
		return
	}
	from, err := netip.ParseAddrPort(p.From)
	if err != nil || !l.ready(cleanName(p.Name), p.Acme) || len(l.queue) == cap(l.queue) {
		wire.Write(s, taken{}) // whoever asked goes elsewhere either way
		return
	}
	if err := wire.Write(s, taken{OK: true}); err != nil {
		s.Reset()
		return
	}
	s.SetDeadline(time.Time{})
	if !l.give(ctx, newVisitor(conn{s}, from)) {
		s.Reset()
	}
}

// conn is a stream with the addresses of a connection.
type conn struct{ p2p.Stream }

func (conn) LocalAddr() net.Addr  { return name("visitors") }
func (conn) RemoteAddr() net.Addr { return name("visitors") }

// visitor is a connection with the client's address, that tells when it was closed.
type visitor struct {
	net.Conn
	from netip.AddrPort
	once sync.Once
	left chan struct{}
}

func newVisitor(c net.Conn, from netip.AddrPort) *visitor {
	return &visitor{Conn: c, from: from, left: make(chan struct{})}
}

// RemoteAddr is the client's, also behind another box.
func (v *visitor) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(v.from) }

func (v *visitor) Close() error {
	v.once.Do(func() { close(v.left) })
	return v.Conn.Close()
}

// leftSoon is closed when the visitor has left, or has had time to.
func (v *visitor) leftSoon() <-chan struct{} {
	soon := make(chan struct{})
	go func() { // ends with its own patience
		defer close(soon)
		select {
		case <-v.left:
		case <-time.After(leaveWithin):
			v.Close()
		}
	}()
	return soon
}

// leaveWithin is how long a visitor may stay when the doors close.
const leaveWithin = 10 * time.Second

// replay is a connection that begins with what was read from it before.
func replay(c net.Conn, read []byte) net.Conn {
	return &replayed{Conn: c, r: io.MultiReader(bytes.NewReader(read), c)}
}

type replayed struct {
	net.Conn
	r io.Reader
}

func (r *replayed) Read(b []byte) (int, error) { return r.r.Read(b) }
