package raftlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"redhen/provision/ident"
)

// ErrDamaged says that something the log once acknowledged cannot be read. See DamagedError.
var ErrDamaged = errors.New("raft log damaged")

// DamagedError tells what of a log is damaged. It wraps ErrDamaged.
type DamagedError struct {
	File   string // of the segment; empty when a segment is missing
	Offset int64  // of the first bad batch or entry in it
	// Shards are those of which something may be missing, sorted; nil means that
	// it may be any. All others are whole.
	Shards []ident.ShardID
}

func (e *DamagedError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("%v: a segment is missing", ErrDamaged)
	}
	return fmt.Sprintf("%v: segment %s from byte %d", ErrDamaged, e.File, e.Offset)
}

// Unwrap returns ErrDamaged.
func (e *DamagedError) Unwrap() error { return ErrDamaged }

// Open reads the log in Config.Dir, or makes an empty one, and goes on in a fresh segment. A torn tail, which was
// never acknowledged, is dropped; for damage it returns a *DamagedError and changes nothing. It creates a
// file when no spare one is left, and may find the disk full (vfs.ErrFull). The files belong
// to the Log until Run ends or Close; nobody else may open the directory.
func Open(cfg Config) (*Log, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, dirty: map[ident.ShardID]bool{}, stated: true,
		shards: map[ident.ShardID]*Storage{}, wake: make(chan struct{}, 1),
	}
	if err := l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open raft log %s: %w", cfg.Dir, err), l.closeFiles())
	}
	return l, nil
}

func (l *Log) open() error {
	if err := l.cfg.FS.MkdirAll(l.cfg.Dir); err != nil {
		return err
	}
	if err := l.cfg.FS.SyncDir(l.cfg.Dir); err != nil {
		return err
	}
	if err := l.openFiles(); err != nil {
		return err
	}
	newest, err := l.findNewest()
	if err != nil {
		return err
	}
	if newest == nil {
		return l.rotate(position{})
	}
	if err := l.replay(newest); err != nil {
		return err
	}
	return l.rotate(newest.batches[len(newest.batches)-1].synced)
}

// scan is what can be read of one file.
type scan struct {
	*segment
	batches []scanned // all that verify
	end     int64     // of those from the begin that follow each other
	stated  position  // the last that any header in the file states
}

type scanned struct {
	header
	records []located
	follows bool // each batch before it is good
}

// scan reads a file to its end, also behind bad batches.
func (l *Log) scan(s *segment) (*scan, error) {
	b := make([]byte, s.size)
	if n, err := s.file.ReadAt(b, 0); err != nil && (err != io.EOF || n < len(b)) {
		return nil, fmt.Errorf("read segment %s: %w", s.name, err)
	}
	sc := &scan{segment: s}
	follows, prev := s.seq > 0, s.id.chain()
	for off := int64(0); off+headerSize <= int64(len(b)); {
		h, crc, ok := parseHeader(b[off:])
		if ok = ok && h.pos == off; ok && h.synced.after(sc.stated) {
			sc.stated = h.synced
		}
		var records []located
		var end uint32
		if ok = ok && h.seq == s.seq && h.id == s.id; ok {
			records, end, ok = parseBatch(b[off:], h, crc)
		}
		if !ok {
			follows = false
			off += page
			continue
		}
		follows = follows && h.prev == prev
		sc.batches = append(sc.batches, scanned{h, records, follows})
		off, prev = h.end(), end
		if follows {
			sc.end = off
		}
	}
	return sc, nil
}

// identify reads a file's first header into the segment.
func (s *segment) identify() error {
	var b [headerSize]byte
	if _, err := s.file.ReadAt(b[:], 0); err != nil && err != io.EOF {
		return fmt.Errorf("read segment %s: %w", s.name, err)
	}
	if h, _, ok := parseHeader(b[:]); ok && h.pos == 0 {
		s.seq, s.id = h.seq, h.id
	}
	return nil
}

// findNewest returns the newest segment with a whole checkpoint, nil when there never was one,
// and judges whether all that any header states as synced is there. The newest becomes l.cur.
func (l *Log) findNewest() (*scan, error) {
	for _, s := range l.spare {
		if err := s.identify(); err != nil {
			return nil, err
		}
		l.seq = max(l.seq, s.seq)
	}
	byAge := slices.SortedFunc(slices.Values(l.spare), func(a, b *segment) int { return cmp.Compare(b.seq, a.seq) })
	var newest *scan
	var stated position
	var where string
	for _, s := range byAge {
		if s.seq > 0 && newest != nil {
			continue // older: read only when it is needed
		}
		sc, err := l.scan(s)
		if err != nil {
			return nil, err
		}
		if sc.stated.after(stated) {
			stated, where = sc.stated, s.name
		}
		if sc.end > 0 {
			newest = sc
		}
	}
	switch {
	case newest == nil && stated == position{}:
		return nil, nil
	case newest == nil:
		return nil, &DamagedError{File: where}
	case stated.seq > newest.seq: // a newer one has lost its checkpoint
		return nil, &DamagedError{File: where}
	case stated.after(position{newest.seq, newest.end}):
		return nil, &DamagedError{File: newest.name, Offset: newest.end, Shards: newest.mentioned()}
	}
	newest.batches = slices.DeleteFunc(newest.batches, func(b scanned) bool { return !b.follows })
	l.spare = slices.DeleteFunc(l.spare, func(s *segment) bool { return s == newest.segment })
	l.cur = newest.segment
	l.cur.end = newest.end
	return newest, nil
}

