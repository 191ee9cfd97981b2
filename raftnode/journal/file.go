package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"redhen/provision/wire"
	"redhen/raftnode/vfs"
)

// file is a journal on disk. Callers hold turn.
type file struct {
	fs         vfs.FS
	path       string
	f          vfs.File
	generation uint64
	number     uint64 // of the next batch
	synced     uint64 // batches known to be synced
	end        int64  // where the next batch goes
	zeros      int64  // up to here the file is written
	fresh      int64  // end when the file was new
	stale      bool   // nothing may be appended: a new file has to be written first
	stopped    error
}

// openFile reads the file, giving every record to visit, and makes an empty one where there is none.
func openFile(fsys vfs.FS, name string, visit func(record) error) (*file, error) {
	f := &file{fs: fsys, path: name, stale: true}
	if err := fsys.MkdirAll(path.Dir(name)); err != nil {
		return nil, err
	}
	old, err := fsys.OpenFile(name, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	f.f = old
	if err := f.read(visit); err != nil {
		return nil, errors.Join(err, f.f.Close())
	}
	return f, nil
}

// read reads the file from its begin. It leaves stale false when the end is clean.
func (f *file) read(visit func(record) error) error {
	size, err := f.f.Size()
	if err != nil {
		return err
	}
	if f.generation, err = readHead(f.f); err != nil {
		return err
	}
	f.end, f.zeros, f.fresh = block, size, block
	for f.end < size {
		b, err := f.batch(f.end, size)
		if err != nil {
			return err
		}
		if b == nil || b.number != f.number {
			break
		}
		if err := eachRecord(b.records, visit); err != nil {
			return err
		}
		f.number, f.end = f.number+1, f.end+b.blocks()
	}
	return f.judge(size)
}

// judge looks at what lies behind the last good batch.
func (f *file) judge(size int64) error {
	f.stale = false
	for at := f.end; at < size; at += block {
		b, err := f.batch(at, size)
		if err != nil {
			return err
		}
		if b != nil && b.synced > f.number {
			return fmt.Errorf("%w: batch %d, at byte %d, was synced and cannot be read", ErrDamaged, f.number, f.end)
		}
		if !f.stale {
			f.stale, err = f.isWritten(at)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// isWritten reports whether a block holds anything but zeros.
func (f *file) isWritten(at int64) (bool, error) {
	b := make([]byte, block)
	if _, err := f.f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return !bytes.Equal(b, make([]byte, block)), nil
}

// prepare makes the file fit for append: not stale, and not long and mostly resolved. writes visits
// what a new file has to hold.
func (f *file) prepare(writes func(func([]byte) error) error) error {
	long := f.end > slack && f.end > 4*f.fresh
	if f.stopped != nil || !f.stale && !long {
		return f.stopped
	}
	err := f.renew(writes)
	if vfs.ErrFull(err) && !f.stale {
		return nil // the old file may have room for one more
	}
	return asFull(err)
}

// renew replaces the file by a new one. Until that is complete the old one stands;
// where the disk fails otherwise than by being full, the journal stops.
func (f *file) renew(writes func(func([]byte) error) error) error {
	n := &file{fs: f.fs, path: f.path + ".new", end: block}
	err := n.fill(writes)
	if err == nil {
		err = f.fs.Rename(n.path, f.path)
	}
	if err != nil {
		n.close()
		f.fs.Remove(n.path) // litter at worst
		return f.fail(err)
	}
	if err := f.fs.SyncDir(path.Dir(f.path)); err != nil {
		n.close()
		return f.stop(err)
	}
	f.close() // nothing in it is needed
	n.path, n.fresh = f.path, n.end
	*f = *n
	return nil
}

// fill makes the file, with the writes in batches of a bearable size, synced.
func (f *file) fill(writes func(func([]byte) error) error) error {
	if err := f.create(); err != nil {
		return err
	}
	var records []record
	size := 0
	err := writes(func(b []byte) (err error) {
		records, size = append(records, record{kindWrite, b}), size+len(b)
		if size >= copySize {
			err = f.append(records)
			records, size = records[:0], 0
		}
		return err
	})
	if err == nil && len(records) > 0 {
		err = f.append(records)
	}
	if err != nil {
		return err
	}
	return f.sync()
}

func (f *file) create() error {
	var id [8]byte
	rand.Read(id[:])
	f.generation = binary.BigEndian.Uint64(id[:])
	fresh, err := f.fs.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	f.f = fresh
	_, err = f.f.WriteAt(padBlock(appendHead(nil, f.generation)), 0)
	return err
}

// append writes a batch, not yet synced.
func (f *file) append(records []record) error {
	if f.stopped != nil {
		return f.stopped
	}
	t := batch{f.generation, f.number, f.synced, appendRecords(nil, records)}
	if len(t.records) > maxRecords {
		return fmt.Errorf("%d bytes at once: %w", len(t.records), wire.ErrTooLarge)
	}
	b := padBlock(appendBatch(nil, t))
	if err := f.write(b); err != nil {
		return f.fail(err)
	}
	f.number++
	return nil
}

// write writes b at the end, with zeros behind it when there are none ahead.
func (f *file) write(b []byte) error {
	end := f.end + int64(len(b))
	if end > f.zeros {
		_, err := f.f.WriteAt(append(b[:len(b):len(b)], make([]byte, ahead)...), f.end)
		if err == nil {
			f.end, f.zeros = end, end+ahead
		}
		if !vfs.ErrFull(err) { // full with zeros may not be full without
			return err
		}
	}
	_, err := f.f.WriteAt(b, f.end)
	if err == nil {
		f.end, f.zeros = end, max(f.zeros, end)
	}
	return err
}

// sync makes every batch durable.
func (f *file) sync() error {
	if f.stopped != nil || f.f == nil {
		return f.stopped
	}
	if err := f.f.Sync(); err != nil {
		return f.stop(err)
	}
	f.synced = f.number
	return nil
}

// fail judges the error of a write. A full disk may have room again; what was
// written in part is cut off, lest it be read one day. After any other error nothing is known.
func (f *file) fail(err error) error {
	if !vfs.ErrFull(err) {
		return f.stop(err)
	}
	if f.f != nil && !f.stale {
		if err := f.f.Truncate(f.end); err != nil {
			return f.stop(err)
		}
		f.zeros = f.end
	}
	return asFull(err)
}

func (f *file) stop(err error) error {
	f.stopped = fmt.Errorf("%w: %w", ErrStopped, err)
	return f.stopped
}

func (f *file) close() error {
	if f.f == nil {
		return nil
	}
	return f.f.Close()
}

func asFull(err error) error {
	if vfs.ErrFull(err) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// batch returns the batch of this file's generation at an offset, nil when there is none or it is bad.
func (f *file) batch(at, size int64) (*batch, error) {
	head := make([]byte, batchHead)
	if at+int64(len(head)) > size {
		return nil, nil
	}
	if _, err := f.f.ReadAt(head, at); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	n := int64(binary.BigEndian.Uint32(head[24:]))
	if binary.BigEndian.Uint64(head) != f.generation || n > maxRecords || at+batchHead+n+4 > size {
		return nil, nil
	}
	b := make([]byte, batchHead+n+4)
	if _, err := f.f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return parseBatch(b), nil
}
