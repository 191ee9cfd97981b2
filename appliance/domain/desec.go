package domain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	desecAPI  = "https://desec.io/api/v1"
	desecWait = 30 * time.Second
	maxAnswer = 256 << 10
)

// desecProvider speaks with desec.io (https://desec.readthedocs.io). Addresses are set
// here and not by libdns/desec, which lets none change faster than once an hour.
type desecProvider struct {
	zone, token, api string
}

type desecDomain struct {
	Name       string `json:"name"`
	MinimumTTL int    `json:"minimum_ttl,omitempty"`
}

type desecSet struct {
	Subname string   `json:"subname"`
	Type    string   `json:"type"`
	TTL     int      `json:"ttl"`
	Records []string `json:"records"`
}

// Prepare looks whether the account has the zone, and takes it when it has not.
func (d *desecProvider) Prepare(ctx context.Context, s *Settings) error {
	var got desecDomain
	code, err := d.ask(ctx, "GET", "/domains/"+url.PathEscape(d.zone)+"/", nil, &got)
	if err == nil && code == http.StatusNotFound {
		code, err = d.ask(ctx, "POST", "/domains/", desecDomain{Name: d.zone}, &got)
		if err == nil && code != http.StatusCreated {
			err = fmt.Errorf("%w: answer %d", ErrTaken, code)
		}
	}
	if err != nil {
		return err
	}
	if code >= 300 {
		return fmt.Errorf("domain: desec.io answered %d", code)
	}
	s.MinTTL = got.MinimumTTL
	return nil
}

func (d *desecProvider) Point(ctx context.Context, hosts []Host, ttl time.Duration) error {
	sets := make([]desecSet, 0, 2*len(hosts))
	for _, h := range hosts {
		four := desecSet{relative(h.Name, d.zone), "A", int(ttl / time.Second), []string{}}
		six := desecSet{four.Subname, "AAAA", four.TTL, []string{}}
		for _, a := range h.Addrs {
			if a.Is4() {
				four.Records = append(four.Records, a.String())
			} else {
				six.Records = append(six.Records, a.String())
			}
		}
		sets = append(sets, four, six)
	}
	code, err := d.ask(ctx, "PATCH", "/domains/"+url.PathEscape(d.zone)+"/rrsets/", sets, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("domain: desec.io answered %d", code)
	}
	return err
}

// ask sends a request; answers that say what we may not do are errors.
func (d *desecProvider) ask(ctx context.Context, method, path string, in, out any) (code int, err error) {
	ctx, done := context.WithTimeout(ctx, desecWait)
	defer done()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, fmt.Errorf("domain: ask desec.io: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.api+path, body)
	if err != nil {
		return 0, fmt.Errorf("domain: ask desec.io: %w", err)
	}
	req.Header.Set("Authorization", "Token "+d.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("domain: ask desec.io: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return resp.StatusCode, ErrToken
	case http.StatusForbidden:
		return resp.StatusCode, fmt.Errorf("%w: %d", ErrToken, resp.StatusCode)
	}
	if out == nil || resp.StatusCode >= 300 {
		return resp.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return resp.StatusCode, fmt.Errorf("domain: answer of desec.io: %w", err)
	}
	return resp.StatusCode, nil
}
