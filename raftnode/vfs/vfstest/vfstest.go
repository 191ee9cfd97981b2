// Package vfstest is a disk in memory that loses its power, fills up, fails and
// rots on command, so that a test can prove what a format survives.
//
// What a power cut leaves is drawn from the seed: of every 512-byte sector written
// since its file was last synced, any content it has had since then (or garbage, see
// Garbage); of a file's size, the old or the new one; of the creations, renames and
// removals since the directory was last synced, any subset. Equal seeds and equal
// calls give equal disks.
package vfstest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sync"
	"syscall"

	"redhen/raftnode/vfs"
)

// Sector is the unit that a power cut keeps or loses as a whole, in bytes.
const Sector = 512

// ErrPowerCut is what every operation returns from the power cut until Restart or Resume,
// and what handles opened before the cut return for ever.
var ErrPowerCut = errors.New("power cut")

// Disk is a simulated disk. All methods are safe for concurrent use; the zero
// value is not usable.
type Disk struct {
	mu       sync.Mutex
	rng      *rand.Rand
	files    map[string]*inode
	dirs     map[string]bool
	durable  map[string]*inode // the files as of each directory's last sync
	pending  []dirOp           // what was done to names since, in order
	off      bool
	dark     chan struct{} // closed when the power goes
	epoch    int           // counts power cuts; an older handle is dead
	capacity int64
	used     int64
	ops      int
	cutAt    int
	failures map[int]error
	stats    Stats
	garbage  bool
	lying    bool
}

var _ vfs.FS = (*Disk)(nil)

// Stats counts what was done to a disk since New.
type Stats struct {
	Writes, Syncs, DirSyncs int
	Bytes                   int64 // written, before any rounding to sectors
}

// New returns an empty disk of unlimited size, whose accidents are drawn from the seed.
func New(seed uint64) *Disk {
	return &Disk{
		rng:      rand.New(rand.NewPCG(seed, 0x7265646865)),
		files:    map[string]*inode{},
		dirs:     map[string]bool{".": true, "/": true},
		durable:  map[string]*inode{},
		dark:     make(chan struct{}),
		failures: map[int]error{},
	}
}

// Operations returns how many operations that change the disk were begun: writes,
// syncs, truncations, creations, renames, removals, new directories.
func (d *Disk) Operations() int { d.mu.Lock(); defer d.mu.Unlock(); return d.ops }

// Stats returns the counters.
func (d *Disk) Stats() Stats { d.mu.Lock(); defer d.mu.Unlock(); return d.stats }

// CutAt cuts the power at the n-th operation from now on; 1 is the next, 0 means
// never. A write that is cut may leave any of its sectors behind, a sync has done nothing for sure.
func (d *Disk) CutAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutAt = 0
	if n > 0 {
		d.cutAt = d.ops + n
	}
}

// FailAt lets the n-th operation from now on return err. A write that fails has
// written a part, a sync that fails forgets that the sectors were dirty, as Linux does.
func (d *Disk) FailAt(n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failures[d.ops+n] = err
}

// SetCapacity limits the disk to that many bytes of written sectors; 0 means no
// limit. It may be less than what is used: then nothing more can be added.
func (d *Disk) SetCapacity(bytes int64) { d.mu.Lock(); defer d.mu.Unlock(); d.capacity = bytes }

// Used returns the bytes of all written sectors of all files that have a name.
func (d *Disk) Used() int64 { d.mu.Lock(); defer d.mu.Unlock(); return d.used }

// Garbage lets a power cut also leave nonsense in a sector that was being written.
func (d *Disk) Garbage(on bool) { d.mu.Lock(); defer d.mu.Unlock(); d.garbage = on }

// LyingSync lets Sync and SyncDir return nil without making anything durable.
func (d *Disk) LyingSync(on bool) { d.mu.Lock(); defer d.mu.Unlock(); d.lying = on }

// Cut cuts the power now, until Restart or Resume.
func (d *Disk) Cut() { d.mu.Lock(); defer d.mu.Unlock(); d.powerGoes() }

// Off reports whether the power is cut.
func (d *Disk) Off() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.off }

// Dark returns a channel that is closed when the power is cut next.
func (d *Disk) Dark() <-chan struct{} { d.mu.Lock(); defer d.mu.Unlock(); return d.dark }

func (d *Disk) powerGoes() {
	if !d.off {
		d.off = true
		close(d.dark)
	}
}

func (d *Disk) powerReturns() {
	if d.off {
		d.off, d.dark = false, make(chan struct{})
	}
	d.cutAt = 0
	d.failures = map[int]error{}
	d.epoch++
}

// Restart brings the disk back as the power cut left it; without a cut before,
// it cuts the power first. Plans made by CutAt and FailAt are forgotten.
func (d *Disk) Restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settleNames()
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		d.files[name].settle(d.rng, d.garbage)
	}
	d.powerReturns()
	d.recount()
}

// Resume is what follows when not the power was cut but only the program killed: everything
// written is still there, synced or not. Old handles and plans are forgotten as by Restart.
func (d *Disk) Resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powerReturns()
}

