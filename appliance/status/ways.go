package status

import (
	"time"

	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
)

// WayCode names why a house is reached as it is. The texts are shown by --json and
// never change.
type WayCode string

// The ways.
const (
	WayOpen          WayCode = "open"           // can be called from the internet
	WayUntried       WayCode = "untried"        // nobody outside has tried yet
	WayRouterSilent  WayCode = "router-silent"  // lets nobody in, and cannot be asked
	WayRouterRefuses WayCode = "router-refuses" // was asked and refused
	WayCarrier       WayCode = "carrier"        // the provider shares one address among many
	WayFiltered      WayCode = "filtered"       // its own address, and nobody gets in
	WayUDP           WayCode = "udp-blocked"    // only TCP gets out
	WayDirect        WayCode = "direct"
	WayStrict        WayCode = "strict"  // relayed, since the routers let no direct way be found
	WaySearching     WayCode = "relayed" // relayed, and a direct way is still looked for
	WayClock         WayCode = "clock"   // away: our clock is wrong
	WayAlone         WayCode = "alone"   // away, like everybody
	WayNobody        WayCode = "nobody-outside"
	WayOff           WayCode = "silent" // away, though it could be called
)

// Way says why a house is reached as it is.
type Way struct {
	Code WayCode `json:"code"`
	// Why is a sentence; empty where there is nothing to explain.
	Why string `json:"why,omitempty"`
	// Do is the one thing that would help; empty where nothing needs to.
	Do string `json:"do,omitempty"`
}

// clockSlow is how far the own clock may be behind others' before it is the reason.
const clockSlow = 10 * time.Minute

// explainWays fills in the ways of the houses.
func (t *tally) explainWays(houses []House) {
	here := t.f.Words.Say("reached.here")
	for _, h := range houses {
		if h.Here {
			here = h.Name
		}
	}
	for i := range houses {
		h := &houses[i]
		code, house := t.whyOf(*h, len(houses)), h.Name
		if code == WayUDP && t.wallOf(*h) != addrbook.WallUDP {
			house = here // it is our network that lets none out
		}
		h.Way = wayWords(t.f.Words, code, "house", house, "here", here, "via", orElse(h.Reached.Via, t.f.Words.Say("another-house")), "slow", t.f.Words.Span(t.f.Outlook.Slow))
	}
}

// wayWords says a way in words, "way.CODE" and "way.CODE.do"; a direct one needs none.
func wayWords(w *words.Words, code WayCode, pairs ...any) Way {
	say := func(key string) string {
		if !w.Has(key) {
			return ""
		}
		return words.Capital(w.Say(key, pairs...))
	}
	return Way{Code: code, Why: say("way." + string(code)), Do: say("way." + string(code) + ".do")}
}

// whyOf finds the reason for how a house is reached.
func (t *tally) whyOf(h House, houses int) WayCode {
	switch h.Reached.How {
	case Here:
		return wallWay(t.f.Outlook.Wall)
	case Direct, Unknown:
		return WayDirect
	case Through:
		return t.whyRelayed(h)
	}
	switch {
	case t.f.Outlook.Slow > clockSlow:
		return WayClock
	case houses > 2 && len(t.awayHouses()) == houses-1:
		return WayAlone
	case !t.f.Outside && t.wallOf(h) != addrbook.WallNone:
		return WayNobody
	}
	return WayOff
}

// whyRelayed finds what keeps two boxes from a direct way.
func (t *tally) whyRelayed(h House) WayCode {
	ours, theirs := t.f.Outlook.Wall, t.wallOf(h)
	switch {
	case ours == addrbook.WallUDP || theirs == addrbook.WallUDP:
		return WayUDP
	case ours != addrbook.WallNone && theirs != addrbook.WallNone && t.f.Now.Sub(h.Reached.Since) > time.Minute:
		return WayStrict
	}
	return WaySearching
}

// wallOf is the lowest wall of the house's boxes.
func (t *tally) wallOf(h House) addrbook.Wall {
	wall := addrbook.WallUnknown
	for _, b := range h.Boxes {
		if w := t.wall(b.ID); w == addrbook.WallNone || wall == addrbook.WallUnknown {
			wall = w
		}
	}
	return wall
}

func (t *tally) wall(box ident.BoxID) addrbook.Wall { return t.f.Walls[box] }

func wallWay(w addrbook.Wall) WayCode {
	switch w {
	case addrbook.WallNone:
		return WayOpen
	case addrbook.WallSilent:
		return WayRouterSilent
	case addrbook.WallRefused:
		return WayRouterRefuses
	case addrbook.WallCarrier:
		return WayCarrier
	case addrbook.WallFiltered:
		return WayFiltered
	case addrbook.WallUDP:
		return WayUDP
	}
	return WayUntried
}
