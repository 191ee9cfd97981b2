package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"redhen/appliance/update"
	"redhen/images/layout"
	"redhen/raftnode/directory"
)

// Updates installs releases at this box; *update.Updater does.
type Updates interface {
	Running() layout.About
	OnTrial() (bool, error)
	FromURL(ctx context.Context, address string) (layout.About, error)
	Postpone(until time.Time) error
	Postponed() time.Time
	Door(allowed func(http.ResponseWriter, *http.Request) bool) http.Handler
}

var _ Updates = (*update.Updater)(nil)

// CodeUpdate is the code of errors about updates.
const CodeUpdate = "update"

// Update is what runs, and what the keeper decided about what comes.
type Update struct {
	Release   string    `json:"release"`
	Number    uint64    `json:"number"`
	Trial     bool      `json:"trial,omitempty"`    // it has yet to prove itself
	Pinned    bool      `json:"pinned,omitempty"`   // nothing is taken from friends
	Postponed time.Time `json:"postponed,omitzero"` // nothing is taken from friends until then
}

// UpdateOrder is what a keeper decides; what is nil or empty stays.
type UpdateOrder struct {
	From  string `json:"from,omitempty"`  // address of an update file to install now
	Pin   *bool  `json:"pin,omitempty"`   // take nothing from friends, or do
	Hours *int   `json:"hours,omitempty"` // take nothing from friends for so long; 0 ends that
}

// maxPostpone bounds a postponement, in hours.
const maxPostpone = 90 * 24

var noSlots = &Error{CodeUpdate, "This box does not run from a card with two systems, so it does not update itself. Nothing was changed. Update it as the machine's other programs are."}

func (s *server) update(*http.Request) (any, error) {
	if s.Updates == nil {
		return nil, noSlots
	}
	u := Update{Release: s.Updates.Running().Release, Number: s.Updates.Running().Number, Postponed: s.Updates.Postponed()}
	var err error
	if u.Trial, err = s.Updates.OnTrial(); err != nil {
		return nil, err
	}
	if s.Circle.Claimed() {
		wishes, err := s.Circle.BoxWishes()
		if err != nil {
			return nil, err
		}
		u.Pinned = wishes.Pinned
	}
	return u, nil
}

func (s *server) orderUpdate(r *http.Request) (any, error) {
	var o UpdateOrder
	if err := decode(r, &o); err != nil {
		return nil, err
	}
	if s.Updates == nil {
		return nil, noSlots
	}
	if o.Hours != nil {
		if *o.Hours < 0 || *o.Hours > maxPostpone {
			return nil, &Error{CodeBadRequest, "Updates can be put off by 90 days at most. Nothing was changed. Choose a shorter time, or pin the box."}
		}
		if err := s.Updates.Postpone(time.Now().Add(time.Duration(*o.Hours) * time.Hour)); err != nil {
			return nil, err
		}
	}
	if o.Pin != nil {
		by, err := s.keeper()
		if err != nil {
			return nil, err
		}
		if err := s.Circle.Wish(r.Context(), by, func(w *directory.BoxSettings) { w.Pinned = *o.Pin }); err != nil {
			return nil, err
		}
	}
	if o.From != "" {
		if _, err := s.Updates.FromURL(r.Context(), o.From); err != nil {
			s.Logger.Warn("update refused", "err", err)
			return nil, &Error{CodeUpdate, update.Explain(nil, err)}
		}
	}
	return s.update(r)
}

// takeUpdate takes an update file from a program on this machine.
func (s *server) takeUpdate(w http.ResponseWriter, r *http.Request) {
	if s.Updates == nil {
		s.answer(w, nil, noSlots)
		return
	}
	s.Updates.Door(func(http.ResponseWriter, *http.Request) bool { return true }).ServeHTTP(w, r)
}

// Update asks what runs, and what is decided about updates.
func (c *Client) Update(ctx context.Context) (Update, error) {
	return got[Update](ctx, c, "GET", "/v1/update", nil)
}

// OrderUpdate installs from an address, pins or postpones.
func (c *Client) OrderUpdate(ctx context.Context, o UpdateOrder) (Update, error) {
	return got[Update](ctx, c, "POST", "/v1/update", o)
}

// SendUpdate installs an update file, and returns what the box says.
func (c *Client) SendUpdate(ctx context.Context, file io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://redhen/v1/update", file)
	if err != nil {
		return "", fmt.Errorf("send update: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", c.noAnswer(ctx, err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err == nil && resp.StatusCode != http.StatusOK {
		return "", &Error{CodeUpdate, string(said)}
	}
	return string(said), err
}
