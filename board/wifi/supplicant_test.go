package wifi

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// What stands in the settings is what the network's owner wrote, and nobody's name can
// add a line.
func TestSettingsOfTheSupplicant(t *testing.T) {
	ready := strings.Repeat("0a", 32)
	for _, c := range []struct {
		n        Network
		has, not []string
	}{
		{Network{SSID: "Café\"\n}"}, []string{"ssid=436166c3a9220a7d\n", "key_mgmt=NONE\n"}, []string{"psk", "Caf"}},
		{Network{SSID: "IEEE", Passphrase: `pass"word`}, []string{"ssid=49454545\n", "SAE", "sae_password=\"pass\"word\"\n"}, []string{"NONE"}},
		{Network{SSID: "IEEE", PMK: ready}, []string{"psk=" + ready + "\n", "key_mgmt=WPA-PSK WPA-PSK-SHA256\n"}, []string{"SAE", "sae_password", "NONE"}},
	} {
		b, err := settings("/run/x", c.n, "DE")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range append(c.has, "country=DE\n", "ctrl_interface=/run/x\n") {
			if !strings.Contains(string(b), text) {
				t.Errorf("%q: no %q in\n%s", c.n.SSID, text, b)
			}
		}
		for _, text := range c.not {
			if strings.Contains(string(b), text) {
				t.Errorf("%q: %q in\n%s", c.n.SSID, text, b)
			}
		}
	}
	for _, bad := range []Network{{SSID: "x", Passphrase: "pass\nword"}, {SSID: "x", PMK: "0a"}} {
		if b, err := settings("/run/x", bad, ""); err == nil {
			t.Errorf("%+v taken: %s", bad, b)
		}
	}
}

func TestWhatTheSupplicantSays(t *testing.T) {
	var s supplicant
	for _, c := range []struct {
		message         string
		joined, refused bool
	}{
		{"OK\n", false, false},
		{"wpa_state=SCANNING\naddress=02:00:00:00:00:00\n", false, false},
		{"<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"Home\" auth_failures=1 duration=10 reason=WRONG_KEY", false, true},
		{"<3>CTRL-EVENT-SSID-REENABLED id=0 ssid=\"Home\"", false, true},
		{"<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=0 id_str=]", true, false},
		{"<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=3", false, false},
		{"bssid=02:00\nwpa_state=COMPLETED\nip_address=10.0.0.2\n", true, false},
		{"<3>CTRL-EVENT-CONN", true, false}, {"<", true, false}, {"", true, false},
	} {
		s.note(c.message)
		if s.joined.Load() != c.joined || s.refused.Load() != c.refused {
			t.Errorf("after %q: joined %t, refused %t", c.message, s.joined.Load(), s.refused.Load())
		}
	}
}

func FuzzNote(f *testing.F) {
	f.Add("<3>CTRL-EVENT-CONNECTED - x")
	f.Fuzz(func(t *testing.T, message string) { new(supplicant).note(message) }) // it must not panic
}

// sham is a program in place of wpa_supplicant: it says that it runs, no more.
func sham(t *testing.T) Helper {
	t.Helper()
	dir, err := os.MkdirTemp("", "wifi") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "sham")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Helper{Program: program, Dir: filepath.Join(dir, "run")}
}

// The talk with the program: it is asked for events, which become the state, until it ends.
func TestTalkWithTheSupplicant(t *testing.T) {
	h := sham(t)
	if !h.there() || (Helper{}).there() || (Helper{Program: h.Dir}).there() {
		t.Error("a program is there that is not, or the other way round")
	}
	came := make(chan string, 10)
	go func() { // ends with the socket
		socket := filepath.Join(h.Dir, "ctl", "wlan9")
		for range 500 {
			if _, err := os.Stat(filepath.Join(h.Dir, "network.conf")); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		os.MkdirAll(filepath.Dir(socket), 0o700)
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			came <- err.Error()
			return
		}
		defer l.Close()
		b := make([]byte, 100)
		for range 2 {
			n, from, err := l.ReadFromUnix(b)
			if err != nil {
				came <- err.Error()
				return
			}
			came <- string(b[:n])
			l.WriteToUnix([]byte("<3>CTRL-EVENT-CONNECTED - x"), from)
		}
	}()
	s, err := h.start(nil, "wlan9", Network{SSID: "Home", Passphrase: "correct horse"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := <-came + " " + <-came; got != "ATTACH STATUS" {
		t.Errorf("asked %q", got)
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if joined, _ := s.state(); joined {
			break
		}
	}
	if joined, _ := s.state(); !joined {
		t.Error("what it says does not come")
	}
	s.stop()
	if joined, _ := s.state(); joined {
		t.Error("joined, and the program is gone")
	}
}

func TestASupplicantThatEndsAtOnce(t *testing.T) {
	h := sham(t)
	if err := os.WriteFile(h.Program, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s, err := h.start(nil, "wlan9", Network{SSID: "Home"}, ""); err == nil {
		s.stop()
		t.Error("it is talked with")
	}
}

func TestCabled(t *testing.T) {
	net := func(name, carrier string, also ...string) fstest.MapFS {
		m := fstest.MapFS{"sys/class/net/" + name + "/carrier": {Data: []byte(carrier)}}
		for _, a := range also {
			m["sys/class/net/"+name+"/"+a] = &fstest.MapFile{Mode: fs.ModeDir}
		}
		return m
	}
	for _, c := range []struct {
		root fstest.MapFS
		want bool
	}{
		{net("eth0", "1\n", "device"), true},
		{net("eth0", "0\n", "device"), false},
		{net("wlan0", "1\n", "device", "phy80211"), false},
		{net("lo", "1\n"), false},
		{fstest.MapFS{}, false},
	} {
		if got := Cabled(c.root); got != c.want {
			t.Errorf("%v: %t", c.root, got)
		}
	}
}

func TestAddressesOfNoInterface(t *testing.T) {
	if err := errors.Join(SetAddress("no-such", "10.0.0.1/24")); err == nil {
		t.Error("an interface that is not there has an address")
	}
	if err := ClearAddresses("no-such"); err == nil {
		t.Error("an interface that is not there gave its addresses up")
	}
}
