package p2p

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
)

const (
	settle       = 5 * time.Second        // before surplus connections are closed
	lookAgain    = 10 * time.Second       // at a link that is well
	firstUpgrade = 300 * time.Millisecond // before we punch ourselves
)

// State says how a box is reached.
type State int

const (
	None    State = iota // not connected
	Relayed              // through another member
	Direct               // without one
)

// String returns one word.
func (s State) String() string {
	return [...]string{"none", "relayed", "direct"}[s]
}

// Member is a box of the circle.
type Member struct {
	Box  ident.BoxID
	Name string // for logs
}

// Link says how a member is reached at this moment.
type Link struct {
	Box   ident.BoxID
	State State
	Via   ident.BoxID   // the relaying member, while Relayed
	Since time.Time     // when the connection began, or when it was lost; zero = never connected
	RTT   time.Duration // smoothed; 0 = not measured
	Addr  string        // the other end, as a multiaddr
}

// link tends the connections with one member. Only its goroutine touches the
// fields without a lock.
type link struct {
	box    ident.BoxID
	name   string
	peer   peer.ID
	nudged chan struct{} // capacity 1
	stop   context.CancelFunc

	state    State                 // last seen by report
	fails    int                   // dials in a row that failed, or whose connection was brief
	up       time.Time             // when it was connected last
	tried    time.Time             // last dial
	next     time.Time             // next dial
	upgrades int                   // tries in a row to leave the relay
	upgrade  time.Time             // next such try
	quic     time.Time             // next try to leave TCP
	quics    int                   // such tries in all
	reserve  time.Time             // next try to reserve
	sent     map[ident.BoxID]int64 // newest records that arrived there over conn
	conn     network.Conn          // to which sent belongs
	told     time.Time             // last try to send records

	news  atomic.Bool        // there is a new way to try: no waiting
	lost  time.Time          // guarded by Host.mu
	abort context.CancelFunc // ends a dial under way; guarded by Host.mu
}

// SetMembers tells who belongs to the circle: the active boxes of the roster, this
// one included or not. Others are disconnected at once, and links to new ones begun.
func (h *Host) SetMembers(members []Member) error {
	if len(members) > MaxMembers {
		return fmt.Errorf("set members: %d boxes: more than %d", len(members), MaxMembers)
	}
	ids := make([]ident.BoxID, 0, len(members))
	for _, m := range members {
		if _, err := ident.ParseBoxID(string(m.Box)); err != nil {
			return fmt.Errorf("set members: %q: %w", m.Box, err)
		}
		ids = append(ids, m.Box)
	}
	gone, fresh := h.guests.set(ids)
	h.mu.Lock()
	for _, b := range gone {
		if l := h.links[b]; l != nil && l.stop != nil {
			l.stop()
		}
		delete(h.links, b)
		delete(h.relays, b)
	}
	for _, m := range members {
		if slices.Contains(fresh, m.Box) {
			p, _ := peer.Decode(string(m.Box)) // was parsed above
			delete(h.rung.need, m.Box)
			h.links[m.Box] = &link{box: m.Box, name: m.Name, peer: p, nudged: make(chan struct{}, 1)}
		}
	}
	h.mu.Unlock()
	h.book.Keep(func(b ident.BoxID) bool { return h.guests.known(b) || h.guests.hasLeft(b) })
	h.sweep()
	if len(gone)+len(fresh) > 0 {
		poke(h.reconcile)
		poke(h.rung.news)
		h.change()
	}
	return nil
}

// SetDeparted tells which boxes left the circle and may come home: they may connect,
// but use nothing that is not for Departed. They are dialled by Visit alone.
func (h *Host) SetDeparted(boxes []ident.BoxID) error {
	if len(boxes) > MaxDeparted {
		return fmt.Errorf("set departed: %d boxes: more than %d", len(boxes), MaxDeparted)
	}
	h.guests.setDeparted(boxes)
	h.sweep()
	return nil
}

// MaxDeparted bounds the boxes that SetDeparted takes.
const MaxDeparted = 1024

// sweep closes the connections of those who may not stay.
func (h *Host) sweep() {
	for _, c := range h.h.Network().Conns() {
		if !h.guests.mayStay(boxID(c.RemotePeer())) {
			c.Close()
		}
	}
}

// supervise runs one goroutine per link until ctx ends.
func (h *Host) supervise(ctx context.Context, wg *sync.WaitGroup) {
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	for {
		h.mu.Lock()
		for _, l := range h.links {
			if l.stop == nil {
				linkCtx, stop := context.WithCancel(ctx)
				l.stop = stop
				wg.Go(func() { h.tendLink(linkCtx, wg, l) })
			}
		}
		h.mu.Unlock()
		h.nudgeAll()
		select {
		case <-ctx.Done():
			return
		case <-h.reconcile:
		case <-t.C:
			h.sweep() // doors close by themselves
		}
	}
}

