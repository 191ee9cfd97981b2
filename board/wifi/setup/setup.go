// Package setup is the network that a box opens itself, while it has no other: hostapd
// makes it, and every name in it leads to the box, so that a phone opens the box's page
// by itself. Nothing leads from it to the internet.
package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	nl80211 "github.com/mdlayher/wifi"
	"golang.org/x/sync/errgroup"

	"redhen/board/child"
	"redhen/board/wifi"
)

// Addresses of the network.
const (
	Address = "192.168.77.1" // of the box
	prefix  = "/24"
	Page    = "http://" + Address + "/"
)

// Config says what to open. All but Password, Country and Logger are needed.
type Config struct {
	Iface    string
	Program  string // path of hostapd
	Dir      string // where its settings may be; only for us
	SSID     string
	Password func() string // 8–63 bytes; nil or empty: it is open to everybody
	Country  func() string // two letters; nil or empty: not known
	Logger   *slog.Logger
}

// Network is the one that a box opens. It is a wifi.Hotspot.
type Network struct{ cfg Config }

var _ wifi.Hotspot = (*Network)(nil)

// New returns a Network that is not open yet.
func New(cfg Config) *Network {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for _, text := range []*func() string{&cfg.Password, &cfg.Country} {
		if *text == nil {
			*text = func() string { return "" }
		}
	}
	return &Network{cfg: cfg}
}

// Name implements wifi.Hotspot.
func (n *Network) Name() string { return n.cfg.SSID }

// upPatience is how long hostapd may take until the network is open.
const upPatience = 20 * time.Second

// Run implements wifi.Hotspot.
func (n *Network) Run(ctx context.Context) error {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("open setup network: %w", err)
	}
	conf := filepath.Join(n.cfg.Dir, "setup.conf")
	text, err := settings(n.cfg.Iface, n.cfg.SSID, n.cfg.Password(), n.cfg.Country())
	if err != nil {
		return err
	}
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		return fmt.Errorf("open setup network: %w", err)
	}
	c, err := child.Start(n.cfg.Logger, n.cfg.Program, conf)
	if err != nil {
		return fmt.Errorf("open setup network: %w", err)
	}
	defer c.Stop()
	if err := n.awaitUp(ctx, c); err != nil {
		return fmt.Errorf("open setup network: %w", err)
	}
	if err := wifi.SetAddress(n.cfg.Iface, Address+prefix); err != nil {
		return err
	}
	defer wifi.ClearAddresses(n.cfg.Iface) // the interface may be gone
	return n.serve(ctx, c)
}

// serve gives out addresses and answers for names until ctx ends.
func (n *Network) serve(ctx context.Context, c *child.Child) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ServeAddresses(ctx, n.cfg.Iface, netip.MustParseAddr(Address)) })
	group.Go(func() error { return serveNames(ctx) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-c.Ended():
			return errors.New("setup network: hostapd ended")
		}
	})
	return group.Wait()
}

// awaitUp waits until the network is open.
func (n *Network) awaitUp(ctx context.Context, c *child.Child) error {
	state := filepath.Join("/sys/class/net", n.cfg.Iface, "operstate")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(upPatience); time.Now().Before(end); {
		if b, err := os.ReadFile(state); err == nil && strings.TrimSpace(string(b)) == "up" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.Ended():
			return errors.New("hostapd ended at once")
		case <-tick.C:
		}
	}
	return errors.New("hostapd did not open it")
}

// Guests implements wifi.Hotspot.
func (n *Network) Guests() int {
	c, err := nl80211.New()
	if err != nil {
		return 0
	}
	defer c.Close()
	all, err := c.Interfaces()
	if err != nil {
		return 0
	}
	for _, i := range all {
		if i.Name == n.cfg.Iface {
			guests, err := c.StationInfo(i)
			if err != nil {
				return 0 // nobody is on it
			}
			return len(guests)
		}
	}
	return 0
}

// settings is the file that tells hostapd what to open.
func settings(iface, ssid, password, country string) ([]byte, error) {
	if n := len(password); n != 0 && (n < 8 || n > 63) || strings.ContainsAny(password, "\r\n\x00") {
		return nil, errors.New("open setup network: a password has 8 to 63 characters")
	}
	b := &bytes.Buffer{}
	fmt.Fprintf(b, "interface=%s\ndriver=nl80211\nssid2=%x\nhw_mode=g\nchannel=6\nieee80211n=1\nwmm_enabled=1\n", iface, ssid)
	if country != "" {
		fmt.Fprintf(b, "country_code=%s\n", country)
	}
	if password != "" {
		fmt.Fprintf(b, "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=%s\n", password)
	}
	return b.Bytes(), nil
}
