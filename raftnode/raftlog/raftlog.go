// Package raftlog is the one durable log of a box: the raft entries and hard
// states of all its shards, with one flush per batch of writes, whatever their number.
//
// # On disk
//
// The log is a few files of equal size, the segments, written with zeros once and
// then used again and again: appending changes no metadata, so that one fdatasync
// is one flush of the device. A segment in use has a sequence number and a random ID. It is a row of batches;
// a batch is a header and records, begins on a page of 4096 bytes and is one write and one sync. No
// page is written twice in the life of a segment: a write that is torn cannot harm an older one.
//
// The CRC of each record continues that of its predecessor, that of a header covers the
// segment's ID and the CRC before it, so what is left of a segment's earlier life never
// looks valid. Each header also states the position (segment, offset) known synced when
// it was written. So a reader can tell the two ends of a log apart: a bad batch below any
// position stated anywhere is damage (ErrDamaged: something acknowledged is lost); above all
// of them it is a torn tail, which nobody was ever told about. A batch counts as a whole or not at all.
// One case is beyond this rule: the very last batch before a crash, synced but stated by nobody, and then rotten,
// looks torn. A clean stop writes a statement, so it is only ever the last batch before a power cut.
//
// # Using segments again
//
// Invariants, kept by rotate:
//
//  1. A segment begins with a checkpoint: the segments still needed (sequence, ID, end),
//     and each shard's hard state, first and last index.
//  2. An entry is live when its index is between its shard's first and last. Every live
//     entry stands in the newest segment or in one that the newest checkpoint lists.
//  3. Only a segment that the newest synced checkpoint does not list is written again.
//  4. Of all placements of one index the one written last is the live one, so replay in order of
//     sequence numbers, cut to the checkpoint's indexes, gives the state, even with gaps in the sequence.
//
// A checkpoint also carries live entries forward: those of the segments with the
// fewest live bytes, whole segments only, together at most a quarter of a segment. So
// in ordinary life (tails of a few hundred entries) the newest segment has everything
// and two files take turns, a third in reserve. A shard that never compacts cannot blow the checkpoint up:
// what does not fit the quarter stays where it is, listed in 30 bytes per segment. Nor can
// it pin the disk: at each rotation either a segment is freed for the one that is taken, or every old segment
// has more than a quarter of live bytes, so the files never number more than 4·(most bytes ever live)/SegmentBytes + 4, and writing
// costs at most 4/3 of what is asked for.
//
// # Recovery
//
// Open reads the newest checkpoint and what it lists, judges, and goes on in a fresh
// segment. The last batch was perhaps never synced although the kernel shows it (a failed
// fdatasync leaves such pages behind), so its entries are carried into the fresh segment before anybody hears of them.
package raftlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/raftnode/vfs"
)

// ErrStopped is what every write gets after Run has ended, with the cause when
// it was a failed write or sync. A stopped log is never restarted; open it anew.
var ErrStopped = errors.New("raft log stopped")

// ErrInvalid is what a Write gets that does not continue its shard's log, or is too large. The log goes on without it.
var ErrInvalid = errors.New("not a valid write to the raft log")

const (
	// DefaultSegmentBytes is the size of a segment.
	DefaultSegmentBytes = 16 << 20
	// DefaultCacheBytes is how much of each shard's newest entries is kept in memory.
	DefaultCacheBytes = 256 << 10
	// MaxWriteBytes limits the entries of one Write, as stored.
	MaxWriteBytes = 64 << 20

	batchBytes = 1 << 20 // a batch takes no further Write above this
)

// Config says where a log is and how large its parts are.
type Config struct {
	FS           vfs.FS       // nil means vfs.OS
	Dir          string       // made when missing; holds nothing else
	SegmentBytes int64        // 0 means DefaultSegmentBytes; a multiple of 4096, at least 16 KiB
	CacheBytes   int          // per shard; 0 means DefaultCacheBytes
	Rand         io.Reader    // draws the IDs of segments; nil means crypto/rand
	Logger       *slog.Logger // nil means none

	// Room says how many bytes are free; nil means that it is not known. A segment is
	// not even begun where there is none for it, so that others keep the last room.
	Room func() (int64, error)
}

