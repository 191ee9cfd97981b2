// Package journal keeps the writes that a box has accepted for a space until raft has settled them.
package journal

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/vfs"
)

var (
	// ErrDamaged says that a part of the file that was once confirmed cannot be
	// read. The file is left as it is, for its caller to keep aside.
	ErrDamaged = errors.New("journal is damaged")
	// ErrFull says that the disk is full: the write was not accepted. What was accepted before is unharmed.
	ErrFull = errors.New("disk is full")
	// ErrStopped says that the disk failed or did not confirm what was written.
	// Nothing more is accepted until the journal is opened anew.
	ErrStopped = errors.New("journal is stopped")
	// ErrClosed says that the journal was closed.
	ErrClosed = errors.New("journal is closed")
)

// Journal is the journal of one space. All methods are safe for concurrent use.
// Two must not have the same file open.
//
// A write stands in the file from Append to Resolve. A crash may undo a Resolve,
// never an Append: a write that comes back is offered again, and its ID makes that harmless.
type Journal struct {
	// turn holds one token: who takes it may write to the file, and owns what
	// follows. It is taken before mu. (A mutex would do, but hide waiting from synctest.)
	turn   chan struct{}
	file   *file
	closed bool

	mu       sync.Mutex // guards what follows
	gathered *group     // what the next commit writes; nil when nothing waits
	next     uint64     // place of the next write
	places   map[catalog.WriteID]uint64
	writes   map[uint64]catalog.Write // by place; Invariant: all are on disk
	resolved []catalog.WriteID        // not yet said in the file
}

// group is the writes of callers who wait for the same commit.
type group struct {
	writes []catalog.Write
	bodies [][]byte
	done   bool // err is final; guarded by turn
	err    error
}

// lazyResolves is how many settled writes may wait for the next Append to be told
// to the file, while others are not settled.
const lazyResolves = 64

// Open opens the journal at path on the operating system's disk, or makes an empty
// one; its directory is made too.
func Open(path string, logger *slog.Logger) (*Journal, error) {
	return OpenOn(vfs.OS{}, path, logger)
}

// OpenOn is Open on any disk; slog.Default when logger is nil. ErrDamaged when
// the file cannot be trusted. A full disk does not keep it from opening.
func OpenOn(fsys vfs.FS, path string, logger *slog.Logger) (*Journal, error) {
	if logger == nil {
		logger = slog.Default()
	}
	j := &Journal{turn: make(chan struct{}, 1), places: map[catalog.WriteID]uint64{}, writes: map[uint64]catalog.Write{}}
	f, err := openFile(fsys, path, j.replay)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j.file = f
	if f.f != nil && f.stale {
		logger.Info("journal ends in a torn write", "path", path)
	}
	if err := j.begin(); err != nil && !vfs.ErrFull(err) {
		return nil, fmt.Errorf("open journal: %w", errors.Join(err, f.close()))
	}
	return j, nil
}

// begin makes durable what a killed program may have left unsynced.
func (j *Journal) begin() error {
	if err := j.file.prepare(j.bodies); err != nil {
		return err
	}
	return j.file.sync()
}

// replay takes in one record of the file.
func (j *Journal) replay(r record) error {
	switch r.kind {
	case kindWrite:
		w, err := catalog.DecodeWrite(r.body)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		j.add(w)
	case kindResolved:
		id, err := decodeID(r.body)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		j.remove(id)
	default:
		return fmt.Errorf("%w: record of kind %d", ErrDamaged, r.kind)
	}
	return nil
}

// add takes a write that is on disk. One that is there already keeps its place.
func (j *Journal) add(w catalog.Write) {
	if _, ok := j.places[w.ID]; ok {
		return
	}
	j.places[w.ID], j.writes[j.next] = j.next, w
	j.next++
}

// remove reports whether the write was there.
func (j *Journal) remove(id catalog.WriteID) bool {
	place, ok := j.places[id]
	if ok {
		delete(j.writes, place)
		delete(j.places, id)
	}
	return ok
}

// Append accepts the writes, all or none, in their order; on return they are on disk. Concurrent
// callers share a sync. A write that is in the journal already stays where it is.
func (j *Journal) Append(ws ...catalog.Write) error {
	if len(ws) == 0 {
		return nil
	}
	bodies := make([][]byte, len(ws))
	for i, w := range ws {
		var err error
		if bodies[i], err = catalog.EncodeWrite(w); err != nil {
			return fmt.Errorf("append to journal: %w", err)
		}
	}
	g := j.join(ws, bodies)
	j.turn <- struct{}{}
	defer j.giveTurn()
	if !g.done {
		j.commit(g)
	}
	if g.err != nil {
		return fmt.Errorf("append to journal: %w", g.err)
	}
	return nil
}

