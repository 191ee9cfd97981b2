package page

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// MaxLive bounds the pages that are kept up to date at once.
	MaxLive = 64
	// liveEvery is how often a page looks for news that nobody announces.
	liveEvery = 2 * time.Second
	// liveFor ends a connection; the browser comes again by itself.
	liveFor = 10 * time.Minute
)

// KeepUpToDate sends a piece of a page as server-sent events whenever it changes,
// until the browser leaves. look renders it; the channel, which may be nil, is
// closed at the next change.
func (q *Request) KeepUpToDate(look func() (string, <-chan struct{}, error)) error {
	if q.live.Add(1) > MaxLive {
		q.live.Add(-1)
		q.Refuse(http.StatusServiceUnavailable, "refuse.live")
		return nil
	}
	defer q.live.Add(-1)
	q.W.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(q.W)
	tick, end := time.NewTicker(liveEvery), time.NewTimer(liveFor)
	defer tick.Stop()
	defer end.Stop()
	last := ""
	for {
		html, news, err := look()
		switch {
		case err != nil: // the page stays as it is; the next look may succeed
			html = last
		case html != last:
			last = html
			fmt.Fprintf(q.W, "data: %s\n\n", strings.ReplaceAll(html, "\n", "\ndata: "))
		default:
			fmt.Fprint(q.W, "event: still\ndata: here\n\n") // a page that hears nothing says so
		}
		if out.Flush() != nil {
			return nil // the browser left
		}
		select {
		case <-q.R.Context().Done():
			return nil
		case <-end.C:
			return nil
		case <-news:
		case <-tick.C:
			if _, ok := q.Session(q); q.Who.Account != "" && !ok {
				return nil // logged out meanwhile
			}
		}
	}
}

// Live is how many pages are kept up to date now.
func (s *Site) Live() int { return int(s.live.Load()) }
