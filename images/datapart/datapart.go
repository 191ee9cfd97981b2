// Package datapart makes the file system of the data partition, at the first start of
// a card and never again: what was once in use is never made anew, however damaged it is.
package datapart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/diskfs/go-diskfs/filesystem/ext4"

	"redhen/images/layout"
)

// State is what a data partition holds.
type State int

// The states.
const (
	Fresh   State = iota // nothing yet, or a making that was cut off
	Ready                // a file system
	Faulty               // a file system that the kernel found errors in; it can be used
	Unknown              // something else: never to be written to
)

const (
	// mark stands at the start of the partition while its file system is made.
	// ext4 leaves the first 1024 bytes alone.
	mark = "redhen makes this file system\n"
	// lookAt is how much of a fresh partition is empty.
	lookAt = 1 << 20

	superAt    = 1024 // of the superblock (Documentation/filesystems/ext4/super.rst)
	magicAt    = superAt + 0x38
	stateAt    = superAt + 0x3a
	magic      = 0xef53
	stateError = 2 // s_state: errors detected
)

// Look tells what a partition holds.
func Look(part io.ReaderAt) (State, error) {
	b := make([]byte, lookAt)
	if _, err := part.ReadAt(b, 0); err != nil {
		return Unknown, fmt.Errorf("look at the data partition: %w", err)
	}
	switch {
	case bytes.HasPrefix(b, []byte(mark)):
		return Fresh, nil
	case binary.LittleEndian.Uint16(b[magicAt:]) == magic:
		if binary.LittleEndian.Uint16(b[stateAt:])&stateError != 0 {
			return Faulty, nil
		}
		return Ready, nil
	case len(bytes.TrimLeft(b, "\x00")) == 0:
		return Fresh, nil
	}
	return Unknown, nil
}

const (
	blockSize   = 4096
	groupBlocks = 8 * blockSize // of a block group
	// wipeAhead clears what an earlier use of the card left where the new file system
	// begins: superblock, group descriptors, journal.
	wipeAhead = 4 << 20
)

// inodesPerGroup is one inode for each 128 KiB: chunks are files of up to a MiB. All
// tables of inodes are written, so that a large disk has fewer, one for each 512 KiB.
func inodesPerGroup(size int64) int64 {
	if size > 64<<30 {
		return 256
	}
	return 1024
}

// Make makes the file system of a fresh partition of size bytes. When it is cut off the
// partition is still fresh.
func Make(part *os.File, size int64) error {
	if size < layout.DataMin/2 {
		return fmt.Errorf("make data partition: %d bytes are too few", size)
	}
	if err := makeMarked(part, size/blockSize*blockSize); err != nil {
		return fmt.Errorf("make data partition: %w", err)
	}
	return nil
}

func makeMarked(part *os.File, size int64) error {
	if err := writeSync(part, []byte(mark), 0); err != nil {
		return err
	}
	if err := writeSync(part, make([]byte, wipeAhead), int64(len(mark))); err != nil {
		return err
	}
	groups := (size/blockSize + groupBlocks - 1) / groupBlocks
	fs, err := ext4.Create(layout.Storage(part), size, 0, layout.Sector, &ext4.Params{
		VolumeName: "redhen", SectorsPerBlock: blockSize / layout.Sector,
		InodeCount: uint32(groups * inodesPerGroup(size)),
		Features:   []ext4.FeatureOpt{ext4.WithFeatureReservedGDTBlocksForExpansion(false)}, // needs blocks of 1 KiB
	})
	if err != nil {
		return err
	}
	if err := errors.Join(fs.Close(), part.Sync()); err != nil {
		return err
	}
	state, err := lookPast(part)
	if err != nil || state != Ready {
		return errors.Join(err, fmt.Errorf("it does not read back"))
	}
	return writeSync(part, make([]byte, len(mark)), 0)
}

// lookPast looks at a partition without its mark.
func lookPast(part *os.File) (State, error) {
	b := make([]byte, lookAt)
	if _, err := part.ReadAt(b, 0); err != nil {
		return Unknown, err
	}
	return Look(bytes.NewReader(append(make([]byte, len(mark)), b[len(mark):]...)))
}

func writeSync(f *os.File, b []byte, at int64) error {
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.Sync()
}
