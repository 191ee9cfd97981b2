package layout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/partition/gpt"
)

// diskGUID and the GUIDs of the partitions are fixed: the kernel's command line names
// the first partition by its GUID. They begin with "redhen".
const diskGUID = "72656468-656E-4000-8000-000000000000"

// PartGUID is the GUID of a partition.
func PartGUID(part int) string { return fmt.Sprintf("72656468-656E-4000-8000-%012X", part) }

// Extent is a stretch of a disk, in bytes.
type Extent struct{ Start, Size int64 }

// Part returns where a partition is in an image. On a card the last one may be larger.
func Part(part int) Extent {
	switch part {
	case BootPart:
		return Extent{BootStart, BootSize}
	case RootAPart:
		return Extent{BootStart + BootSize, RootSize}
	case RootBPart:
		return Extent{BootStart + BootSize + RootSize, RootSize}
	}
	return Extent{DataStart, DataMin}
}

// Disk is a card, or an image of one. *os.File is one.
type Disk interface {
	backend.WritableFile
}

// WriteTable writes the partition table of a disk of size bytes: a GPT, and before it
// an MBR that names the first partition too, for the Raspberry Pis that know nothing else.
func WriteTable(d Disk, b Board, size int64) error {
	if size < ImageSize {
		return fmt.Errorf("partition table: %d bytes are too few, want %d", size, ImageSize)
	}
	root := gpt.LinuxRootX86_64
	if b == ARM64 {
		root = gpt.LinuxRootArm64
	}
	t := &gpt.Table{GUID: diskGUID, LogicalSectorSize: Sector, PhysicalSectorSize: Sector}
	for _, p := range []struct {
		part int
		kind gpt.Type
		name string
	}{
		{BootPart, gpt.EFISystemPartition, "redhen boot"},
		{RootAPart, root, "redhen a"},
		{RootBPart, gpt.LinuxFilesystem, "redhen b"},
		{DataPart, gpt.LinuxFilesystem, "redhen data"},
	} {
		x := Part(p.part)
		t.Partitions = append(t.Partitions, &gpt.Partition{
			Index: p.part, Type: p.kind, Name: p.name, GUID: PartGUID(p.part),
			Start: uint64(x.Start / Sector), Size: uint64(x.Size), End: uint64((x.Start+x.Size)/Sector) - 1,
		})
	}
	if err := t.Write(d, size); err != nil {
		return fmt.Errorf("partition table: %w", err)
	}
	if _, err := d.WriteAt(hybridMBR(), 0); err != nil {
		return fmt.Errorf("partition table: %w", err)
	}
	return nil
}

// hybridMBR names the FAT for old boot ROMs, and the GPT for the kernel.
func hybridMBR() []byte {
	b := make([]byte, Sector)
	entry := func(at int, active, kind byte, start, size uint32) {
		e := b[at : at+16]
		e[0], e[4] = active, kind
		copy(e[1:], []byte{0xfe, 0xff, 0xff}) // cylinders do not count
		copy(e[5:], []byte{0xfe, 0xff, 0xff})
		binary.LittleEndian.PutUint32(e[8:], start)
		binary.LittleEndian.PutUint32(e[12:], size)
	}
	entry(446, 0x80, 0x0c, BootStart/Sector, BootSize/Sector)
	entry(462, 0, 0xee, 1, BootStart/Sector-1)
	b[510], b[511] = 0x55, 0xaa
	return b
}

// ErrNotOurs says that a disk has no partition table of ours.
var ErrNotOurs = errors.New("this is no redhen card")

// FindData returns where the data partition of a disk is now.
func FindData(d backend.File) (Extent, error) {
	_, p, err := findData(d)
	if err != nil {
		return Extent{}, err
	}
	return Extent{int64(p.Start) * Sector, int64(p.Size)}, nil
}

// Grow has the data partition reach to the end of a disk of size bytes, and returns
// where it is. It changes nothing when less than a MiB would be gained. A cut leaves
// the old table or the new one.
func Grow(d Disk, size int64) (x Extent, grown bool, err error) {
	t, p, err := findData(d)
	if err != nil {
		return Extent{}, false, err
	}
	last := uint64(size/Sector) - 34 // the spare table follows
	if p.End+mib/Sector <= last {
		t.Resize(uint64(size))
		p.End = last
		p.Size = (p.End - p.Start + 1) * Sector
		t.ProtectiveMBR = false // ours stays
		if err := t.Write(d, size); err != nil {
			return Extent{}, false, fmt.Errorf("grow data partition: %w", err)
		}
		grown = true
	}
	return Extent{int64(p.Start) * Sector, int64(p.Size)}, grown, nil
}

func findData(d backend.File) (*gpt.Table, *gpt.Partition, error) {
	t, err := gpt.Read(d, Sector, Sector)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	for _, p := range t.Partitions {
		if p.Index == DataPart && p.GUID == PartGUID(DataPart) && p.Start == DataStart/Sector {
			return t, p, nil
		}
	}
	return nil, nil, ErrNotOurs
}

// Storage gives an open file or device to go-diskfs.
func Storage(f *os.File) backend.Storage { return file.New(f, false) }
