package appliancetest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"redhen/appliance/appliancetest"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2ptest"
	"redhen/provision/pair"
	"redhen/provision/wire"
)

// ours are the protocols of a box for members only. A new one belongs into this
// list, and is then known to refuse strangers.
func ours() []string {
	return []string{
		"/redhen/beat/1", "/redhen/book/1", "/redhen/call/1", "/redhen/chunk-get/1", "/redhen/chunk-put/1", "/redhen/drill/1", "/redhen/file/1", "/redhen/flood/1",
		"/redhen/frames/1", "/redhen/have/1", "/redhen/home/1", "/redhen/knock/1", "/redhen/read/1", "/redhen/settle/1", "/redhen/state/1", "/redhen/status/1",
		"/redhen/visitor/1",
	}
}

// theirs are the protocols of libp2p that a box answers: names and addresses of a
// connection that the gater let in, relaying with an access list, hole punching.
func theirs() []string {
	return []string{
		"/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/libp2p/circuit/relay/0.2.0/hop",
		"/libp2p/circuit/relay/0.2.0/stop", "/libp2p/dcutr",
	}
}

// A box that nobody let in gets nothing out of any protocol: while no door is open
// not even a connection; while one is, for pairing, only that.
func TestAnUnknownBoxGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := appliancetest.New(t, appliancetest.Config{Net: p2ptest.Config{Latency: 20 * time.Millisecond}})
		oak := w.Box("oak", "Oak Street", w.Net.Spot())
		oak.Found("Henhouse", "ada")
		mill := w.Box("mill", "Mill Lane", w.Net.Router(p2ptest.PortRestricted).Spot())
		mill.Join(oak, "bert")
		w.AwaitComplete(2, 5*time.Minute)
		all := oak.Host().Protocols()
		for _, p := range all {
			if p != pair.Protocol && !slices.Contains(ours(), p) && !slices.Contains(theirs(), p) {
				t.Errorf("%s is not in any list: who may open it?", p)
			}
		}
		for _, p := range ours() {
			if !slices.Contains(all, p) {
				t.Errorf("%s is in the list and not served", p)
			}
		}

		knock(t, w, oak) // the door is open still: the ticket was used a moment ago
		time.Sleep(time.Hour)
		before, millBefore := oak.State(), mill.State()
		for _, at := range []*appliancetest.Box{oak, mill} {
			st := p2ptest.Start(t, w.Net.Spot(), p2p.Config{Key: newKey(t)})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := st.Connect(ctx, p2p.Target{Box: at.ID(), Addrs: at.Host().Addrs(), Relay: oak.ID(), At: oak.Spot.Addr()})
			cancel()
			if err == nil {
				t.Errorf("%s let a stranger connect", at.Name)
			}
			if n := len(oak.Log.Lines("stranger turned away", string(st.Self()))); n != 1 {
				t.Errorf("oak's log says so %d times, want once", n)
			}
		}
		oak.Invite()
		knock(t, w, oak)
		changed := oak.State().Changed(before)
		if changed = slices.DeleteFunc(changed, func(n string) bool { return n == "tickets" }); len(changed) > 0 {
			t.Errorf("changed at oak: %q", changed)
		}
		if changed := mill.State().Changed(millBefore); len(changed) > 0 {
			t.Errorf("changed at mill: %q", changed)
		}
	})
}

// knock has a stranger try every protocol of ours while the door is open.
func knock(t *testing.T, w *appliancetest.World, at *appliancetest.Box) {
	t.Helper()
	st := p2ptest.Start(t, w.Net.Spot(), p2p.Config{Key: newKey(t)})
	defer st.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := st.Connect(ctx, p2p.Target{Box: at.ID(), Addrs: at.Host().Addrs()}); err != nil {
		t.Fatalf("the door is not open: %v", err)
	}
	for _, protocol := range ours() {
		if got, err := ask(ctx, st, at.ID(), protocol); err == nil || len(got) > 0 {
			t.Errorf("%s answers a stranger: %x, %v", protocol, got, err)
		}
	}
	if n := len(at.Log.Lines("stranger turned away", string(st.Self()))); n != 1 {
		t.Errorf("the log says so %d times, want once", n)
	}
	got, err := ask(ctx, st, at.ID(), pair.Protocol)
	if err != nil || len(got) == 0 || len(got) > 32 || len(at.Log.Lines("box refused", st.Self().Short())) != 1 {
		t.Errorf("pairing answers nonsense with %x, %v; log %q", got, err, at.Log.Lines("box refused"))
	}
	if strings.Contains(string(got), "Henhouse") {
		t.Error("the circle's name was told")
	}
}

// ask opens a stream, says something, and returns what is answered within seconds.
func ask(ctx context.Context, st *p2ptest.Box, to ident.BoxID, protocol string) ([]byte, error) {
	s, err := st.Open(ctx, to, protocol)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(20 * time.Second))
	if err := wire.Write(s, map[int]any{1: 1}); err != nil {
		return nil, err
	}
	if err := s.CloseWrite(); err != nil {
		return nil, err
	}
	got, err := io.ReadAll(io.LimitReader(s, 1<<10))
	if err == nil && len(got) == 0 {
		err = errors.New("ended without a word")
	}
	return got, err
}
