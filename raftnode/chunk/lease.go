package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"slices"
	"time"

	"redhen/raftnode/vfs"
)

// Lease promises to keep the chunks until the given time, in milliseconds since
// the Unix epoch, and reports which of them are here and on disk. The others are
// promised too, should they come. On return the promise is on disk; a lease only ever gets longer.
func (s *Store) Lease(hs []Hash, until int64) (have []bool, err error) {
	if s.stopped.Load() {
		return nil, fmt.Errorf("lease chunks: %w", ErrStopped)
	}
	if err := s.Rescue(hs...); err != nil {
		return nil, fmt.Errorf("lease chunks: %w", err)
	}
	if err := s.lease(hs, until); err != nil {
		return nil, fmt.Errorf("lease chunks: %w", asFull(err))
	}
	have = make([]bool, len(hs))
	for i, h := range hs {
		if have[i] = s.Has(h); !have[i] {
			continue
		}
		if err := s.syncFolder(s.folder(h)); err != nil {
			return nil, fmt.Errorf("lease chunks: %w", err)
		}
	}
	return have, nil
}

func (s *Store) lease(hs []Hash, until int64) error {
	s.leaseMu.Lock()
	defer s.leaseMu.Unlock()
	return s.leases.extend(hs, until, s.cfg.Now())
}

// Leased reports whether a lease of the chunk is running.
func (s *Store) Leased(h Hash) bool {
	s.leaseMu.Lock()
	defer s.leaseMu.Unlock()
	return s.leases.holds(h, s.cfg.Now())
}

const (
	// leaseSize is the length of one record on disk: hash, end (milliseconds since
	// the Unix epoch, big-endian), CRC-32C of both. Each record stands for itself:
	// one that is torn is passed over. The latest end of a hash counts.
	leaseSize = len(Hash{}) + 8 + 4
	// leaseBlock is what records are padded to, in bytes. A block that was synced is never
	// written again, because a power cut may leave nonsense in one that is being written.
	leaseBlock = 4096
	// leaseSlack is how many blocks more than twice those that it had when it was last
	// written anew the file may have before it is written anew again.
	leaseSlack = 64
)

// maxLeaseFile is the size in bytes above which the file is not read: 24 million leases.
const maxLeaseFile = 1 << 30

// leases is the file of promises. Callers of Store hold leaseMu around every method.
type leases struct {
	fs   vfs.FS
	name string
	file vfs.File // nil after a failed write: what is in it is not known
	size int64    // of file
	live int64    // size of file when it was last written anew
	ends map[Hash]int64
}

func openLeases(cfg Config) (leases, error) {
	l := leases{fs: cfg.FS, name: path.Join(cfg.Dir, "leases"), ends: map[Hash]int64{}}
	b, err := readFile(l.fs, l.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return leases{}, err
	}
	bad := l.read(b)
	if bad > 0 {
		cfg.Logger.Warn("lease records unreadable", "records", bad)
	}
	// What a killed program had written may not be synced; a new file is. On a full
	// disk chunks can still be read: then the next lease writes the file, or is refused.
	if err := l.rewrite(cfg.Now()); err != nil && !vfs.ErrFull(err) {
		return leases{}, err
	}
	return l, nil
}

// read takes in the records of the file and returns how many are bad.
func (l *leases) read(b []byte) (bad int) {
	for rec := range leaseRecords(b) {
		if h, end, ok := parseLease(rec); ok {
			l.ends[h] = max(l.ends[h], end)
		} else {
			bad++
		}
	}
	return bad
}

// leaseRecords cuts a file into its records, without the padding.
func leaseRecords(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for block := range slices.Chunk(b, leaseBlock) {
			for rec := range slices.Chunk(block, leaseSize) {
				padding := !slices.ContainsFunc(rec, func(b byte) bool { return b != 0 })
				if !padding && !yield(rec) {
					return
				}
			}
		}
	}
}

// holds reports whether a lease of h runs.
func (l *leases) holds(h Hash, now time.Time) bool { return l.ends[h] > now.UnixMilli() }

// extend makes the leases of hs end at until, or later where they already do.
func (l *leases) extend(hs []Hash, until int64, now time.Time) error {
	var longer []Hash
	for _, h := range hs {
		if l.ends[h] < until {
			longer = append(longer, h)
		}
	}
	if len(longer) == 0 && l.file != nil {
		return nil
	}
	if err := l.write(longer, until, now); err != nil {
		return err
	}
	for _, h := range longer {
		l.ends[h] = until
	}
	return nil
}

func (l *leases) write(hs []Hash, until int64, now time.Time) error {
	var b []byte
	for _, h := range hs {
		b = appendLease(b, h, until)
	}
	b = padBlock(b)
	if l.file == nil || l.size+int64(len(b)) > 2*l.live+leaseSlack*leaseBlock {
		if err := l.rewrite(now); err != nil {
			return err
		}
	}
	if err := writeSynced(l.file, b, l.size); err != nil {
		return errors.Join(err, l.close())
	}
	l.size += int64(len(b))
	return nil
}

// rewrite replaces the file by one that has only the leases in force.
func (l *leases) rewrite(now time.Time) error {
	if err := l.close(); err != nil {
		return err
	}
	maps.DeleteFunc(l.ends, func(_ Hash, end int64) bool { return end <= now.UnixMilli() })
	var b []byte
	for _, h := range slices.SortedFunc(maps.Keys(l.ends), Hash.Compare) {
		b = appendLease(b, h, l.ends[h])
	}
	b = padBlock(b)
	f, err := replaceFile(l.fs, l.name, b)
	if err != nil {
		return err
	}
	l.file, l.size, l.live = f, int64(len(b)), int64(len(b))
	return nil
}

func (l *leases) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// appendLease appends a record, in a new block when it does not fit into the last.
func appendLease(b []byte, h Hash, end int64) []byte {
	if len(b)%leaseBlock+leaseSize > leaseBlock {
		b = padBlock(b)
	}
	start := len(b)
	b = append(b, h[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(end))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], crc32.MakeTable(crc32.Castagnoli)))
}

// padBlock fills the last block with zeros.
func padBlock(b []byte) []byte {
	if rest := len(b) % leaseBlock; rest > 0 {
		b = append(b, make([]byte, leaseBlock-rest)...)
	}
	return b
}

func parseLease(b []byte) (h Hash, end int64, ok bool) {
	if len(b) != leaseSize {
		return h, 0, false
	}
	n := copy(h[:], b)
	end = int64(binary.BigEndian.Uint64(b[n:]))
	return h, end, binary.BigEndian.Uint32(b[n+8:]) == crc32.Checksum(b[:n+8], crc32.MakeTable(crc32.Castagnoli))
}

func writeSynced(f vfs.File, b []byte, off int64) error {
	if _, err := f.WriteAt(b, off); err != nil {
		return err
	}
	return f.Sync()
}

func readFile(fsys vfs.FS, name string) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, maxLeaseFile)
}
