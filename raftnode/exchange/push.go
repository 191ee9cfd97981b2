package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
)

// Have asks which chunks another box has on disk, and has it keep them, also those yet to come,
// for 7 days.
func (x *Exchange) Have(ctx context.Context, to ident.BoxID, hs []chunk.Hash) ([]bool, error) {
	var have []bool
	err := x.patiently(ctx, func() (bool, error) {
		n := len(have)
		for part := range slices.Chunk(hs[n:], batch) {
			got, err := x.ask(ctx, to, part)
			if err != nil {
				return len(have) > n, err
			}
			have = append(have, got...)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask %s for chunks: %w", to.Short(), err)
	}
	return have, nil
}

// ask asks once about at most batch chunks.
func (x *Exchange) ask(ctx context.Context, to ident.BoxID, hs []chunk.Hash) (have []bool, err error) {
	f, err := x.dial(ctx, to, haveService)
	if err != nil {
		return nil, err
	}
	defer func() { f.close(err) }()
	if err := f.write(question{Hashes: hs, Lease: leaseTime.Milliseconds()}); err != nil {
		return nil, err
	}
	var a answer
	if err := f.read(&a); err != nil {
		return nil, noEOF(err)
	}
	if err := a.Code.err(); err != nil {
		return nil, err
	}
	if len(a.Have) != len(hs) {
		return nil, final{fmt.Errorf("%w: %d answers to %d hashes", errProtocol, len(a.Have), len(hs))}
	}
	return a.Have, nil
}

func (x *Exchange) serveHave(_ context.Context, _ ident.BoxID, f *flow) error {
	for {
		var q question
		if err := f.read(&q); err != nil {
			return clean(err)
		}
		have, err := x.cfg.Chunks.Lease(q.Hashes, q.until(x.cfg.Now()))
		if err != nil {
			x.cfg.Logger.Warn("lease chunks for another box", "err", err)
		}
		if err := f.write(answer{Code: codeOf(err), Have: have}); err != nil {
			return err
		}
	}
}

// clean makes the end of the other side's questions no error.
func clean(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// Push brings chunks of this box to another. It returns nil only when the other
// box has said of every one that it is on disk there; it keeps them for 7 days at least. What
// arrived before an error need not be sent again by the next Push. ErrFull and
// ErrRefused are the other box's; chunk.ErrMissing and chunk.ErrDamaged are of our own chunks.
func (x *Exchange) Push(ctx context.Context, to ident.BoxID, hs []chunk.Hash) error {
	hs = slices.Clone(hs)
	slices.SortFunc(hs, chunk.Hash.Compare)
	for part := range slices.Chunk(slices.Compact(hs), batch) {
		if err := x.pushPart(ctx, to, part); err != nil {
			return fmt.Errorf("push to %s: %w", to.Short(), err)
		}
	}
	return nil
}

// pushPart pushes at most batch chunks, resuming after a broken stream.
func (x *Exchange) pushPart(ctx context.Context, to ident.BoxID, owed []chunk.Hash) error {
	return x.patiently(ctx, func() (bool, error) {
		before := len(owed)
		have, err := x.ask(ctx, to, owed)
		if err != nil {
			return false, err
		}
		var missing []chunk.Hash
		for i, h := range owed {
			if !have[i] {
				missing = append(missing, h)
			}
		}
		owed, err = x.put(ctx, to, missing)
		return len(owed) < before, err
	})
}

// put sends chunks over one stream and returns those that were not confirmed.
// Invariant: a chunk leaves the list only by the other side's codeDone for it.
func (x *Exchange) put(ctx context.Context, to ident.BoxID, owed []chunk.Hash) ([]chunk.Hash, error) {
	if len(owed) == 0 {
		return nil, nil
	}
	f, err := x.dial(ctx, to, putService)
	if err != nil {
		return owed, err
	}
	p := &putting{flow: f, room: make(chan struct{}, window), sent: make(map[chunk.Hash]bool)}
	ended := make(chan error, 1)
	stop := make(chan struct{})
	go func() { // ends with the last answer or with the stream
		defer close(stop)
		ended <- p.listen(len(owed))
	}()
	err = p.send(x.cfg.Chunks, owed, stop)
	if _, own := errors.AsType[final](err); own {
		f.s.Reset()
		<-ended
	} else {
		// The other side's word counts: it may have said why the stream broke, or
		// have confirmed everything before it broke.
		err = <-ended
	}
	f.close(err)
	return p.unconfirmed(owed), err
}

// putting is one stream of chunk-put, seen from the sender.
type putting struct {
	*flow
	room chan struct{} // one for each chunk sent and not answered

	mu   sync.Mutex          // guards sent
	sent map[chunk.Hash]bool // true when confirmed
}

// send sends the chunks, never more than window ahead of the answers. Its error
// is final when a chunk of our own is the trouble.
func (p *putting) send(chunks Chunks, hs []chunk.Hash, stop <-chan struct{}) error {
	for _, h := range hs {
		select {
		case p.room <- struct{}{}:
		case <-stop:
			return nil
		}
		b, err := chunks.Get(h)
		if err != nil {
			return final{err}
		}
		p.mu.Lock()
		p.sent[h] = false
		p.mu.Unlock()
		if err := p.write(announcement{Hash: h, Size: int64(len(b))}, b...); err != nil {
			return err
		}
	}
	return p.cause(p.s.CloseWrite())
}

// listen takes n answers.
func (p *putting) listen(n int) error {
	for n > 0 {
		var a answer
		if err := p.read(&a); err != nil {
			return noEOF(err)
		}
		if a.Code == codeWaiting {
			continue
		}
		if err := a.Code.err(); err != nil {
			return err
		}
		if err := p.confirm(a.Hash); err != nil {
			return err
		}
		<-p.room
		n--
	}
	return nil
}

func (p *putting) confirm(h chunk.Hash) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if confirmed, sent := p.sent[h]; !sent || confirmed {
		return final{fmt.Errorf("%w: confirmed what was not sent", errProtocol)}
	}
	p.sent[h] = true
	return nil
}

func (p *putting) unconfirmed(hs []chunk.Hash) []chunk.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(hs), func(h chunk.Hash) bool { return p.sent[h] })
}

