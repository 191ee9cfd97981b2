package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

var (
	metaBucket  = []byte("meta")
	dataBucket  = []byte("data")
	formatKey   = []byte("format")
	appliedKey  = []byte("applied")
	formatValue = []byte{1}
)

// mapped is how much address space a file gets at first: bbolt must wait for all
// readers when a file outgrows its mapping, so it seldom should.
const mapped = 256 << 20

// growth is by how much a file grows at a time, in bytes.
const growth = 1 << 20

// Store is one state file. All methods may be called concurrently; Apply and
// Flush each run one at a time, beside each other and beside any number of Views.
type Store struct {
	path string

	// life is held for reading by whoever uses db, for writing by Replace and Close.
	life sync.RWMutex
	db   *bolt.DB // nil once closed

	flushing sync.Mutex // one Flush at a time; taken before mu

	mu      sync.Mutex // guards what follows
	pending *changes   // applied, not yet being written
	frozen  *changes   // being written by Flush; nil otherwise
	applied position   // Invariant: applied >= durable
	durable position
	broken  error // why nothing can be applied or flushed any more
}

type position struct{ index, term uint64 }

// Open opens the state file, or makes an empty one; its directory must exist. The
// whole file is read and verified first: a damaged file gives ErrDamaged and is
// left as it is.
func Open(path string) (*Store, error) {
	s := &Store{path: path, pending: new(changes)}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := create(s.path); err != nil {
		return err
	}
	file, err := openVerified(s.path)
	if err != nil {
		return err
	}
	options := fileOptions()
	options.InitialMmapSize = mapped
	options.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return file, nil }
	db, err := openBolt(s.path, options)
	if err != nil {
		return err
	}
	var at position
	err = guard(func() error {
		return db.View(func(tx *bolt.Tx) (err error) {
			at, err = readPosition(tx)
			return err
		})
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	db.AllocSize = growth
	s.db, s.applied, s.durable = db, at, at
	return nil
}

// create makes an empty file where there is none, whole or not at all.
func create(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeFile(fresh, Empty{}, position{}); err != nil {
		return err
	}
	return rename(fresh, path)
}

// openVerified opens the file, locks it against other processes and verifies it.
func openVerified(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrInUse
	case err == nil:
		err = verify(file)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func fileOptions() *bolt.Options {
	return &bolt.Options{
		Timeout:        2 * time.Second,
		NoFreelistSync: true,
		FreelistType:   bolt.FreelistMapType,
		NoStatistics:   true,
		PageSize:       pageSize,
	}
}

func openBolt(path string, options *bolt.Options) (db *bolt.DB, err error) {
	err = guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, options)
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return db, err
}

// writeEmpty makes the tables of a new file.
func writeEmpty(tx *bolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucketIfNotExists(dataBucket); err != nil {
		return err
	}
	if err := meta.Put(formatKey, seal(formatKey, formatValue)); err != nil {
		return err
	}
	return writePosition(tx, position{})
}

func readPosition(tx *bolt.Tx) (position, error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil || tx.Bucket(dataBucket) == nil {
		return position{}, fmt.Errorf("%w: a table is missing", ErrDamaged)
	}
	format, ok := unseal(formatKey, meta.Get(formatKey))
	if !ok {
		return position{}, fmt.Errorf("%w: format", ErrDamaged)
	}
	if string(format) != string(formatValue) {
		return position{}, fmt.Errorf("state file has format %x, this version reads %x", format, formatValue)
	}
	at, ok := unseal(appliedKey, meta.Get(appliedKey))
	if !ok || len(at) != 16 {
		return position{}, fmt.Errorf("%w: applied index", ErrDamaged)
	}
	return position{binary.BigEndian.Uint64(at), binary.BigEndian.Uint64(at[8:])}, nil
}

func writePosition(tx *bolt.Tx, at position) error {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, at.index), at.term)
	return tx.Bucket(metaBucket).Put(appliedKey, seal(appliedKey, b))
}

// Applied returns the index and term of the last entry applied, flushed or not.
func (s *Store) Applied() (index, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied.index, s.applied.term
}

// Durable returns the index of the last entry whose effects are on disk: the log
// may be cut up to it.
func (s *Store) Durable() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable.index
}

// Pending returns how many changed keys wait for Flush.
func (s *Store) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.Len()
}

