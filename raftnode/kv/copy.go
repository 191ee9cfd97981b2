package kv

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// Snapshot describes a file that Copy wrote.
type Snapshot struct {
	Index, Term uint64   // of the last entry applied in it
	Size        int64    // bytes of the file
	Hash        [32]byte // SHA-256 of the file
}

// copyBatch is how many bytes of entries a transaction of Copy writes.
const copyBatch = 8 << 20

// Copy flushes and writes the state as one compact, synced file that Open and
// Replace accept. A file at path is replaced. Apply and Flush go on meanwhile.
func (s *Store) Copy(path string) (Snapshot, error) {
	snap, err := s.copy(path)
	if err != nil {
		return Snapshot{}, fmt.Errorf("copy state file: %w", err)
	}
	return snap, nil
}

func (s *Store) copy(path string) (Snapshot, error) {
	s.life.RLock()
	defer s.life.RUnlock()
	tx, err := s.flushed()
	if err != nil {
		return Snapshot{}, err
	}
	defer tx.Rollback()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Snapshot{}, err
	}
	var at position
	err = guardFaults(func() error {
		if at, err = readPosition(tx); err != nil {
			return err
		}
		return writeFile(path, fileReader{tx.Bucket(dataBucket)}, at)
	})
	if err != nil {
		os.Remove(path)
		return Snapshot{}, err
	}
	size, sum, err := hashFile(path)
	return Snapshot{at.index, at.term, size, sum}, err
}

// flushed flushes and opens a transaction on exactly what was flushed.
func (s *Store) flushed() (tx *bolt.Tx, err error) {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if err := s.flush(); err != nil {
		return nil, err
	}
	err = guard(func() error {
		tx, err = s.db.Begin(false)
		return err
	})
	return tx, err
}

// writeFile writes a new file with r's entries. Nothing is synced before all is
// written: the file does not count until then.
func writeFile(path string, r Reader, at position) error {
	options := fileOptions()
	options.NoSync, options.NoGrowSync = true, true
	db, err := openBolt(path, options)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Update(writeEmpty); err != nil {
		return err
	}
	w := &fileWriter{db: db}
	for k, v := range r.Scan(nil, nil) {
		if err := w.put(k, v); err != nil {
			return err
		}
	}
	if err := w.finish(at); err != nil {
		return err
	}
	return errors.Join(db.Sync(), db.Close())
}

// fileWriter fills a new file in ascending order of keys.
type fileWriter struct {
	db    *bolt.DB
	tx    *bolt.Tx
	bytes int
}

func (w *fileWriter) put(k, v []byte) (err error) {
	if w.tx == nil {
		if w.tx, err = w.db.Begin(true); err != nil {
			return err
		}
	}
	b := w.tx.Bucket(dataBucket)
	b.FillPercent = 0.95 // keys only ever come behind the last
	if w.bytes += len(k) + len(v); w.bytes < copyBatch {
		return b.Put(k, seal(k, v))
	}
	w.bytes = 0
	err = errors.Join(b.Put(k, seal(k, v)), w.tx.Commit())
	w.tx = nil
	return err
}

func (w *fileWriter) finish(at position) error {
	if w.tx != nil {
		if err := w.tx.Commit(); err != nil {
			return err
		}
	}
	return w.db.Update(func(tx *bolt.Tx) error { return writePosition(tx, at) })
}

func hashFile(path string) (size int64, sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, sum, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return 0, sum, err
	}
	return size, [32]byte(h.Sum(nil)), nil
}

// Replace verifies the file at path, which must be in the directory of the store,
// and puts it in the place of the store's own: pending changes are dropped. It
// waits for running Views. A file that fails the check changes nothing.
func (s *Store) Replace(path string) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.db == nil {
		return ErrClosed
	}
	if err := checkFile(path); err != nil {
		return fmt.Errorf("replace state file: %w", err)
	}
	shut := s.shut() // the old file's last words do not matter, but are told if the rest fails
	if err := rename(path, s.path); err != nil {
		return fmt.Errorf("replace state file: %w", errors.Join(err, shut))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending, s.frozen, s.broken = new(changes), nil, nil
	if err := s.open(); err != nil {
		return fmt.Errorf("replace state file: %w", err)
	}
	return nil
}

// checkFile verifies and syncs a file that came from another box.
func checkFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := verify(f); err != nil {
		return err
	}
	return f.Sync()
}

// rename moves a synced file, durably.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
