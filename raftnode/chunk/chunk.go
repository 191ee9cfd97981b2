// Package chunk keeps immutable bytes, each named by its hash, as plain files.
package chunk

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"redhen/raftnode/vfs"
)

var (
	// ErrMissing says that the chunk is not here.
	ErrMissing = errors.New("chunk is not here")
	// ErrDamaged says that what lies under the chunk's name is not the chunk. It
	// has been moved aside: the chunk is missing from now on, and may be put again.
	ErrDamaged = errors.New("chunk is damaged")
	// ErrFull says that the disk is full. What was there before is unharmed.
	ErrFull = errors.New("disk is full")
	// ErrLeased says that a chunk is promised to somebody and stays.
	ErrLeased = errors.New("chunk is leased")
	// ErrStopped says that the disk did not confirm a name. Nothing more is
	// accepted until the store is opened anew; reading goes on.
	ErrStopped = errors.New("chunk store is stopped")
	// ErrContent says that bytes are no chunk: none, more than Size, or not those of the name given.
	ErrContent = errors.New("not the bytes of a chunk")
)

// Config says where the chunks are.
type Config struct {
	// FS holds the files; vfs.OS when nil.
	FS vfs.FS
	// Dir is the store's own directory; made when missing.
	Dir string
	// Now is the clock that leases end by; time.Now when nil. A clock that counts
	// running time only makes leases outlast a jump of the wall clock.
	Now func() time.Time
	// Logger is told of damage; slog.Default when nil.
	Logger *slog.Logger
	// Room says how many bytes are free. No chunk is taken that would leave less than
	// Reserve of them: the box needs them to go on. nil: chunks may fill the disk.
	Room    func() (int64, error)
	Reserve int64
}

// Store keeps chunks. All methods are safe for concurrent use.
//
// On disk: DIR/HH/HASH are the chunks, HH being the first two digits of HASH;
// DIR/HH/N.new what is being written; DIR/damaged/HASH what was found damaged; DIR/leases the promises.
type Store struct {
	cfg     Config
	fanout  [256]folder
	temps   atomic.Uint64 // number of the last temporary file
	stopped atomic.Bool   // a folder could not be synced

	// leaseMu guards leases, and makes Remove and Lease exclude each other:
	// Invariant: no chunk that Lease has reported is removed before its lease ends.
	leaseMu sync.Mutex
	leases  leases
}

// Open opens the store and clears away what a crash left half-written.
func Open(cfg Config) (*Store, error) {
	if cfg.FS == nil {
		cfg.FS = vfs.OS{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Store{cfg: cfg}
	for i := range s.fanout {
		s.fanout[i].path = path.Join(cfg.Dir, fmt.Sprintf("%02x", i))
		s.fanout[i].named = 1
	}
	if err := cfg.FS.MkdirAll(s.damagedDir()); err != nil {
		return nil, fmt.Errorf("open chunks: %w", err)
	}
	for i := range s.fanout {
		if err := s.fanout[i].clearTemps(cfg.FS); err != nil {
			return nil, fmt.Errorf("open chunks: %w", err)
		}
	}
	var err error
	if s.leases, err = openLeases(cfg); err != nil {
		return nil, fmt.Errorf("open chunks: %w", err)
	}
	return s, nil
}

// Close releases the files. Nothing waits to be written.
func (s *Store) Close() error {
	s.leaseMu.Lock()
	defer s.leaseMu.Unlock()
	return s.leases.close()
}

func (s *Store) damagedDir() string { return path.Join(s.cfg.Dir, "damaged") }

// Put stores a chunk of 1 to Size bytes and returns its name; on return it is on
// disk. It does not keep b. A chunk that is already here is read and compared,
// and written again if it has rotted.
func (s *Store) Put(b []byte) (Hash, error) {
	h := Sum(b)
	if err := s.put(h, b); err != nil {
		return Hash{}, fmt.Errorf("put chunk: %w", err)
	}
	return h, nil
}

// PutNamed is Put of bytes that somebody else named; ErrContent when they are not h's.
func (s *Store) PutNamed(h Hash, b []byte) error {
	if Sum(b) != h {
		return fmt.Errorf("put chunk %v: %w", h, ErrContent)
	}
	if err := s.put(h, b); err != nil {
		return fmt.Errorf("put chunk %v: %w", h, err)
	}
	return nil
}

func (s *Store) put(h Hash, b []byte) error {
	if len(b) == 0 || len(b) > Size {
		return fmt.Errorf("%w: %d bytes", ErrContent, len(b))
	}
	if s.stopped.Load() {
		return ErrStopped
	}
	f := s.folder(h)
	if _, err := s.read(h); err == nil {
		return s.syncFolder(f)
	}
	if err := s.Spare(int64(len(b))); err != nil {
		return err
	}
	if err := f.make(s.cfg.FS); err != nil {
		return asFull(err)
	}
	temp, err := s.writeTemp(f, b)
	if err != nil {
		return asFull(err)
	}
	if err := f.rename(s.cfg.FS, temp, f.name(h)); err != nil {
		s.cfg.FS.Remove(temp) // only litter: Open clears it too
		return asFull(err)
	}
	return s.syncFolder(f)
}

// Spare returns ErrFull when n more bytes would be too many for the disk.
func (s *Store) Spare(n int64) error {
	if s.cfg.Room == nil {
		return nil
	}
	if free, err := s.cfg.Room(); err == nil && free < n+s.cfg.Reserve {
		return fmt.Errorf("%w: %d bytes are free", ErrFull, free)
	}
	return nil
}

// writeTemp writes and syncs a temporary file in the folder that its name will be
// in, so that one sync makes the name durable. After an error there is no file.
func (s *Store) writeTemp(f *folder, b []byte) (name string, err error) {
	name = path.Join(f.path, strconv.FormatUint(s.temps.Add(1), 10)+tempSuffix)
	file, err := s.cfg.FS.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			s.cfg.FS.Remove(name)
		}
	}()
	if _, err = file.WriteAt(b, 0); err != nil {
		return "", err
	}
	return name, file.Sync()
}

