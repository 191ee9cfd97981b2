package portmap

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a router that says at which address the port is; "" = it refuses.
type fake struct {
	at     string
	asked  int
	closed bool
}

func (f *fake) AddMapping(context.Context, string, int) error {
	f.asked++
	if f.at == "" {
		return errors.New("refused")
	}
	return nil
}

func (f *fake) GetMapping(string, int) (netip.AddrPort, bool) {
	a, err := netip.ParseAddrPort(f.at)
	return a, err == nil
}

func (f *fake) Close() error { f.closed = true; return nil }

// Rule: a port at an address that nobody outside can reach (RFC 1918, RFC 6598) is none,
// and one way by which it is passed is enough.
func TestWhatTheRouterSays(t *testing.T) {
	for _, c := range []struct {
		at     []string // by each way
		says   Says
		mapped string
	}{
		{[]string{"8.0.0.1:4717"}, Passes, "8.0.0.1:4717"},
		{[]string{""}, Refuses, ""},
		{[]string{"100.64.3.4:4717"}, Private, ""},
		{[]string{"10.1.2.3:4717"}, Private, ""},
		{[]string{"192.168.8.2:4717", ""}, Private, ""},
		{[]string{"[fd00::1]:4717"}, Private, ""},
		{[]string{"", "8.0.0.1:31000"}, Passes, "8.0.0.1:31000"},
		{[]string{"100.64.3.4:4717", "[2600::5]:4717"}, Passes, "[2600::5]:4717"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var ways routers
			for _, at := range c.at {
				ways = append(ways, &fake{at: at})
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var says Says
			var mapped []netip.AddrPort
			k := Keeper{
				Find: func(context.Context) (Mapper, error) { return ways, nil }, Port: 4717, Log: slog.New(slog.DiscardHandler),
				Said: func(s Says, m []netip.AddrPort) { says, mapped = s, m },
			}
			go k.Run(ctx)
			time.Sleep(time.Second)
			synctest.Wait()
			var want []netip.AddrPort
			if c.mapped != "" {
				want = []netip.AddrPort{netip.MustParseAddrPort(c.mapped), netip.MustParseAddrPort(c.mapped)}
			}
			if says != c.says || !slices.Equal(mapped, want) {
				t.Errorf("%v: got %v at %v, want %v", c.at, says, mapped, c.says)
			}
		})
	}
}

// Rule: a router that goes on refusing is left after a while: there may be another one.
func TestARefusingRouterIsLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var all []*fake
		k := Keeper{Port: 1, Log: slog.New(slog.DiscardHandler), Said: func(Says, []netip.AddrPort) {}}
		k.Find = func(context.Context) (Mapper, error) {
			all = append(all, &fake{})
			return all[len(all)-1], nil
		}
		go k.Run(ctx)
		time.Sleep(again + time.Minute)
		synctest.Wait()
		if len(all) != 2 || !all[0].closed || all[1].closed || all[0].asked != 2 {
			t.Errorf("%d routers", len(all))
		}
	})
}
