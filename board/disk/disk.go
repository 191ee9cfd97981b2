// Package disk tells of the disks of a box, from sysfs: what they are, how worn,
// how often they failed, and which of them holds the data.
package disk

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is how a disk is attached; what matters for how long it lasts.
type Kind uint8

// Kinds of disks.
const (
	Other   Kind = iota
	Card         // SD or microSD card
	EMMC         // soldered flash
	Stick        // USB flash stick, or a card in a USB reader
	USB          // disk in a USB case
	SATA         // SATA or SCSI disk
	NVMe         // NVMe disk
	Virtual      // disk of a virtual machine
)

// String returns the name of the constant in lower case.
func (k Kind) String() string {
	return [...]string{"other", "card", "emmc", "stick", "usb", "sata", "nvme", "virtual"}[min(k, Virtual)]
}

// Disk is one disk. Texts and numbers that the kernel does not tell are zero.
type Disk struct {
	Name      string // "mmcblk0"
	Kind      Kind
	Model     string
	Serial    string
	Made      string // month of make, "03/2024"; cards only
	Size      int64  // bytes
	Block     int64  // bytes of the piece that it counts in: 512, on a few disks 4096
	ReadOnly  bool   // refuses writes as a whole: locked, or worn out
	Removable bool
	Rotates   bool // a disk with platters
	Life      Life
	Errors    Errors
	Traffic   Traffic
	Parts     []Part // by number
}

// Part is one partition.
type Part struct {
	Name   string // "mmcblk0p4"
	Number int
	Start  int64 // byte on the disk
	Size   int64 // bytes
}

// Life is what a disk says of its own wear (JEDEC eMMC 5.0, EXT_CSD). SD cards do not
// say; of NVMe and SATA disks sysfs does not tell.
type Life struct {
	Known   bool
	Used    int // per cent of the planned life that is surely used, 0–100: the worse of the two kinds of cells
	Spare   Spare
	Expired bool // the planned life is over
}

// Spare is what is left of an eMMC's reserve.
type Spare uint8

// States of the reserve.
const (
	SpareUnknown Spare = iota
	SpareNormal
	SpareWarning // 80 per cent are used
	SpareUrgent  // 90 per cent are used
)

// Errors counts failed commands since the start of the box.
type Errors struct {
	Known  bool  // the kernel counts for SCSI, SATA and USB disks only
	Failed int64 // commands that ended with an error
}

// Traffic is what a disk did since the start of the box.
type Traffic struct {
	Reads, Writes, Flushes  int64         // requests
	ReadBytes, WrittenBytes int64         // bytes
	WriteTime, FlushTime    time.Duration // sums over all requests
}

// sector is the unit of sizes in sysfs, whatever the disk's own is.
const sector = 512

// List returns the disks in sys/block of a file system rooted at /, by name. Loop
// devices, RAM disks and the boot areas of an eMMC are left out.
func List(fsys fs.FS) []Disk {
	entries, err := fs.ReadDir(fsys, "sys/block")
	if err != nil {
		return nil
	}
	var all []Disk
	for _, e := range entries {
		if d, ok := read(fsys, e.Name()); ok {
			all = append(all, d)
		}
	}
	return all
}

func read(fsys fs.FS, name string) (Disk, bool) {
	dir := "sys/block/" + name
	where, err := fs.ReadLink(fsys, dir)
	if err != nil || strings.Contains(where, "/devices/virtual/") {
		return Disk{}, false
	}
	for _, area := range []string{"boot0", "boot1", "rpmb", "gp0"} {
		if strings.HasPrefix(name, "mmcblk") && strings.HasSuffix(name, area) {
			return Disk{}, false
		}
	}
	d := Disk{
		Name: name, Size: number(fsys, dir+"/size") * sector,
		ReadOnly:  number(fsys, dir+"/ro") == 1 || number(fsys, dir+"/force_ro") == 1,
		Removable: number(fsys, dir+"/removable") == 1,
		Rotates:   number(fsys, dir+"/queue/rotational") == 1,
		Block:     max(sector, number(fsys, dir+"/queue/logical_block_size")),
		Traffic:   traffic(fsys, dir),
		Parts:     parts(fsys, dir),
	}
	if d.Size == 0 {
		return Disk{}, false // a reader without a card
	}
	d.Kind = kind(fsys, dir, where, d.Removable)
	d.identify(fsys, dir+"/device")
	return d, true
}

