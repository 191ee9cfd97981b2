package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/drill"
	"redhen/provision/wire"
)

// Drills are the fire drills of the circle; *drill.Drills is one.
type Drills interface {
	Run(ctx context.Context, house, keeper, password string, tell func(drill.Step)) (drill.Report, error)
	Last() (drill.Report, bool)
	SetConsent(ctx context.Context, consents bool) error
}

var _ Drills = (*drill.Drills)(nil)

// DrillOrder has a house play dead, in the name of a keeper.
type DrillOrder struct {
	House    string `json:"house"`
	Keeper   string `json:"keeper"`
	Password string `json:"password"`
}

// DrillStep is one step of a drill; the last one has Report or Error.
type DrillStep struct {
	Stage  string       `json:"stage,omitempty"` // see the stages of package drill
	Proof  *DrillProof  `json:"proof,omitempty"`
	Report *DrillReport `json:"report,omitempty"`
	Error  *Error       `json:"error,omitempty"`
}

// DrillProof is what one box showed while the house was silent.
type DrillProof struct {
	Box     string  `json:"box"`
	Login   bool    `json:"login"`
	Read    bool    `json:"read"`
	Write   bool    `json:"write"`
	Kept    int     `json:"kept"`    // houses
	Seconds float64 `json:"seconds"` // that all of it took
	Why     string  `json:"why,omitempty"`
}

// DrillReport is what came of a drill.
type DrillReport struct {
	House    string       `json:"house"`
	Keeper   string       `json:"keeper"`
	Began    time.Time    `json:"began"`
	Ended    time.Time    `json:"ended"`
	Silent   bool         `json:"silent"`
	Back     bool         `json:"back"`
	Good     bool         `json:"good"`
	Proofs   []DrillProof `json:"proofs"`
	Sentence string       `json:"sentence"`
	Signed   string       `json:"signed"` // the whole as it was signed, in base64
}

// DrillConsent says whether this box takes part in drills.
type DrillConsent struct {
	Consents bool `json:"consents"`
}

func proofOf(p drill.Proof) DrillProof {
	return DrillProof{p.Box, p.Login, p.Read, p.Write, p.Kept, float64(p.Millis) / 1000, p.Why}
}

func drillReportOf(r drill.Report) *DrillReport {
	out := &DrillReport{
		House: r.House, Keeper: r.Keeper, Began: time.UnixMilli(r.Began), Ended: time.UnixMilli(r.Ended), Silent: r.Silent, Back: r.Back,
		Good: r.Good(), Proofs: []DrillProof{}, Sentence: r.Sentence(nil), Signed: base64.StdEncoding.EncodeToString(wire.MustMarshal(r)),
	}
	for _, p := range r.Proofs {
		out.Proofs = append(out.Proofs, proofOf(p))
	}
	return out
}

// drill streams its steps, a line each. When the client goes away, the house comes
// back all the same.
func (s *server) drill(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	var o DrillOrder
	if err := decode(r, &o); err != nil {
		s.answer(w, nil, err)
		return
	}
	if !s.Circle.Claimed() {
		s.answer(w, nil, circle.ErrNoCircle)
		return
	}
	tell := telling[DrillStep](w)
	report, err := s.Drills.Run(r.Context(), o.House, o.Keeper, o.Password, func(step drill.Step) {
		out := DrillStep{Stage: step.Stage}
		if step.Proof != nil {
			p := proofOf(*step.Proof)
			out.Proof = &p
		}
		tell(out)
	})
	if err != nil {
		tell(DrillStep{Error: s.trouble("drill", err)})
		return
	}
	tell(DrillStep{Report: drillReportOf(report)})
}

func (s *server) lastDrill(*http.Request) (any, error) {
	r, ok := s.Drills.Last()
	if !ok {
		return nil, &Error{"no-drill", "This box knows of no fire drill. Nothing was changed. Begin one with redhen drill HOUSE."}
	}
	return drillReportOf(r), nil
}

func (s *server) consent(r *http.Request) (any, error) {
	var c DrillConsent
	if err := decode(r, &c); err != nil {
		return nil, err
	}
	return nil, s.Drills.SetConsent(r.Context(), c.Consents)
}

// Drill has a house play dead for a minute; tell hears of each step.
func (c *Client) Drill(ctx context.Context, o DrillOrder, tell func(DrillStep)) (DrillReport, error) {
	last, err := followed(ctx, c, "/v1/drill", o, tell)
	if err != nil {
		return DrillReport{}, err
	}
	return *last.Report, nil
}

// LastDrill asks for the report of the last drill.
func (c *Client) LastDrill(ctx context.Context) (DrillReport, error) {
	return got[DrillReport](ctx, c, "GET", "/v1/drill", nil)
}

// ConsentToDrills has the box take part in drills, or not.
func (c *Client) ConsentToDrills(ctx context.Context, consents bool) error {
	return c.ask(ctx, "PUT", "/v1/drill/consent", DrillConsent{consents}, nil)
}
