package page

import (
	"context"
	"time"
)

// decideFor is how long a page waits for the circle to decide something; then it
// says that too few houses are in reach.
const decideFor = 10 * time.Second

// Deciding bounds the time of what the circle has to decide, so that nobody looks at
// a page that does not come.
func Deciding(fn Handler) Handler {
	return func(q *Request) error {
		ctx, end := context.WithTimeout(q.R.Context(), decideFor)
		defer end()
		q.R = q.R.WithContext(ctx)
		return fn(q)
	}
}
