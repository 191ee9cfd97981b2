package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"regexp"

	"github.com/spf13/cobra"

	"redhen/appliance"
	"redhen/provision/ident"
)

type relayFlags struct {
	allow           []string
	p2p, dailyGB    int
	listen, metrics string
}

func (a *app) relayCommand() *cobra.Command {
	var f relayFlags
	cmd := &cobra.Command{
		Use: "relay", Short: "Pass on what the boxes of a circle send each other, on a server that anybody can call", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runRelay(cmd.Context(), f) },
	}
	cmd.Flags().IntVar(&f.p2p, "p2p", appliance.DefaultP2P, "TCP and UDP port for the boxes (0 = any free one)")
	cmd.Flags().StringVar(&f.listen, "listen", "", "the one IP address for the boxes (default all)")
	f.addTo(cmd)
	return cmd
}

// addTo adds the flags that redhen install --relay has too.
func (f *relayFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.allow, "allow", nil, "key of a circle that may use the relay, as redhen doctor tells it")
	cmd.Flags().IntVar(&f.dailyGB, "daily-gb", 0, "gigabytes that the relay passes on for each circle in a day (0 = no bound)")
	cmd.Flags().StringVar(&f.metrics, "metrics", "", "where Prometheus finds the relay's figures, host:port (default nowhere)")
}

func (f relayFlags) config(dir string, errs io.Writer) (appliance.RelayConfig, error) {
	cfg := appliance.RelayConfig{Dir: dir, P2P: f.p2p, Metrics: f.metrics, Logger: slog.New(slog.NewTextHandler(errs, nil))}
	if len(f.allow) == 0 {
		return cfg, &usageError{fmt.Errorf("--allow is needed: whose relay is it?")}
	}
	key := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for _, c := range f.allow {
		if !key.MatchString(c) {
			return cfg, &usageError{fmt.Errorf("--allow %q: want the 32 letters and digits that redhen doctor tells", c)}
		}
		cfg.Circles = append(cfg.Circles, ident.CircleID(c))
	}
	if f.p2p < 0 || f.p2p > 65535 {
		return cfg, &usageError{fmt.Errorf("--p2p %d: want a port", f.p2p)}
	}
	if f.dailyGB < 0 || f.dailyGB > 1_000_000 {
		return cfg, &usageError{fmt.Errorf("--daily-gb %d: want 0 to 1000000", f.dailyGB)}
	}
	cfg.Daily = int64(f.dailyGB) * 1_000_000_000
	if f.listen != "" {
		ip, err := netip.ParseAddr(f.listen)
		if err != nil {
			return cfg, &usageError{fmt.Errorf("--listen %q: want an IP address", f.listen)}
		}
		cfg.Listen = ip
	}
	return cfg, nil
}

func (a *app) runRelay(ctx context.Context, f relayFlags) error {
	cfg, err := f.config(a.state, a.err)
	if err != nil {
		return err
	}
	r, err := appliance.OpenRelay(cfg)
	if err != nil {
		return openWords(err, runFlags{p2p: f.p2p, http: f.metrics})
	}
	name, port := r.Name()
	about := map[string]any{"name": name, "port": port}
	err = a.show(about, func(w io.Writer) {
		fmt.Fprintf(w, "This relay reads nothing of what it passes on. On one box of each circle, with this server's address for ADDRESS:\n    redhen run --relay %s@ADDRESS:%d\n", name, port)
	})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}
