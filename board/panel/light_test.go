package panel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// leds is /sys/class/leds in memory; it notes what is written.
type leds struct {
	fstest.MapFS
	wrote []string
	fail  string
}

func (l *leds) Write(name, content string) error {
	if name == l.fail {
		return os.ErrPermission
	}
	l.wrote = append(l.wrote, name+"="+content)
	return nil
}

func pi(name string) *leds {
	return &leds{MapFS: fstest.MapFS{
		name + "/trigger":        {Data: []byte("none kbd-scrolllock timer heartbeat [mmc0] default-on\n")},
		name + "/max_brightness": {Data: []byte("255\n")},
		"PWR/trigger":            {Data: []byte("none [default-on]\n")},
	}}
}

func TestTheLightShowsFourStates(t *testing.T) {
	seen := map[string]bool{}
	for state, want := range map[Light]string{
		Fine:    "ACT/trigger=none ACT/brightness=255",
		Busy:    "ACT/trigger=timer ACT/delay_on=1000 ACT/delay_off=1000",
		Person:  "ACT/trigger=timer ACT/delay_on=200 ACT/delay_off=200",
		Trouble: "ACT/trigger=timer ACT/delay_on=60 ACT/delay_off=940",
		Unlit:   "ACT/trigger=mmc0",
	} {
		l := pi("ACT")
		lamp := FindLamp(l)
		if lamp == nil {
			t.Fatal("no light found")
		}
		if err := lamp.Show(state); err != nil {
			t.Error(err)
		}
		got := strings.Join(l.wrote, " ")
		if got != want || seen[got] {
			t.Errorf("state %d: %s, want %s", state, got, want)
		}
		seen[got] = true
	}
}

func TestLightsOfBoards(t *testing.T) {
	for name, want := range map[string]bool{"ACT": true, "led0": true, "green:status": true, "input3::capslock": false} {
		if got := FindLamp(pi(name)) != nil; got != want {
			t.Errorf("%s: found %v", name, got)
		}
	}
	if FindLamp(&leds{MapFS: fstest.MapFS{}}) != nil || FindLamp(Folder(filepath.Join(t.TempDir(), "missing"))) != nil {
		t.Error("a light where there is none")
	}
	l := &leds{MapFS: fstest.MapFS{"led0/brightness": {Data: []byte("0\n")}}} // a kernel that tells little
	if err := FindLamp(l).Show(Fine); err != nil || fmt.Sprint(l.wrote) != "[led0/trigger=none led0/brightness=1]" {
		t.Errorf("wrote %v, %v", l.wrote, err)
	}
	l.fail = "led0/delay_on"
	if err := FindLamp(l).Show(Busy); err == nil {
		t.Error("a write that fails is not told")
	}
}

func TestFolderWritesIntoFilesThatAreThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "ACT"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ACT", "trigger")
	if err := os.WriteFile(path, []byte("[mmc0]"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := Folder(dir)
	if err := f.Write("ACT/trigger", "none"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(b), "none") {
		t.Errorf("holds %q, %v", b, err)
	}
	if err := f.Write("ACT/missing", "1"); err == nil {
		t.Error("a file was made")
	}
}
