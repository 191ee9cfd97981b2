package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/chunk"
)

// hedge is how long Get waits for one holder before it asks a further one too.
const hedge = 1500 * time.Millisecond

// Get returns one chunk, verified, from the first of the holders that has it, and
// does not store it. A holder that is slow has the next one asked beside it. chunk.ErrMissing
// when all of them were reached and none has it.
func (x *Exchange) Get(ctx context.Context, from []ident.BoxID, h chunk.Hash) (b []byte, err error) {
	err = x.patiently(ctx, func() (bool, error) {
		b, err = x.getFromAny(ctx, from, h)
		if errors.Is(err, chunk.ErrMissing) {
			err = final{err}
		}
		return false, err
	})
	if err != nil {
		return nil, fmt.Errorf("get chunk %v: %w", h, err)
	}
	return b, nil
}

// getFromAny asks every holder once.
func (x *Exchange) getFromAny(ctx context.Context, from []ident.BoxID, h chunk.Hash) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends those that are still asked
	type result struct {
		b   []byte
		err error
	}
	results := make(chan result, len(from))
	asked, failed := 0, 0
	var errs []error
	for failed < len(from) {
		if asked < len(from) && asked-failed < 3 {
			box := from[asked]
			asked++
			go func() { // ends with its stream, and that with ctx
				b, err := x.getOnce(ctx, box, h)
				results <- result{b, err}
			}()
		}
		timer := time.NewTimer(hedge)
		select {
		case r := <-results:
			timer.Stop()
			if r.err == nil {
				return r.b, nil
			}
			failed++
			errs = append(errs, r.err)
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
	return nil, unlessMissing(errs)
}

// unlessMissing returns chunk.ErrMissing when every holder said so, else what kept us from knowing.
func unlessMissing(errs []error) error {
	var others []error
	for _, err := range errs {
		if !errors.Is(err, chunk.ErrMissing) {
			others = append(others, err)
		}
	}
	if len(others) == 0 {
		return chunk.ErrMissing
	}
	return errors.Join(others...)
}

// getOnce asks one holder, once.
func (x *Exchange) getOnce(ctx context.Context, box ident.BoxID, h chunk.Hash) (b []byte, err error) {
	f, err := x.dial(ctx, box, getService)
	if err != nil {
		return nil, err
	}
	defer func() { f.close(err) }()
	if err := f.request(h); err != nil {
		return nil, err
	}
	return x.response(f, box, h)
}

// request asks for a chunk; the response comes in the order of the requests.
func (f *flow) request(h chunk.Hash) error {
	return f.write(question{Hashes: []chunk.Hash{h}})
}

// response reads the answer to a request for h. After chunk.ErrMissing the stream goes on;
// after ErrContent the box is not to be believed.
func (x *Exchange) response(f *flow, box ident.BoxID, h chunk.Hash) ([]byte, error) {
	var a answer
	if err := f.read(&a); err != nil {
		return nil, noEOF(err)
	}
	if err := a.Code.err(); err != nil {
		return nil, err
	}
	if a.Hash != h || a.Size == 0 || a.Size > chunk.Size {
		return nil, final{fmt.Errorf("%w: answer of %d bytes for another chunk", errProtocol, a.Size)}
	}
	b := make([]byte, a.Size)
	if err := f.readBytes(b, nil); err != nil {
		return nil, err
	}
	if chunk.Sum(b) != h {
		x.cfg.Logger.Warn("a box sent a wrong chunk", "box", box.Short(), "chunk", h)
		return nil, final{ErrContent}
	}
	return b, nil
}

// serveGet answers requests one after the other: one chunk is in memory at a time.
func (x *Exchange) serveGet(_ context.Context, _ ident.BoxID, f *flow) error {
	for {
		var q question
		if err := f.read(&q); err != nil {
			return clean(err)
		}
		if len(q.Hashes) != 1 {
			return fmt.Errorf("%w: request for %d chunks", errProtocol, len(q.Hashes))
		}
		h := q.Hashes[0]
		b, err := x.cfg.Chunks.Get(h)
		if err := f.write(answer{Code: codeOf(err), Hash: h, Size: int64(len(b))}, b...); err != nil {
			return err
		}
	}
}
