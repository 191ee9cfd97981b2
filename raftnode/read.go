package raftnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/catalog"
	"redhen/raftnode/transport"
)

// serviceRead is the service by which a box without a replica asks one that has it.
const serviceRead = "redhen/read/1"

// Limits of one answer.
const (
	maxList   = 1000 // rows of one List or Removed
	maxSearch = 200
	maxOwn    = 256 << 10 // bytes of unsettled writes in one question; the older go first
)

const (
	readRetryFor = 2 * time.Second        // how long a read is tried again that no replica answers
	readHedge    = 400 * time.Millisecond // how long one box is waited for before the next is asked beside it
)

// readKind says what is asked. The numbers are sent: never reused.
type readKind uint8

const (
	readStat     readKind = 1
	readList     readKind = 2
	readVersions readKind = 3
	readRemoved  readKind = 4
	readLocks    readKind = 5
	readSearch   readKind = 6
	readStats    readKind = 7
)

// readCallOf is one question about a space.
type readCallOf struct {
	Shard ident.ShardID `cbor:"1,keyasint"`
	Kind  readKind      `cbor:"2,keyasint"`
	Path  string        `cbor:"3,keyasint,omitempty"` // or the text to search for
	From  string        `cbor:"4,keyasint,omitempty"`
	Limit int           `cbor:"5,keyasint,omitempty"`
	Index uint64        `cbor:"6,keyasint,omitempty"` // the state must have applied so much
	Own   [][]byte      `cbor:"7,keyasint,omitempty"` // catalog.Write: what the asking box accepted and the state may lack
	Any   bool          `cbor:"8,keyasint,omitempty"` // whatever the state has
}

// readReply answers it. Missing says that the path leads nowhere.
type readReply struct {
	Entries  []catalog.Entry   `cbor:"1,keyasint,omitempty"`
	Versions []catalog.Version `cbor:"2,keyasint,omitempty"`
	Removed  []catalog.Removed `cbor:"3,keyasint,omitempty"`
	Locks    []catalog.Lock    `cbor:"4,keyasint,omitempty"`
	Found    []catalog.Found   `cbor:"5,keyasint,omitempty"`
	Stats    catalog.Stats     `cbor:"6,keyasint,omitempty"`
	Code     string            `cbor:"7,keyasint,omitempty"`
	More     bool              `cbor:"8,keyasint,omitempty"` // the list was cut to fit a frame
	Applied  uint64            `cbor:"9,keyasint,omitempty"` // of the state that answered; zero when it may be behind what the asker saw
}

// fit cuts a list of entries until the reply fits a frame: their properties may be large.
func (r readReply) fit() readReply {
	for len(r.Entries) > 1 && len(wire.MustMarshal(r)) > wire.MaxFrame {
		r.Entries, r.More = r.Entries[:len(r.Entries)/2], true
	}
	return r
}

// The codes of readReply, and the errors they stand for.
const (
	codeNotHere      = "not-here"
	codeBehind       = "behind"
	codeMissing      = "missing"
	codeNotDirectory = "not-directory"
	codeBadName      = "bad-name"
)

// errBehind says that a replica has not all that readers here have seen.
var errBehind = errors.New("the replica is behind")

func codes() map[string]error {
	return map[string]error{
		codeMissing:      catalog.ErrNotFound,
		codeNotDirectory: catalog.ErrNotDirectory,
		codeBadName:      catalog.ErrBadName,
	}
}

// Stat returns what stands at a path; the root is "".
func (s *Space) Stat(ctx context.Context, path string) (catalog.Entry, error) {
	r, err := s.ask(ctx, readCallOf{Kind: readStat, Path: path})
	if err != nil || len(r.Entries) != 1 {
		return catalog.Entry{}, orMissing(err)
	}
	return r.Entries[0], nil
}

func orMissing(err error) error {
	if err == nil {
		return catalog.ErrNotFound
	}
	return err
}

// List returns at most limit entries of a directory in the order of their names,
// beginning behind the name after ("" for the first). Their contents have a size only.
func (s *Space) List(ctx context.Context, path, after string, limit int) ([]catalog.Entry, error) {
	var list []catalog.Entry
	for {
		r, err := s.ask(ctx, readCallOf{Kind: readList, Path: path, From: after, Limit: limit - len(list)})
		if err != nil {
			return nil, err
		}
		list = append(list, r.Entries...)
		if !r.More || len(list) >= limit {
			return list, nil
		}
		after = list[len(list)-1].Name
	}
}

// Versions returns the kept versions of a file, the newest first.
func (s *Space) Versions(ctx context.Context, path string) ([]catalog.Version, error) {
	r, err := s.ask(ctx, readCallOf{Kind: readVersions, Path: path})
	return r.Versions, err
}

// Removed returns at most limit removed files and directories, from a cursor on.
func (s *Space) Removed(ctx context.Context, from string, limit int) ([]catalog.Removed, error) {
	r, err := s.ask(ctx, readCallOf{Kind: readRemoved, From: from, Limit: limit})
	return r.Removed, err
}

