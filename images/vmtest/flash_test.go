package vmtest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"redhen/images/card"
	"redhen/images/layout"
	"redhen/provision/seed"
)

// TestFlashedCardStarts writes a card with the command that people use, and starts from
// it: its names are on the page, and its secrets off the card.
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
	if !holds(t, disk, "cluck cluck") {
		t.Error("the card has no Wi-Fi password to begin with")
	}
	if err := os.Truncate(disk, cardSize); err != nil {
		t.Fatal(err)
	}
	m := start(t, Config{Board: layout.AMD64, Disk: disk, Dir: dir})
	answers(t, m, "/", "The card gives names to this box")
	answers(t, m, "/claim", "Mill Lane")
	m.Cut()
	if holds(t, disk, "cluck cluck") {
		t.Error("the Wi-Fi's password is still on the card")
	}
}

// holds reports whether a text stands anywhere on the FAT of a card.
func holds(t *testing.T, disk, text string) bool {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x := layout.Part(layout.BootPart)
	b, err := io.ReadAll(io.NewSectionReader(f, x.Start, x.Size))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte(text))
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
