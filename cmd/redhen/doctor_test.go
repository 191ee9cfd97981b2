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
			{Name: "Mill Lane", Here: true},
			{Name: "Oak Street", Reached: status.Reached{How: status.Direct, Words: "direct", Since: at}},
			{Name: "Elm Road", Reached: status.Reached{How: status.Through, Via: "oak", Words: "through oak"}},
			{Name: "Hill Farm", Reached: status.Reached{How: status.Away, Words: "not since 14:02", Since: at}},
		},
		Faults: []status.Fault{{What: "It rains.", Lost: "Nothing is lost.", Heals: "It will stop.", Do: "Wait."}},
	}
	var out strings.Builder
	f.tell(&out)
	for _, want := range []string{
		"http://127.0.0.1:8080/", "port 4717, by TCP and UDP", "In this house it is at 192.168.1.5:4717.",
		"From the internet it may be called at 93.184.216.34:4717.", "Oak Street: direct. So it is since 14:02 on 12 November.",
		"Elm Road: through oak. Neither router lets the other's calls in", "ends when oak is off", "(here 4717)",
		"Hill Farm: not since 14:02. It does not answer", "run redhen doctor at that box", "It rains. Nothing is lost.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "Mill Lane") || strings.Contains(out.String(), "Nothing else is wrong") {
		t.Errorf("says too much:\n%s", out.String())
	}
	for _, word := range []string{"node", "quorum", "raft", "shard", "replica", "peer"} {
		if strings.Contains(strings.ToLower(out.String()), word) {
			t.Errorf("says %q", word)
		}
	}
	out.Reset()
	findings{Box: api.Box{Claimed: true, Port: 5}}.tell(&out)
	for _, want := range []string{"shows no pages", "have the router pass port 5 through", "Nothing else is wrong."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out.String())
		}
	}
}