// Apply runs fn, which applies the entry at index, and keeps all it wrote, or
// nothing if it returns an error. The index must be above the last one applied.
// fn must be a pure function of what it reads and may not call the Store.
func (s *Store) Apply(index, term uint64, fn func(Writer) error) error {
	s.life.RLock()
	defer s.life.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	if index <= s.applied.index {
		return fmt.Errorf("apply entry %d after entry %d", index, s.applied.index)
	}
	var written *Layer
	err := s.read(s.pending, func(r Reader) error {
		written = NewLayer(r)
		return fn(written)
	})
	if err != nil {
		return err
	}
	written.changed.Scan(func(k string, v []byte) bool {
		s.pending.Set(k, v)
		return true
	})
	s.applied = position{index, term}
	return nil
}

func (s *Store) usable() error {
	if s.db == nil {
		return ErrClosed
	}
	return s.broken
}

// read runs fn over the given changes, the frozen ones and the file. The caller
// holds life, and mu unless it ran begin itself.
func (s *Store) read(top *changes, fn func(Reader) error) error {
	tx, r, err := s.begin(top)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return guardFaults(func() error { return fn(r) })
}

// begin opens a transaction of the file and lays the changes over it. It runs
// under mu, so that the file has the frozen changes or none beyond them.
func (s *Store) begin(top *changes) (*bolt.Tx, Reader, error) {
	var tx *bolt.Tx
	var r Reader
	err := guard(func() (err error) {
		if tx, err = s.db.Begin(false); err != nil {
			return err
		}
		r = fileReader{tx.Bucket(dataBucket)}
		return nil
	})
	if err != nil {
		if tx != nil { // the bucket could not be read
			tx.Rollback()
		}
		return nil, nil, err
	}
	for _, c := range []*changes{s.frozen, top} {
		if c != nil && c.Len() > 0 {
			r = &Layer{r, c}
		}
	}
	return tx, r, nil
}

// View runs fn over the state as of the last entry applied. Later entries may be
// applied and flushed meanwhile; fn does not see them. It should be short (a file
// that must grow waits for it) and may not call the Store.
func (s *Store) View(fn func(Reader) error) error {
	return s.ViewAt(func(r Reader, _ uint64) error { return fn(r) })
}

// ViewAt is View that tells fn the index of the last entry applied.
func (s *Store) ViewAt(fn func(r Reader, applied uint64) error) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	s.mu.Lock()
	at := s.applied.index
	tx, r, err := s.begin(s.pending.Copy())
	s.mu.Unlock()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return guardFaults(func() error { return fn(r, at) })
}

// Flush writes all pending changes and the applied index in one transaction and
// returns when they are synced. After ErrFull it may be tried again; any other
// error stops the store for good.
func (s *Store) Flush() error {
	s.life.RLock()
	defer s.life.RUnlock()
	s.flushing.Lock()
	defer s.flushing.Unlock()
	return s.flush()
}

func (s *Store) flush() error {
	at, err := s.freeze()
	if err != nil || at == (position{}) {
		return err
	}
	err = guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error { return writeChanges(tx, s.frozen, at) })
	})
	if isFull(err) {
		err = fmt.Errorf("%w: %v", ErrFull, err)
	}
	return s.thaw(at, err)
}

// freeze takes the pending changes; a zero position says that there are none.
func (s *Store) freeze() (position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return position{}, err
	}
	if s.applied == s.durable {
		return position{}, nil
	}
	s.frozen, s.pending = s.pending, new(changes)
	return s.applied, nil
}

// thaw ends a flush: the frozen changes are in the file, or again pending.
func (s *Store) thaw(at position, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	frozen := s.frozen
	s.frozen = nil
	if err == nil {
		s.durable = at
		return nil
	}
	s.pending.Scan(func(k string, v []byte) bool {
		frozen.Set(k, v)
		return true
	})
	s.pending = frozen
	err = fmt.Errorf("flush state file: %w", err)
	if !errors.Is(err, ErrFull) {
		s.broken = err
	}
	return err
}

func writeChanges(tx *bolt.Tx, c *changes, at position) (err error) {
	data := tx.Bucket(dataBucket)
	c.Scan(func(k string, v []byte) bool {
		key := []byte(k)
		if v == nil {
			err = data.Delete(key)
		} else {
			err = data.Put(key, seal(key, v))
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return writePosition(tx, at)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Close flushes and closes the file. Close again does nothing.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.db == nil {
		return nil
	}
	var err error
	if s.broken == nil {
		err = s.flush()
	}
	return errors.Join(err, s.shut())
}

func (s *Store) shut() error {
	db := s.db
	s.db = nil
	return guard(db.Close)
}
