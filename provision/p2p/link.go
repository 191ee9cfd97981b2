package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

const (
	bookProtocol = "/redhen/book/1"

	dialTimeout   = 10 * time.Second
	minRedial     = time.Second      // between two tries, whatever happens
	maxRedial     = 15 * time.Second // between two tries at a box that is off
	settle        = 5 * time.Second  // before surplus connections are closed
	maxUpgrade    = 5 * time.Minute  // between two tries to leave a relay
	reserveAgain  = 20 * time.Minute // reservations last an hour
	lookAgain     = 10 * time.Second // at a link that is well
	maxDialRelays = 4                // relays tried at once
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

	fails    int                   // dials in a row
	tried    time.Time             // last dial
	sent     map[ident.BoxID]int64 // newest records that arrived there over conn
	conn     network.Conn          // to which sent belongs
	told     time.Time             // last try to send records
	reserve  time.Time             // next try to reserve
	upgrade  time.Time             // next try to leave the relay
	upgrades int
	state    State // last seen by report

	lost time.Time // guarded by Host.mu
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
			h.links[m.Box] = &link{box: m.Box, name: m.Name, peer: p, nudged: make(chan struct{}, 1)}
		}
	}
	h.mu.Unlock()
	h.book.keep(h.guests.known)
	h.sweep()
	if len(gone)+len(fresh) > 0 {
		poke(h.reconcile)
		h.change()
	}
	return nil
}

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

func (h *Host) nudge(box ident.BoxID) {
	h.mu.Lock()
	l := h.links[box]
	h.mu.Unlock()
	if l != nil {
		poke(l.nudged)
	}
}

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
		l.fails = 0
		return min(h.gossip(ctx, l, conns[0]), h.leaveRelay(ctx, l, conns))
	default:
		l.fails, l.upgrades = 0, 0
		h.prune(l, conns)
		h.reserveAt(ctx, l)
		return h.gossip(ctx, l, conns[0])
	}
}

// stateOf returns how the peer is connected, and the connections of that kind first.
func (h *Host) stateOf(p peer.ID) (State, []network.Conn) {
	conns := slices.DeleteFunc(h.h.Network().ConnsToPeer(p), network.Conn.IsClosed)
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
	l.state = state
	l.upgrade = time.Now().Add(settle) // libp2p punches by itself first
	if state == Direct {
		return
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

// redial tries all ways at once, and returns how long to wait after that: longer
// and longer, unless something nudges.
func (h *Host) redial(ctx context.Context, l *link) time.Duration {
	if wait := minRedial - time.Since(l.tried); wait > 0 {
		return wait
	}
	l.tried = time.Now()
	addrs := h.dialAddrs(l.box)
	if len(addrs) == 0 {
		return maxRedial
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	err := h.dial(dialing, l.peer, addrs)
	cancel()
	if err == nil {
		return 0
	}
	if l.fails == 0 {
		h.log.Debug("not reached", "box", l.box.Short(), "err", err)
	}
	wait := min(minRedial<<min(l.fails, 4), maxRedial)
	l.fails++
	return wait + rand.N(wait/4) // both sides must not dial in step for ever
}

// dialAddrs returns every way to a box: where it says it is, where we heard it
// is, and the members that may relay.
func (h *Host) dialAddrs(box ident.BoxID) []ma.Multiaddr {
	var out []ma.Multiaddr
	own := h.Addrs()
	for _, a := range h.AddrsOf(box) {
		if !slices.Contains(own, a) { // somebody else had that address before
			out = append(out, h.transportAddrs(a)...)
		}
	}
	for _, r := range h.dialRelays(box) {
		out = append(out, ma.StringCast("/p2p/"+string(r)+"/p2p-circuit"))
	}
	return out
}

// dialRelays returns members with a direct link, those that box names first.
func (h *Host) dialRelays(box ident.BoxID) []ident.BoxID {
	named := h.book.relays(box)
	var out []ident.BoxID
	for _, l := range h.Links() {
		if l.State == Direct && l.Box != box {
			out = append(out, l.Box)
		}
	}
	slices.SortStableFunc(out, func(a, b ident.BoxID) int {
		return order(slices.Contains(named, a), slices.Contains(named, b))
	})
	return out[:min(len(out), maxDialRelays)]
}

// dial connects, and leaves no guess about the peer's addresses behind.
func (h *Host) dial(ctx context.Context, p peer.ID, addrs []ma.Multiaddr) error {
	if n, ok := h.h.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		n.Backoff().Clear(p) // up to 5 minutes per address; we have our own
	}
	h.h.Peerstore().ClearAddrs(p)
	err := h.h.Connect(ctx, peer.AddrInfo{ID: p, Addrs: addrs})
	if state, _ := h.stateOf(p); state != Direct {
		h.h.Peerstore().ClearAddrs(p)
	}
	return err
}

// leaveRelay tries from time to time to get a direct connection beside a relayed one.
func (h *Host) leaveRelay(ctx context.Context, l *link, conns []network.Conn) time.Duration {
	if wait := time.Until(l.upgrade); wait > 0 {
		return wait
	}
	straight := slices.DeleteFunc(h.dialAddrs(l.box), func(a ma.Multiaddr) bool { return !addrPort(a).IsValid() })
	if len(straight) > 0 {
		dialing, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "leave the relay"), directDialTimeout)
		h.dial(dialing, l.peer, straight)
		cancel()
	}
	if state, _ := h.stateOf(l.peer); state == Relayed && conns[0].Stat().Direction == network.DirInbound && h.punches() {
		// Only the side that was called may ask for a punch (DCUtR).
		if err := h.punch.DirectConnect(l.peer); err != nil {
			h.log.Debug("no direct way", "box", l.box.Short(), "err", err)
		}
	}
	wait := min(settle<<min(l.upgrades, 8), maxUpgrade)
	l.upgrades++
	l.upgrade = time.Now().Add(wait)
	return wait
}

