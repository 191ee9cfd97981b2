package appliance

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"time"

	"redhen/images/layout"
)

// ErrTooOld says that the circle keeps formats that this redhen does not read. The box
// does not run; what it holds is not touched.
var ErrTooOld = errors.New("this redhen is older than what its circle keeps")

// TooOldWords says so to people.
const TooOldWords = "This box runs a redhen that is older than what its circle keeps by now, so it does not start. Nothing was changed, and nothing is lost: the other houses go on. Put the newer redhen back."

// checkLevel refuses to run below the level that the circle has agreed to.
func (a *Appliance) checkLevel() error {
	agreed, _, err := a.circle.Formats()
	switch {
	case err != nil: // a damaged directory comes back from the others
		a.log.Warn("formats of the circle are not known", "err", err)
	case agreed > layout.Level:
		return fmt.Errorf("level %d, the circle has %d: %w", layout.Level, agreed, ErrTooOld)
	}
	return nil
}

// tellAgain is the pause between two tries to tell the circle something of this box.
const tellAgain = 10 * time.Second

// followLevel tells the circle which formats this redhen reads, once it is sure to stay:
// a slot on trial may be given up. It ends the box where the circle has gone beyond.
func (a *Appliance) followLevel(ctx context.Context) error {
	for {
		news, again := a.node.News(), (<-chan time.Time)(nil)
		if err := a.checkLevel(); errors.Is(err, ErrTooOld) {
			return err
		}
		if done, err := a.tellLevel(ctx); !done {
			again = time.After(tellAgain)
			if err != nil {
				a.log.Debug("formats not told", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-again:
		}
	}
}

// tellLevel reports whether there is nothing left to tell for now.
func (a *Appliance) tellLevel(ctx context.Context) (bool, error) {
	_, told, err := a.circle.Formats()
	if err != nil || told == layout.Level || !a.circle.Claimed() {
		return err == nil, err
	}
	if a.updater != nil {
		if trial, err := a.updater.OnTrial(); err != nil || trial {
			return false, err
		}
	}
	if err := a.circle.Reads(ctx, layout.Level); err != nil {
		return false, err
	}
	a.log.Info("formats told", "level", uint64(layout.Level))
	return true, nil
}

// TooOldPage says on every page that the box does not run, and why.
func TooOldPage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>redhen</title><h1>This box cannot run</h1><p>"+html.EscapeString(TooOldWords))
	})
}
