package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"redhen/appliance/domain"
)

// Name is the public name of the circle.
type Name struct {
	Domain    string    `json:"domain,omitempty"` // empty: there is none
	Provider  string    `json:"provider,omitempty"`
	Zone      string    `json:"zone,omitempty"`
	Server    string    `json:"server,omitempty"`
	KeyName   string    `json:"keyName,omitempty"`
	Email     string    `json:"email,omitempty"`
	Authority string    `json:"authority,omitempty"`
	Names     []string  `json:"names,omitempty"`   // all, the circle's first
	Trouble   string    `json:"trouble,omitempty"` // see domain.Trouble
	Ends      time.Time `json:"ends,omitzero"`     // of the certificate at this box; zero: it has none
	// NoCertificate says why none could be had last, for whoever set it up.
	NoCertificate string `json:"noCertificate,omitempty"`
	Serves        bool   `json:"serves"` // this box serves visitors
	Door          bool   `json:"door"`   // this box listens for visitors
}

// Naming is what package appliance does about the public name.
type Naming interface {
	Name() (Name, error)
	SetName(ctx context.Context, s domain.Settings) error
	RemoveName(ctx context.Context) error
	// ServeVisitors says whether this box serves visitors, or passes them on only.
	ServeVisitors(on bool) error
}

func (s *server) nameRoutes(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /v1/name", func(*http.Request) (any, error) { return s.Naming.Name() })
	handle("PUT /v1/name", func(r *http.Request) (any, error) {
		var in domain.Settings
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		err := s.Naming.SetName(r.Context(), in)
		if e, ok := errors.AsType[*domain.SettingError](err); ok {
			err = &Error{"name", e.Error()}
		}
		return nil, err
	})
	handle("DELETE /v1/name", func(r *http.Request) (any, error) { return nil, s.Naming.RemoveName(r.Context()) })
	handle("PUT /v1/name/here", func(r *http.Request) (any, error) {
		var in Switch
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		return nil, s.Naming.ServeVisitors(in.On)
	})
}

// Name asks for the circle's public name.
func (c *Client) Name(ctx context.Context) (Name, error) {
	return got[Name](ctx, c, "GET", "/v1/name", nil)
}

// SetName sets the circle's public name.
func (c *Client) SetName(ctx context.Context, s domain.Settings) error {
	return c.ask(ctx, "PUT", "/v1/name", s, nil)
}

// RemoveName ends the circle's public name.
func (c *Client) RemoveName(ctx context.Context) error {
	return c.ask(ctx, "DELETE", "/v1/name", nil, nil)
}

// ServeVisitors says whether the box serves visitors, or passes them on only.
func (c *Client) ServeVisitors(ctx context.Context, on bool) error {
	return c.ask(ctx, "PUT", "/v1/name/here", Switch{on}, nil)
}
