package vfstest

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
)

// inode is one file's content as programs see it, and what each sector may be
// after a power cut.
type inode struct {
	data    []byte
	written []bool           // per sector: takes space
	old     map[int][][]byte // per dirty sector: contents it had since the last sync, the durable one first
	lost    map[int][]byte   // per sector that a failed sync gave up: what is on the disk
	size    int              // as of the last sync
}

func (n *inode) clone() *inode {
	c := &inode{data: slices.Clone(n.data), written: slices.Clone(n.written), old: map[int][][]byte{}, lost: maps.Clone(n.lost), size: n.size}
	for s, v := range n.old {
		c.old[s] = slices.Clone(v) // the contents themselves never change
	}
	return c
}

func (n *inode) allocated() int64 {
	var k int64
	for _, w := range n.written {
		if w {
			k++
		}
	}
	return k
}

// sector returns a copy of one sector, zeros beyond the end.
func (n *inode) sector(s int) []byte {
	b := make([]byte, Sector)
	if s*Sector < len(n.data) {
		copy(b, n.data[s*Sector:])
	}
	return b
}

// dirty remembers what a sector was before it changes.
func (n *inode) dirty(s int) {
	if n.old == nil {
		n.old = map[int][][]byte{}
	}
	if b, ok := n.lost[s]; ok {
		n.old[s] = append(n.old[s], b)
		delete(n.lost, s)
	}
	n.old[s] = append(n.old[s], n.sector(s))
}

// wanted returns how many sectors a write of [off, off+size) adds.
func (n *inode) wanted(off, size int) int64 {
	var k int64
	for s := off / Sector; s*Sector < off+size; s++ {
		if s >= len(n.written) || !n.written[s] {
			k++
		}
	}
	return k
}

// fits returns the longest part of b that adds at most that many sectors.
func (n *inode) fits(b []byte, off int, sectors int64) []byte {
	end := off
	for end < off+len(b) {
		next := min((end/Sector+1)*Sector, off+len(b))
		if n.wanted(off, next-off) > sectors {
			break
		}
		end = next
	}
	return b[:end-off]
}

func (n *inode) write(b []byte, off int) {
	if len(b) == 0 {
		return
	}
	for s := off / Sector; s*Sector < off+len(b); s++ {
		n.dirty(s)
		for len(n.written) <= s {
			n.written = append(n.written, false)
		}
		n.written[s] = true
	}
	if need := off + len(b); need > len(n.data) {
		n.data = append(n.data, make([]byte, need-len(n.data))...)
	}
	copy(n.data[off:], b)
}

// truncate sets the size and returns the sectors set free.
func (n *inode) truncate(size int) (freed int64) {
	for s := size / Sector; s*Sector < len(n.data); s++ {
		n.dirty(s)
	}
	before := n.allocated()
	if size > len(n.data) {
		n.data = append(n.data, make([]byte, size-len(n.data))...)
		return 0
	}
	n.data = slices.Clone(n.data[:size])
	n.written = n.written[:min(len(n.written), (size+Sector-1)/Sector)]
	return before - n.allocated()
}

func (n *inode) syncAll() { n.old, n.size = nil, len(n.data) }

// settle is the power cut: every dirty sector becomes one of its contents since
// the last sync, the size the old or the new one.
func (n *inode) settle(rng *rand.Rand, garbage bool) {
	for s, b := range n.lost {
		copy(n.data[min(s*Sector, len(n.data)):], b)
	}
	n.lost = nil
	size := len(n.data)
	if rng.IntN(2) == 0 {
		size = n.size
	}
	keep := rng.IntN(3) // all old, all new, each on its own: extremes matter
	for _, s := range sortedKeys(n.old) {
		versions := append(slices.Clone(n.old[s]), n.sector(s))
		b := versions[pick(rng, keep, len(versions))]
		if garbage && rng.IntN(8) == 0 {
			b = garble(rng)
		}
		if need := (s + 1) * Sector; need > len(n.data) {
			n.data = append(n.data, make([]byte, need-len(n.data))...)
		}
		copy(n.data[s*Sector:], b)
	}
	if size > len(n.data) {
		n.data = append(n.data, make([]byte, size-len(n.data))...)
	}
	n.data = n.data[:size]
	n.written = n.written[:min(len(n.written), (size+Sector-1)/Sector)]
	n.syncAll()
}

func pick(rng *rand.Rand, keep, versions int) int {
	switch keep {
	case 0:
		return 0
	case 1:
		return versions - 1
	}
	return rng.IntN(versions)
}

func garble(rng *rand.Rand) []byte {
	b := make([]byte, Sector)
	if rng.IntN(2) == 0 {
		return bytes.Repeat([]byte{0xff}, Sector)
	}
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func sortedKeys(m map[int][][]byte) []int {
	return slices.Sorted(maps.Keys(m))
}

// file is a handle.
type file struct {
	disk   *Disk
	node   *inode
	name   string
	epoch  int
	write  bool
	closed bool
}

// ready says whether the handle may be used; disk.mu is held.
func (f *file) ready(op string, write bool) error {
	switch {
	case f.disk.off || f.epoch != f.disk.epoch:
		return ErrPowerCut
	case f.closed:
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	case write && !f.write:
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EBADF}
	}
	return nil
}

// ReadAt reads as os.File.ReadAt does.
func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.ready("read", false); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes all, or a part and an error.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := f.ready("write", true); err != nil {
		return 0, err
	}
	cut, err := d.begin("write", f.name)
	part := b
	switch want := f.node.wanted(int(off), len(b)); {
	case err != nil && !cut:
		part = b[:d.rng.IntN(len(b)+1)]
		d.grow(f.node.wanted(int(off), len(part)))
	default:
		if got := d.grow(want); got < want {
			part = f.node.fits(b, int(off), got)
			if err == nil {
				err = &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
			}
		}
	}
	f.node.write(part, int(off))
	d.stats.Writes++
	d.stats.Bytes += int64(len(part))
	return len(part), err
}

// Sync makes content and size durable. Under LyingSync it does nothing.
func (f *file) Sync() error {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := f.ready("sync", false); err != nil {
		return err
	}
	cut, err := d.begin("sync", f.name)
	switch {
	case cut:
		return err
	case err != nil:
		f.node.settleFailed(d.rng)
		return err
	case !d.lying:
		f.node.syncAll()
	}
	d.stats.Syncs++
	return nil
}

// settleFailed is a failed sync on Linux: some sectors reached the disk, programs
// go on reading what they wrote, and the next sync will not write the others.
func (n *inode) settleFailed(rng *rand.Rand) {
	for _, s := range sortedKeys(n.old) {
		if rng.IntN(2) == 0 {
			if n.lost == nil {
				n.lost = map[int][]byte{}
			}
			n.lost[s] = n.old[s][0]
		}
		delete(n.old, s)
	}
}

// Truncate sets the size.
func (f *file) Truncate(size int64) error {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := f.ready("truncate", true); err != nil {
		return err
	}
	cut, err := d.begin("truncate", f.name)
	if err == nil || cut {
		d.used -= f.node.truncate(int(size)) * Sector
	}
	return err
}

// Size returns the size in bytes.
func (f *file) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.node.data)), f.ready("stat", false)
}

// Close ends the handle; it syncs nothing.
func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed = true
	return nil
}