// Clone returns a copy with its own accidents, drawn from the seed. Open handles stay with d.
func (d *Disk) Clone(seed uint64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New(seed)
	copies := map[*inode]*inode{}
	dup := func(n *inode) *inode {
		if n != nil && copies[n] == nil {
			copies[n] = n.clone()
		}
		return copies[n]
	}
	for name, n := range d.files {
		c.files[name] = dup(n)
	}
	for name, n := range d.durable {
		c.durable[name] = dup(n)
	}
	for _, op := range d.pending {
		op.node = dup(op.node)
		c.pending = append(c.pending, op)
	}
	c.dirs = maps.Clone(d.dirs)
	c.capacity, c.used, c.garbage, c.lying = d.capacity, d.used, d.garbage, d.lying
	if d.off {
		c.powerGoes()
	}
	return c
}

// Flip inverts one bit (0–7) of a file, durably; rot, not a write.
func (d *Disk) Flip(name string, offset int64, bit uint) error {
	return d.Alter(name, func(b []byte) { b[offset] ^= 1 << (bit % 8) })
}

// Alter lets fn change the bytes of a file in place, durably; fn must not keep the slice.
func (d *Disk) Alter(name string, fn func([]byte)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.files[path.Clean(name)]
	if n == nil {
		return &fs.PathError{Op: "alter", Path: name, Err: fs.ErrNotExist}
	}
	fn(n.data)
	n.syncAll()
	return nil
}

// begin counts an operation and says whether it happens. cut is true when the
// power goes in the middle of it.
func (d *Disk) begin(op, name string) (cut bool, err error) {
	if d.off {
		return false, ErrPowerCut
	}
	d.ops++
	if d.ops == d.cutAt {
		d.powerGoes()
		return true, ErrPowerCut
	}
	if err := d.failures[d.ops]; err != nil {
		return false, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return false, nil
}

// grow takes n sectors from the free ones and returns how many there were.
func (d *Disk) grow(n int64) int64 {
	if d.capacity > 0 {
		n = max(0, min(n, (d.capacity-d.used)/Sector))
	}
	d.used += n * Sector
	return n
}

func (d *Disk) recount() {
	d.used = 0
	for _, n := range d.files {
		d.used += n.allocated() * Sector
	}
}

// OpenFile opens or creates a file in a directory that exists.
func (d *Disk) OpenFile(name string, flag int) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if d.off {
		return nil, ErrPowerCut
	}
	n := d.files[name]
	switch {
	case d.dirs[name]:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	case n != nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case n == nil && (flag&os.O_CREATE == 0 || !d.dirs[path.Dir(name)]):
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n == nil:
		if err := d.create(name); err != nil {
			return nil, err
		}
		n = d.files[name]
	case flag&os.O_TRUNC != 0:
		if _, err := d.begin("truncate", name); err != nil {
			return nil, err
		}
		d.used -= n.truncate(0) * Sector
	}
	return &file{disk: d, node: n, name: name, epoch: d.epoch, write: flag&(os.O_RDWR|os.O_WRONLY) != 0}, nil
}

func (d *Disk) create(name string) error {
	cut, err := d.begin("create", name)
	if err == nil && d.capacity > 0 && d.used+Sector > d.capacity {
		err = &fs.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
	}
	if err == nil || cut {
		d.change(dirOp{to: name, node: &inode{}})
	}
	return err
}

// Rename moves a file to another name of this disk, replacing what is there.
func (d *Disk) Rename(oldname, newname string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	oldname, newname = path.Clean(oldname), path.Clean(newname)
	if n := d.files[oldname]; n == nil || !d.dirs[path.Dir(newname)] {
		return d.missing("rename", oldname)
	}
	cut, err := d.begin("rename", oldname)
	if err == nil || cut {
		d.change(dirOp{from: oldname, to: newname, node: d.files[oldname]})
	}
	return err
}

// Remove removes a file. An open handle keeps reading it.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if d.files[name] == nil {
		return d.missing("remove", name)
	}
	cut, err := d.begin("remove", name)
	if err == nil || cut {
		d.change(dirOp{from: name, node: d.files[name]})
	}
	return err
}

func (d *Disk) missing(op, name string) error {
	if d.off {
		return ErrPowerCut
	}
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// ReadDir returns the sorted base names of the files and directories in a directory.
func (d *Disk) ReadDir(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if d.off || !d.dirs[name] {
		return nil, d.missing("readdir", name)
	}
	var names []string
	for f := range d.files {
		if path.Dir(f) == name {
			names = append(names, path.Base(f))
		}
	}
	for f := range d.dirs {
		if path.Dir(f) == name && f != name {
			names = append(names, path.Base(f))
		}
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll makes a directory and its parents; each is durable when it exists.
func (d *Disk) MkdirAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name = path.Clean(name); !d.dirs[name]; name = path.Dir(name) {
		if d.files[name] != nil {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		if _, err := d.begin("mkdir", name); err != nil {
			return err
		}
		d.dirs[name] = true
	}
	return nil
}

// SyncDir makes what was done to the names in a directory durable.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if !d.dirs[name] {
		return d.missing("syncdir", name)
	}
	cut, err := d.begin("syncdir", name)
	if err == nil {
		d.stats.DirSyncs++
	}
	if (err == nil || cut && d.rng.IntN(2) == 0) && !d.lying {
		d.syncNames(name)
	}
	return err
}

// String describes the disk for a failing test.
func (d *Disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprintf("disk of %d files, %d bytes used, %d operations, %d name changes not synced", len(d.files), d.used, d.ops, len(d.pending))
}