func (j *Journal) giveTurn() { <-j.turn }

// join adds to the group that the next commit writes.
func (j *Journal) join(ws []catalog.Write, bodies [][]byte) *group {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gathered == nil {
		j.gathered = &group{}
	}
	g := j.gathered
	g.writes = append(g.writes, ws...)
	g.bodies = append(g.bodies, bodies...)
	return g
}

// commit writes the gathered group, which is g. Callers hold turn.
func (j *Journal) commit(g *group) {
	j.mu.Lock()
	j.gathered = nil // who comes now waits for the next commit
	resolved := j.resolved
	j.mu.Unlock()

	g.done, g.err = true, j.write(resolved, g.bodies)
	if g.err != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.resolved = j.resolved[len(resolved):]
	for _, w := range g.writes {
		j.add(w)
	}
}

// write writes and syncs. Callers hold turn.
func (j *Journal) write(resolved []catalog.WriteID, bodies [][]byte) error {
	if j.closed {
		return ErrClosed
	}
	if err := j.file.prepare(j.bodies); err != nil {
		return err
	}
	if err := j.file.append(resolvedAndWrites(resolved, bodies)); err != nil {
		return err
	}
	return j.file.sync()
}

func resolvedAndWrites(resolved []catalog.WriteID, bodies [][]byte) []record {
	records := make([]record, 0, len(resolved)+len(bodies))
	for _, id := range resolved {
		records = append(records, record{kindResolved, encodeID(id)})
	}
	for _, b := range bodies {
		records = append(records, record{kindWrite, b})
	}
	return records
}

// bodies visits the encoded writes in the journal, in order, for a new file.
func (j *Journal) bodies(yield func([]byte) error) error {
	for _, w := range j.Pending() {
		b, err := wire.Marshal(w) // EncodeWrite might refuse what an older version accepted
		if err != nil {
			return err
		}
		if err := yield(b); err != nil {
			return err
		}
	}
	return nil
}

// Resolve forgets writes that are settled; IDs that are not in the journal do not
// matter. It does not wait for the disk. An error means that a later start may bring them back.
func (j *Journal) Resolve(ids ...catalog.WriteID) error {
	j.mu.Lock()
	for _, id := range ids {
		if j.remove(id) {
			j.resolved = append(j.resolved, id)
		}
	}
	due := len(j.resolved) > 0 && (len(j.writes) == 0 || len(j.resolved) >= lazyResolves)
	j.mu.Unlock()
	if !due {
		return nil
	}
	select {
	case j.turn <- struct{}{}:
		defer j.giveTurn()
	default: // the next Append tells it, or Close
		return nil
	}
	if err := j.tellResolved(); err != nil {
		return fmt.Errorf("resolve in journal: %w", err)
	}
	return nil
}

// tellResolved writes what is resolved, without a sync. Callers hold turn.
func (j *Journal) tellResolved() error {
	if j.closed {
		return ErrClosed
	}
	j.mu.Lock()
	resolved := j.resolved
	j.mu.Unlock()
	if len(resolved) == 0 || j.file.stale {
		return nil // a new file will be without them
	}
	if err := j.file.append(resolvedAndWrites(resolved, nil)); err != nil {
		return err
	}
	j.mu.Lock()
	j.resolved = j.resolved[len(resolved):]
	j.mu.Unlock()
	return nil
}

// Pending returns the writes that are not resolved, in the order of Append.
func (j *Journal) Pending() []catalog.Write {
	j.mu.Lock()
	defer j.mu.Unlock()
	ws := make([]catalog.Write, 0, len(j.writes))
	for _, place := range slices.Sorted(maps.Keys(j.writes)) {
		ws = append(ws, j.writes[place])
	}
	return ws
}

// Len returns how many writes are not resolved.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.writes)
}

// Close writes what was resolved and closes the file. Close again does nothing.
func (j *Journal) Close() error {
	j.turn <- struct{}{}
	defer j.giveTurn()
	if j.closed {
		return nil
	}
	err := j.tellResolved()
	if err == nil {
		err = j.file.sync()
	}
	if errors.Is(err, ErrFull) || errors.Is(err, ErrStopped) {
		err = nil // only resolves are untold, and those may come back
	}
	j.closed = true
	return cmp.Or(err, j.file.close())
}
