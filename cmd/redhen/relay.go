package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"syscall"

	"github.com/spf13/cobra"

	"redhen/appliance"
	"redhen/provision/ident"
)

type relayFlags struct {
	allow           []string
	p2p, dailyGB    int
	listen, metrics string
	https, http     string
}

func (a *app) relayCommand() *cobra.Command {
	var f relayFlags
	cmd := &cobra.Command{
		Use: "relay", Short: "Pass on what the boxes of a circle send each other, on a server that anybody can call", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runRelay(cmd.Context(), f) },
	}
	cmd.Flags().IntVar(&f.p2p, "p2p", appliance.DefaultP2P, "TCP and UDP port for the boxes (0 = any free one)")
	cmd.Flags().StringVar(&f.listen, "listen", "", "the one IP address for the boxes (default all)")
	cmd.Flags().StringVar(&f.https, "https", autoHTTPS, `where visitors of the circles come in, host:port ("" = nowhere; auto = port 443)`)
	cmd.Flags().StringVar(&f.http, "http", autoHTTPS, `where visitors are led to --https from, host:port ("" = nowhere; auto = port 80 beside port 443)`)
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
	cfg.HTTPS, cfg.HTTP = f.doors()
	return cfg, nil
}

// doors are where visitors come in and where they are led there from.
func (f relayFlags) doors() (https, http string) {
	https, http = f.https, f.http
	if https == autoHTTPS {
		https = net.JoinHostPort(f.listen, "443")
	}
	if http != autoHTTPS {
		return https, http
	}
	if host, port, err := net.SplitHostPort(https); err == nil && port == "443" {
		return https, net.JoinHostPort(host, "80")
	}
	return https, ""
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
	visitors, closed := r.Visitors()
	about := map[string]any{"name": name, "port": port, "visitors": visitors, "closed": closedWords(closed)}
	err = a.show(about, func(w io.Writer) {
		fmt.Fprintf(w, "This relay reads nothing of what it passes on. On one box of each circle, with this server's address for ADDRESS:\n    redhen run --relay %s@ADDRESS:%d\n", name, port)
		if visitors != "" {
			fmt.Fprintf(w, "Visitors of the circles' public names come in at %s.\n", visitors)
		}
		for _, sentence := range closedWords(closed) {
			fmt.Fprintln(w, sentence)
		}
	})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// closedWords say why doors for visitors are closed, and what would open them.
func closedWords(closed []appliance.ClosedDoor) []string {
	sentences := []string{}
	for _, c := range closed {
		why, do := c.Err.Error(), "To change that, mend this"
		switch {
		case errors.Is(c.Err, syscall.EADDRINUSE):
			why, do = "another program uses it", "To change that, end the other program"
		case errors.Is(c.Err, syscall.EACCES), errors.Is(c.Err, syscall.EPERM):
			why, do = "the system does not let this program use it", "To change that, have systemd run the relay (redhen install --relay)"
		}
		sentences = append(sentences, fmt.Sprintf("No visitors come in at %s: %s. The relay passes on what boxes send each other all the same. %s, and start the relay again.", c.At, why, do))
	}
	return sentences
}
