package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
)

// A person reads why a house is not reached better, and what would help.
func TestDoctorSaysWhatWouldHelp(t *testing.T) {
	at := time.Date(2026, 11, 12, 14, 2, 0, 0, time.Local)
	f := findings{
		Box: api.Box{Claimed: true, Port: 4717, Pages: "127.0.0.1:8080", Addresses: []netip.AddrPort{
			netip.MustParseAddrPort("192.168.1.5:4717"), netip.MustParseAddrPort("93.184.216.34:4717")}},
		Houses: []status.House{
			{Name: "Mill Lane", Here: true, Reached: status.Reached{How: status.Here, Words: "this house"},
				Way: status.Way{Why: "Its router lets nobody in.", Do: "Switch on “UPnP”."}},
			{Name: "Oak Street", Reached: status.Reached{How: status.Direct, Words: "direct", Since: at}},
			{Name: "Elm Road", Reached: status.Reached{How: status.Through, Via: "oak", Words: "through oak"},
				Way: status.Way{Why: "The routers let no direct way be found."}},
			{Name: "Hill Farm", Reached: status.Reached{How: status.Away, Words: "not since 14:02", Since: at}},
		},
		Strangers: status.Strangers{Words: "A relay passes it on."}, Key: "0a0b",
		Faults: []status.Fault{{What: "It rains.", Lost: "Nothing is lost.", Heals: "It will stop.", Do: "Wait."}},
	}
	var out strings.Builder
	f.tell(&out)
	for _, want := range []string{
		"http://127.0.0.1:8080/", "port 4717, by TCP and UDP", "In this house it is at 192.168.1.5:4717.",
		"From the internet it may be called at 93.184.216.34:4717.", "Oak Street: direct. So it is since 14:02 on 12 November.",
		"Mill Lane: this house.\n    Its router lets nobody in.\n    What would help: Switch on “UPnP”.",
		"Elm Road: through oak.\n    The routers let no direct way be found.\n", "A relay passes it on.", "redhen relay --allow 0a0b",
		"Hill Farm: not since 14:02.\n", "It rains. Nothing is lost.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "Nothing else is wrong") {
		t.Errorf("says too much:\n%s", out.String())
	}
	for _, word := range []string{"node", "quorum", "raft", "shard", "replica", "peer"} {
		if strings.Contains(strings.ToLower(out.String()), word) {
			t.Errorf("says %q", word)
		}
	}
	out.Reset()
	findings{Box: api.Box{Claimed: true, Port: 5}}.tell(&out)
	for _, want := range []string{"shows no pages", "no address at which the internet could call it", "Nothing else is wrong."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
}
