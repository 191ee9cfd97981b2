package firstboot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"redhen/provision/seed"
)

// What somebody chooses comes first, and is there after a restart.
func TestNetworksThatPeopleChoose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, map[string]string{"redhen-wifi.txt": "name: Attic\npassword: correct horse\n"})
		s, stop := b.start()
		change := s.Changed()
		s.AddWifi(seed.Wifi{SSID: "Cellar"})
		select {
		case <-change:
		default:
			t.Error("nobody is told")
		}
		s.AddWifi(seed.Wifi{SSID: "Attic", Passphrase: "battery staple"})
		password := s.SetupPassword()
		if len(password) < 8 || s.SetupPassword() != password {
			t.Errorf("password %q", password)
		}
		stop()
		s, stop = b.start()
		if got := s.Seed().Wifi; len(got) != 2 || got[0] != (seed.Wifi{SSID: "Attic", Passphrase: "battery staple"}) || got[1].SSID != "Cellar" || s.SetupPassword() != password {
			t.Errorf("kept %d networks, password %t", len(got), s.SetupPassword() == password)
		}
		if !s.ForgetWifi("Attic") || s.ForgetWifi("Attic") {
			t.Error("a network is forgotten once")
		}
		if got := s.Seed().Wifi; len(got) != 1 || got[0].SSID != "Cellar" {
			t.Errorf("left: %d", len(got))
		}
		stop()
	})
}

// A stick repairs the Wi-Fi and nothing else, and what is wrong on it is said once.
func TestAStick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, nil)
		b.circle.claimed = true
		s, stop := b.start()
		defer stop()
		dir := t.TempDir()
		put := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("redhen-reset.txt", "password: three brown hens\n")
		put("redhen.toml", "house = \"Elsewhere\"\n")
		if s.TakeStick(seed.Dir(dir)) {
			t.Error("taken, without a file about Wi-Fi")
		}
		put("redhen-wifi.txt", "name: Attic\npassword: short\n")
		for range 2 {
			s.TakeStick(seed.Dir(dir))
		}
		if got := s.State().Told(nil); len(got) != 1 || !strings.Contains(got[0], "On a USB stick: redhen-wifi.txt, line 2") {
			t.Errorf("problems %q", got)
		}
		put("redhen-wifi.txt", "name: Attic\npassword: correct horse\n")
		if !s.TakeStick(seed.Dir(dir)) || len(s.Seed().Wifi) != 1 || s.Seed().House != "" || s.Seed().Reset.Wanted {
			t.Errorf("%d networks, house %q, reset %t", len(s.Seed().Wifi), s.Seed().House, s.Seed().Reset.Wanted)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "redhen-wifi.txt")); err != nil || !strings.Contains(string(b), "correct horse") {
			t.Errorf("the stick was written to: %s, %v", b, err)
		}
	})
}
