// Package chromium starts real browsers for tests, also on machines that are slow, run
// as root, or have little shared memory.
package chromium

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// How a browser is started.
const (
	patience = 2 * time.Minute // for one start
	tries    = 3               // a browser that dies or hangs at its start is no news about a page
)

// Start starts a browser with a profile of its own and returns its context, which lives
// until the test ends. Nothing of it is left then, no process and no file.
func Start(t testing.TB, options ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	dir, err := os.MkdirTemp("", "redhen-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, dir) })
	ctx, end, err := start(filepath.Join(dir, "profile"), tries, options...)
	if err != nil {
		t.Fatal("start chromium:", err)
	}
	t.Cleanup(end)
	return ctx
}

// start tries so many times, each with a fresh profile in dir.
func start(dir string, tries int, options ...chromedp.ExecAllocatorOption) (ctx context.Context, end func(), err error) {
	var failures []error
	for n := range tries {
		ctx, end, err := once(fmt.Sprint(dir, "-", n), options...)
		if err == nil {
			return ctx, end, nil
		}
		failures = append(failures, err)
	}
	return nil, nil, errors.Join(failures...)
}

func once(dir string, options ...chromedp.ExecAllocatorOption) (context.Context, func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	var said tail
	all := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir), chromedp.Env("TMPDIR="+dir), chromedp.CombinedOutput(&said),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-GB"),
	)
	life, quit := chromedp.NewExecAllocator(context.Background(), append(all, options...)...)
	ctx, close := chromedp.NewContext(life)
	end := func() {
		close()
		quit()
	}
	late := time.AfterFunc(patience, end)
	err := chromedp.Do(ctx) // the browser lives as long as this context
	if !late.Stop() {
		err = errors.Join(fmt.Errorf("not within %v", patience), err)
	}
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("%w: it said: %s", err, strings.TrimSpace(said.String()))
	}
	return ctx, end, nil
}

// remove removes a folder into which a browser may still write while it ends.
func remove(t testing.TB, dir string) {
	var err error
	for range 600 {
		if err = os.RemoveAll(dir); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond) // a real process
	}
	t.Error(err)
}
