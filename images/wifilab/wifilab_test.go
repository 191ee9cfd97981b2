package wifilab

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/board/wifi/setup"
)

const (
	patience = 3 * time.Minute
	password = "three brown hens in a row"
	homeKey  = "correct horse"
	atticKey = "battery staple"
)

// Locks of networks, as hostapd's settings have them.
const (
	wpa2 = "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase="
	wpa3 = "wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_password="
)

// TestWifi is a box's life with Wi-Fi: its own network first, then those around it.
func TestWifi(t *testing.T) {
	l := startLab(t)
	name := l.setupOpens(patience)
	l.freshOnSetup(name)
	l.claim()
	l.claimedOnSetup()

	l.must(Order{Do: "open", Radio: 1, SSID: "Home", Lines: wpa2 + homeKey})
	l.choose(setup.Page, "Home", "wrong horse", "")
	l.setupOpens(patience)
	l.phoneJoins(name)
	if a := l.must(Order{Do: "get", URL: setup.Page + "wifi"}); !strings.Contains(a.Text, "does not let the box in") {
		t.Errorf("a wrong password is told as %s", a.Text)
	}
	l.choose(setup.Page, "Home", homeKey, "")
	home := l.answers(1)

	l.must(Order{Do: "close", Radio: 1})
	l.must(Order{Do: "open", Radio: 1, SSID: "Home", Lines: wpa2 + homeKey})
	l.answers(1)

	l.login(home)
	l.must(Order{Do: "open", Radio: 2, SSID: "Attic", Lines: wpa3 + atticKey})
	l.choose(home, "Attic", atticKey, "")
	l.must(Order{Do: "close", Radio: 1}) // the second of those that it knows
	attic := l.answers(2)

	l.login(attic)
	l.must(Order{Do: "open", Radio: 3, SSID: "Cellar", Lines: "ignore_broadcast_ssid=1\n" + wpa2 + homeKey})
	l.choose(attic, "Cellar", homeKey, "yes")
	l.must(Order{Do: "close", Radio: 2})
	cellar := l.answers(3)

	l.login(cellar)
	l.must(Order{Do: "open", Radio: 1, SSID: "Green"})
	l.choose(cellar, "Green", "", "")
	l.must(Order{Do: "close", Radio: 3})
	l.answers(1)

	l.must(Order{Do: "close", Radio: 1})
	l.setupOpens(patience)
}

// setupOpens waits until the box's own network is in reach, and returns its name.
func (l *lab) setupOpens(patience time.Duration) string {
	l.t.Helper()
	ours := func(name string) bool { return regexp.MustCompile(`^redhen-[0-9A-F]{4}$`).MatchString(name) }
	a := l.until("the box's own network is in reach", patience, Order{Do: "scan"}, func(a Answer) bool { return slices.ContainsFunc(a.Names, ours) })
	return a.Names[slices.IndexFunc(a.Names, ours)]
}

// freshOnSetup is a phone at a fresh box without a screen: the network is open, and the
// page opens by itself.
func (l *lab) freshOnSetup(name string) {
	l.t.Helper()
	ip := l.must(Order{Do: "join", SSID: name, Lines: "key_mgmt=NONE"}).Text
	l.t.Logf("the phone is %s", ip)
	if a := l.must(Order{Do: "lookup", URL: "captive.apple.com"}); !slices.Equal(a.Names, []string{setup.Address}) {
		l.t.Errorf("captive.apple.com is at %q", a.Names)
	}
	for _, probe := range []string{
		"http://captive.apple.com/hotspot-detect.html", "http://connectivitycheck.gstatic.com/generate_204",
		"http://www.msftconnecttest.com/connecttest.txt", "http://detectportal.firefox.com/canonical.html",
	} {
		if a := l.must(Order{Do: "get", URL: probe}); a.Code != 302 || a.Location != setup.Page {
			l.t.Errorf("%s: %d, to %q", probe, a.Code, a.Location)
		}
	}
	if a := l.must(Order{Do: "get", URL: setup.Page + "claim"}); !strings.Contains(a.Text, `href="/wifi"`) {
		l.t.Errorf("the claim page has no way to the Wi-Fi:\n%.2000s", a.Text)
	}
	if a := l.must(Order{Do: "get", URL: setup.Page + "wifi"}); !strings.Contains(a.Text, `name="wifi-password"`) {
		l.t.Errorf("no page about the Wi-Fi:\n%.2000s", a.Text)
	}
}

// claim begins a circle.
func (l *lab) claim() {
	l.t.Helper()
	a := l.must(Order{Do: "post", URL: setup.Page + "claim", Form: map[string]string{
		"circle": "Hens", "house": "Mill Lane", "box": "mill", "person": "Anna", "login": "anna", "password": password,
	}})
	if a.Code != 303 {
		l.t.Fatalf("claim: %d %.2000s", a.Code, a.Text)
	}
}

// claimedOnSetup is the same network once the box belongs to somebody: Wi-Fi alone.
func (l *lab) claimedOnSetup() {
	l.t.Helper()
	for _, path := range []string{"", "claim", "login", "files", "dav/anna/", "healthz"} {
		if a := l.must(Order{Do: "get", URL: setup.Page + path}); a.Code != 302 || a.Location != setup.Page+"wifi" {
			l.t.Errorf("%s: %d, to %q", path, a.Code, a.Location)
		}
	}
}

// phoneJoins has the phone join the box's own network with its password.
func (l *lab) phoneJoins(name string) {
	l.t.Helper()
	a := l.must(Order{Do: "read", URL: "/perm/redhen/seed.toml"})
	key := regexp.MustCompile(`setup_password = "([^"]+)"`).FindStringSubmatch(a.Text)
	if key == nil {
		l.t.Fatalf("no password in %s", a.Text)
	}
	l.must(Order{Do: "join", SSID: name, Lines: `psk="` + key[1] + `"`})
}

// choose says on a page of the box what Wi-Fi it joins.
func (l *lab) choose(base, name, key, hidden string) {
	l.t.Helper()
	a := l.must(Order{Do: "post", URL: base + "wifi", Form: map[string]string{"other": name, "wifi-password": key, "hidden": hidden}})
	if a.Code != 200 || !strings.Contains(a.Text, "joins “"+name+"”") {
		l.t.Fatalf("choose %s: %d %.3000s", name, a.Code, a.Text)
	}
}

// answers waits until the box answers in the network of a radio, and returns its page.
func (l *lab) answers(radio int) string {
	l.t.Helper()
	base := "http://10.0." + string(rune('0'+radio)) + ".10/"
	l.until("the box answers at "+base, patience, Order{Do: "get", URL: base + "healthz"}, func(a Answer) bool { return a.Code == 200 && a.Text == "ok\n" })
	return base
}

// login logs Anna in.
func (l *lab) login(base string) {
	l.t.Helper()
	a := l.must(Order{Do: "post", URL: base + "login", Form: map[string]string{"login": "anna", "password": password}})
	if a.Code != 303 {
		l.t.Fatalf("log in: %d %.2000s", a.Code, a.Text)
	}
}

func TestArchive(t *testing.T) {
	a := &archive{dirs: map[string]bool{}}
	a.put("usr/sbin/x", []byte("abc"))
	b := a.end()
	if len(b)%4 != 0 || bytes.Count(b, []byte("070701")) != 4 || !bytes.Contains(b, []byte("usr/sbin/x\x00")) {
		t.Errorf("%q", b)
	}
}
