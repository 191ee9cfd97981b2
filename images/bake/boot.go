package bake

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gokrazy/tools/third_party/systemd-250.5-1"

	"redhen/images/bundle"
	"redhen/images/layout"
	"redhen/images/slot"
)

// modules of the kernels and the firmware.
const (
	kernelAMD64 = "github.com/gokrazy/kernel.amd64"
	kernelARM64 = "github.com/gokrazy/kernel.rpi"
	firmware    = "github.com/gokrazy/firmware"
)

// moduleDir is where the go command has a module that go.mod pins.
func moduleDir(ctx context.Context, c *Config, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = c.Module
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// files are files by name.
type files map[string][]byte

// take adds the files of a folder that match one of patterns, below a prefix.
func (f files) take(dir, prefix string, patterns ...string) error {
	for _, p := range patterns {
		names, err := fs.Glob(os.DirFS(dir), p)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return fmt.Errorf("%s: no %s", dir, p)
		}
		for _, name := range names {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			f[prefix+name] = b
		}
	}
	return nil
}

// slotFiles are the files of one slot on the FAT, by their names below its folder.
func slotFiles(ctx context.Context, c *Config) (files, error) {
	f := files{}
	if c.Board == layout.AMD64 {
		dir, err := moduleDir(ctx, c, kernelAMD64)
		if err != nil {
			return nil, err
		}
		return f, f.take(dir, "", layout.KernelName)
	}
	dir, err := moduleDir(ctx, c, kernelARM64)
	if err != nil {
		return nil, err
	}
	if err := f.take(dir, "", layout.KernelName, "bcm27*.dtb", "overlays/*.dtbo", "overlays/overlay_map.dtb"); err != nil {
		return nil, err
	}
	// Without this file the firmware looks for overlays outside of the slot.
	f["overlays/README"] = []byte("Overlays of this slot's kernel.\n")
	return f, nil
}

// lines are the kernel's command lines of an image.
func lines(c *Config) bundle.Lines {
	line := func(s layout.Slot, consoles ...string) string {
		return strings.TrimSpace(layout.Cmdline(c.Board, s, consoles...) + " " + c.Extra)
	}
	if c.Board == layout.AMD64 {
		consoles := []string{"tty1", "ttyS0,115200"}
		return bundle.Lines{UEFIA: line(layout.A, consoles...), UEFIB: line(layout.B, consoles...)}
	}
	uefi, pi := []string{"tty1", "ttyAMA0,115200"}, []string{"tty1", "serial0,115200"}
	return bundle.Lines{
		UEFIA: line(layout.A, uefi...), UEFIB: line(layout.B, uefi...),
		PiA: line(layout.A, pi...), PiB: line(layout.B, pi...),
	}
}

// note greets who looks at the card.
const note = `This card belongs to a redhen box.

A file redhen.toml here carries settings to the box when it starts; redhen-wifi.txt,
with the network's name in the first line and its password in the second, repairs
Wi-Fi. Please leave the other files alone.
`

// boot returns all files of an image's FAT. Slot a is filled.
func boot(ctx context.Context, c *Config) (files, error) {
	inSlot, err := slotFiles(ctx, c)
	if err != nil {
		return nil, err
	}
	all := files{
		"loader/loader.conf": []byte("timeout 0\neditor no\nauto-entries no\n"),
		"README.txt":         []byte(strings.ReplaceAll(note, "\n", "\r\n")),
	}
	for name, b := range inSlot {
		all[layout.A.Dir()+"/"+name] = b
	}
	l := lines(c)
	name, entry := slot.Entry(layout.A, c.Release, 1, l.UEFI(layout.A))
	all[layout.EntriesDir+"/"+name] = entry
	if c.Board == layout.AMD64 {
		all["EFI/BOOT/BOOTX64.EFI"], err = systemd.SystemdBootX64.ReadFile("systemd-bootx64.efi")
		return all, err
	}
	if all["EFI/BOOT/BOOTAA64.EFI"], err = systemd.SystemdBootAA64.ReadFile("systemd-bootaa64.efi"); err != nil {
		return nil, err
	}
	all[layout.ConfigTxt] = slot.PiConfig(layout.A)
	all[layout.A.Dir()+"/"+layout.CmdlineTxt] = []byte(l.Pi(layout.A) + "\n")
	// Raspberry Pi Imager looks for this one and adds to it; the firmware reads the slot's.
	all[layout.CmdlineTxt] = []byte(l.Pi(layout.A) + "\n")
	dir, err := moduleDir(ctx, c, firmware)
	if err != nil {
		return nil, err
	}
	return all, all.take(dir, "", "bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat")
}
