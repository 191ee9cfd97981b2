package chunk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"sync"

	"redhen/raftnode/vfs"
)

// ErrRescued says that a chunk is not, or no longer, condemned: somebody relies on it.
var ErrRescued = errors.New("chunk is not condemned")

// condemned is the chunks that nothing seemed to need, and since when by a clock
// of the caller's. Whoever finds such a chunk here, and so comes to rely on it (Put,
// Has, Lease), rescues it, durably, before he is told that it is here.
//
// The file has the records of leases, with the moment in the place of the end; zero
// says rescued, and of a hash the last record counts.
type condemned struct {
	fs   vfs.FS
	name string

	mu    sync.Mutex // guards what follows, and is held while a condemned chunk is removed; taken after leaseMu
	file  vfs.File   // nil when there is none yet, and after a failed write
	torn  bool       // a write failed: what is in the file is not known
	size  int64      // of file
	live  int64      // size of file when it was last written anew
	since map[Hash]int64
}

// openCondemned reads the list. One that is damaged anywhere is forgotten as a
// whole, since what is gone from it may be a rescue; garbage then waits anew.
func openCondemned(cfg Config) (*condemned, error) {
	c := &condemned{fs: cfg.FS, name: path.Join(cfg.Dir, "condemned"), since: map[Hash]int64{}}
	b, err := readFile(c.fs, c.name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	bad := 0
	for rec := range leaseRecords(b) {
		h, since, ok := parseLease(rec)
		switch {
		case !ok:
			bad++
		case since == 0:
			delete(c.since, h)
		default:
			c.since[h] = since
		}
	}
	if bad > 0 {
		cfg.Logger.Warn("list of condemned chunks unreadable", "records", bad)
		clear(c.since)
	}
	// What a killed program had written may not be synced; a new file is.
	if err := c.rewrite(); err != nil {
		return c, c.forget(err)
	}
	return c, nil
}

// Condemn notes durably that nothing needs these chunks, as of a moment above zero
// by the caller's clock. One that is condemned already stays so since then.
func (s *Store) Condemn(hs []Hash, now int64) error {
	c := s.condemned
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := slices.DeleteFunc(slices.Clone(hs), func(h Hash) bool { return c.since[h] > 0 })
	if len(fresh) == 0 {
		return nil
	}
	if err := c.write(fresh, now); err != nil {
		if worse := c.forget(err); worse != nil {
			err = worse
		}
		return fmt.Errorf("condemn chunks: %w", asFull(err))
	}
	for _, h := range fresh {
		c.since[h] = now
	}
	return nil
}

// Condemned returns since when a chunk is condemned; zero: it is not.
func (s *Store) Condemned(h Hash) int64 {
	s.condemned.mu.Lock()
	defer s.condemned.mu.Unlock()
	return s.condemned.since[h]
}

// Rescue says that the chunks are relied on: on return none of them is condemned,
// whatever a crash does.
func (s *Store) Rescue(hs ...Hash) error {
	c := s.condemned
	c.mu.Lock()
	defer c.mu.Unlock()
	back := slices.DeleteFunc(slices.Clone(hs), func(h Hash) bool { return c.since[h] == 0 })
	if len(back) == 0 && !c.torn {
		return nil
	}
	if err := c.write(back, 0); err != nil {
		if err = c.forget(err); err != nil {
			return fmt.Errorf("rescue chunks: %w", err)
		}
	}
	for _, h := range back {
		delete(c.since, h)
	}
	return nil
}

// forget gives the whole list up when it cannot be written, on a full disk say: a
// rescue must not be undone by a crash. It returns nil when that is done.
func (c *condemned) forget(why error) error {
	err := c.fs.Remove(c.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = c.fs.SyncDir(path.Dir(c.name))
	}
	if err != nil {
		return errors.Join(why, err)
	}
	clear(c.since)
	c.torn = false
	return c.close()
}

// Remove removes a chunk that has been condemned since a moment or longer; one
// that is not here is no error. ErrRescued when it is not condemned, or not for so
// long; ErrLeased when it is leased. A crash may bring it back.
//
// Invariant: no chunk is removed that Put, Has or Lease has reported since it was condemned.
func (s *Store) Remove(h Hash, since int64) error {
	s.leaseMu.Lock()
	defer s.leaseMu.Unlock()
	if s.leases.holds(h, s.cfg.Now()) {
		return fmt.Errorf("remove chunk %v: %w", h, ErrLeased)
	}
	c := s.condemned
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.since[h]; at == 0 || at > since {
		return fmt.Errorf("remove chunk %v: %w", h, ErrRescued)
	}
	f := s.folder(h)
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.remove(s.cfg.FS, f.name(h), func() error { return s.cfg.FS.Remove(f.name(h)) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove chunk %v: %w", h, err)
	}
	// It stays condemned until it comes again: its name may come back by a crash.
	return nil
}

// Forget drops from the list of the condemned what is not here.
func (s *Store) Forget() error {
	c := s.condemned
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.since)
	maps.DeleteFunc(c.since, func(h Hash, _ int64) bool { return !s.there(h) })
	if len(c.since) == before {
		return nil
	}
	if err := c.rewrite(); err != nil {
		return fmt.Errorf("condemned chunks: %w", c.forget(err))
	}
	return nil
}

func (c *condemned) write(hs []Hash, since int64) error {
	var b []byte
	for _, h := range hs {
		b = appendLease(b, h, since)
	}
	b = padBlock(b)
	if c.file == nil || c.size+int64(len(b)) > 2*c.live+leaseSlack*leaseBlock {
		if err := c.rewrite(); err != nil {
			return err
		}
	}
	if err := writeSynced(c.file, b, c.size); err != nil {
		c.torn = true
		return errors.Join(err, c.close())
	}
	c.size += int64(len(b))
	return nil
}

// rewrite replaces the file by one that has only what is condemned.
func (c *condemned) rewrite() error {
	if err := c.close(); err != nil {
		return err
	}
	var b []byte
	for _, h := range slices.SortedFunc(maps.Keys(c.since), Hash.Compare) {
		b = appendLease(b, h, c.since[h])
	}
	f, err := replaceFile(c.fs, c.name, padBlock(b))
	if err != nil {
		return err
	}
	c.file, c.size = f, int64(len(padBlock(b)))
	c.live, c.torn = c.size, false
	return nil
}

// replaceFile writes a file anew and leaves it open.
func replaceFile(fsys vfs.FS, name string, b []byte) (vfs.File, error) {
	temp := name + ".new"
	f, err := fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	if err := writeSynced(f, b, 0); err != nil {
		return nil, errors.Join(err, f.Close(), fsys.Remove(temp))
	}
	if err := fsys.Rename(temp, name); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := fsys.SyncDir(path.Dir(name)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (c *condemned) close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}
