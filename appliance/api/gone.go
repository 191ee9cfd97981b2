package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/status"
	"redhen/appliance/words"
)

// GoneBrief is what a person should know before saying that a box is lost for good.
type GoneBrief struct {
	Box     string `json:"box"`
	House   string `json:"house"`
	Keeper  string `json:"keeper,omitempty"`
	InReach bool   `json:"inReach"`
	// LastSeen is when a box in reach heard it last; zero: not since the start.
	LastSeen time.Time `json:"lastSeen,omitzero"`
	// Elsewhere names what other houses have completely, Doubtful what none in reach has.
	Elsewhere []string `json:"elsewhere"`
	Doubtful  []string `json:"doubtful,omitempty"`
	// Needs is how many keepers of other boxes must say so.
	Needs int `json:"needs"`
	// Known and Lost say the same in sentences, for a stolen box when that was asked, with what
	// whoever has it can do and cannot. Confirm is the name to type.
	Known   string `json:"known"`
	Lost    string `json:"lost"`
	Confirm string `json:"confirm"`
}

// brief tells what is known of a box, and what may be lost with it.
func (s *server) brief(r *http.Request) (any, error) {
	stolen := r.FormValue("stolen") == "true"
	lost, err := s.Circle.Lost(r.FormValue("box"), stolen)
	if err != nil {
		return nil, err
	}
	report, err := s.Status.Report(r.Context())
	if err != nil {
		return nil, err
	}
	w := words.In(r.Context())
	b, ok := report.Brief(w, lost.Box.ID)
	switch {
	case !ok && !stolen:
		return nil, circle.ErrNoBox
	case !ok:
		b = status.Former(w, lost.Box.Name, lost.House)
	}
	if stolen {
		b = b.Stolen(w)
	}
	return GoneBrief{
		Box: b.Box, House: b.House, Keeper: b.Keeper, InReach: b.InReach, LastSeen: b.LastSeen, Elsewhere: b.Elsewhere, Doubtful: b.Doubtful,
		Needs: lost.Needs, Known: b.Known, Lost: b.Lost, Confirm: lost.House,
	}, nil
}

// gone declares a box gone, or stolen, once the name of its house was typed.
func (s *server) gone(r *http.Request) (any, error) {
	var g Gone
	if err := decode(r, &g); err != nil {
		return nil, err
	}
	lost, err := s.Circle.Lost(g.Box, g.Stolen)
	if err != nil {
		return nil, err
	}
	if g.Confirm != lost.House {
		return nil, circle.ErrConfirm
	}
	more := 0
	switch {
	case g.Stolen:
		more, err = s.Circle.Stolen(r.Context(), g.Box, g.Replacement, g.Keeper, g.Password)
	case g.Replacement != "":
		more, err = s.Circle.Replace(r.Context(), g.Box, g.Replacement, g.Keeper, g.Password)
	default:
		more, err = s.Circle.Gone(r.Context(), g.Box, g.Keeper, g.Password)
	}
	return Agreed{more}, err
}

// Retiring is one step of a box that leaves; the last one has Done or Error.
type Retiring struct {
	Waiting int    `json:"waiting,omitempty"` // changes that no other house has yet
	Spaces  int    `json:"spaces,omitempty"`  // that are still here
	Done    bool   `json:"done,omitempty"`
	Error   *Error `json:"error,omitempty"`
}

// Retire asks this box to leave the circle; Confirm is its name.
type Retire struct {
	Confirm string `json:"confirm"`
}

func (s *server) retire(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	var ask Retire
	err := decode(r, &ask)
	if err == nil && s.Box().Name != "" && ask.Confirm != s.Box().Name {
		err = &Error{"confirm", "That is not the name of this box. Nothing was changed. Type the name of the box that is to leave, as redhen houses shows it."}
	}
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	tell := telling[Retiring](w)
	err = s.Circle.Retire(r.Context(), func(l circle.Leaving) { tell(Retiring{Waiting: l.Waiting, Spaces: l.Spaces}) })
	if err != nil {
		tell(Retiring{Error: s.trouble("retire", err)})
		return
	}
	tell(Retiring{Done: true})
}

func (s *server) stay(r *http.Request) (any, error) { return nil, s.Circle.StayAfterAll(r.Context()) }

// GoneBrief asks what is known of a box, and what may be lost with it; of a stolen one,
// also what whoever has it can do.
func (c *Client) GoneBrief(ctx context.Context, box string, stolen bool) (GoneBrief, error) {
	ask := url.Values{"box": {box}, "stolen": {strconv.FormatBool(stolen)}}
	return got[GoneBrief](ctx, c, "GET", "/v1/gone?"+ask.Encode(), nil)
}

// Retire takes the box out of its circle; tell hears how far it is.
func (c *Client) Retire(ctx context.Context, ask Retire, tell func(Retiring)) error {
	_, err := followed(ctx, c, "/v1/retire", ask, tell)
	return err
}

// Stay ends a Retire that has not come to its end.
func (c *Client) Stay(ctx context.Context) error { return c.ask(ctx, "DELETE", "/v1/retire", nil, nil) }
