package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"redhen/appliance"
	"redhen/appliance/api"
	"redhen/board"
	"redhen/board/clock"
	"redhen/board/panel"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/raftnode"
	"redhen/raftnode/raftlog"
)

// runFlags are the flags of redhen run.
type runFlags struct {
	http, listen, log string
	https             string
	renewLook         time.Duration
	boot              string
	p2p               int
	relays            []string
	noLAN, withParent bool
	panel, wifi       bool
	promoteAfter      time.Duration
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run", Short: "Run a box", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runBox(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.http, "http", defaultHTTP(), `where the pages are, host:port ("" = nowhere)`)
	cmd.Flags().StringVar(&f.https, "https", autoHTTPS, `where visitors from the internet come in, host:port ("" = nowhere; auto = port 443 beside pages at port 80, when it is free)`)
	cmd.Flags().IntVar(&f.p2p, "p2p", appliance.DefaultP2P, "TCP and UDP port for the other boxes (0 = any free one)")
	cmd.Flags().StringVar(&f.boot, "boot", "", "the mounted FAT partition of the card, with settings for the box")
	cmd.Flags().BoolVar(&f.panel, "panel", false, "show the box on the screen and by the light of this machine, where there are any")
	cmd.Flags().BoolVar(&f.wifi, "wifi", false, "join the Wi-Fi networks that the card names, where nothing else looks after the radio")
	cmd.Flags().StringVar(&f.listen, "listen", "", "the one IP address for the other boxes (default all)")
	cmd.Flags().BoolVar(&f.noLAN, "no-lan", false, "do not look for boxes on the local network, nor answer for names on it")
	cmd.Flags().StringSliceVar(&f.relays, "relay", nil, "a rented relay, NAME@ADDRESS:PORT as redhen relay prints it; the other boxes of the circle learn of it")
	cmd.Flags().StringVar(&f.log, "log", "info", "what to log: debug, info, warn, error")
	cmd.Flags().DurationVar(&f.promoteAfter, "promote-after", 0, "unbroken contact before two houses decide together (default 10m)")
	cmd.Flags().DurationVar(&f.renewLook, "renew-look", 0, "how often certificates are looked at (default 10m)")
	cmd.Flags().BoolVar(&f.withParent, "with-parent", false, "end when the input ends")
	cmd.Flags().MarkHidden("promote-after") // never fails: the flags are those above
	cmd.Flags().MarkHidden("with-parent")
	cmd.Flags().MarkHidden("renew-look")
	return cmd
}

// defaultHTTP is port 80 for who may open it.
func defaultHTTP() string {
	if os.Geteuid() == 0 {
		return ":80"
	}
	return ":8080"
}

// autoHTTPS has the box open port 443 by itself where it may.
const autoHTTPS = "auto"

// publicDoor is where visitors come in; optional: the box goes on without.
func (f runFlags) publicDoor() (at string, optional bool) {
	if f.https != autoHTTPS {
		return f.https, false
	}
	if host, port, err := net.SplitHostPort(f.http); err == nil && port == "80" {
		return net.JoinHostPort(host, "443"), true
	}
	return "", false
}

func (f runFlags) config(dir string, errs io.Writer) (appliance.Config, error) {
	cfg := appliance.Config{Dir: dir, HTTP: f.http, RenewLook: f.renewLook, P2P: f.p2p, Boot: f.boot, LAN: !f.noLAN, PromoteAfter: f.promoteAfter}
	cfg.HTTPS, cfg.HTTPSOptional = f.publicDoor()
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.log)); err != nil {
		return cfg, &usageError{fmt.Errorf("--log %q: want debug, info, warn or error", f.log)}
	}
	cfg.Logger = slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))
	if f.listen != "" {
		ip, err := netip.ParseAddr(f.listen)
		if err != nil {
			return cfg, &usageError{fmt.Errorf("--listen %q: want an IP address", f.listen)}
		}
		cfg.Listen = ip
	}
	for _, text := range f.relays {
		r, err := addrbook.ParseRented(text)
		if err != nil {
			return cfg, &usageError{fmt.Errorf("--relay: %w", err)}
		}
		cfg.Relays = append(cfg.Relays, r)
	}
	if f.p2p < 0 || f.p2p > 65535 {
		return cfg, &usageError{fmt.Errorf("--p2p %d: want a port", f.p2p)}
	}
	return cfg, nil
}

