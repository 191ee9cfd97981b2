package raftnodetest

import (
	"bytes"
	"errors"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

// Disk is the disk of one box, in memory but for the state files, which bbolt maps and
// which lie in a folder. Raft log, chunks and journals lie in memory, on a disk that loses
// its power with whatever was not synced, fills up, and lies.
//
// bbolt writes nothing between its commits and syncs each of them, so that a state file,
// copied while nobody is in the middle of a commit, is what a power cut leaves of it.
// Cuts within a commit are for the replays of TestPowerCuts. The notes in single files
// (package onefile) are synced before anybody relies on them.
type Disk struct {
	*vfstest.Disk
	dir  string // of the state files
	rng  *rand.Rand
	lied bool // some syncs since the last start did nothing
}

var _ vfs.FS = (*Disk)(nil)

// newDisk returns an empty disk whose accidents are drawn from the seed and the name.
func newDisk(seed uint64, name, dir string) *Disk {
	h := fnv.New64a()
	h.Write([]byte(name))
	return &Disk{Disk: vfstest.New(seed ^ h.Sum64()), dir: dir, rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

// SetFull makes the disk full, or gives it room again.
func (d *Disk) SetFull(full bool) {
	if full {
		d.SetCapacity(max(1, d.Used()))
	} else {
		d.SetCapacity(0)
	}
}

// Lie lets no sync of the log, the chunks and the journals do anything from now on;
// of the state files as they are now, the next power cut may go back to any.
func (d *Disk) Lie() error {
	if d.lied {
		return nil
	}
	d.lied = true
	d.LyingSync(true)
	return copyDir(d.honest(), d.dir)
}

// Lied reports whether syncs did nothing since the box was started.
func (d *Disk) Lied() bool { return d.lied }

func (d *Disk) honest() string { return d.dir + ".honest" }

// goOn is the disk at the next start: after a power cut, which it may have had
// already, or after a kill, which leaves everything that was written.
func (d *Disk) goOn(cut bool) error {
	if !cut && !d.Off() {
		return nil
	}
	if !cut {
		d.Resume()
		return nil
	}
	if d.lied && d.rng.IntN(2) == 0 {
		if err := copyDir(d.dir, d.honest()); err != nil {
			return err
		}
	}
	d.lied = false
	d.LyingSync(false)
	d.Restart()
	return os.RemoveAll(d.honest())
}

// emptied removes every file in a directory in memory.
func (d *Disk) emptied(dir string) error {
	names, err := d.ReadDir(dir)
	for _, name := range names {
		err = errors.Join(err, d.Remove(filepath.Join(dir, name)))
	}
	return errors.Join(err, d.SyncDir(dir))
}

// moveAll moves every file of a directory in memory to another, in place of what is there.
func (d *Disk) moveAll(from, to string) error {
	names, err := d.ReadDir(from)
	err = errors.Join(err, d.MkdirAll(to), d.emptied(to))
	for _, name := range names {
		err = errors.Join(err, d.Rename(filepath.Join(from, name), filepath.Join(to, name)))
	}
	return errors.Join(err, d.SyncDir(from), d.SyncDir(to))
}

// FlipInLog turns one bit of the raft log wherever a text stands in it, and reports how often.
func (b *Box) FlipInLog(text string) (n int, err error) {
	dir := filepath.Join(b.dir, "raftlog")
	names, err := b.Disk.ReadDir(dir)
	for _, name := range names {
		f, err := b.Disk.OpenFile(filepath.Join(dir, name), os.O_RDWR)
		if err != nil {
			return n, err
		}
		size, err := f.Size()
		raw := make([]byte, size)
		if err == nil {
			_, err = f.ReadAt(raw, 0)
		}
		for at := bytes.Index(raw, []byte(text)); err == nil && at >= 0; at = bytes.Index(raw, []byte(text)) {
			raw[at] ^= 1
			_, err = f.WriteAt(raw[at:at+1], int64(at))
			n++
		}
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return n, err
		}
	}
	return n, err
}

// ChunkFiles returns the names of the chunks on the box's disk.
func (b *Box) ChunkFiles() (files []string) {
	dir := filepath.Join(b.dir, "chunks")
	folders, err := b.Disk.ReadDir(dir)
	for _, folder := range folders {
		if len(folder) != 2 {
			continue // not of chunks
		}
		var names []string
		if names, err = b.Disk.ReadDir(filepath.Join(dir, folder)); err != nil {
			break
		}
		for _, name := range names {
			if len(name) == 64 { // SHA-256
				files = append(files, filepath.Join(dir, folder, name))
			}
		}
	}
	if err != nil {
		b.c.T.Fatal(err)
	}
	return files
}

// copyDir puts a copy of a folder in the place of another.
func copyDir(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
