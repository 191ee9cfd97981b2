package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/cmd/redhen/install"
)

func (a *app) installCommand() *cobra.Command {
	c := install.Config{}
	var relay bool
	var r relayFlags
	cmd := &cobra.Command{
		Use: "install", Short: "Make this Linux machine a box that starts with it (systemd; as root)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.P2P < 0 || c.P2P > 65535 {
				return &usageError{fmt.Errorf("--p2p %d: want a port", c.P2P)}
			}
			if c.From, err = os.Executable(); err != nil {
				return fmt.Errorf("install: %w", err)
			}
			if relay {
				r.p2p = c.P2P
				return a.installRelay(cmd.Context(), c, r)
			}
			if len(r.allow) > 0 || r.dailyGB != 0 || r.metrics != "" {
				return &usageError{fmt.Errorf("--allow, --daily-gb and --metrics are for --relay")}
			}
			return installWords(install.Install(cmd.Context(), a.machine(c)))
		},
	}
	cmd.Flags().StringVar(&c.HTTP, "http", "", "where the pages are, host:port (default :80)")
	cmd.Flags().IntVar(&c.P2P, "p2p", 0, "TCP and UDP port for the other boxes (default 4717)")
	cmd.Flags().BoolVar(&relay, "relay", false, "install a relay, which passes on what the boxes of circles send each other (redhen relay)")
	r.addTo(cmd)
	return cmd
}

// installRelay checks the flags as redhen relay does; all may be left as they were before.
func (a *app) installRelay(ctx context.Context, c install.Config, f relayFlags) error {
	if c.HTTP != "" {
		return &usageError{fmt.Errorf("--http is for a box: a relay has no pages")}
	}
	if len(f.allow) > 0 {
		if _, err := f.config("", a.err); err != nil {
			return err
		}
	}
	return installWords(install.InstallRelay(ctx, a.machine(c), install.Relay{Allow: f.allow, DailyGB: f.dailyGB, Metrics: f.metrics}))
}

func (a *app) uninstallCommand() *cobra.Command {
	var relay bool
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Take the installed box away; what it keeps stays (as root)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if relay {
				return installWords(install.UninstallRelay(cmd.Context(), a.machine(install.Config{})))
			}
			return installWords(install.Uninstall(cmd.Context(), a.machine(install.Config{})))
		},
	}
	cmd.Flags().BoolVar(&relay, "relay", false, "take the installed relay away")
	return cmd
}

// machine is the one that the command runs on.
func (a *app) machine(c install.Config) install.Config {
	c.Out, c.UID = a.out, os.Geteuid()
	c.Run = func(ctx context.Context, name string, args ...string) error {
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
		return nil
	}
	return c
}

// installWords says why a machine did not become a box, or did not stop being one.
func installWords(err error) error {
	say := func(code, format string, args ...any) error {
		return &api.Error{Code: code, Sentence: fmt.Sprintf(format, args...)}
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, install.ErrNotRoot):
		return say("not-allowed", "Only root can do that. Nothing was changed. Use sudo.")
	case errors.Is(err, install.ErrNoSystemd):
		return say("no-systemd", "This machine does not use systemd. Nothing was changed. Start the box with redhen run, by whatever starts programs here.")
	case errors.Is(err, install.ErrPackaged):
		return say("packaged", "redhen came to this machine as a Debian package. Nothing was changed. Use apt to install or remove it.")
	case errors.Is(err, install.ErrNobody):
		return say("no-circle", "It is not said whose relay it is. Nothing was changed. Name the circle with --allow and the key that redhen doctor tells.")
	case errors.Is(err, install.ErrAbsent):
		return say("not-installed", "No box is installed on this machine. Nothing was changed. A box that was started with redhen run ends with Ctrl-C.")
	case errors.Is(err, install.ErrPortTaken):
		return say("port-taken", "Another program uses the place where the pages should be: %v. Nothing was changed. End it, or choose another place with --http, such as :8080.", err)
	}
	return say("no-install", "That went wrong on the way: %v. What a box keeps was not touched. See to it, then do the same again.", err)
}