// servePut stores what another box sends. While one chunk is written to disk the
// next ones arrive, up to window.
func (x *Exchange) servePut(ctx context.Context, from ident.BoxID, f *flow) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, window)
	said := time.Now()
	waiting := func() {
		if time.Since(said) >= sayWaiting {
			said = time.Now()
			f.write(answer{Code: codeWaiting}) // an error shows at the next read
		}
	}
	for {
		var a announcement
		if err := f.read(&a); err != nil {
			wg.Wait()
			return clean(err)
		}
		room <- struct{}{}
		if err := x.takeSlot(ctx, f); err != nil {
			return err
		}
		b := make([]byte, a.Size)
		if err := f.readBytes(b, waiting); err != nil {
			<-x.slots
			return err
		}
		wg.Go(func() {
			x.store(from, f, a.Hash, b)
			<-x.slots
			<-room
		})
	}
}

// store stores a chunk and says so. An error of writing ends the stream, which
// the reading side notices.
func (x *Exchange) store(from ident.BoxID, f *flow, h chunk.Hash, b []byte) {
	err := x.cfg.Chunks.PutNamed(h, b)
	if err != nil {
		x.cfg.Logger.Warn("store chunk of another box", "box", from.Short(), "err", err)
	}
	if f.write(answer{Code: codeOf(err), Hash: h}) != nil {
		f.s.Reset()
	}
}

// takeSlot waits for room in memory, and tells the other side so.
func (x *Exchange) takeSlot(ctx context.Context, f *flow) error {
	select {
	case x.slots <- struct{}{}:
		return nil
	default:
	}
	f.rest()
	defer f.progress()
	ctx, cancel := context.WithTimeout(ctx, slotWait)
	defer cancel()
	tick := time.NewTicker(sayWaiting)
	defer tick.Stop()
	for {
		select {
		case x.slots <- struct{}{}:
			return nil
		case <-tick.C:
			if err := f.write(answer{Code: codeWaiting}); err != nil {
				return err
			}
			f.rest()
		case <-ctx.Done():
			return ErrBusy
		}
	}
}
