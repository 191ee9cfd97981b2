package appliancetest_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2ptest"
)

var dayFlag = flag.Bool("day", false, "all 24 hours in TestANightOfReconnects, not only the night")

// lead is who leads a shard, and in which term.
type lead struct {
	by   *appliancetest.Box
	term uint64
}

// leads returns who leads each shard now.
func (c houses) leads() map[ident.ShardID]lead {
	all := map[ident.ShardID]lead{}
	for _, b := range c.Boxes() {
		for _, sh := range b.Leading() {
			if sh.Term > all[sh.Shard].term {
				all[sh.Shard] = lead{b, sh.Term}
			}
		}
	}
	return all
}

// mustStay reports every shard whose leader is another than it was.
func mustStay(t *testing.T, when string, was, is map[ident.ShardID]lead) {
	t.Helper()
	for shard, l := range was {
		if is[shard] != l {
			t.Errorf("%s: shard %s was led by %s in term %d, now by %+v", when, shard, l.by.Name, l.term, is[shard])
		}
	}
}

// Rule: in a night in which the provider gives every home a new address, each at its time
// and once both at once, everything that is written at a home is kept in two houses and
// read in all, and nobody else leads than before but for a new address.
func TestANightOfReconnects(t *testing.T) {
	inCircle(t, func(t *testing.T, c houses) {
		minute := func(n int) time.Duration { return time.Duration(n) * time.Minute }
		from, to := minute(115), minute(155)
		if *dayFlag {
			from, to = 0, 24*time.Hour
		}
		moves := map[time.Duration][]*p2ptest.Router{
			minute(120): {c.millR}, minute(130): {c.hillR}, minute(140): {c.millR, c.hillR},
		}
		begun, written, slowest := time.Now(), []string{}, time.Duration(0)
		moved := map[*p2ptest.Router]time.Time{}
		settled, leads := begun.Add(minute(5)), map[ident.ShardID]lead{}
		for at := from; at < to; at += time.Minute {
			time.Sleep(time.Until(begun.Add(at - from)))
			switch now := c.leads(); {
			case time.Now().Before(settled):
			case len(leads) == 0:
				leads = now // a writer draws the lead to its box
			default:
				mustStay(t, fmt.Sprintf("at %v", at), leads, now)
			}
			for _, r := range moves[at] {
				r.Move()
				moved[r] = time.Now()
				settled, leads = time.Now().Add(minute(5)), map[ident.ShardID]lead{}
			}
			path := fmt.Sprintf("/at %v.txt", at)
			asked := time.Now()
			if a := c.mill.Write("zoe", path, []byte(path)); a.Kept < 2 {
				t.Errorf("%s: kept in %d house", path, a.Kept)
			}
			written, slowest = append(written, path), max(slowest, time.Since(asked))
		}
		for path := range slices.Values(written) {
			for _, b := range c.Boxes() {
				b.Shows("zoe", path, []byte(path), time.Minute)
			}
		}
		for r, b := range map[*p2ptest.Router]*appliancetest.Box{c.millR: c.mill, c.hillR: c.hill} {
			for _, l := range b.Host().Links() {
				if l.State != p2p.Direct || l.Since.Before(moved[r]) {
					t.Errorf("%s moved at %v, its link is %+v", b.Name, moved[r], l)
				}
			}
		}
		t.Logf("%d writes, the slowest after %v", len(written), slowest)
		if slowest > 15*time.Second {
			t.Errorf("a write took %v", slowest)
		}
	})
}
