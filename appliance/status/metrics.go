package status

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Reporter gives reports; *Watch does.
type Reporter interface {
	Report(ctx context.Context) (Report, error)
}

var _ Reporter = (*Watch)(nil)

// Metrics serves the figures of reports, and those of the program, to Prometheus.
// Names of houses and people are in it: it is for the local socket only.
func Metrics(from Reporter) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&collector{from: from}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector turns a fresh report into figures at every scrape.
type collector struct{ from Reporter }

// Describe sends nothing: the houses and spaces are not known beforehand.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// scrapeFor is how long a scrape may ask other boxes.
const scrapeFor = 5 * time.Second

// Collect asks for a report; a box in no circle has no figures.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, end := context.WithTimeout(context.Background(), scrapeFor)
	defer end()
	r, err := c.from.Report(ctx)
	if err != nil {
		return
	}
	gauge := func(name, help string, value float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		desc := prometheus.NewDesc("redhen_"+name, help, names, nil)
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
	}
	gauge("safe", "1 when everything is safe, 0 otherwise.", truth(r.Safe == Yes))
	for _, h := range r.Houses {
		for _, b := range h.Boxes {
			gauge("box_reached", "1 when the box is in reach.", truth(b.Reached.How != Away), "house", h.Name, "box", b.Name)
			if b.Known {
				gauge("box_bytes", "Room that the copies at the box take.", float64(b.Used), "house", h.Name, "box", b.Name)
			}
		}
	}
	for _, s := range r.Spaces {
		id := s.ID.String()
		gauge("space_houses", "Houses in reach that have everything of the space.", float64(len(s.Houses)), "space", id)
		gauge("space_copies_wanted", "Copies wanted of the space.", float64(s.Wanted), "space", id)
		gauge("space_writes_waiting", "Writes kept in one house, on their way to others.", float64(s.Waiting), "space", id)
		var behind uint64
		for _, l := range s.Late {
			behind = max(behind, l.Behind)
		}
		gauge("space_behind", "Changes that the latest copy in reach has not got.", float64(behind), "space", id)
	}
	counts := map[Code]int{}
	for _, f := range r.Faults {
		counts[f.Code]++
	}
	for _, row := range table() {
		gauge("fault", "Faults of a kind that are there now.", float64(counts[row.code]), "code", string(row.code), "weight", row.weight.String())
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
