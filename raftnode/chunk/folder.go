package chunk

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"redhen/raftnode/vfs"
)

// tempSuffix ends the names of files that are being written.
const tempSuffix = ".new"

// folder is one of the 256 directories that chunks lie in.
type folder struct {
	path string

	// mu guards what follows, and the names in the folder against change.
	mu      sync.Mutex
	made    bool
	named   uint64 // names given so far; 1 from the start, as a killed program may have left names unsynced
	counted bool   // chunks and bytes are true
	chunks  int
	bytes   int64

	// syncMu lets one sync run at a time, so that concurrent puts share it, and
	// guards synced: how many of the names given are durable. It is taken before mu.
	syncMu sync.Mutex
	synced uint64
}

func (f *folder) name(h Hash) string { return path.Join(f.path, h.String()) }

// clearTemps removes what a crash left half-written. The folder need not exist.
func (f *folder) clearTemps(fsys vfs.FS) error {
	names, err := fsys.ReadDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if !strings.HasSuffix(name, tempSuffix) {
			continue
		}
		if err := fsys.Remove(path.Join(f.path, name)); err != nil {
			return err
		}
	}
	return err
}

// make makes the folder at its first use.
func (f *folder) make(fsys vfs.FS) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made {
		return nil
	}
	if err := fsys.MkdirAll(f.path); err != nil {
		return err
	}
	f.made = true
	return nil
}

// rename gives a synced temporary file its name. It is durable after sync.
func (f *folder) rename(fsys vfs.FS, temp, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count(fsys, name, -1)
	defer f.count(fsys, name, +1)
	f.named++
	return fsys.Rename(temp, name)
}

// sync makes every name given before the call durable.
func (f *folder) sync(fsys vfs.FS) error {
	want := f.names()
	f.syncMu.Lock()
	defer f.syncMu.Unlock()
	if f.synced >= want {
		return nil
	}
	want = f.names() // later ones come along
	if err := fsys.SyncDir(f.path); err != nil {
		return err
	}
	f.synced = want
	return nil
}

func (f *folder) names() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.named
}

// count adds the file of that name, if there is one, to the count, once there is
// one; sign -1 takes it away. Callers hold mu.
func (f *folder) count(fsys vfs.FS, name string, sign int) {
	if !f.counted {
		return // a look at the file would cost an open
	}
	if size, ok := fileSize(fsys, name); ok {
		f.chunks += sign
		f.bytes += int64(sign) * size
	}
}

// usage returns the count, and makes it at the first call.
func (f *folder) usage(fsys vfs.FS) (chunks int, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.counted {
		hs, err := f.list(fsys)
		if err != nil {
			return 0, 0
		}
		f.counted = true
		for _, h := range hs {
			f.count(fsys, f.name(h), +1)
		}
	}
	return f.chunks, f.bytes
}

// list returns the chunks in the folder, in order; other names are passed over.
func (f *folder) list(fsys vfs.FS) ([]Hash, error) {
	names, err := fsys.ReadDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	hs := make([]Hash, 0, len(names))
	for _, name := range names {
		if h, err := ParseHash(name); err == nil {
			hs = append(hs, h)
		}
	}
	return hs, err
}

// remove takes the name away by act, which removes or renames the file. Callers hold mu.
func (f *folder) remove(fsys vfs.FS, name string, act func() error) error {
	f.count(fsys, name, -1)
	err := act()
	if err != nil {
		f.count(fsys, name, +1)
	}
	return err
}

func fileSize(fsys vfs.FS, name string) (size int64, ok bool) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	size, err = f.Size()
	return size, err == nil
}
