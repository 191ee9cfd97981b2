package web

import (
	"context"
	"encoding/hex"
	"time"

	"redhen/raftnode/directory"
)

// decideFor is how long a page waits for the circle to decide something; then it
// says that too few houses are in reach.
const decideFor = 10 * time.Second

// deciding bounds the time of what the circle has to decide, so that nobody looks at
// a page that does not come.
func deciding(fn handler) handler {
	return func(q *request) error {
		ctx, end := context.WithTimeout(q.R.Context(), decideFor)
		defer end()
		q.R = q.R.WithContext(ctx)
		return fn(q)
	}
}

func hashID(i directory.Invite) string { return hex.EncodeToString(i.Hash[:8]) }

// timeOf reads a time that is stored in milliseconds.
func timeOf(ms int64) time.Time { return time.UnixMilli(ms) }
