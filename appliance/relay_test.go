package appliance

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"redhen/provision/ident"
)

// Rule: a relay keeps its name over a restart, runs once on a directory, and tells figures.
func TestARelayRuns(t *testing.T) {
	cfg := RelayConfig{
		Dir: t.TempDir(), Listen: netip.MustParseAddr("127.0.0.1"), Metrics: "127.0.0.1:0",
		Circles: []ident.CircleID{ident.CircleID(strings.Repeat("ab", 16))},
	}
	var names []ident.BoxID
	for range 2 {
		r, err := OpenRelay(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRelay(cfg); err == nil {
			t.Error("two relays on one directory")
		}
		name, port := r.Name()
		if names = append(names, name); port == 0 {
			t.Error("no port")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		resp, err := http.Get("http://" + r.metrics.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(body), "go_goroutines") {
			t.Errorf("figures: %.200s", body)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if names[0] != names[1] {
		t.Errorf("names %v", names)
	}
	if _, err := OpenRelay(RelayConfig{Dir: t.TempDir()}); err == nil {
		t.Error("a relay for nobody")
	}
}
