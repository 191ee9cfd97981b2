package transport

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"redhen/provision/ident"
)

// What one directed link of a Mesh holds at most; further frames are lost.
const (
	meshFrames = 4096
	meshBytes  = 16 << 20
)

// Link is how one direction between two boxes behaves. The zero value is a perfect link.
type Link struct {
	Latency time.Duration
	// Jitter is added to Latency, uniform from zero; frames overtake each other then, streams never do.
	Jitter time.Duration
	// Loss and Duplicate are the parts (0 to 1) of the frames that are lost and that come twice. Streams lose nothing.
	Loss, Duplicate float64
}

// Traffic is what was sent over a link, lost frames included.
type Traffic struct{ Frames, FrameBytes, Streams, StreamBytes int64 }

// Mesh is a network in memory, for tests: in real time, or within a
// testing/synctest bubble when it is made there. What is lost, late or doubled on
// a link follows from the seed and the order of the calls on that link. Its goroutines
// end when nothing is under way.
type Mesh struct {
	seed uint64

	mu      sync.Mutex // guards all below and every endpoint's and link's fields
	usual   Link
	links   map[direction]*meshLink
	boxes   map[ident.BoxID]*endpoint
	group   map[ident.BoxID]int // of the partition; nil = none
	streams map[*meshPair]struct{}
	notice  time.Duration
	filter  func(from, to ident.BoxID, frame []byte) bool
	seq     uint64
}

type direction struct{ from, to ident.BoxID }

type meshLink struct {
	own     *Link // nil = the usual
	cut     bool
	rng     *rand.Rand
	frames  int // under way
	bytes   int
	traffic Traffic
}

// NewMesh makes a mesh of perfect links and no boxes.
func NewMesh(seed uint64) *Mesh {
	return &Mesh{
		seed:    seed,
		links:   make(map[direction]*meshLink),
		boxes:   make(map[ident.BoxID]*endpoint),
		streams: make(map[*meshPair]struct{}),
	}
}

// Join brings a box in and returns what it sees. A box that joins again begins anew,
// as after a restart: what it had before is as after Leave.
func (m *Mesh) Join(box ident.BoxID) Network {
	m.Leave(box)
	ctx, cancel := context.WithCancel(context.Background())
	e := &endpoint{
		mesh: m, id: box, ctx: ctx, cancel: cancel,
		handlers: make(map[string]streamHandler),
		wake:     make(chan struct{}, 1),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boxes[box] = e
	return e
}

// Leave takes a box out as if its plug were pulled: it hears and says nothing more,
// its streams break, its handlers' contexts end. The bandwidth, links and cuts stay.
func (m *Mesh) Leave(box ident.BoxID) {
	m.mu.Lock()
	e := m.boxes[box]
	if e == nil {
		m.mu.Unlock()
		return
	}
	delete(m.boxes, box)
	e.gone = true
	e.cancel()
	var hit []*meshPair
	for p := range m.streams {
		if p.near.box == e || p.far.box == e {
			hit = append(hit, p)
			delete(m.streams, p)
		}
	}
	notice := m.notice
	m.mu.Unlock()
	for _, p := range hit {
		p.lose(e, notice)
	}
}

// Close takes all boxes out.
func (m *Mesh) Close() {
	m.SetNotice(0)
	for _, box := range m.Boxes() {
		m.Leave(box)
	}
}

// Boxes lists the boxes that are in, in no order.
func (m *Mesh) Boxes() []ident.BoxID {
	m.mu.Lock()
	defer m.mu.Unlock()
	var boxes []ident.BoxID
	for box := range m.boxes {
		boxes = append(boxes, box)
	}
	return boxes
}

// SetLinks sets how every link behaves that SetLink has not set.
func (m *Mesh) SetLinks(l Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.usual = l
}

// SetLink sets how one direction behaves.
func (m *Mesh) SetLink(from, to ident.BoxID, l Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.link(from, to).own = &l
}

// SetUpload limits what a box that is in sends, to all others together, in bytes per second;
// zero is no limit. Frames queue behind streams as in a home router.
func (m *Mesh) SetUpload(box ident.BoxID, bytesPerSecond int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.boxes[box]; e != nil {
		e.upload, e.free = bytesPerSecond, time.Time{}
	}
}

// SetNotice sets after how long the ends of a stream learn that the link below was cut. Until
// then they wait, and go on if it is mended in time. Zero, the default: at once.
func (m *Mesh) SetNotice(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notice = d
}

// SetFilter names a function that is asked for every frame whether it may pass (nil: all may). It must not call the mesh.
func (m *Mesh) SetFilter(pass func(from, to ident.BoxID, frame []byte) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.filter = pass
}

// Cut cuts one direction: frames on the way are lost, and streams between
// the two boxes break, since no acknowledgement returns.
func (m *Mesh) Cut(from, to ident.BoxID) { m.change(func() { m.link(from, to).cut = true }) }

// Mend undoes Cut.
func (m *Mesh) Mend(from, to ident.BoxID) { m.change(func() { m.link(from, to).cut = false }) }

// Partition lets boxes talk only within a group; those that are named in none form one
// more. It replaces an earlier partition; cuts stay.
func (m *Mesh) Partition(groups ...[]ident.BoxID) {
	m.change(func() {
		m.group = make(map[ident.BoxID]int)
		for i, g := range groups {
			for _, box := range g {
				m.group[box] = i + 1
			}
		}
	})
}

// Heal ends the partition and mends every cut.
func (m *Mesh) Heal() {
	m.change(func() {
		m.group = nil
		for _, l := range m.links {
			l.cut = false
		}
	})
}

// Traffic returns what one direction has carried.
func (m *Mesh) Traffic(from, to ident.BoxID) Traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link(from, to).traffic
}

