package vmtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redhen/images/card"
	"redhen/images/layout"
)

// TestPiImageStartsByUEFI starts the very image of the Raspberry Pis in a virtual
// machine, which has the processor and none of the chips.
func TestPiImageStartsByUEFI(t *testing.T) {
	need(t, layout.ARM64, "all")
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := Card(image(t, layout.ARM64), disk, cardSize); err != nil {
		t.Fatal(err)
	}
	c := Config{Board: layout.ARM64, Disk: disk, Dir: dir}
	m := start(t, c)
	answers(t, m, "/", "Hello")
	closed(t, m)
	claim(t, m)
	write(t, m, "kept.txt", "kept on arm64")
	m.Cut()
	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	has(t, m, "kept.txt", "kept on arm64")
}

// TestPiImageStartsOnAPi3 starts the kernel of the image on an emulated Raspberry Pi 3,
// with its real card controller and USB. What it does not show: the firmware, and so
// config.txt, tryboot, and Wi-Fi.
func TestPiImageStartsOnAPi3(t *testing.T) {
	need(t, layout.ARM64, "all")
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := Card(image(t, layout.ARM64), disk, 1<<30); err != nil {
		t.Fatal(err)
	}
	m := start(t, Config{Board: layout.ARM64, Disk: disk, Dir: dir, Pi3: firmware(t, disk, dir)})
	answers(t, m, "/", "Hello")
}

// firmware does what the firmware of a Raspberry Pi does: it follows config.txt on the
// card to kernel, device tree and command line.
func firmware(t *testing.T, disk, dir string) *Pi3 {
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
	get := func(name string) []byte {
		b, err := fat.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	prefix, kernel := "", ""
	for line := range strings.Lines(string(get(layout.ConfigTxt))) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "os_prefix":
			prefix = value
		case "kernel":
			kernel = value
		}
	}
	p := &Pi3{Kernel: filepath.Join(dir, "kernel"), Tree: filepath.Join(dir, "tree.dtb")}
	for path, name := range map[string]string{p.Kernel: kernel, p.Tree: "bcm2710-rpi-3-b.dtb"} {
		if err := os.WriteFile(path, get(prefix+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.Line = strings.Replace(strings.TrimSpace(string(get(prefix+layout.CmdlineTxt))), "serial0", "ttyAMA0", 1)
	return p
}
