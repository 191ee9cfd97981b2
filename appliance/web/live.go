package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// maxLive bounds the pages that are kept up to date at once.
	maxLive = 64
	// liveEvery is how often a page looks for news that nobody announces.
	liveEvery = 2 * time.Second
	// liveFor ends a connection; the browser comes again by itself.
	liveFor = 10 * time.Minute
)

// keepUpToDate sends a piece of a page as server-sent events whenever it changes,
// until the browser leaves. look renders it; the channel, which may be nil, is
// closed at the next change.
func (q *request) keepUpToDate(look func() (string, <-chan struct{}, error)) error {
	if q.live.Add(1) > maxLive {
		q.live.Add(-1)
		q.refuse(http.StatusServiceUnavailable, "refuse.live")
		return nil
	}
	defer q.live.Add(-1)
	q.w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(q.w)
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
			fmt.Fprintf(q.w, "data: %s\n\n", strings.ReplaceAll(html, "\n", "\ndata: "))
		default:
			fmt.Fprint(q.w, ": still here\n\n")
		}
		if out.Flush() != nil {
			return nil // the browser left
		}
		select {
		case <-q.r.Context().Done():
			return nil
		case <-end.C:
			return nil
		case <-news:
		case <-tick.C:
			if _, ok := q.session(); q.who.Account != "" && !ok {
				return nil // logged out meanwhile
			}
		}
	}
}
