package wifi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	nl80211 "github.com/mdlayher/wifi"
	"golang.org/x/sys/unix"
)

// scanPatience bounds a scan: radios that are in use may never answer.
const scanPatience = 15 * time.Second

// kernel is a Radio by nl80211, and by wpa_supplicant for what the kernel cannot do alone.
type kernel struct {
	helper Helper
	log    *slog.Logger

	mu         sync.Mutex // one request at a time; guards what follows
	client     *nl80211.Client
	ifi        *nl80211.Interface
	country    string
	supplicant *supplicant // nil: the kernel does it alone
}

var _ Radio = (*kernel)(nil)

// Helper is Debian's wpa_supplicant.
type Helper struct {
	Program string // path; it need not be there
	Dir     string // where its settings and its socket may be; only for us
}

// OpenRadio takes the first Wi-Fi interface of this machine, and switches it on. The
// error is fs.ErrNotExist while there is none: its driver may come later.
func OpenRadio(helper Helper, log *slog.Logger) (radio Radio, name string, err error) {
	c, err := nl80211.New()
	if err != nil {
		return nil, "", fmt.Errorf("open wifi: %w", err)
	}
	all, err := c.Interfaces()
	if err != nil {
		c.Close()
		return nil, "", fmt.Errorf("open wifi: %w", err)
	}
	i := slices.IndexFunc(all, func(i *nl80211.Interface) bool { return ours(i) })
	if i < 0 {
		c.Close()
		return nil, "", fmt.Errorf("open wifi: %w", fs.ErrNotExist)
	}
	k := &kernel{helper: helper, log: log, client: c, ifi: all[i]}
	if err := k.ready(); err != nil {
		c.Close()
		return nil, "", fmt.Errorf("switch on %s: %w", all[i].Name, err)
	}
	return k, all[i].Name, nil
}

// ours reports whether an interface is one to work with: also one that was the box's own
// network when its program last ended.
func ours(i *nl80211.Interface) bool {
	return i.Name != "" && (i.Type == nl80211.InterfaceTypeStation || i.Type == nl80211.InterfaceTypeAP)
}

// up switches an interface on, or off.
func up(name string, on bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return err
	}
	flags := ifr.Uint16() &^ unix.IFF_UP
	if on {
		flags |= unix.IFF_UP
	}
	ifr.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// Scan implements Radio.
func (k *kernel) Scan(ctx context.Context) ([]Seen, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	if err := k.ready(); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	if err := k.client.Scan(ctx, k.ifi); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	all, err := k.client.AccessPoints(k.ifi)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	var list []Seen
	for _, b := range all {
		if b.SSID != "" {
			list = append(list, Seen{SSID: b.SSID, Lock: lockOf(b.RSN), Signal: int(b.Signal)})
		}
	}
	return list, nil
}

// lockOf reads what an access point says of its lock (IEEE 802.11, 9.4.2.24).
func lockOf(r nl80211.RSNInfo) Lock {
	has := func(akms ...nl80211.RSNAKM) bool {
		return slices.ContainsFunc(r.AKMs, func(a nl80211.RSNAKM) bool { return slices.Contains(akms, a) })
	}
	switch {
	case !r.IsInitialized():
		return Unlocked
	case has(nl80211.RSNAkmPSK):
		return WPA2
	case has(nl80211.RSNAkmSAE, nl80211.RSNAkmFTSAE, nl80211.RSNAkmPSKSHA256, nl80211.RSNAkmFTPSK):
		return WPA3
	}
	return Company
}

// ready has the interface be one that joins networks, and switched on: a program that
// was killed leaves it otherwise behind.
func (k *kernel) ready() error {
	if k.supplicant != nil {
		return nil // it holds the interface
	}
	all, err := k.client.Interfaces()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(i *nl80211.Interface) bool {
		return i.Index == k.ifi.Index && i.Type != nl80211.InterfaceTypeStation
	}) {
		if err := errors.Join(up(k.ifi.Name, false), k.setStation()); err != nil {
			return err
		}
	}
	return up(k.ifi.Name, true)
}

// setStation has the interface join networks, and not be one.
func (k *kernel) setStation() error {
	a := netlink.NewAttributeEncoder()
	a.Uint32(unix.NL80211_ATTR_IFINDEX, uint32(k.ifi.Index))
	a.Uint32(unix.NL80211_ATTR_IFTYPE, unix.NL80211_IFTYPE_STATION)
	attrs, err := a.Encode()
	if err != nil {
		return err
	}
	return request(unix.NL80211_CMD_SET_INTERFACE, attrs)
}

// Link implements Radio.
func (k *kernel) Link() (Link, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.supplicant != nil {
		if joined, refused := k.supplicant.state(); !joined {
			return Link{Refused: refused}, nil
		}
	}
	b, err := k.client.BSS(k.ifi)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Link{}, nil
	case err != nil:
		return Link{}, fmt.Errorf("wifi link: %w", err)
	case b == nil || b.Status != nl80211.BSSStatusAssociated:
		return Link{}, nil
	}
	return Link{SSID: b.SSID, Signal: int(b.Signal)}, nil
}