// mentioned returns the shards that the checkpoint and the readable batches name; nil without a checkpoint.
func (sc *scan) mentioned() []ident.ShardID {
	if sc.end == 0 {
		return nil
	}
	ids := map[ident.ShardID]bool{}
	for _, b := range sc.batches {
		for _, r := range b.records {
			ids[r.Shard] = true
		}
	}
	delete(ids, 0)
	return slices.Sorted(maps.Keys(ids))
}

// use moves a file from the spares to the old segments, unless it is there.
func (l *Log) use(s *segment) {
	if slices.Contains(l.old, s) {
		return
	}
	l.spare = slices.DeleteFunc(l.spare, func(o *segment) bool { return o == s })
	l.old = append(l.old, s)
}

// replay builds the shards from the segments that the newest checkpoint lists, the checkpoint, and what follows it.
func (l *Log) replay(newest *scan) error {
	placed := placements{}
	first := newest.batches[0]
	damage, err := l.replayListed(first.records, placed)
	if err != nil {
		return err
	}
	placed.add(newest.segment, first.records)
	for _, r := range first.records {
		switch r.Kind {
		case kindShard:
			l.storage(r.Shard).fill(&r.record, placed[r.Shard], damage)
		case kindState:
			l.storage(r.Shard).hard = hardState{r.Term, r.Vote, r.Commit}
		}
	}
	if damage.DamagedError != nil {
		return damage.DamagedError
	}
	for _, b := range newest.batches[1:] {
		for _, r := range b.records {
			at := slot{seg: newest.segment, term: r.Term, where: r.where}
			if err := l.storage(r.Shard).apply(&r.record, at); err != nil {
				return &DamagedError{File: newest.name, Offset: b.pos, Shards: []ident.ShardID{r.Shard}}
			}
		}
	}
	if len(newest.batches) == 1 {
		return l.protect(first.synced.seq)
	}
	return nil
}

// damage is what replay finds; upto is the sequence number of the newest segment that has some.
type damage struct {
	*DamagedError
	upto uint64
}

// replayListed reads the segments that a checkpoint lists.
func (l *Log) replayListed(checkpoint []located, placed placements) (*damage, error) {
	d := &damage{}
	for _, r := range checkpoint {
		if r.Kind != kindSegment {
			continue
		}
		s := l.find(r.names)
		if s == nil {
			d.DamagedError, d.upto = &DamagedError{}, r.Seq
			continue
		}
		l.use(s)
		s.end = r.End
		sc, err := l.scan(s)
		if err != nil {
			return nil, err
		}
		if sc.end < r.End {
			d.DamagedError, d.upto = &DamagedError{File: s.name, Offset: sc.end}, r.Seq
		}
		for _, b := range sc.batches {
			if b.end() <= r.End {
				placed.add(s, b.records)
			}
		}
	}
	return d, nil
}

// protect keeps the segments of the checkpoint before the newest out of use until
// the next one is synced: the newest, when nothing follows its checkpoint, was perhaps never synced itself.
func (l *Log) protect(seq uint64) error {
	before := l.find(func(s *segment) bool { return s.seq == seq && seq > 0 })
	if before == nil {
		return nil
	}
	sc, err := l.scan(before)
	if err != nil || sc.end == 0 {
		return err
	}
	l.use(before)
	for _, r := range sc.batches[0].records {
		if s := l.find(r.names); s != nil {
			l.use(s)
		}
	}
	return nil
}

// find returns an old or spare segment; nil when there is none.
func (l *Log) find(is func(*segment) bool) *segment {
	for s := range l.segments() {
		if s != l.cur && is(s) {
			return s
		}
	}
	return nil
}

// names reports whether a checkpoint's record lists that segment.
func (r *record) names(s *segment) bool {
	return r.Kind == kindSegment && s.seq == r.Seq && s.id == r.ID
}

// placements says for each index of each shard where it was written last.
type placements map[ident.ShardID]map[uint64]slot

func (p placements) add(seg *segment, records []located) {
	for _, r := range records {
		if r.Kind != kindEntry && r.Kind != kindMoved {
			continue
		}
		if p[r.Shard] == nil {
			p[r.Shard] = map[uint64]slot{}
		}
		p[r.Shard][r.Index] = slot{seg: seg, term: r.Term, where: r.where}
	}
}

// fill sets a shard to what a checkpoint says of it. With damage, an entry that
// was placed before the damage's end may be one that was replaced since.
func (s *Storage) fill(r *record, placed map[uint64]slot, d *damage) {
	s.exists = true
	s.base, s.baseTerm = r.Index, r.Term
	for i := r.Index + 1; i <= r.Last; i++ {
		at, ok := placed[i]
		if !ok && d.DamagedError == nil {
			d.DamagedError = &DamagedError{}
		}
		if !ok || at.seg.seq <= d.upto {
			d.touch(s.shard)
		}
		if !ok {
			return
		}
		s.push(at)
	}
}

func (d *damage) touch(id ident.ShardID) {
	if n := len(d.Shards); n == 0 || d.Shards[n-1] != id {
		d.Shards = append(d.Shards, id)
	}
}