func (a *app) runBox(ctx context.Context, f runFlags) error {
	cfg, err := f.config(a.state, a.err)
	if err != nil {
		return err
	}
	if f.wifi {
		cfg.Wifi = radio(cfg.Logger)
	}
	if f.panel {
		var off func()
		cfg.Panel, off = openPanel(cfg.Logger)
		defer off()
	}
	if cfg.Update = a.slots(); cfg.Update != nil && !board.Read(os.DirFS("/")).Clock.Keeps() {
		cfg.Clock = &appliance.Clock{Set: clock.Set}
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	if f.withParent {
		go func() { // ends with the process
			io.Copy(io.Discard, a.stdin)
			end()
		}()
	}
	for told := false; ; {
		box, err := appliance.Open(cfg)
		if errors.Is(err, appliance.ErrTooOld) && f.http != "" {
			a.showTooOld(ctx, f.http)
		}
		if err != nil {
			return openWords(err, f)
		}
		if about := box.About(); !told {
			told = true
			if err := a.show(about, func(w io.Writer) { a.tellStart(w, about) }); err != nil {
				return err
			}
		}
		if err := box.Run(ctx); !errors.Is(err, raftnode.ErrAnew) {
			return restarted(err, cfg.Update)
		}
	}
}

// showTooOld says on the pages why the box does not run, until ctx ends.
func (a *app) showTooOld(ctx context.Context, at string) {
	fmt.Fprintln(a.err, appliance.TooOldWords)
	srv := &http.Server{Addr: at, Handler: appliance.TooOldPage(), ReadHeaderTimeout: 15 * time.Second}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(a.err, "redhen:", err)
	}
}

// openPanel takes over the screen and the light of this machine; off gives them back.
func openPanel(log *slog.Logger) (p appliance.Panel, off func()) {
	lamp := panel.FindLamp(panel.Folder("/sys/class/leds"))
	frame, err := panel.OpenFrame()
	switch {
	case err == nil:
		p.Screen = frame
	case !errors.Is(err, fs.ErrNotExist):
		log.Warn("no screen", "err", err)
	}
	if lamp != nil {
		p.Light = lamp
	}
	return p, func() {
		if frame != nil {
			frame.Close()
		}
		if lamp != nil {
			lamp.Show(panel.Unlit) // it was lit before, or is not ours to light
		}
	}
}

func (a *app) tellStart(w io.Writer, b api.Box) {
	if b.Pages != "" {
		fmt.Fprintln(w, "The pages are at", pageLink(b.Pages))
	}
	for _, p := range b.Start.Problems {
		fmt.Fprintln(w, "About the card:", p)
	}
	if b.Gift {
		fmt.Fprintf(w, "This box is a gift that nobody has taken yet. Open its page with the code of the gift card, or the code %s.\n", b.ClaimCode)
	}
	if b.Claimed {
		fmt.Fprintf(w, "This is %s at %s, in the circle %s.\n", b.Name, b.House, b.Circle)
		return
	}
	if b.Paper {
		fmt.Fprintf(w, "This box does what its card says; redhen status tells how far it is. To claim it by hand: with the code of the gift card, or the code %s.\n", b.ClaimCode)
		return
	}
	fmt.Fprintf(w, "This box is in no circle yet. On this network, claim it on its page within 15 minutes; later, or from elsewhere, with the code %s.\n", b.ClaimCode)
	fmt.Fprintf(w, "Or here, with redhen found or redhen join, and --state %s\n", a.state)
}

// pageLink is a link to the pages that works on this machine.
func pageLink(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip, bad := netip.ParseAddr(host); err == nil && (host == "" || bad == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	if strings.Contains(host, ":") && port == "80" {
		host = "[" + host + "]"
	}
	if port == "80" {
		return "http://" + host + "/"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// openWords says why a box does not start.
func openWords(err error, f runFlags) error {
	say := func(code, format string, args ...any) error {
		return &api.Error{Code: code, Sentence: fmt.Sprintf(format, args...)}
	}
	switch {
	case errors.Is(err, appliance.ErrTooOld):
		return say("too-old", "%s", appliance.TooOldWords)
	case errors.Is(err, appliance.ErrInUse):
		return say("in-use", "A box runs on this state directory already. Nothing was changed. Use that one, or name another directory with --state.")
	case errors.Is(err, p2p.ErrPortTaken):
		return say("port-taken", "Another program uses the port %d. Nothing was changed. End it, or choose another port with --p2p.", f.p2p)
	case errors.Is(err, appliance.ErrPublicDoor):
		return say("port-taken", "The door for visitors at %s cannot be opened: another program uses it, or the system does not allow it. Nothing was changed. End it, or choose another place with --https.", f.https)
	case errors.Is(err, syscall.EADDRINUSE):
		return say("port-taken", "Another program uses %s, where the pages should be. Nothing was changed. End it, or choose another place with --http.", f.http)
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return say("not-allowed", "The system does not allow that: %v. Nothing was changed. Use a state directory of your own, and a port over 1023 with --http.", err)
	case errors.Is(err, raftlog.ErrDamaged):
		return say("damaged", "The box's log is damaged, so it does not start: %v. What other houses have is not touched. Keep this folder aside, and have a fresh box take this one's place.", err)
	}
	return say("no-start", "The box could not start: %v. What it keeps was not changed. Look into the named file or setting, then try again.", err)
}
