package ingress

import (
	"net/netip"
	"sync"
	"time"

	"redhen/provision/ident"
)

// Flood is what a door turned away.
type Flood struct {
	Refused int // since the last time it was told
}

const (
	floodIs    = 200 // refusals within floodIn are told
	floodIn    = time.Minute
	floodAgain = time.Hour
	maxRude    = 32 // connections of one source that said nothing sensible, within floodIn
)

// count bounds what is open, and judges sources that only disturb.
type count struct {
	limits Limits
	now    func() time.Time
	told   func(Flood)

	mu      sync.Mutex // guards what follows
	open    int
	sources map[netip.Prefix]*source
	boxes   map[ident.BoxID]int
	since   time.Time // when refused began to be counted
	refused int
	last    time.Time // told
	all     int       // refused since the start
}

type source struct {
	open  int
	rude  int
	since time.Time // of rude
}

func newCount(cfg Config) *count {
	told := cfg.Flooded
	if told == nil {
		told = func(Flood) {}
	}
	return &count{limits: cfg.Limits, now: cfg.Now, told: told, sources: map[netip.Prefix]*source{}, boxes: map[ident.BoxID]int{}}
}

// sourceOf is a whole IPv4 address, or the /64 that one house has of IPv6.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}

// enter counts a connection in, until leave is called.
func (c *count) enter(from netip.Addr) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, p := c.now(), sourceOf(from)
	s := c.sources[p]
	if c.open >= c.limits.Open || s != nil && (s.open >= c.limits.PerSource || s.isRude(now)) {
		c.refuse(now)
		return nil, false
	}
	if s == nil {
		c.tidy(now)
		s = &source{}
		c.sources[p] = s
	}
	c.open++
	s.open++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open--
		s.open--
		if s.open == 0 && s.rude == 0 {
			delete(c.sources, p)
		}
	}, true
}

func (s *source) isRude(now time.Time) bool { return s.rude >= maxRude && now.Sub(s.since) < floodIn }

// tidy keeps the table of sources small. mu is held.
func (c *count) tidy(now time.Time) {
	if len(c.sources) < 4*c.limits.Open {
		return
	}
	for p, s := range c.sources {
		if s.open == 0 && (now.Sub(s.since) >= floodIn || len(c.sources) >= 8*c.limits.Open) {
			delete(c.sources, p)
		}
	}
}

// rude counts a connection that said nothing sensible.
func (c *count) rude(from netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	s := c.sources[sourceOf(from)]
	if s == nil {
		return
	}
	if now.Sub(s.since) >= floodIn {
		s.rude, s.since = 0, now
	}
	s.rude++
	c.refuse(now)
}

// refuse counts somebody turned away, and tells when they are many. mu is held.
func (c *count) refuse(now time.Time) {
	if now.Sub(c.since) >= floodIn && now.Sub(c.last) >= floodAgain {
		c.refused, c.since = 0, now
	}
	c.refused++
	c.all++
	if c.refused >= floodIs && (c.last.IsZero() || now.Sub(c.last) >= floodAgain) {
		f := Flood{c.refused}
		c.refused, c.since, c.last = 0, now, now
		go c.told(f) // it may ask the circle
	}
}

// pass counts a connection to a box, until leave is called.
func (c *count) pass(to ident.BoxID) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.boxes[to] >= c.limits.PerBox {
		return nil, false
	}
	c.boxes[to]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.boxes[to]--; c.boxes[to] == 0 {
			delete(c.boxes, to)
		}
	}, true
}

// habits remember which box served a source last, so that a person stays at one house.
type habits struct {
	now func() time.Time

	mu   sync.Mutex // guards what follows
	last map[netip.Prefix]habit
}

type habit struct {
	box ident.BoxID
	at  time.Time
}

const (
	habitLife = 30 * time.Minute
	maxHabits = 4096
)

func newHabits(now func() time.Time) *habits {
	return &habits{now: now, last: map[netip.Prefix]habit{}}
}

func (h *habits) of(from netip.Addr) ident.BoxID {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.last[sourceOf(from)]
	if h.now().Sub(one.at) > habitLife {
		return ""
	}
	return one.box
}

func (h *habits) note(from netip.Addr, box ident.BoxID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.last) >= maxHabits {
		for p, one := range h.last { // the old ones, or all
			if h.now().Sub(one.at) > habitLife || len(h.last) > maxHabits {
				delete(h.last, p)
			}
		}
		if len(h.last) >= maxHabits {
			clear(h.last)
		}
	}
	h.last[sourceOf(from)] = habit{box, h.now()}
}
