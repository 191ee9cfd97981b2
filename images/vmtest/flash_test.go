package vmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"redhen/images/card"
	"redhen/images/layout"
	"redhen/provision/seed"
)

// TestFlashedCardStarts writes a card with the command that people use, and starts from it.
func TestFlashedCardStarts(t *testing.T) {
	need(t, layout.AMD64, "all")
	dir := t.TempDir()
	disk := filepath.Join(dir, "card.img")
	flash := exec.Command(filepath.Join(tree(t, layout.AMD64), "user/redhen"), "flash", "--image", image(t, layout.AMD64),
		"--circle", "Hens", "--house", "Mill Lane", "--box", "mill", "--keeper", "anna", "--wifi", "hens", "--country", "GB", disk)
	flash.Stdin = strings.NewReader("cluck cluck\n")
	out, err := flash.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "It was read back and is right") || !strings.Contains(string(out), "reading back: 100 %") {
		t.Fatalf("flash: %v\n%s", err, out)
	}
	if s := settings(t, disk); s.House != "Mill Lane" || len(s.Wifi) != 1 || s.Wifi[0].Passphrase != "cluck cluck" {
		t.Errorf("settings on the card: %+v", s)
	}
	if err := os.Truncate(disk, cardSize); err != nil {
		t.Fatal(err)
	}
	m := start(t, Config{Board: layout.AMD64, Disk: disk, Dir: dir})
	answers(t, m, "/healthz", "ok")
}

// settings reads the settings on a card.
func settings(t *testing.T, disk string) seed.Seed {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fat, err := card.OpenFAT(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fat.Get(layout.SettingsTxt)
	if err != nil {
		t.Fatal(err)
	}
	s, problems := seed.ParseRedhen(b)
	if len(problems) > 0 {
		t.Errorf("settings: %v", problems)
	}
	return s
}