// punches reports whether the hole punching service has found a public address of
// ours and serves; before that DirectConnect would wait for it without end.
func (h *Host) punches() bool {
	return slices.Contains(h.h.Mux().Protocols(), holepunch.Protocol)
}

// prune closes what a settled direct link does not need: relayed connections, and
// all but one direct one. Only the box with the smaller name chooses among direct
// ones, lest both hang up. Streams on a closed one end; their owners open them
// again on the one that stays.
func (h *Host) prune(l *link, conns []network.Conn) {
	direct := slices.DeleteFunc(slices.Clone(conns), func(c network.Conn) bool { return !isDirect(c) })
	for _, c := range direct {
		if time.Since(c.Stat().Opened) < settle {
			return
		}
	}
	for _, c := range conns[len(direct):] {
		c.Close()
	}
	if h.self > l.box {
		return
	}
	best := slices.MaxFunc(direct, func(a, b network.Conn) int { return len(a.GetStreams()) - len(b.GetStreams()) })
	for _, c := range direct {
		if c != best {
			c.Close()
		}
	}
}

// reserveAt keeps a reservation at a directly connected member, so that others
// reach us through it.
func (h *Host) reserveAt(ctx context.Context, l *link) {
	h.mu.Lock()
	_, have := h.relays[l.box]
	full := !have && len(h.relays) >= maxRelays
	h.mu.Unlock()
	if full || time.Now().Before(l.reserve) {
		return
	}
	asking, cancel := context.WithTimeout(network.WithNoDial(ctx, "reserve"), dialTimeout)
	defer cancel()
	res, err := client.Reserve(asking, h.h, peer.AddrInfo{ID: l.peer})
	if err != nil {
		// It may not know us as a member yet.
		l.reserve = time.Now().Add(settle)
		h.mu.Lock()
		delete(h.relays, l.box)
		h.mu.Unlock()
		return
	}
	l.reserve = time.Now().Add(reserveAgain)
	h.mu.Lock()
	h.relays[l.box] = res.Expiration
	h.mu.Unlock()
	poke(h.republish)
}

