package datadisk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/partition/gpt"

	"redhen/board/disk"
	"redhen/images/datapart"
	"redhen/images/layout"
)

// partStart is where the one partition begins, in bytes: whole MiB suit all disks.
const partStart = 1 << 20

// Prepare erases a disk, gives it one partition with a file system, and returns the
// partition's GUID. A disk that something else uses is refused by the kernel.
func Prepare(device string) (part string, err error) {
	f, err := os.OpenFile(device, os.O_RDWR|syscall.O_EXCL, 0)
	if err != nil {
		return "", err
	}
	part, err = writeTable(f)
	if err == nil {
		err = reread(f)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	p, err := openPart(device)
	if err != nil {
		return "", err
	}
	defer p.Close()
	size, err := p.Seek(0, 2)
	if err != nil {
		return "", err
	}
	if _, err := p.WriteAt(make([]byte, 1<<20), 0); err != nil { // fresh: what was here is nobody's any more
		return "", err
	}
	return part, datapart.Make(p, size)
}

// writeTable writes a partition table with one partition, over the whole disk.
func writeTable(f *os.File) (part string, err error) {
	size, err := f.Seek(0, 2)
	if err != nil {
		return "", err
	}
	part = newGUID()
	end := uint64(size/layout.Sector) - 2048 // the spare table has room, and the end is at a MiB
	t := &gpt.Table{GUID: newGUID(), LogicalSectorSize: layout.Sector, PhysicalSectorSize: layout.Sector, ProtectiveMBR: true, Partitions: []*gpt.Partition{{
		Index: 1, Type: gpt.LinuxFilesystem, Name: "redhen data", GUID: part,
		Start: partStart / layout.Sector, End: end - 1, Size: (end - partStart/layout.Sector) * layout.Sector,
	}}}
	if err := t.Write(f, size); err != nil {
		return "", fmt.Errorf("partition table: %w", err)
	}
	return part, nil
}

// reread has the kernel look at the table (BLKRRPART, linux/fs.h).
func reread(f *os.File) error {
	const blkrrpart = 0x125f
	for try := 0; ; try++ {
		_, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), blkrrpart, 0)
		if e == 0 {
			return nil
		}
		if e != syscall.EBUSY || try == 20 { // something looks at the disk for a moment
			return fmt.Errorf("tell the kernel of the partition: %w", e)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// openPart opens the one partition, whose device is there a moment after the table.
func openPart(device string) (*os.File, error) {
	name := device + "1"
	if last := device[len(device)-1]; last >= '0' && last <= '9' {
		name = device + "p1"
	}
	for try := 0; ; try++ {
		f, err := os.OpenFile(name, os.O_RDWR|syscall.O_EXCL, 0)
		if !errors.Is(err, fs.ErrNotExist) || try == 100 {
			return f, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// newGUID draws a GUID (RFC 9562, version 4).
func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// Find returns the device of a partition, by its GUID: names change from start to start.
// root is rooted at /, dev is where devices are.
func Find(root fs.FS, dev, part string) (device string, ok bool) {
	for _, d := range disk.List(root) {
		n := numberOf(filepath.Join(dev, d.Name), part)
		for _, p := range d.Parts {
			if p.Number == n {
				return filepath.Join(dev, p.Name), true
			}
		}
	}
	return "", false
}

// numberOf returns the number of a partition in the table of a disk, 0 when it has none such.
func numberOf(device, part string) int {
	f, err := os.Open(device)
	if err != nil {
		return 0
	}
	defer f.Close()
	t, err := gpt.Read(backend.File(f), layout.Sector, layout.Sector)
	if err != nil {
		return 0
	}
	for _, p := range t.Partitions {
		if strings.EqualFold(p.GUID, part) {
			return p.Index
		}
	}
	return 0
}
