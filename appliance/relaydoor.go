package appliance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"redhen/appliance/ingress"
	"redhen/appliance/words"
	"redhen/provision/ident"
)

// relayDoor is where visitors of the circles come in at a relay. The relay reads whom
// they ask for, and passes on what it cannot read.
type relayDoor struct {
	https, http net.Listener // nil: closed
	closed      []ClosedDoor
	door        *ingress.Door
}

// ClosedDoor is a door of a relay that could not be opened, and why.
type ClosedDoor struct {
	At  string // host:port
	Err error
}

const (
	maxLed       = 256 // connections at a time that are led to the encrypted door
	ledPatience  = 5 * time.Second
	maxLedHeader = 8 << 10 // bytes
)

// openVisits opens the doors for visitors. A relay whose ports are taken, or that may
// not open them, goes on without.
func (r *Relay) openVisits(key ident.Key) (err error) {
	if r.cfg.HTTPS == "" {
		return nil
	}
	v := &r.visits
	if v.https = v.listen(r.cfg.HTTPS); v.https == nil {
		return nil
	}
	if r.cfg.HTTP != "" {
		v.http = v.listen(r.cfg.HTTP)
	}
	v.door, err = ingress.NewDoor(ingress.Config{
		Key: key, Route: r.route, Open: r.host.Open, Logger: r.cfg.Logger,
		Flooded: r.tellFlood,
	})
	return err
}

func (v *relayDoor) listen(at string) net.Listener {
	l, err := net.Listen("tcp", at)
	if err != nil {
		v.closed = append(v.closed, ClosedDoor{at, err})
		return nil
	}
	return l
}

func (v *relayDoor) close() {
	for _, l := range []net.Listener{v.https, v.http} {
		if l != nil {
			l.Close()
		}
	}
}

// Visitors returns where visitors come in, "" when nowhere, and the doors that could not
// be opened.
func (r *Relay) Visitors() (at string, closed []ClosedDoor) {
	if r.visits.https != nil {
		at = r.visits.https.Addr().String()
	}
	return at, r.visits.closed
}

// route says which boxes serve a name: those of the house that it names, then the others
// of the circle, which know the same people.
func (r *Relay) route(name string) ingress.Route {
	house, others, known := r.host.Serving(name)
	return ingress.Route{Known: known, Boxes: append(house, others...), House: len(house)}
}

// serveVisits takes visitors until ctx ends.
func (r *Relay) serveVisits(ctx context.Context, group *errgroup.Group) {
	v := &r.visits
	if v.https != nil {
		group.Go(func() error { return v.door.Serve(ctx, v.https) })
	}
	if v.http == nil {
		return
	}
	srv := &http.Server{
		Handler: r.leadOn(), MaxHeaderBytes: maxLedHeader,
		ReadHeaderTimeout: ledPatience, ReadTimeout: ledPatience, WriteTimeout: ledPatience,
	}
	srv.SetKeepAlivesEnabled(false)
	group.Go(func() error {
		defer context.AfterFunc(ctx, func() { srv.Close() })()
		if err := srv.Serve(netutil.LimitListener(v.http, maxLed)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("lead visitors on: %w", err)
		}
		return nil
	})
}

// leadOn leads who asks in clear to where it is encrypted; so goes an authority that
// looks whether a circle holds its name (RFC 8555 §8.3).
func (r *Relay) leadOn() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		host := q.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if _, _, known := r.host.Serving(host); !known {
			in := words.Choose(q.Header.Get("Accept-Language"), words.All())
			http.Error(w, in.Say("relay.nobody"), http.StatusNotFound)
			return
		}
		http.Redirect(w, q, "https://"+host+q.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}