func (c *Config) validate() error {
	if c.FS == nil {
		c.FS = vfs.OS{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = DefaultSegmentBytes
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.Dir == "" || c.SegmentBytes%page != 0 || c.SegmentBytes < 4*page || c.SegmentBytes > 1<<30 {
		return fmt.Errorf("raft log in %q with segments of %d bytes: bad config", c.Dir, c.SegmentBytes)
	}
	return nil
}

// Write is one atomic change of one shard's log: all of it is recovered or none.
// Its parts take effect in the order Forget, Snapshot, Entries, HardState.
type Write struct {
	Shard     ident.ShardID
	Forget    bool                     // removes everything of the shard before the rest
	Snapshot  *raftpb.SnapshotMetadata // drops all entries; the log begins after its index
	Entries   []*raftpb.Entry          // contiguous; they replace all entries from the first one's index on
	HardState *raftpb.HardState        // nil means unchanged
	Done      func(error)              // nil means that nobody wants to know
}

// Log is an open log. All methods are safe for concurrent use.
type Log struct {
	cfg Config

	// Of the goroutine in Run (before that, of Open) alone.
	cur    *segment
	begun  int64      // where the newest segment's checkpoint ends
	old    []*segment // needed by live entries, as the newest checkpoint says
	spare  []*segment
	seq    uint64 // highest ever seen
	names  int    // highest number of a file
	buf    batch
	dirty  map[ident.ShardID]bool // hard states that wait for the next batch
	stated bool                   // everything written is stated synced

	mu     sync.RWMutex // guards shards and all in them, and is held while an entry is read from a file
	shards map[ident.ShardID]*Storage

	full atomic.Bool // writes wait for room

	qmu    sync.Mutex // guards the fields below; never held while another lock is taken
	queue  []Write
	wake   chan struct{} // has room for one
	failed error         // set once, then Submit refuses
}

// Run writes what is submitted, until ctx ends or a write or sync fails. When a fresh segment is needed and
// the disk has no room for one, nothing is touched: what is submitted waits until there is. On a clean end everything
// submitted before is written and nil is returned, unless it waits for room. It closes the files; entries that are not in memory cannot be
// read afterwards. Call it once.
func (l *Log) Run(ctx context.Context) error {
	for {
		var err error
		select {
		case <-ctx.Done():
			if err = l.drain(ctx); err == nil {
				err = l.state()
			}
			l.stop(err)
			return err
		case <-l.wake:
			err = l.drain(ctx)
		}
		if err != nil {
			l.stop(err)
			return err
		}
	}
}

// Submit queues a write and returns at once. Writes of one shard are done in order. Done is called on Run's
// goroutine when the write is durable and visible in Storage, or with an error; on the caller's, with ErrStopped,
// when the log has stopped. Done must not block for long. A write that only raises the
// commit index is answered without a sync and becomes durable with the next batch: raft does not need it
// (see raft.MustSync), and a commit would cost two flushes instead of one.
// The entries must not be changed any more.
func (l *Log) Submit(w Write) {
	l.qmu.Lock()
	err := l.failed
	if err == nil {
		l.queue = append(l.queue, w)
	}
	l.qmu.Unlock()
	if err != nil {
		w.done(err)
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (w Write) done(err error) {
	if w.Done != nil {
		w.Done(err)
	}
}

// Full reports whether writes wait because the disk has no room.
func (l *Log) Full() bool { return l.full.Load() }

// Forget removes all of a shard, durably with the next batch. Its Storage is empty then, and may be used for another replica.
func (l *Log) Forget(shard ident.ShardID) { l.Submit(Write{Shard: shard, Forget: true}) }

// Compact drops the entries up to and with index, which must be below what is applied
// durably. It costs no write: until the next checkpoint a restart may bring them back.
func (l *Log) Compact(shard ident.ShardID, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[shard]
	if s == nil || index > s.last() {
		return fmt.Errorf("compact shard %v to %d: %w: beyond the end", shard, index, ErrInvalid)
	}
	s.compact(index)
	return nil
}

// Shard returns the storage of a shard, always the same one; empty when the log has nothing of it.
func (l *Log) Shard(shard ident.ShardID) *Storage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.storage(shard)
}

func (l *Log) storage(shard ident.ShardID) *Storage {
	s := l.shards[shard]
	if s == nil {
		s = &Storage{log: l, shard: shard}
		l.shards[shard] = s
	}
	return s
}

// Shards returns the shards that the log has something of, sorted.
func (l *Log) Shards() []ident.ShardID {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.known()
}

func (l *Log) known() []ident.ShardID {
	ids := slices.Sorted(maps.Keys(l.shards))
	return slices.DeleteFunc(ids, func(id ident.ShardID) bool { return !l.shards[id].exists })
}

// Close closes the files of a log whose Run was never called. What is queued gets ErrStopped.
func (l *Log) Close() error { return l.stop(nil) }

// stop answers all that is queued and closes the files.
func (l *Log) stop(cause error) error {
	err := ErrStopped
	if cause != nil {
		err = fmt.Errorf("%w: %w", ErrStopped, cause)
		l.cfg.Logger.Error("raft log stopped", "err", cause)
	}
	l.qmu.Lock()
	queue := l.queue
	l.queue = nil
	if l.failed == nil {
		l.failed = err
	}
	l.qmu.Unlock()
	for _, w := range queue {
		w.done(err)
	}
	return l.closeFiles()
}

func (l *Log) closeFiles() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for s := range l.segments() {
		errs = append(errs, s.file.Close())
	}
	l.old, l.spare, l.cur = nil, nil, nil
	return errors.Join(errs...)
}

func (l *Log) segments() func(func(*segment) bool) {
	return func(yield func(*segment) bool) {
		all := append(slices.Clone(l.old), l.spare...)
		if l.cur != nil {
			all = append(all, l.cur)
		}
		for _, s := range all {
			if !yield(s) {
				return
			}
		}
	}
}