// Locks returns the locks in force.
func (s *Space) Locks(ctx context.Context) ([]catalog.Lock, error) {
	r, err := s.ask(ctx, readCallOf{Kind: readLocks})
	return r.Locks, err
}

// Search returns at most limit entries whose names contain text, case-folded.
func (s *Space) Search(ctx context.Context, text string, limit int) ([]catalog.Found, error) {
	r, err := s.ask(ctx, readCallOf{Kind: readSearch, Path: text, Limit: limit})
	return r.Found, err
}

// Stats returns how much the space holds.
func (s *Space) Stats(ctx context.Context) (catalog.Stats, error) {
	r, err := s.ask(ctx, readCallOf{Kind: readStats})
	return r.Stats, err
}

// ask answers from this box's replica, else from the first other one that can. A
// replica that is about to begin, or moves, is waited for a little.
func (s *Space) ask(ctx context.Context, q readCallOf) (readReply, error) {
	q.Shard = s.id
	patience, end := context.WithTimeout(ctx, readRetryFor)
	defer end()
	for {
		r, err := s.askOnce(ctx, q)
		if !errors.Is(err, ErrApart) && !errors.Is(err, ErrNoSpace) {
			return r, err
		}
		select {
		case <-time.After(retryMin):
		case <-patience.Done():
			return s.askAny(ctx, q, err)
		}
	}
}

// askAny is for when nobody has all that readers here have seen, as while a new
// leader is found: an answer from what there is, with the last writes of this box on
// top, is better than none.
func (s *Space) askAny(ctx context.Context, q readCallOf, err error) (readReply, error) {
	if !errors.Is(err, errBehind) || ctx.Err() != nil {
		return readReply{}, err
	}
	q.Any = true
	return s.askOnce(ctx, q)
}

func (s *Space) askOnce(ctx context.Context, q readCallOf) (readReply, error) {
	if rep := s.here(); rep != nil {
		return s.answerHere(rep, q)
	}
	holders := s.n.holders(s.id)
	if len(holders) == 0 {
		return readReply{}, ErrNoSpace
	}
	q.Index, q.Own = s.unsettled(q.Any)
	r, err := s.askHolders(ctx, q, s.n.sortedByRTT(holders))
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrApart, err)
	}
	s.sawUpTo(r.Applied)
	return r, codes()[r.Code]
}

// askHolders returns the first answer of the boxes, which are asked in this order:
// the next one when one fails, or beside it when it is slow.
func (s *Space) askHolders(ctx context.Context, q readCallOf, boxes []ident.BoxID) (readReply, error) {
	ctx, end := context.WithCancel(ctx)
	defer end() // of those that are still asked
	type answer struct {
		r   readReply
		err error
	}
	answers := make(chan answer, len(boxes))
	next := time.NewTimer(0)
	defer next.Stop()
	var last error
	for asked, failed := 0, 0; failed < len(boxes); {
		select {
		case <-next.C:
			if asked < len(boxes) {
				box := boxes[asked]
				asked++
				go func() { // ends with its call, and that with ctx
					r, err := s.askBox(ctx, q, box)
					answers <- answer{r, err}
				}()
				next.Reset(readHedge)
			}
		case a := <-answers:
			if a.err == nil {
				return a.r, nil
			}
			last = a.err
			failed++
			next.Reset(0)
		case <-ctx.Done():
			return readReply{}, errors.Join(last, ctx.Err())
		}
	}
	return readReply{}, last
}

// askBox asks one box.
func (s *Space) askBox(ctx context.Context, q readCallOf, box ident.BoxID) (r readReply, err error) {
	ctx, end := context.WithTimeout(ctx, attemptFor)
	defer end()
	err = s.n.call(ctx, box, serviceRead, q, &r)
	switch {
	case err != nil:
	case r.Code == codeNotHere:
		err = fmt.Errorf("no replica at %s", box.Short())
	case r.Code == codeBehind:
		err = fmt.Errorf("%w at %s", errBehind, box.Short())
	}
	return r, err
}

