package status

import (
	"strings"
	"time"

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

// way is one row of the table of ways; {house}, {via} and {here} stand for names.
type way struct {
	code    WayCode
	why, do string
}

const openThePort = "At the router of {house}, switch on “UPnP”, or have it pass the port 4717 (TCP and UDP) to the box."

// ways holds the words of all ways.
func ways() []way {
	return []way{
		{WayOpen, "{house} can be called from the internet.", ""},
		{WayUntried, "No other house has tried yet whether {house} can be called from the internet.", ""},
		{WayRouterSilent, "The router of {house} lets nobody in from the internet.", openThePort},
		{WayRouterRefuses, "The router of {house} refuses to let the box be called from the internet.",
			"At the router of {house}, allow the box to open ports (“UPnP”, “port sharing”), or have it pass the port 4717 (TCP and UDP) to the box."},
		{WayCarrier, "The internet provider of {house} shares one address among many homes, so nobody can call it.",
			"Ask the provider for an address of your own (“public IPv4”, or IPv6), or open the port of another house."},
		{WayFiltered, "{house} has an address on the internet, but something on the way lets nobody in.",
			"At the router of {house}, see that the firewall lets the port 4717 (TCP and UDP) through to the box."},
		{WayUDP, "The network of {house} lets only TCP out, no UDP.",
			"Ask whoever looks after that network to let UDP out."},
		{WayDirect, "", ""},
		{WayStrict, "The routers of {here} and {house} let no direct way be found, so {via} passes everything on. It can read nothing of it.",
			"In one of the two houses, switch on “UPnP” at the router, or have it pass the port 4717 (TCP and UDP) to the box."},
		{WaySearching, "{via} passes everything on, while the boxes look for a direct way. It can read nothing of it.", ""},
		{WayClock, "The clock of this box is behind by {slow}, and boxes do not trust each other then.",
			"See that this box has internet, by which it sets its clock; or set the clock."},
		{WayAlone, "No other house is in reach, so it is probably the internet of {here}.",
			"See whether the internet works in {here}."},
		{WayNobody, "No house in reach can be called from the internet, so {house} may not find the way back.",
			"In one house, switch on “UPnP” at the router, or have it pass the port 4717 (TCP and UDP) to the box."},
		{WayOff, "It does not answer where it was last.",
			"If power or internet is off there, wait."},
	}
}

// clockSlow is how far the own clock may be behind others' before it is the reason.
const clockSlow = 10 * time.Minute

// explainWays fills in the ways of the houses.
func (t *tally) explainWays(houses []House) {
	here := "this house"
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
		h.Way = wayWords(code, strings.NewReplacer(
			"{house}", house, "{here}", here, "{via}", orElse(h.Reached.Via, "another house"), "{slow}", spell(t.f.Outlook.Slow)))
	}
}

func wayWords(code WayCode, names *strings.Replacer) Way {
	for _, w := range ways() {
		if w.code == code {
			return Way{Code: code, Why: capital(names.Replace(w.why)), Do: capital(names.Replace(w.do))}
		}
	}
	return Way{Code: code}
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
