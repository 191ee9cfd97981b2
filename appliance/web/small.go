package web

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"redhen/appliance/space"
	"redhen/appliance/web/thumb"
	"redhen/provision/picture"
)

const (
	maxSmall = 512              // small pictures that are kept, of some kilobytes each
	smallFor = 15 * time.Second // how long one may take to be made
)

// smallPictures keeps the small pictures that were made last, by the version of the
// picture; nil for one that none can be made of. It makes one at a time.
type smallPictures struct {
	turn chan struct{}

	mu   sync.Mutex // guards what follows
	made map[string][]byte
	last []string // the versions in made, the oldest first
}

func newSmallPictures() *smallPictures {
	return &smallPictures{turn: make(chan struct{}, 1), made: map[string][]byte{}}
}

func (s *smallPictures) get(version string) (b []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok = s.made[version]
	return b, ok
}

func (s *smallPictures) put(version string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.made[version]; twice {
		return
	}
	if len(s.last) == maxSmall {
		delete(s.made, s.last[0])
		s.last = s.last[1:]
	}
	s.made[version], s.last = b, append(s.last, version)
}

// small answers with the small picture of a picture; 404 when there is none.
func (q *request) small() error {
	p, err := q.place()
	if err != nil {
		return err
	}
	ctx, end := context.WithTimeout(q.R.Context(), smallFor)
	defer end()
	q.R = q.R.WithContext(ctx)
	file, err := p.open()
	if err != nil {
		return err
	}
	defer file.Close()
	if kindOf(file.Info()) != "picture" || file.Info().Size > picture.MaxBytes {
		return space.ErrNotFound
	}
	b, err := q.smalls.of(ctx, file)
	if err != nil {
		return err
	}
	if b == nil {
		return space.ErrNotFound
	}
	h := q.W.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("Cache-Control", "private, max-age=2592000, immutable") // its address names the version
	q.W.WriteHeader(http.StatusOK)
	q.W.Write(b) // the browser may have left
	return nil
}

// of returns the small picture of a file, nil when none can be made.
func (s *smallPictures) of(ctx context.Context, file *space.File) ([]byte, error) {
	version := file.Info().ETag()
	if b, ok := s.get(version); ok {
		return b, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b, ok := s.get(version); ok { // somebody else waited for the same
		return b, nil
	}
	whole, err := io.ReadAll(file)
	if err != nil {
		return nil, err // its bytes may come later
	}
	b, err := thumb.Of(whole)
	if err != nil {
		b = nil // it stays so
	}
	s.put(version, b)
	return b, nil
}
