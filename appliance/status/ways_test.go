package status

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
)

func relayed(f Facts, n int, since time.Duration) Facts {
	f.Links[n-2] = p2p.Link{Box: boxID(n), State: p2p.Relayed, Via: boxID(3), Since: noon.Add(-since)}
	return f
}

func behindWalls(f Facts, here, there addrbook.Wall) Facts {
	f.Outlook.Wall = here
	f.Walls = map[ident.BoxID]addrbook.Wall{boxID(1): here, boxID(2): there, boxID(3): addrbook.WallNone}
	return f
}

func TestStrangersInWords(t *testing.T) {
	relay := addrbook.Rented{Box: boxID(9), At: netip.MustParseAddrPort("8.0.0.1:4717")}
	for want, f := range map[string]Facts{
		"":                           {StrangersOn: true, Outside: true},
		"computers of strangers":     {StrangersOn: true, StrangersUsed: true},
		"strangers may not help":     {},
		"A rented relay at 8.0.0.1:": {Relays: []addrbook.Rented{relay}, Outside: true},
	} {
		got := strangersWords(f)
		if got.Allowed != f.StrangersOn || !strings.Contains(got.Words, want) || want == "" && got.Words != "" {
			t.Errorf("%+v: %+v", f, got)
		}
	}
}

// Rule: every way has words, none of which a person would not say, and every house of
// every scene gets the way that is meant.
func TestWaysInWords(t *testing.T) {
	nobody := behindWalls(away(whole(3), 2), addrbook.WallSilent, addrbook.WallSilent)
	nobody.Outside = false
	slow := away(whole(3), 2)
	slow.Outlook.Slow = 3 * time.Hour
	scenes := []struct {
		want  WayCode
		house string
		facts Facts
	}{
		{WayOpen, "Oak Street", behindWalls(whole(3), addrbook.WallNone, 0)},
		{WayUntried, "Oak Street", behindWalls(whole(3), addrbook.WallUnknown, 0)},
		{WayRouterSilent, "Oak Street", behindWalls(whole(3), addrbook.WallSilent, 0)},
		{WayRouterRefuses, "Oak Street", behindWalls(whole(3), addrbook.WallRefused, 0)},
		{WayCarrier, "Oak Street", behindWalls(whole(3), addrbook.WallCarrier, 0)},
		{WayFiltered, "Oak Street", behindWalls(whole(3), addrbook.WallFiltered, 0)},
		{WayUDP, "Oak Street", behindWalls(whole(3), addrbook.WallUDP, 0)},
		{WayDirect, "Mill Lane", behindWalls(whole(3), addrbook.WallSilent, addrbook.WallSilent)},
		{WayUDP, "Mill Lane", behindWalls(relayed(whole(3), 2, time.Hour), addrbook.WallSilent, addrbook.WallUDP)},
		{WayStrict, "Mill Lane", behindWalls(relayed(whole(3), 2, time.Hour), addrbook.WallSilent, addrbook.WallCarrier)},
		{WaySearching, "Mill Lane", behindWalls(relayed(whole(3), 2, time.Second), addrbook.WallSilent, addrbook.WallSilent)},
		{WaySearching, "Mill Lane", behindWalls(relayed(whole(3), 2, time.Hour), addrbook.WallNone, addrbook.WallSilent)},
		{WayClock, "Mill Lane", slow},
		{WayAlone, "Mill Lane", away(away(whole(3), 3), 2)},
		{WayNobody, "Mill Lane", nobody},
		{WayOff, "Mill Lane", behindWalls(away(whole(3), 2), addrbook.WallNone, addrbook.WallSilent)},
		{WayOff, "Mill Lane", away(whole(2), 2)},
	}
	var got strings.Builder
	told := map[WayCode]bool{}
	for _, s := range scenes {
		for _, h := range Build(s.facts).Houses {
			if h.Name != s.house {
				continue
			}
			if h.Way.Code != s.want {
				t.Errorf("%s %s: %s, want %s", s.house, h.Reached.Words, h.Way.Code, s.want)
			}
			told[h.Way.Code] = true
			fmt.Fprintf(&got, "%s: %s\n%s\nWhat would help: %s\n\n", h.Way.Code, h.Reached.Words, h.Way.Why, h.Way.Do)
		}
	}
	for key := range words.English().Keys() {
		code, ok := strings.CutPrefix(key, "way.")
		if ok && !told[WayCode(strings.TrimSuffix(code, ".do"))] {
			t.Errorf("no scene for %s", code)
		}
	}
	for _, word := range []string{"node", "quorum", "raft", "shard", "replica", "term", "peer", "{", "}"} {
		for text := range strings.FieldsSeq(got.String()) {
			if strings.Trim(text, ".,“”()") == word || strings.Contains(text, "{") {
				t.Errorf("people do not say %q", text)
			}
		}
	}
	golden(t, "ways.golden", got.String())
}