// change alters what is cut and lets the streams feel it.
func (m *Mesh) change(alter func()) {
	m.mu.Lock()
	alter()
	var cut, whole []*meshPair
	for p := range m.streams {
		if a, b := p.near.box.id, p.far.box.id; m.blocked(a, b) || m.blocked(b, a) {
			cut = append(cut, p)
		} else {
			whole = append(whole, p)
		}
	}
	notice := m.notice
	m.mu.Unlock()
	for _, p := range cut {
		p.stall(notice)
	}
	for _, p := range whole {
		p.resume()
	}
}

// The functions below are called with m.mu held.

func (m *Mesh) link(from, to ident.BoxID) *meshLink {
	d := direction{from, to}
	l := m.links[d]
	if l == nil {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s>%s", from, to)
		l = &meshLink{rng: rand.New(rand.NewPCG(m.seed, h.Sum64()))}
		m.links[d] = l
	}
	return l
}

func (m *Mesh) blocked(from, to ident.BoxID) bool {
	return m.group[from] != m.group[to] || m.link(from, to).cut
}

func (m *Mesh) behaviour(l *meshLink) Link {
	if l.own != nil {
		return *l.own
	}
	return m.usual
}

// arrival books n bytes on the sender's uplink and returns when they arrive.
func (m *Mesh) arrival(e *endpoint, l *meshLink, n int) time.Time {
	sent := time.Now()
	if e.upload > 0 {
		if e.free.After(sent) {
			sent = e.free
		}
		sent = sent.Add(time.Duration(n) * time.Second / time.Duration(e.upload))
		e.free = sent
	}
	b := m.behaviour(l)
	jitter := time.Duration(l.rng.Float64() * float64(b.Jitter))
	return sent.Add(b.Latency + jitter)
}

type streamHandler = func(context.Context, ident.BoxID, Stream)

// endpoint is the Network of one box of a Mesh. mesh.mu guards its fields.
type endpoint struct {
	mesh   *Mesh
	id     ident.BoxID
	ctx    context.Context // ends when the box leaves
	cancel context.CancelFunc

	gone     bool
	handlers map[string]streamHandler
	receive  func(ident.BoxID, []byte)
	upload   int64     // bytes per second
	free     time.Time // when the uplink has sent what is booked
	coming   deliveries
	running  bool // whether deliver runs
	wake     chan struct{}
}

var _ Network = (*endpoint)(nil)

// Send implements Network. A frame over MaxFrame is a bug of the caller: it panics.
func (e *endpoint) Send(to ident.BoxID, frame []byte) {
	if len(frame) > MaxFrame {
		panic(fmt.Sprintf("frame of %d bytes: limit %d", len(frame), MaxFrame))
	}
	m := e.mesh
	m.mu.Lock()
	defer m.mu.Unlock()
	dst, l := m.boxes[to], m.link(e.id, to)
	if e.gone || to == e.id {
		return
	}
	l.traffic.Frames++
	l.traffic.FrameBytes += int64(len(frame))
	b := m.behaviour(l)
	lost, twice := l.rng.Float64() < b.Loss, l.rng.Float64() < b.Duplicate
	if dst == nil || lost || m.blocked(e.id, to) || m.filter != nil && !m.filter(e.id, to, frame) {
		return
	}
	dst.expect(e, l, frame)
	if twice {
		dst.expect(e, l, frame)
	}
}

