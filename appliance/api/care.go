package api

import (
	"context"
	"net/http"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/status"
	"redhen/appliance/words"
	"redhen/raftnode"
	"redhen/raftnode/scrub"
)

// Care is what this box does for what it keeps; *raftnode.Node is one.
type Care interface {
	// Scrub reads everything again at once; tell hears every second where it is.
	Scrub(ctx context.Context, tell func(scrub.Status)) (scrub.Round, error)
}

var _ Care = (*raftnode.Node)(nil)

// Scrubbing is one step of reading everything again; the last one has Result or Error.
type Scrubbing struct {
	Read   int64         `json:"read,omitempty"`  // bytes
	Total  int64         `json:"total,omitempty"` // bytes
	Result *status.Check `json:"result,omitempty"`
	// Sentence says what came of it.
	Sentence string `json:"sentence,omitempty"`
	Error    *Error `json:"error,omitempty"`
}

// scrub streams its steps, a line each. When the client goes away, the box reads on
// at its usual pace.
func (s *server) scrub(w http.ResponseWriter, r *http.Request) {
	if !s.Circle.Claimed() {
		s.answer(w, nil, circle.ErrNoCircle)
		return
	}
	tell := telling[Scrubbing](w)
	last, err := s.Care.Scrub(r.Context(), func(st scrub.Status) { tell(Scrubbing{Read: st.Round.Bytes, Total: st.Total}) })
	if err != nil {
		tell(Scrubbing{Error: s.trouble("scrub", err)})
		return
	}
	check := status.CheckOf(words.English(), scrub.Status{Last: last}, time.Now())
	tell(Scrubbing{Read: last.Bytes, Total: last.Bytes, Result: &check, Sentence: check.Sentence(words.English())})
}

// Scrub has the box read everything again that it keeps; tell hears how far it is.
// It returns the last step.
func (c *Client) Scrub(ctx context.Context, tell func(Scrubbing)) (Scrubbing, error) {
	return followed(ctx, c, "/v1/scrub", nil, tell)
}