// Leave implements Radio.
func (k *kernel) Leave() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.leave()
}

func (k *kernel) leave() error {
	if k.supplicant != nil {
		k.supplicant.stop()
		k.supplicant = nil
		return k.ready()
	}
	return k.client.Disconnect(k.ifi)
}

// SetCountry implements Radio.
func (k *kernel) SetCountry(code string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.country = code
	return k.client.SetRegulatoryRegion(code, nl80211.RegulatoryHintUser)
}

// Join implements Radio.
func (k *kernel) Join(n Network, lock Lock) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.supplicant != nil {
		if err := k.leave(); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	if err := k.ready(); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	helped := k.helper.there()
	switch {
	case lock == Unlocked && !(n.Hidden && helped):
		return k.client.Connect(k.ifi, n.SSID)
	case lock == WPA2 && !(n.Hidden && helped):
		key, err := n.Key()
		if err != nil {
			return err
		}
		if err := k.offload(n.SSID, key); !errors.Is(err, ErrCannot) {
			return err
		}
	}
	if !helped {
		return ErrCannot
	}
	s, err := k.helper.start(k.log, k.ifi.Name, n, k.country)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	k.supplicant = s
	return nil
}

// offload joins a WPA2 network by a chip that does the handshake itself. The client's own
// way to do that makes the key from whatever it is given; this one takes it as it is.
func (k *kernel) offload(ssid string, key []byte) error {
	able, err := k.shakesHands()
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if !able {
		return ErrCannot
	}
	attrs, err := connectWPA2(k.ifi.Index, ssid, key)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if err := request(unix.NL80211_CMD_CONNECT, attrs); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// request sends one request of nl80211 and waits until it is taken.
func request(command uint8, attrs []byte) error {
	_, err := ask(command, attrs, netlink.Request|netlink.Acknowledge)
	return err
}

func ask(command uint8, attrs []byte, flags netlink.HeaderFlags) ([]genetlink.Message, error) {
	c, err := genetlink.Dial(nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	family, err := c.GetFamily(unix.NL80211_GENL_NAME)
	if err != nil {
		return nil, err
	}
	msg := genetlink.Message{Header: genetlink.Header{Command: command, Version: family.Version}, Data: attrs}
	return c.Execute(msg, family.ID, flags)
}

// connectWPA2 is the body of a request to join, with AES for all and the handshake left
// to the chip (linux/nl80211.h).
func connectWPA2(ifindex int, ssid string, key []byte) ([]byte, error) {
	const ccmp, psk = 0x000fac04, 0x000fac02
	a := netlink.NewAttributeEncoder()
	a.Uint32(unix.NL80211_ATTR_IFINDEX, uint32(ifindex))
	a.Bytes(unix.NL80211_ATTR_SSID, []byte(ssid))
	a.Uint32(unix.NL80211_ATTR_AUTH_TYPE, unix.NL80211_AUTHTYPE_OPEN_SYSTEM)
	a.Uint32(unix.NL80211_ATTR_WPA_VERSIONS, unix.NL80211_WPA_VERSION_2)
	a.Uint32(unix.NL80211_ATTR_CIPHER_SUITE_GROUP, ccmp)
	a.Uint32(unix.NL80211_ATTR_CIPHER_SUITES_PAIRWISE, ccmp)
	a.Uint32(unix.NL80211_ATTR_AKM_SUITES, psk)
	a.Flag(unix.NL80211_ATTR_PRIVACY, true)
	a.Flag(unix.NL80211_ATTR_WANT_1X_4WAY_HS, true)
	a.Bytes(unix.NL80211_ATTR_PMK, key)
	return a.Encode()
}

// shakesHands asks whether the chip does the handshake itself.
func (k *kernel) shakesHands() (bool, error) {
	a := netlink.NewAttributeEncoder()
	a.Uint32(unix.NL80211_ATTR_IFINDEX, uint32(k.ifi.Index))
	a.Flag(unix.NL80211_ATTR_SPLIT_WIPHY_DUMP, true)
	attrs, err := a.Encode()
	if err != nil {
		return false, err
	}
	answers, err := ask(unix.NL80211_CMD_GET_WIPHY, attrs, netlink.Request|netlink.Dump)
	if err != nil {
		return false, err
	}
	for _, m := range answers {
		if has, err := hasFeature(m.Data, unix.NL80211_EXT_FEATURE_4WAY_HANDSHAKE_STA_PSK); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// hasFeature looks for a bit among what a chip says that it can.
func hasFeature(answer []byte, bit int) (bool, error) {
	attrs, err := netlink.UnmarshalAttributes(answer)
	if err != nil {
		return false, err
	}
	for _, a := range attrs {
		if a.Type == unix.NL80211_ATTR_EXT_FEATURES && bit/8 < len(a.Data) {
			return a.Data[bit/8]&(1<<(bit%8)) != 0, nil
		}
	}
	return false, nil
}
