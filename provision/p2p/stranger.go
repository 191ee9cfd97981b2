package p2p

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"redhen/provision/ident"
)

const (
	tellAgain    = time.Hour // a box that keeps coming is logged so often
	maxStrangers = 256       // remembered
)

// strangers remembers whom we turned away, so that the log says it once.
type strangers struct {
	mu   sync.Mutex
	told map[ident.BoxID]time.Time
}

// news reports whether it is time to log that the box was turned away.
func (s *strangers) news(box ident.BoxID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.told[box]; ok && now.Sub(at) < tellAgain {
		return false
	}
	if s.told == nil || len(s.told) >= maxStrangers {
		s.told = map[ident.BoxID]time.Time{}
	}
	s.told[box] = now
	return true
}

// turnAway logs that a box wanted what it may not have.
func (h *Host) turnAway(box ident.BoxID, wanted string) {
	if h.strangers.news(box, time.Now()) {
		h.log.Info("stranger turned away", "box", box, "wanted", wanted)
	}
}

// Protocols returns the names of all that this box answers to, libp2p's own included.
func (h *Host) Protocols() []string {
	list := protocol.ConvertToStrings(h.h.Mux().Protocols())
	slices.Sort(list)
	return list
}