// syncFolder makes the names in f durable. A failure stops the store: the kernel
// forgets what it could not write, and a second sync would confirm it wrongly.
func (s *Store) syncFolder(f *folder) error {
	if s.stopped.Load() {
		return ErrStopped
	}
	if err := f.sync(s.cfg.FS); err != nil {
		s.stopped.Store(true)
		return fmt.Errorf("%w: %w", ErrStopped, err)
	}
	return nil
}

// Get returns the chunk, verified. ErrMissing when it is not here; ErrDamaged,
// once, when it had rotted.
func (s *Store) Get(h Hash) ([]byte, error) {
	b, err := s.read(h)
	if errors.Is(err, ErrDamaged) {
		b, err = s.setAside(h)
	}
	if err != nil {
		return nil, fmt.Errorf("get chunk %v: %w", h, err)
	}
	return b, nil
}

func (s *Store) read(h Hash) ([]byte, error) {
	f, err := s.cfg.FS.OpenFile(s.folder(h).name(h), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := readAll(f, Size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if Sum(b) != h {
		return nil, ErrDamaged
	}
	return b, nil
}

// readAll reads a file of at most limit bytes.
func readAll(f vfs.File, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("file of %d bytes: want at most %d", size, limit)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}

// setAside moves a damaged chunk out of the way, unless it has been put anew meanwhile.
func (s *Store) setAside(h Hash) ([]byte, error) {
	f := s.folder(h)
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := s.read(h)
	if !errors.Is(err, ErrDamaged) {
		return b, err
	}
	s.cfg.Logger.Warn("chunk damaged", "chunk", h.String(), "err", err)
	return nil, errors.Join(err, f.remove(s.cfg.FS, f.name(h), func() error {
		return s.cfg.FS.Rename(f.name(h), path.Join(s.damagedDir(), h.String()))
	}))
}

// Has reports whether a file bears the chunk's name. It does not verify the bytes.
func (s *Store) Has(h Hash) bool {
	f, err := s.cfg.FS.OpenFile(s.folder(h).name(h), os.O_RDONLY)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// Remove removes a chunk; one that is not here is no error. ErrLeased when it is
// leased. A crash may bring it back.
func (s *Store) Remove(h Hash) error {
	s.leaseMu.Lock()
	defer s.leaseMu.Unlock()
	if s.leases.holds(h, s.cfg.Now()) {
		return fmt.Errorf("remove chunk %v: %w", h, ErrLeased)
	}
	f := s.folder(h)
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.remove(s.cfg.FS, f.name(h), func() error { return s.cfg.FS.Remove(f.name(h)) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove chunk %v: %w", h, err)
	}
	return nil
}

// All visits every chunk that was here when the visit began, and perhaps newer
// ones, in ascending order of names.
func (s *Store) All() iter.Seq[Hash] {
	return func(yield func(Hash) bool) {
		for i := range s.fanout {
			hs, err := s.fanout[i].list(s.cfg.FS)
			if err != nil {
				s.cfg.Logger.Warn("chunk folder unreadable", "dir", s.fanout[i].path, "err", err)
			}
			for _, h := range hs {
				if !yield(h) {
					return
				}
			}
		}
	}
}

// Usage returns how many chunks are here and their size in bytes. The first call
// looks at every file.
func (s *Store) Usage() (chunks int, bytes int64) {
	for i := range s.fanout {
		n, size := s.fanout[i].usage(s.cfg.FS)
		chunks += n
		bytes += size
	}
	return chunks, bytes
}

func (s *Store) folder(h Hash) *folder { return &s.fanout[h[0]] }

// asFull marks errors of a full disk with ErrFull.
func asFull(err error) error {
	if vfs.ErrFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
