package p2p

import (
	"net/netip"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/wire"
)

func TestAnAskNamesPublicAddressesOnly(t *testing.T) {
	ask := func(list ...string) callAsk {
		var a callAsk
		for _, s := range list {
			raw, _ := netip.MustParseAddrPort(s).MarshalBinary()
			a.Addrs = append(a.Addrs, raw)
		}
		return a
	}
	for _, c := range []struct {
		name string
		ask  callAsk
		ok   bool
	}{
		{"none", ask(), false},
		{"one", ask("8.0.0.1:4717"), true},
		{"IPv6", ask("[2606:4700::1]:4717"), true},
		{"private", ask("192.168.1.2:4717"), false},
		{"a provider's", ask("100.64.0.1:4717"), false},
		{"loopback", ask("127.0.0.1:4717"), false},
		{"no port", ask("8.0.0.1:0"), false},
		{"in the clothes of IPv6", ask("[::ffff:8.0.0.1]:4717"), false},
		{"five", ask("8.0.0.1:1", "8.0.0.1:2", "8.0.0.1:3", "8.0.0.1:4", "8.0.0.1:5"), false},
		{"garbage", callAsk{Addrs: [][]byte{{1, 2, 3}}}, false},
	} {
		if _, err := decodeAsk(c.ask); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzDecodeAsk(f *testing.F) {
	raw, _ := netip.MustParseAddrPort("8.0.0.1:4717").MarshalBinary()
	f.Add(wire.MustMarshal(callAsk{Addrs: [][]byte{raw}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ask callAsk
		if len(b) > maxCall || wire.Unmarshal(b, &ask) != nil {
			return
		}
		addrs, err := decodeAsk(ask)
		if err != nil {
			return
		}
		if len(addrs) > maxCallAddrs {
			t.Fatalf("%d addresses", len(addrs))
		}
		for _, a := range addrs {
			if !netaddr.IsPublic(a.Addr()) || a.Port() == 0 {
				t.Fatalf("calls %v", a)
			}
		}
	})
}

// Rule: a member is called only at its own addresses, and not more than once in a while.
func TestAMemberCannotHaveUsCallOthers(t *testing.T) {
	a, b := testHost(t, Config{}), testHost(t, Config{})
	circle(t, a, b)
	run(t, a)
	run(t, b)
	waitDirect(t, a, b)
	victim := addrs("8.0.0.9:4717")
	if _, ok, err := a.askCall(t.Context(), b.Self(), victim); ok || err != nil {
		t.Errorf("called somebody else: %v, %v", ok, err)
	}
	if own := b.ownOf(a.Self()); !own(addrs("127.0.0.1:1")[0]) || own(victim[0]) {
		t.Error("own addresses are taken for others', or the other way")
	}
	var c callers
	now := time.Now()
	box := a.Self()
	if !c.begin(box, now) || c.begin(box, now.Add(callAgain-1)) || !c.begin(box, now.Add(callAgain)) {
		t.Error("the pause between two calls is not kept")
	}
	for i := range 2 * maxCalls {
		c.begin(ident.BoxID(rune('a'+i)), now)
	}
	if c.calls != maxCalls {
		t.Errorf("%d calls at once, want %d", c.calls, maxCalls)
	}
}
