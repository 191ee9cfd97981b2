// Package ingress is the public door of a circle. A box that can be called from the
// internet, or a rented relay, takes connections on port 443, reads whom they ask for
// (the server name of TLS), and passes the bytes to a box that serves, over a stream
// that begins with the client's address. It sees nothing in clear: TLS ends where the
// person's files are. At the box that serves, all that comes in is a net.Listener.
//
// What strangers can make it spend is bounded: connections in all, from one address,
// and to one box; the time until they have said whom they want, and between two bytes.
package ingress

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

// Protocol is that of the streams from a door to the box that serves.
const Protocol = "/redhen/visitor/1"

// Limits of one door. Zero values mean the default.
type Limits struct {
	Open      int           // connections at a time; 512
	PerSource int           // of one address (IPv6: one /64); 64
	PerBox    int           // passed to one other box; 128
	Hello     time.Duration // to say whom; 5 s
	Idle      time.Duration // without a byte either way; 5 minutes
}

func (l *Limits) fill() {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	def(&l.Open, 512)
	def(&l.PerSource, 64)
	def(&l.PerBox, 128)
	if l.Hello == 0 {
		l.Hello = 5 * time.Second
	}
	if l.Idle == 0 {
		l.Idle = 5 * time.Minute
	}
}

// Route says who serves a name.
type Route struct {
	// Known: the name is one of ours. Others are hung up on.
	Known bool
	// Boxes serve it, the best first; this one may be among them.
	Boxes []ident.BoxID
	// House is how many of Boxes, the first, are of the house that the name asks for. They
	// come before the box that the visitor was at last.
	House int
}

// Config is what a Door stands on. Key and Route are needed.
type Config struct {
	Key ident.Key // answers knocks
	// Route says who serves a name that a client asked for.
	Route func(name string) Route
	// Open opens a stream to a box; nil: nothing is passed on. (*p2p.Host).Open fits.
	Open func(ctx context.Context, to ident.BoxID, protocol string) (p2p.Stream, error)
	// Here takes the connections that this box serves; nil: none.
	Here *Listener
	// Flooded hears, at most once an hour, that many visitors are turned away.
	Flooded func(Flood)
	Limits  Limits
	Logger  *slog.Logger     // nil: none
	Now     func() time.Time // nil: time.Now
}

// Door takes connections. It is safe for concurrent use.
type Door struct {
	cfg    Config
	self   ident.BoxID
	knocks *knocks
	count  *count
	habits *habits
}

// NewDoor returns a Door; it serves what Serve is given.
func NewDoor(cfg Config) (*Door, error) {
	if cfg.Key.IsZero() || cfg.Route == nil {
		return nil, errors.New("ingress: key and route are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits.fill()
	k, err := newKnocks(cfg.Key)
	if err != nil {
		return nil, err
	}
	return &Door{cfg: cfg, self: cfg.Key.BoxID(), knocks: k, count: newCount(cfg), habits: newHabits(cfg.Now)}, nil
}

// Serve takes connections from l until ctx ends, then closes all and returns nil.
func (d *Door) Serve(ctx context.Context, l net.Listener) error {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			d.cfg.Logger.Warn("visitor not accepted", "err", err)
			select { // out of files, most likely
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			continue
		}
		from, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // zero is a source like any other
		leave, ok := d.count.enter(from.Addr())
		if !ok {
			hangUp(c)
			continue
		}
		wg.Go(func() {
			defer leave()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			d.receive(ctx, c, from)
		})
	}
}

// Refused is how many connections were turned away since the start.
func (d *Door) Refused() int {
	d.count.mu.Lock()
	defer d.count.mu.Unlock()
	return d.count.all
}

// hangUp closes without keeping anything of the connection in the kernel.
func hangUp(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0) // an ordinary close is as good
	}
	c.Close()
}

// receive hears whom a client wants and brings it there.
func (d *Door) receive(ctx context.Context, c net.Conn, from netip.AddrPort) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(d.cfg.Limits.Hello))
	h, err := readHello(c)
	if err != nil {
		d.count.rude(from.Addr())
		hangUp(c)
		return
	}
	if h.name == knockName {
		d.knocks.answer(ctx, replay(c, h.raw))
		return
	}
	route := d.cfg.Route(h.name)
	if !route.Known {
		d.count.rude(from.Addr())
		hangUp(c)
		return
	}
	c.SetDeadline(time.Time{})
	d.pass(ctx, c, from, h, route)
}
