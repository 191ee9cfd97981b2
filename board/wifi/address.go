package wifi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"redhen/board/child"
)

// leaseAgain is the pause before an address is asked for again.
const leaseAgain = 2 * time.Second

// Lease returns what gets an address for an interface by gokrazy's dhcp program, and
// keeps it: an Address of Config. The address is given up when its context ends, since the
// next network is another one. Routes by cable come first in that program.
func Lease(program, iface string, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		return errors.Join(child.Keep(ctx, log, leaseAgain, program, "-interface", iface), ClearAddresses(iface))
	}
}

// ClearAddresses takes all IPv4 addresses off an interface, and the routes with them.
func ClearAddresses(iface string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("give up the addresses of %s: %w", iface, err)
	}
	all, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("give up the addresses of %s: %w", iface, err)
	}
	for _, a := range all {
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("give up %s of %s: %w", a.IPNet, iface, err)
		}
	}
	return nil
}

// SetAddress gives an interface one more address, "192.168.77.1/24".
func SetAddress(iface, address string) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("address of %s: %w", iface, err)
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return fmt.Errorf("address of %s: %w", iface, err)
	}
	if err := netlink.AddrReplace(link, a); err != nil {
		return fmt.Errorf("address of %s: %w", iface, err)
	}
	return nil
}

// Cabled reports whether a network cable is plugged in and leads somewhere; root is
// rooted at /.
func Cabled(root fs.FS) bool {
	const dir = "sys/class/net"
	all, err := fs.ReadDir(root, dir)
	if err != nil {
		return false
	}
	for _, e := range all {
		at := path.Join(dir, e.Name())
		has := func(name string) bool { _, err := fs.Stat(root, path.Join(at, name)); return err == nil }
		if !has("device") || has("phy80211") || has("wireless") {
			continue // not of hardware, or a radio
		}
		if b, err := fs.ReadFile(root, path.Join(at, "carrier")); err == nil && strings.TrimSpace(string(b)) == "1" {
			return true
		}
	}
	return false
}
