package chunk

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"sync"

	"redhen/raftnode/vfs"
)

// losses is the chunks that were found damaged and set aside, until somebody asks.
type losses struct {
	mu   sync.Mutex
	lost map[Hash]bool
	news chan struct{} // holds a token while lost is not empty
}

func newLosses() *losses { return &losses{lost: map[Hash]bool{}, news: make(chan struct{}, 1)} }

func (l *losses) add(h Hash) {
	l.mu.Lock()
	l.lost[h] = true
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// Lost has a token while TakeLost has something to return.
func (s *Store) Lost() <-chan struct{} { return s.losses.news }

// TakeLost returns the chunks that were found damaged since the last call, whoever
// read them, in the order of their names. They are missing since.
func (s *Store) TakeLost() []Hash {
	l := s.losses
	l.mu.Lock()
	defer l.mu.Unlock()
	hs := slices.SortedFunc(maps.Keys(l.lost), Hash.Compare)
	clear(l.lost)
	return hs
}

// Reads counts the chunks that were put and got since Open: who wants to leave the
// disk to people looks whether it grows.
func (s *Store) Reads() uint64 { return s.reads.Load() }

// Verify reads a chunk from the disk itself, as far as the system allows, and
// returns its size in bytes. ErrMissing and ErrDamaged are those of Get.
func (s *Store) Verify(h Hash) (size int64, err error) {
	b, err := s.readFrom(h, dropCache)
	if errors.Is(err, ErrDamaged) {
		b, err = s.setAside(h)
	}
	if err != nil {
		return 0, fmt.Errorf("verify chunk %v: %w", h, err)
	}
	return int64(len(b)), nil
}

// dropCache has the next read of a file come from the disk, and what was read not
// push what people use out of memory. A file system that cannot do so still reads.
func dropCache(f vfs.File) {
	if c, ok := f.(interface{ DropCache() error }); ok {
		_ = c.DropCache()
	}
}

// After visits the chunks whose names are above h, as All does.
func (s *Store) After(h Hash) iter.Seq[Hash] {
	return func(yield func(Hash) bool) {
		for i := int(h[0]); i < len(s.fanout); i++ {
			for _, next := range s.listed(i) {
				if next.Compare(h) > 0 && !yield(next) {
					return
				}
			}
		}
	}
}

func (s *Store) listed(i int) []Hash {
	hs, err := s.fanout[i].list(s.cfg.FS)
	if err != nil {
		s.cfg.Logger.Warn("chunk folder unreadable", "dir", s.fanout[i].path, "err", err)
	}
	return hs
}

// readFrom reads a chunk; around is called before and after.
func (s *Store) readFrom(h Hash, around func(vfs.File)) ([]byte, error) {
	f, err := s.cfg.FS.OpenFile(s.folder(h).name(h), os.O_RDONLY)
	if err != nil {
		return nil, asMissing(err)
	}
	defer f.Close()
	around(f)
	defer around(f)
	b, err := readAll(f, Size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if Sum(b) != h {
		return nil, ErrDamaged
	}
	return b, nil
}