// nudge has the link of a box looked at.
func (h *Host) nudge(box ident.BoxID) {
	h.mu.Lock()
	l := h.links[box]
	h.mu.Unlock()
	if l != nil {
		poke(l.nudged)
	}
}

// newWay has a box that is not reached directly dialled without delay. A dial on the
// old ways gets a moment to succeed, and is then ended for one on all.
func (h *Host) newWay(box ident.BoxID) {
	h.mu.Lock()
	l := h.links[box]
	if l != nil && l.abort != nil {
		time.AfterFunc(newWayGrace, l.abort)
	}
	h.mu.Unlock()
	if l != nil {
		l.news.Store(true)
		poke(l.nudged)
	}
}

// nudgeAll has all links looked at.
func (h *Host) nudgeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.links {
		poke(l.nudged)
	}
}

// tendLink looks at the link whenever something happened or was due, until ctx ends.
func (h *Host) tendLink(ctx context.Context, wg *sync.WaitGroup, l *link) {
	defer l.stop()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-l.nudged:
		}
		for _, c := range h.h.Network().ConnsToPeer(l.peer) {
			h.watchConn(ctx, wg, c)
		}
		t.Reset(h.tend(ctx, l))
	}
}

// tend does what the link needs now and returns when to look again.
func (h *Host) tend(ctx context.Context, l *link) time.Duration {
	state, conns := h.stateOf(l.peer)
	h.report(l, state)
	switch state {
	case None:
		return h.redial(ctx, l)
	case Relayed:
		l.steady()
		h.oneRelayed(l, conns)
		return min(h.gossip(ctx, l, conns[0]), h.leaveRelay(ctx, l, conns))
	default:
		l.steady()
		l.upgrades = 0
		h.prune(l, conns)
		h.leaveTCP(ctx, l, conns)
		h.reserveAt(ctx, l)
		return h.gossip(ctx, l, conns[0])
	}
}

// newRelay has everybody who is not reached dialled through a member that now is.
func (h *Host) newRelay(relay ident.BoxID) {
	for _, l := range h.Links() {
		if l.State == None && l.Box != relay {
			h.newWay(l.Box)
		}
	}
}

// stateOf returns how the peer is connected, and the connections of that kind first.
// Those through strangers do not count.
func (h *Host) stateOf(p peer.ID) (State, []network.Conn) {
	conns := slices.DeleteFunc(h.h.Network().ConnsToPeer(p), func(c network.Conn) bool { return c.IsClosed() || c.Stat().Limited })
	if len(conns) == 0 {
		return None, nil
	}
	slices.SortStableFunc(conns, func(a, b network.Conn) int { return order(isDirect(a), isDirect(b)) })
	if isDirect(conns[0]) {
		return Direct, conns
	}
	return Relayed, conns
}

// order puts true before false.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// report logs a change of state once.
func (h *Host) report(l *link, state State) {
	if state == l.state {
		return
	}
	h.log.Info("link", "box", l.box.Short(), "name", l.name, "state", state.String())
	if l.state == None {
		l.up = time.Now()
	}
	l.state = state
	l.upgrade = time.Now().Add(firstUpgrade) // libp2p punches by itself first
	if state == Direct {
		poke(h.outside)
		h.newRelay(l.box)
		return
	}
	l.next = time.Time{}
	if state == None && time.Since(l.up) < brief {
		l.failed() // the other side hangs up: it must not be called without a pause
	}
	h.mu.Lock()
	if state == None {
		l.lost = time.Now()
	}
	delete(h.relays, l.box)
	h.mu.Unlock()
	l.reserve = time.Time{}
	poke(h.republish)
}

// Links returns how each member is reached, sorted by name of the box.
func (h *Host) Links() []Link {
	h.mu.Lock()
	links := make([]*link, 0, len(h.links))
	for _, l := range h.links {
		links = append(links, l)
	}
	h.mu.Unlock()
	out := make([]Link, 0, len(links))
	for _, l := range links {
		out = append(out, h.describe(l))
	}
	slices.SortFunc(out, func(a, b Link) int { return strings.Compare(string(a.Box), string(b.Box)) })
	return out
}

func (h *Host) describe(l *link) Link {
	state, conns := h.stateOf(l.peer)
	out := Link{Box: l.box, State: state}
	h.mu.Lock()
	defer h.mu.Unlock()
	if state == None {
		out.Since = l.lost
		return out
	}
	c := conns[0]
	out.Since, out.Addr = c.Stat().Opened, c.RemoteMultiaddr().String()
	if st := h.conns[c]; st != nil {
		out.RTT = st.rtt
	}
	if state == Relayed {
		if via, err := c.RemoteMultiaddr().ValueForProtocol(ma.P_P2P); err == nil {
			out.Via = ident.BoxID(via)
		}
	}
	return out
}
