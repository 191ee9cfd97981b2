package wifi

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/mdlayher/netlink"
	nl80211 "github.com/mdlayher/wifi"
	"golang.org/x/sys/unix"
)

func TestLocks(t *testing.T) {
	rsn := func(akms ...nl80211.RSNAKM) nl80211.RSNInfo { return nl80211.RSNInfo{Version: 1, AKMs: akms} }
	for _, c := range []struct {
		in   nl80211.RSNInfo
		want Lock
	}{
		{nl80211.RSNInfo{}, Unlocked}, {rsn(nl80211.RSNAkmPSK), WPA2}, {rsn(nl80211.RSNAkmSAE, nl80211.RSNAkmPSK), WPA2},
		{rsn(nl80211.RSNAkmSAE), WPA3}, {rsn(nl80211.RSNAkm8021X), Company}, {rsn(), Company},
	} {
		if got := lockOf(c.in); got != c.want {
			t.Errorf("%v: got %d, want %d", c.in.AKMs, got, c.want)
		}
	}
}

// The request carries the key as it is: 32 bytes, nothing made of it.
func TestTheRequestToJoin(t *testing.T) {
	key := make([]byte, 32)
	key[0], key[31] = 0xf4, 0x2e
	b, err := connectWPA2(3, "caf\xe9", key)
	if err != nil {
		t.Fatal(err)
	}
	attrs, err := netlink.UnmarshalAttributes(b)
	if err != nil {
		t.Fatal(err)
	}
	got := map[uint16][]byte{}
	for _, a := range attrs {
		got[a.Type] = a.Data
	}
	if string(got[unix.NL80211_ATTR_PMK]) != string(key) || string(got[unix.NL80211_ATTR_SSID]) != "caf\xe9" {
		t.Errorf("key %x, name %q", got[unix.NL80211_ATTR_PMK], got[unix.NL80211_ATTR_SSID])
	}
	if _, ok := got[unix.NL80211_ATTR_WANT_1X_4WAY_HS]; !ok || len(got) != 10 {
		t.Errorf("%d attributes", len(got))
	}
}

func TestFeatures(t *testing.T) {
	const bit = unix.NL80211_EXT_FEATURE_4WAY_HANDSHAKE_STA_PSK
	features := make([]byte, bit/8+1)
	features[bit/8] = 1 << (bit % 8)
	for _, c := range []struct {
		features []byte
		want     bool
	}{{features, true}, {make([]byte, bit/8+1), false}, {features[:bit/8], false}, {nil, false}} {
		a := netlink.NewAttributeEncoder()
		a.Bytes(unix.NL80211_ATTR_EXT_FEATURES, c.features)
		b, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hasFeature(b, bit); got != c.want || err != nil {
			t.Errorf("%x: %v, %v", c.features, got, err)
		}
	}
	if _, err := hasFeature([]byte{1}, bit); err == nil {
		t.Error("half an answer is read")
	}
}

func FuzzHasFeature(f *testing.F) {
	f.Add([]byte{5, 0, 217, 0, 255, 0, 0, 0}, 3)
	f.Fuzz(func(t *testing.T, b []byte, bit int) { hasFeature(b, bit&0xffff) }) // it must not panic
}

// Where there is no radio, that is what is said.
func TestAMachineWithoutWifi(t *testing.T) {
	if list, err := os.ReadDir("/sys/class/ieee80211"); err == nil && len(list) > 0 {
		t.Skip("this machine has a radio, which a test leaves alone")
	}
	if r, _, err := OpenRadio(Helper{}, nil); !errors.Is(err, fs.ErrNotExist) || r != nil {
		t.Errorf("got %v, %v", r, err)
	}
}
