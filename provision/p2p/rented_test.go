package p2p

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/roster"
)

// circleOf is a circle of one box, and its chain.
func circleOf(t *testing.T, box ident.Key) (ident.CircleID, [][]byte) {
	t.Helper()
	c := roster.NewFound(roster.FoundBody{
		CircleName: "Hens", Box: box.BoxID(), BoxName: "hen", House: "0000000000000001", HouseName: "Mill Lane",
		Keeper: "0000000000000001", KeeperKey: newKey(t).Public(), Time: 1, Nonce: [16]byte{1},
	}, box)
	s, err := (*roster.State)(nil).Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return s.Circle(), [][]byte{roster.Encode(c)}
}

// Rule: names are told again to a relay that did not answer, and not to one that knows of
// no names, which is of an older version.
func TestNamesAreToldUntilTheRelayAnswers(t *testing.T) {
	for what, old := range map[string]bool{"the first try fails": false, "an older version": true} {
		t.Run(what, func(t *testing.T) {
			key := newKey(t)
			circle, chain := circleOf(t, key)
			relay, box := testHost(t, Config{RelayFor: []ident.CircleID{circle}}), testHost(t, Config{Key: key})
			run(t, relay)
			var asked atomic.Int32
			relay.Handle(namesProtocol, tenants, func(ctx context.Context, from ident.BoxID, s Stream) {
				if asked.Add(1) == 1 {
					s.Reset()
					return
				}
				relay.readNames(ctx, from, s)
			})
			if old {
				relay.h.RemoveStreamHandler(namesProtocol)
			}
			at := addrbook.Rented{Box: relay.Self(), At: netip.AddrPortFrom(loopback, uint16(relay.Port()))}
			box.UseRelays([]addrbook.Rented{at}, func() [][]byte { return chain })
			box.BringVisitors(func() []string { return []string{"hens.test"} })
			run(t, box)
			answered := func() bool {
				box.mu.Lock()
				defer box.mu.Unlock()
				return box.rents.told[at] == "hens.test"
			}
			for begun := time.Now(); !answered(); time.Sleep(20 * time.Millisecond) { // real sockets
				if time.Since(begun) > patience {
					t.Fatal("the relay never answers")
				}
				poke(box.rents.news)
			}
			if _, _, known := relay.Serving("hens.test"); known == old {
				t.Errorf("the relay knows the name: %t", known)
			}
		})
	}
}
