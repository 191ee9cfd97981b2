package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"redhen/provision/ident"
	"redhen/provision/p2p"
)

// RelayConfig says how a rented relay runs. Dir and Circles are needed.
type RelayConfig struct {
	Dir     string           // where its key is kept
	P2P     int              // TCP and UDP port; 0 = any free one
	Listen  netip.Addr       // the one address to listen on; zero = all of the machine
	Circles []ident.CircleID // which its operator allows
	Daily   int64            // bytes passed on for each circle in a day; 0 = no bound
	Metrics string           // where Prometheus finds figures, "host:port"; "" = nowhere
	HTTPS   string           // where visitors come in, "host:port"; "" = nowhere
	HTTP    string           // where visitors are led from to HTTPS, "host:port"; "" = nowhere
	Logger  *slog.Logger     // nil = none
}

// Relay passes on what the boxes of some circles send each other, and belongs to none.
type Relay struct {
	cfg     RelayConfig
	host    *p2p.Host
	metrics net.Listener
	visits  relayDoor
	unlock  func()
}

// OpenRelay opens the ports of a relay.
func OpenRelay(cfg RelayConfig) (*Relay, error) {
	if cfg.Dir == "" || len(cfg.Circles) == 0 {
		return nil, errors.New("a relay needs a state directory and a circle")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	unlock, err := lock(cfg.Dir)
	if err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg, unlock: unlock}
	if err := r.open(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *Relay) open() error {
	key, err := loadKey(r.cfg.Dir)
	if err != nil {
		return err
	}
	r.host, err = p2p.New(p2p.Config{
		Key: key, Port: r.cfg.P2P, ListenIP: r.cfg.Listen, RelayFor: r.cfg.Circles, RelayDaily: r.cfg.Daily, Logger: r.cfg.Logger,
	})
	if err != nil {
		return err
	}
	if r.cfg.Metrics != "" {
		if r.metrics, err = net.Listen("tcp", r.cfg.Metrics); err != nil {
			return err
		}
	}
	return r.openVisits(key)
}

// Name returns what boxes call the relay, and the port where it listens.
func (r *Relay) Name() (ident.BoxID, int) { return r.host.Self(), r.host.Port() }

// Run relays until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	defer r.unlock()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.host.Run(ctx) })
	if r.metrics != nil {
		srv := &http.Server{Handler: r.figures(), ReadHeaderTimeout: headerPatience}
		stop := context.AfterFunc(ctx, func() { srv.Close() })
		defer stop()
		group.Go(func() error {
			if err := srv.Serve(r.metrics); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("metrics: %w", err)
			}
			return nil
		})
	}
	r.serveVisits(ctx, group)
	return group.Wait()
}

func (r *Relay) close() {
	if r.host != nil {
		r.host.Close()
	}
	if r.metrics != nil {
		r.metrics.Close()
	}
	r.visits.close()
	r.unlock()
}

// figures serves what a relay's operator may know: how many boxes of which circle.
func (r *Relay) figures() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(tenantFigures{r.host}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if door := r.visits.door; door != nil {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "redhen_relay_visitors_refused", Help: "Visitors who were turned away since the start.",
		}, func() float64 { return float64(door.Refused()) }))
	}
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

type tenantFigures struct{ host *p2p.Host }

// Describe sends nothing: the circles are not known beforehand.
func (tenantFigures) Describe(chan<- *prometheus.Desc) {}

// Collect tells of each circle that has shown itself.
func (t tenantFigures) Collect(ch chan<- prometheus.Metric) {
	tell := func(name, help string, v float64, circle ident.CircleID) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("redhen_relay_"+name, help, []string{"circle"}, nil),
			prometheus.GaugeValue, v, string(circle))
	}
	for _, one := range t.host.Tenants() {
		tell("boxes", "Boxes of the circle.", float64(one.Boxes), one.Circle)
		tell("boxes_here", "Boxes of the circle that are connected.", float64(one.Here), one.Circle)
		tell("refused", "Connections that were refused, since the circle began too many in a minute, or has used up its day.", float64(one.Refused), one.Circle)
		tell("bytes", "Bytes passed on for the circle since the start.", float64(one.Bytes), one.Circle)
		tell("bytes_today", "Bytes passed on for the circle in its present day, which --daily-gb bounds.", float64(one.Today), one.Circle)
	}
}