// expect books a frame for arrival. mesh.mu is held.
func (e *endpoint) expect(src *endpoint, l *meshLink, frame []byte) {
	if l.frames >= meshFrames || l.bytes+len(frame) > meshBytes {
		return
	}
	l.frames++
	l.bytes += len(frame)
	e.mesh.seq++
	due := e.mesh.arrival(src, l, len(frame))
	heap.Push(&e.coming, delivery{due, e.mesh.seq, src.id, l, bytes.Clone(frame)})
	if !e.running {
		e.running = true
		go e.deliver() // ends when nothing is coming
		return
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// deliver hands frames to the box as they fall due, until none is coming.
func (e *endpoint) deliver() {
	m := e.mesh
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(e.coming) > 0 && !e.gone {
		if wait := time.Until(e.coming[0].due); wait > 0 {
			m.mu.Unlock()
			e.sleep(wait)
			m.mu.Lock()
			continue
		}
		d := heap.Pop(&e.coming).(delivery)
		d.link.frames--
		d.link.bytes -= len(d.frame)
		if fn := e.receive; fn != nil && !m.blocked(d.from, e.id) {
			m.mu.Unlock()
			fn(d.from, d.frame)
			m.mu.Lock()
		}
	}
	for _, d := range e.coming { // lost with the box
		d.link.frames--
		d.link.bytes -= len(d.frame)
	}
	e.coming, e.running = nil, false
}

// sleep waits until a frame may be due.
func (e *endpoint) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.wake:
	case <-e.ctx.Done():
	}
}

// Receive implements Network. One goroutine calls fn for all senders.
func (e *endpoint) Receive(fn func(from ident.BoxID, frame []byte)) {
	e.mesh.mu.Lock()
	defer e.mesh.mu.Unlock()
	e.receive = fn
}

// Handle implements Network.
func (e *endpoint) Handle(service string, fn func(context.Context, ident.BoxID, Stream)) {
	e.mesh.mu.Lock()
	defer e.mesh.mu.Unlock()
	e.handlers[service] = fn
}

// Dial implements Network. It takes no time, as libp2p's streams over a standing
// connection; the handler begins one latency later.
func (e *endpoint) Dial(ctx context.Context, to ident.BoxID, service string) (Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := e.mesh
	m.mu.Lock()
	dst := m.boxes[to]
	if e.gone || dst == nil || to == e.id || m.blocked(e.id, to) || m.blocked(to, e.id) {
		notice := m.notice
		m.mu.Unlock()
		return nil, e.unreachable(ctx, to, notice)
	}
	defer m.mu.Unlock()
	fn := dst.handlers[service]
	if fn == nil {
		return nil, fmt.Errorf("dial %s at %s: %w", service, to.Short(), ErrNoService)
	}
	p := newMeshPair(e, dst)
	m.streams[p] = struct{}{}
	l := m.link(e.id, to)
	l.traffic.Streams++
	due := m.arrival(e, l, 0)
	go func() { // ends with fn, which ends with its stream or context
		dst.await(due)
		fn(dst.ctx, e.id, p.far)
		p.far.Close()
	}()
	return p.near, nil
}

// unreachable is how a dial fails: as late as a cut is noticed.
func (e *endpoint) unreachable(ctx context.Context, to ident.BoxID, notice time.Duration) error {
	timer := time.NewTimer(notice)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-e.ctx.Done():
	}
	return fmt.Errorf("dial %s: %w", to.Short(), ErrUnreachable)
}

// await waits for a point in time or the end of the box.
func (e *endpoint) await(t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
	}
}

type delivery struct {
	due   time.Time
	seq   uint64
	from  ident.BoxID
	link  *meshLink
	frame []byte
}

// deliveries is a heap, the next one first.
type deliveries []delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	if !d[i].due.Equal(d[j].due) {
		return d[i].due.Before(d[j].due)
	}
	return d[i].seq < d[j].seq
}
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }

// Push implements heap.Interface.
func (d *deliveries) Push(x any) { *d = append(*d, x.(delivery)) }

// Pop implements heap.Interface.
func (d *deliveries) Pop() any {
	old := *d
	last := old[len(old)-1]
	old[len(old)-1] = delivery{}
	*d = old[:len(old)-1]
	return last
}