func kind(fsys fs.FS, dir, where string, removable bool) Kind {
	switch {
	case strings.Contains(where, "/mmc_host/"):
		if text(fsys, dir+"/device/type") == "MMC" {
			return EMMC
		}
		return Card
	case strings.Contains(where, "/usb"):
		if removable {
			return Stick
		}
		return USB
	case strings.Contains(where, "/nvme/"):
		return NVMe
	case strings.Contains(where, "/virtio"):
		return Virtual
	case strings.Contains(where, "/host"):
		if v := text(fsys, dir+"/device/vendor"); v == "QEMU" || v == "VMware" || v == "VBOX" {
			return Virtual
		}
		return SATA
	}
	return Other
}

func (d *Disk) identify(fsys fs.FS, dir string) {
	d.Serial = text(fsys, dir+"/serial")
	switch d.Kind {
	case Card, EMMC:
		d.Model = text(fsys, dir+"/name")
		d.Made = text(fsys, dir+"/date")
		d.Life = life(text(fsys, dir+"/life_time"), text(fsys, dir+"/pre_eol_info"))
	default:
		vendor := text(fsys, dir+"/vendor")
		if vendor == "ATA" || strings.HasPrefix(vendor, "0x") {
			vendor = ""
		}
		d.Model = strings.TrimSpace(vendor + " " + text(fsys, dir+"/model"))
		if s := text(fsys, dir+"/ioerr_cnt"); s != "" {
			n, err := strconv.ParseInt(s, 0, 64) // "0x1f"
			d.Errors = Errors{Known: err == nil, Failed: n}
		}
	}
}

// life reads "0x01 0x02" (types A and B; n is up to n × 10 per cent used, 0x0b is
// over) and "0x01" (1 normal, 2 warning, 3 urgent). 0 is not defined.
func life(used, spare string) (l Life) {
	for _, f := range strings.Fields(used) {
		n, err := strconv.ParseUint(f, 0, 8)
		if err != nil || n == 0 {
			continue
		}
		l.Known = true
		l.Used = max(l.Used, min(int(n-1)*10, 100))
		l.Expired = l.Expired || n > 10
	}
	if n, err := strconv.ParseUint(spare, 0, 8); err == nil && n <= uint64(SpareUrgent) {
		l.Spare = Spare(n)
		l.Known = l.Known || n > 0
	}
	return l
}

// traffic reads the stat file (Documentation/ABI/stable/sysfs-block). Kernels before
// 5.5 do not count flushes.
func traffic(fsys fs.FS, dir string) (t Traffic) {
	var n [17]int64
	for i, f := range strings.Fields(text(fsys, dir+"/stat")) {
		if i < len(n) {
			n[i], _ = strconv.ParseInt(f, 10, 64)
		}
	}
	return Traffic{
		Reads: n[0], ReadBytes: n[2] * sector,
		Writes: n[4], WrittenBytes: n[6] * sector, WriteTime: time.Duration(n[7]) * time.Millisecond,
		Flushes: n[15], FlushTime: time.Duration(n[16]) * time.Millisecond,
	}
}

func parts(fsys fs.FS, dir string) (all []Part) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		sub := path.Join(dir, e.Name())
		if n := number(fsys, sub+"/partition"); n > 0 {
			all = append(all, Part{Name: e.Name(), Number: int(n), Start: number(fsys, sub+"/start") * sector, Size: number(fsys, sub+"/size") * sector})
		}
	}
	slices.SortFunc(all, func(a, b Part) int { return a.Number - b.Number })
	return all
}

// Best returns the disk that data is best kept on: of at least min bytes, writable,
// by how long its kind lasts and then by size. A USB disk
// comes before the card that the box starts from; a stick does not, it is no better
// than a card.
func Best(disks []Disk, min int64) (best Disk, ok bool) {
	for _, d := range disks {
		if d.Size < min || d.ReadOnly || d.Life.Expired {
			continue
		}
		if !ok || rank(d.Kind) > rank(best.Kind) || rank(d.Kind) == rank(best.Kind) && d.Size > best.Size {
			best, ok = d, true
		}
	}
	return best, ok
}

func rank(k Kind) int {
	return [...]int{Other: 0, Stick: 1, Card: 2, EMMC: 3, USB: 4, Virtual: 4, SATA: 5, NVMe: 6}[min(k, Virtual)]
}

// text returns the content of a small file without blanks at its ends; empty when it
// cannot be read.
func text(fsys fs.FS, name string) string {
	b, err := fs.ReadFile(fsys, name)
	if err != nil || len(b) > 4096 {
		return ""
	}
	return strings.Trim(string(b), " \t\n\x00")
}

func number(fsys fs.FS, name string) int64 {
	n, err := strconv.ParseInt(text(fsys, name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