// unsettled returns what another box must know to show what readers here have seen.
func (s *Space) unsettled(recent bool) (index uint64, own [][]byte) {
	ws := s.visible()
	if recent {
		s.mu.Lock()
		ws = append(slices.Clone(s.recent), ws...)
		s.mu.Unlock()
	}
	size := 0
	for _, w := range ws {
		b, err := catalog.EncodeWrite(w)
		if size += len(b); err != nil || size > maxOwn {
			break
		}
		own = append(own, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, own
}

// sawUpTo notes what readers here have seen of the state of another box: the next
// one that answers must have as much.
func (s *Space) sawUpTo(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = max(s.seen, index)
}

func (s *Space) answerHere(rep *replica, q readCallOf) (r readReply, err error) {
	err = s.view(rep, func(v catalog.View) error {
		r, err = look(v, q)
		return err
	})
	return r, err
}

// look reads one answer from a view.
func look(v catalog.View, q readCallOf) (r readReply, err error) {
	limit := q.Limit
	if limit <= 0 || limit > maxList {
		limit = maxList
	}
	switch q.Kind {
	case readStat:
		var e catalog.Entry
		if e, err = v.Stat(q.Path); err == nil {
			r.Entries = []catalog.Entry{e}
		}
	case readList:
		r.Entries, err = list(v, q.Path, q.From, limit)
	case readVersions:
		var e catalog.Entry
		if e, err = v.Stat(q.Path); err == nil {
			r.Versions = v.Versions(e.Node)
		}
	case readRemoved:
		r.Removed = v.Removed(q.From, limit)
	case readLocks:
		r.Locks = v.Locks()
	case readSearch:
		r.Found = v.Search(q.Path, min(limit, maxSearch))
	case readStats:
		r.Stats = v.Stats()
	default:
		err = errors.New("read: unknown kind")
	}
	return r, err
}

func list(v catalog.View, path, from string, limit int) ([]catalog.Entry, error) {
	e, err := v.Stat(path)
	if err != nil {
		return nil, err
	}
	if !e.IsDir {
		return nil, catalog.ErrNotDirectory
	}
	return v.List(e.Node, from, limit), nil
}

// serveRead answers another box from the replica here.
func (n *Node) serveRead(ctx context.Context, from ident.BoxID, st transport.Stream) {
	var q readCallOf
	if err := readCall(st, &q); err != nil {
		n.log.Warn("call refused", "service", serviceRead, "box", from.Short(), "err", err)
		return
	}
	if n.replica(q.Shard) == nil || q.Shard == ident.CircleShard { // nor is a Space made for any number
		n.reply(st, readReply{Code: codeNotHere})
		return
	}
	s := n.Space(q.Shard)
	rep := s.here()
	if rep == nil {
		n.reply(st, readReply{Code: codeNotHere})
		return
	}
	applied, err := s.enoughFor(ctx, rep, q)
	var r readReply
	if err == nil {
		r, err = s.answerTo(rep, from, q)
	}
	if err != nil {
		r = readReply{Code: codeOf(err)}
	}
	r.Applied = applied
	n.reply(st, r.fit())
}

// enoughFor waits until the state here has what readers at the asking box have
// seen, and returns up to where it then is. A box that has just begun does not know
// what they saw: for it the newest must be here, or as much as can be had.
func (s *Space) enoughFor(ctx context.Context, rep *replica, q readCallOf) (applied uint64, err error) {
	ctx, end := context.WithTimeout(ctx, readRetryFor/2)
	defer end()
	switch {
	case q.Any:
		return 0, nil
	case q.Index > 0 && rep.reach(ctx, q.Index) != nil:
		return 0, errBehind
	case q.Index > 0:
		return q.Index, nil
	}
	if s.Barrier(ctx) != nil {
		return 0, nil
	}
	return appliedIndex(rep.state), nil
}

// answerTo answers another box as its own replica would, with what it accepted on top.
func (s *Space) answerTo(rep *replica, from ident.BoxID, q readCallOf) (r readReply, err error) {
	ws := s.visible()
	for _, b := range q.Own {
		w, err := catalog.DecodeWrite(b)
		if err != nil || w.ID.Box != from {
			return r, errors.New("read: not a write of the box that asks")
		}
		ws = append(ws, w)
	}
	err = viewWith(rep, ws, func(v catalog.View) error {
		r, err = look(v, q)
		return err
	})
	return r, err
}

func codeOf(err error) string {
	if errors.Is(err, errBehind) {
		return codeBehind
	}
	for code, e := range codes() {
		if errors.Is(err, e) {
			return code
		}
	}
	return codeNotHere
}

// Barrier returns when the state here holds everything that was committed when it
// was called: a read after it is linearizable. It needs a replica here and a
// quorum (raft's ReadIndex).
func (s *Space) Barrier(ctx context.Context) error { return s.n.barrier(ctx, s.id) }

func (n *Node) barrier(ctx context.Context, shard ident.ShardID) error {
	rep := n.replica(shard)
	if rep == nil {
		return ErrNoSpace
	}
	for {
		index, err := n.readIndex(ctx, shard)
		if err == nil {
			return rep.reach(ctx, index)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrApart, err)
		}
	}
}

// reach waits until the state has applied an index.
func (r *replica) reach(ctx context.Context, index uint64) error {
	for {
		change := r.changes()
		if appliedIndex(r.state) >= index {
			return nil
		}
		if err := r.failure(); err != nil {
			return err
		}
		select {
		case <-change:
		case <-r.life.Done():
			return fmt.Errorf("%w: the replica here has ended", ErrApart)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrApart, ctx.Err())
		}
	}
}
