package p2p

import "time"

// MaxDead is the longest for which a host plays dead.
const MaxDead = 2 * time.Minute

// PlayDead closes all links and refuses every box, member or not, for d, at most
// MaxDead: to the others it is as if the house had burned. It ends by itself and
// with the program, since nothing of it is kept; the links are then made again.
func (h *Host) PlayDead(d time.Duration) {
	d = min(d, MaxDead)
	h.log.Info("plays dead", "for", d)
	h.guests.playDead(time.Now().Add(d))
	h.sweep()
	time.AfterFunc(d, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, l := range h.links {
			l.news.Store(true) // it is dialled without delay
			poke(l.nudged)
		}
	})
}

func (g *guests) playDead(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = until
}

// playsDead reports whether nobody at all is let in, or called.
func (g *guests) playsDead() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.dead)
}
