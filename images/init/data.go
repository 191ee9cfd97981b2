package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"redhen/images/datapart"
	"redhen/images/layout"
)

// prepareData has a file system on the data partition before gokrazy mounts it.
func (s *system) prepareData() {
	begin := time.Now()
	made, err := s.makeData()
	switch {
	case err != nil:
		s.end("The part of the card for data could not be made ready (%v). Nothing was erased. The card may be locked or worn out; try it again with another card.", err)
	case made > 0:
		log.Printf("made the data partition, %d MiB, in %v", made>>20, time.Since(begin).Round(time.Millisecond))
	}
}

// makeData makes the file system of a fresh card and returns its size, 0 when there is one.
func (s *system) makeData() (made int64, err error) {
	names, err := layout.RunningDisk(s.root)
	if err != nil {
		return 0, err
	}
	data, err := os.Open(names.Part(layout.DataPart))
	if err != nil {
		return 0, err
	}
	state, err := datapart.Look(data)
	data.Close()
	switch {
	case err != nil:
		return 0, err
	case state == datapart.Faulty:
		s.trouble(layout.Fault{Code: layout.CardFaulty})
		return 0, nil
	case state == datapart.Unknown:
		return 0, fmt.Errorf("what is on it is damaged, or not redhen's")
	case state == datapart.Ready:
		return 0, nil
	}
	size, err := grow(names.Disk)
	if err != nil {
		return 0, err
	}
	f, err := os.OpenFile(names.Part(layout.DataPart), os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return size, datapart.Make(f, size)
}

// grow has the data partition reach to the end of the disk, in the table and in the
// kernel's mind.
func grow(disk string) (int64, error) {
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	x, _, err := layout.Grow(f, size)
	if err != nil {
		return 0, err
	}
	return x.Size, resizePart(f, layout.DataPart, x)
}

// resizePart tells the kernel where a partition ends now (BLKPG, linux/blkpg.h).
func resizePart(disk *os.File, part int, x layout.Extent) error {
	const (
		blkpg  = 0x1269
		resize = 3
	)
	type partition struct {
		start, length int64
		number        int32
		names         [128]byte
	}
	type argument struct {
		op, flags, size int32
		data            unsafe.Pointer
	}
	p := partition{start: x.Start, length: x.Size, number: int32(part)}
	a := argument{op: resize, size: int32(unsafe.Sizeof(p)), data: unsafe.Pointer(&p)}
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, disk.Fd(), blkpg, uintptr(unsafe.Pointer(&a))); e != 0 {
		return fmt.Errorf("tell the kernel of the larger partition: %w", e)
	}
	return nil
}

// dataIsThere looks whether gokrazy could mount the data partition for writing.
func (s *system) dataIsThere() {
	if len(s.fatal) > 0 {
		return
	}
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		log.Print(err)
	}
	if !writable(string(b), layout.DataDir) {
		s.end("The part of the card for data cannot be written to. Nothing on it was changed. The card may be locked or worn out; what friends keep is safe, and a new card takes this one's place.")
	}
}

// writable reports whether a table of mounts has something writable at dir.
func writable(mounts, dir string) (ok bool) {
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == dir {
			ok = strings.HasPrefix(f[3]+",", "rw,")
		}
	}
	return ok
}
