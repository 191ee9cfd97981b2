package layout

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"syscall"
	"time"
)

// About is what an image says of itself, in AboutDir/AboutFile.
type About struct {
	Board   Board  `json:"board"`
	Release string `json:"release"` // for people
	Number  uint64 `json:"number"`  // a later release has a larger one
	Level   uint64 `json:"level"`   // see Level
}

// Names of the files in AboutDir.
const (
	AboutFile   = "release.json"
	TrustedFile = "update.pub" // public keys in hex, one a line: whose updates are installed
)

// maxAbout bounds a file in AboutDir, in bytes.
const maxAbout = 64 << 10

// ReadAbout reads what the running image says of itself, from a file system rooted at /.
func ReadAbout(root fs.FS) (a About, err error) {
	b, err := ReadSmall(root, path.Join(AboutDir[1:], AboutFile))
	if err != nil {
		return a, fmt.Errorf("what runs here: %w", err)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("what runs here: %w", err)
	}
	return a, a.Board.Check()
}

// ReadSmall reads one of the small files of an image.
func ReadSmall(root fs.FS, name string) ([]byte, error) {
	st, err := fs.Stat(root, name)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxAbout {
		return nil, fmt.Errorf("%s has %d bytes", name, st.Size())
	}
	return fs.ReadFile(root, name)
}

// Patience is how long a slot on trial may take until it is healthy, when the
// kernel's command line does not say otherwise.
const Patience = 5 * time.Minute

// Parameters that tests shorten times with.
const (
	patienceParameter = "redhen.patience="
	promoteParameter  = "redhen.promote="
)

// PatienceLine is a parameter for the kernel's command line.
func PatienceLine(d time.Duration) string { return patienceParameter + d.String() }

// PatienceOf returns the patience that a kernel's command line asks for.
func PatienceOf(cmdline string) time.Duration {
	if d := duration(cmdline, patienceParameter); d > 0 {
		return d
	}
	return Patience
}

// PromoteLine is a parameter for the kernel's command line: after how much unbroken
// contact two houses decide together.
func PromoteLine(d time.Duration) string { return promoteParameter + d.String() }

// PromoteOf returns what a kernel's command line asks for, zero when it does not say.
func PromoteOf(cmdline string) time.Duration { return duration(cmdline, promoteParameter) }

// duration is the value of a parameter, zero when it is none or not above zero.
func duration(cmdline, name string) time.Duration {
	v, ok := parameter(cmdline, name)
	if d, err := time.ParseDuration(v); ok && err == nil && d > 0 {
		return d
	}
	return 0
}

// DiskNames are the names of a disk and its partitions.
type DiskNames struct {
	Disk string // "/dev/mmcblk0"
	dash string
}

// Part is the name of a partition.
func (d DiskNames) Part(part int) string { return fmt.Sprintf("%s%s%d", d.Disk, d.dash, part) }

// RunningDisk returns the disk that holds the root of the running system; root is
// rooted at /.
func RunningDisk(root fs.FS) (DiskNames, error) {
	var st syscall.Stat_t
	if err := syscall.Stat("/", &st); err != nil {
		return DiskNames{}, fmt.Errorf("find the disk: %w", err)
	}
	dev := uint64(st.Dev)
	major, minor := dev>>8&0xfff|dev>>32&^0xfff, dev&0xff|dev>>12&^0xff // gnu_dev_major, gnu_dev_minor
	where, err := fs.ReadLink(root, fmt.Sprintf("sys/dev/block/%d:%d", major, minor))
	if err != nil {
		return DiskNames{}, fmt.Errorf("find the disk: %w", err)
	}
	return diskOf(where)
}

// diskOf takes the place of a partition in sysfs apart.
func diskOf(where string) (DiskNames, error) {
	name := path.Base(path.Dir(where))
	if name == "block" || name == "." || name == "/" {
		return DiskNames{}, fmt.Errorf("find the disk: %s is no partition", where)
	}
	d := DiskNames{Disk: "/dev/" + name}
	if last := name[len(name)-1]; last >= '0' && last <= '9' {
		d.dash = "p" // mmcblk0p4, nvme0n1p4
	}
	return d, nil
}
