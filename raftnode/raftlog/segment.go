package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"redhen/raftnode/vfs"
)

const (
	suffix    = ".seg"
	maxSpares = 3 // more are removed
)

// segment is one file: in use when it has a sequence number.
type segment struct {
	name string // without directory
	file vfs.File
	size int64
	seq  uint64
	id   segmentID

	end   int64  // where the next batch begins
	chain uint32 // what the next batch's CRC continues
	live  int64  // bytes of live entries; guarded by Log.mu
}

func (l *Log) path(name string) string { return path.Join(l.cfg.Dir, name) }

// fresh takes a spare file, or makes one, and gives it a new life. Nothing of it
// is on disk until a batch is written.
func (l *Log) fresh() (*segment, error) {
	if len(l.spare) == 0 {
		if err := l.addSpare(); err != nil {
			return nil, asNoRoom(err)
		}
	}
	s := l.spare[0]
	if err := l.fit(s); err != nil {
		return nil, asNoRoom(err)
	}
	var id [8]byte
	if _, err := io.ReadFull(l.cfg.Rand, id[:]); err != nil {
		return nil, fmt.Errorf("draw a segment's ID: %w", err)
	}
	l.spare = l.spare[1:]
	l.seq++
	s.seq, s.id, s.end = l.seq, segmentID(binary.LittleEndian.Uint64(id[:])), 0
	s.chain = s.id.chain()
	return s, nil
}

// fit makes a spare file as large as a segment: one that a crash left short is
// filled, one that held a large batch is cut.
func (l *Log) fit(s *segment) (err error) {
	switch want := l.cfg.SegmentBytes; {
	case s.size > want:
		err = s.file.Truncate(want)
	case s.size < want:
		err = fill(s.file, want)
	default:
		return nil
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("prepare raft log segment %s: %w", s.name, err)
	}
	s.size = l.cfg.SegmentBytes
	return nil
}

// fill writes zeros: room that is merely reserved would cost metadata at its first use.
func fill(f vfs.File, size int64) error { return fillFrom(f, 0, size) }

func fillFrom(f vfs.File, from, size int64) error {
	zeros := make([]byte, min(size-from, 1<<20))
	for off := from; off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

// grow makes sure that a batch fits that is larger than a segment, so that no write
// finds the disk full half-way.
func (l *Log) grow(s *segment, size int64) error {
	if size <= s.size {
		return nil
	}
	err := fillFrom(s.file, s.size, size)
	if err == nil {
		err = s.file.Sync()
	}
	if vfs.ErrFull(err) {
		return asNoRoom(errors.Join(err, s.file.Truncate(s.size)))
	}
	if err == nil {
		s.size = size
	}
	return err
}

// asNoRoom marks the error of a full disk as one before which nothing was touched.
func asNoRoom(err error) error {
	if vfs.ErrFull(err) {
		return noRoom{err}
	}
	return err
}

// room returns an error of a full disk where it is known to have none for a segment.
func (l *Log) room() error {
	if l.cfg.Room == nil {
		return nil
	}
	if free, err := l.cfg.Room(); err == nil && free < l.cfg.SegmentBytes {
		return fmt.Errorf("%d bytes free: %w", free, syscall.ENOSPC)
	}
	return nil
}

// addSpare creates a file of zeros. When the disk is full it leaves none behind.
func (l *Log) addSpare() error {
	if err := l.room(); err != nil {
		return fmt.Errorf("create raft log segment: %w", err)
	}
	l.names++
	name := fmt.Sprintf("%08d%s", l.names, suffix)
	f, err := l.cfg.FS.OpenFile(l.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fmt.Errorf("create raft log segment: %w", err)
	}
	s := &segment{name: name, file: f}
	if err = l.fit(s); err == nil {
		err = l.cfg.FS.SyncDir(l.cfg.Dir)
	}
	if err != nil {
		return errors.Join(err, f.Close(), l.cfg.FS.Remove(l.path(name)))
	}
	l.spare = append(l.spare, s)
	return nil
}

// keepSpares makes sure of n spare files, as far as the disk has room, and
// removes what is far too many.
func (l *Log) keepSpares(n int) error {
	for len(l.spare) < n {
		if err := l.addSpare(); vfs.ErrFull(err) {
			l.cfg.Logger.Warn("no room for a spare raft log segment", "err", err)
			break
		} else if err != nil {
			return err
		}
	}
	for len(l.spare) > maxSpares {
		s := l.spare[len(l.spare)-1]
		l.spare = l.spare[:len(l.spare)-1]
		if err := errors.Join(s.file.Close(), l.cfg.FS.Remove(l.path(s.name))); err != nil {
			return fmt.Errorf("remove raft log segment: %w", err)
		}
	}
	return nil
}

// openFiles opens all segment files as spares, in order of their names.
func (l *Log) openFiles() error {
	names, err := l.cfg.FS.ReadDir(l.cfg.Dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		var n int
		if _, err := fmt.Sscanf(name, "%d", &n); err != nil || !strings.HasSuffix(name, suffix) {
			continue
		}
		l.names = max(l.names, n)
		f, err := l.cfg.FS.OpenFile(l.path(name), os.O_RDWR)
		if err != nil {
			return err
		}
		s := &segment{name: name, file: f}
		l.spare = append(l.spare, s)
		if s.size, err = f.Size(); err != nil {
			return err
		}
	}
	return nil
}