// gossip sends the records that the other end lacks, and returns when to look again.
func (h *Host) gossip(ctx context.Context, l *link, c network.Conn) time.Duration {
	if l.conn != c {
		l.conn, l.sent, l.told = c, nil, time.Time{}
	}
	records, next := h.book.unsent(l.sent)
	if len(records) == 0 {
		return lookAgain
	}
	if wait := minRedial - time.Since(l.told); wait > 0 {
		return wait
	}
	l.told = time.Now()
	if err := h.sendBook(ctx, l.box, records); err != nil {
		return settle // not a member there yet, or a bad path, which beats find out
	}
	l.sent = next
	return lookAgain
}

// sendBook returns nil once the other end has taken the records.
func (h *Host) sendBook(ctx context.Context, to ident.BoxID, records [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	s, err := h.Open(ctx, to, bookProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(dialTimeout))
	if err := wire.Write(s, records); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("records not taken: %w", err)
	}
	return nil
}

// receiveBook takes records and passes news on.
func (h *Host) receiveBook(_ context.Context, from ident.BoxID, s Stream) {
	s.SetDeadline(time.Now().Add(dialTimeout))
	var records [][]byte
	if err := wire.Read(s, maxBook, &records); err != nil {
		s.Reset()
		return
	}
	news := false
	for _, raw := range records[:min(len(records), 2*MaxMembers)] {
		box, fresh, err := h.book.put(raw, h.guests.member)
		if err != nil {
			h.log.Warn("address record refused", "box", from.Short(), "err", err)
			s.Reset()
			return
		}
		if fresh {
			news = true
			h.nudge(box)
		}
	}
	if news {
		h.nudgeAll()
		h.change()
	}
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

// Target is a box that we are not in a circle with (yet), and the ways to it.
type Target struct {
	Box   ident.BoxID
	Addrs []netip.AddrPort
	Relay ident.BoxID    // "" = none
	At    netip.AddrPort // where Relay is
}

// Connect dials a box that is no member, to pair with it. Until Leave, it and its
// relay may connect to us, and open streams of protocols for Anyone.
func (h *Host) Connect(ctx context.Context, to Target) error {
	p, err := peer.Decode(string(to.Box))
	if err != nil {
		return fmt.Errorf("connect to %q: %w", to.Box, ident.ErrBadBoxID)
	}
	h.guests.addPartner(to.Box)
	var addrs []ma.Multiaddr
	for _, a := range to.Addrs {
		addrs = append(addrs, h.transportAddrs(a)...)
	}
	if to.Relay != "" && to.At.IsValid() {
		h.guests.addPartner(to.Relay)
		circuit, err := ma.NewMultiaddr("/p2p/" + string(to.Relay) + "/p2p-circuit")
		if err != nil {
			return fmt.Errorf("connect through %q: %w", to.Relay, ident.ErrBadBoxID)
		}
		for _, a := range h.transportAddrs(to.At) {
			addrs = append(addrs, a.Encapsulate(circuit))
		}
	}
	if len(addrs) == 0 {
		return fmt.Errorf("connect to %s: %w", to.Box.Short(), ErrNoLink)
	}
	if err := h.dial(ctx, p, addrs); err != nil {
		return fmt.Errorf("connect to %s: %w", to.Box.Short(), err)
	}
	if state, _ := h.stateOf(p); state == None {
		return fmt.Errorf("connect to %s: refused there: %w", to.Box.Short(), ErrNoLink)
	}
	return nil
}

// Leave ends what Connect began, except with boxes that have become members.
func (h *Host) Leave(to Target) {
	for _, b := range []ident.BoxID{to.Box, to.Relay} {
		h.guests.dropPartner(b)
	}
	h.sweep()
}

// OpenDoor lets strangers connect until the time, for protocols that are for
// Anyone, here and through members that relay to us. A later call replaces it.
func (h *Host) OpenDoor(until time.Time) {
	h.guests.setDoor(until)
	poke(h.republish)
}

// CloseDoor shuts strangers out again.
func (h *Host) CloseDoor() {
	h.guests.setDoor(time.Time{})
	h.sweep()
	poke(h.republish)
}
