// Package layout says what is where on a card: the partitions, the names of the files
// on its FAT, and what tells the kernel which slot it runs from. An image is built by
// it, a box starts by it, an update is written by it.
package layout

import (
	"fmt"
	"strings"
)

// Numbers of the partitions.
const (
	BootPart  = 1 // FAT32: boot loader, one kernel for each slot, room for settings
	RootAPart = 2 // squashfs
	RootBPart = 3 // squashfs
	DataPart  = 4 // ext4: made, and grown to the end of the card, at the first start
)

// Sizes, in bytes.
const (
	mib       = 1 << 20
	Sector    = 512
	BootStart = 4 * mib
	BootSize  = 192 * mib // two kernels of 46 MiB and the firmware, more than half of it free
	RootSize  = 160 * mib
	DataMin   = 64 * mib
	DataStart = BootStart + BootSize + 2*RootSize
	// ImageSize is the size of an image; it holds the spare partition table at its end.
	ImageSize = DataStart + DataMin + mib
)

// Board is a kind of image.
type Board string

// The boards.
const (
	AMD64 Board = "vm-amd64"  // PCs and virtual machines
	ARM64 Board = "box-arm64" // Raspberry Pi 3, 4, 5, Zero 2 W; virtual machines
)

// Boards returns all of them.
func Boards() []Board { return []Board{AMD64, ARM64} }

// Arch is what Go calls the processor of a board.
func (b Board) Arch() string {
	if b == ARM64 {
		return "arm64"
	}
	return "amd64"
}

// Check refuses a board that is none.
func (b Board) Check() error {
	if b != AMD64 && b != ARM64 {
		return fmt.Errorf("board %q: want %s or %s", string(b), AMD64, ARM64)
	}
	return nil
}

// Slot is one of the two places for a system.
type Slot string

// The slots.
const (
	A Slot = "a"
	B Slot = "b"
)

// Other returns the slot that is not s.
func (s Slot) Other() Slot {
	if s == A {
		return B
	}
	return A
}

// RootPart is the number of the partition with the slot's root.
func (s Slot) RootPart() int {
	if s == B {
		return RootBPart
	}
	return RootAPart
}

// Dir is the folder on the FAT with the slot's kernel, by the name that a boot loader
// takes: with slashes, none at the ends.
func (s Slot) Dir() string { return "redhen/" + string(s) }

// Where a running box finds things.
const (
	BootDir  = "/boot"               // the FAT is mounted here
	DataDir  = "/perm"               // the data partition is mounted here
	StateDir = "/perm/redhen"        // state directory of the box
	DiskDir  = "/perm/disk"          // a data disk is mounted here, and its DiskState at StateDir
	AboutDir = "/etc/redhen"         // about the image: release.json, update.pub
	Trouble  = "/run/redhen/trouble" // what the start of the system found wrong; see Fault
)

// DiskState is the folder of a data disk that holds the state directory of the box.
const DiskState = "redhen"

// Names on the FAT.
const (
	KernelName  = "vmlinuz"
	EntriesDir  = "loader/entries"
	ConfigTxt   = "config.txt"  // of a Raspberry Pi
	TrybootTxt  = "tryboot.txt" // read instead of it once, when the restart asks for that
	CmdlineTxt  = "cmdline.txt"
	SettingsTxt = "redhen.toml" // see provision/seed
)

// Parameter that tells a running box its slot, on the kernel's command line.
const slotParameter = "redhen.slot="

// Cmdline returns the kernel's command line for a slot. Console names come first: the
// last of them is the one that programs write to.
func Cmdline(b Board, s Slot, consoles ...string) string {
	line := ""
	for _, c := range consoles {
		line += "console=" + c + " "
	}
	line += fmt.Sprintf("root=PARTUUID=%s/PARTNROFF=%d ro rootwait init=/gokrazy/init panic=10 oops=panic %s%s",
		PartGUID(BootPart), s.RootPart()-BootPart, slotParameter, s)
	if b == AMD64 {
		line += " pci=nommconf"
	}
	return line
}

// Relined is a kernel's command line, made by Cmdline, for another slot.
func Relined(line string, s Slot) string {
	words := strings.Fields(line)
	for i, w := range words {
		switch guid, _, found := strings.Cut(w, "/PARTNROFF="); {
		case found:
			words[i] = fmt.Sprintf("%s/PARTNROFF=%d", guid, s.RootPart()-BootPart)
		case strings.HasPrefix(w, slotParameter):
			words[i] = slotParameter + string(s)
		}
	}
	return strings.Join(words, " ")
}

// SlotOf returns the slot that a kernel's command line names; of another system's, false.
func SlotOf(cmdline string) (Slot, bool) {
	v, ok := parameter(cmdline, slotParameter)
	return Slot(v), ok && (v == string(A) || v == string(B))
}

// parameter returns the value of the first parameter that begins so.
func parameter(cmdline, begin string) (string, bool) {
	for _, word := range strings.Fields(cmdline) {
		if v, ok := strings.CutPrefix(word, begin); ok {
			return v, true
		}
	}
	return "", false
}
