package levels

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

const (
	password  = "three brown hens in a row"
	patience  = 3 * time.Minute
	lookEvery = 100 * time.Millisecond
)

// build builds redhen; with the tag it is the release to come.
func build(t *testing.T, tags string) string {
	t.Helper()
	path, err := child.Build(t.TempDir(), "-tags", tags)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// circle is three boxes in three houses; each can be started with another program.
type circle struct {
	t     *testing.T
	boxes [3]*child.Box
}

func found(t *testing.T, program string) *circle {
	t.Helper()
	c, dir := &circle{t: t}, t.TempDir()
	t.Cleanup(func() { child.StopAll(c.boxes[:]...) })
	ctx, end := context.WithTimeout(t.Context(), patience)
	defer end()
	for i := range c.boxes {
		b, err := child.New(ctx, program, dir, fmt.Sprint("box", i))
		if err != nil {
			t.Fatal(err)
		}
		c.boxes[i] = b
		keeper := api.Keeper{Login: fmt.Sprint("keeper", i), Password: password}
		if i == 0 {
			err = b.Found(ctx, api.Found{Circle: "Hens", House: "House 0", Box: "box0", Keeper: keeper})
		} else {
			var ticket api.Ticket
			if ticket, err = c.boxes[0].InviteBox(ctx, api.BoxInvite{Waived: true}); err == nil {
				err = b.Join(ctx, api.Join{Ticket: ticket.Text, House: fmt.Sprint("House ", i), Box: fmt.Sprint("box", i), Keeper: keeper}, func(api.Step) {})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.safe()
	return c
}

// safe waits until the first box that runs says that all is safe.
func (c *circle) safe() {
	c.t.Helper()
	c.until("everything is safe", func() bool {
		r, err := c.boxes[0].Status(c.t.Context())
		return err == nil && r.Safe == status.Yes && len(r.Houses) == len(c.boxes)
	})
}

func (c *circle) until(what string, wanted func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !wanted(); time.Sleep(lookEvery) { // real processes
		if time.Now().After(end) {
			c.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// runs restarts a box with another program.
func (c *circle) runs(i int, program string) error {
	c.boxes[i].Stop()
	cfg := c.boxes[i].Config
	cfg.Program = program
	b, err := child.Start(c.t.Context(), cfg)
	if err == nil {
		c.boxes[i] = b
	}
	return err
}

// refuses starts a box with a program that is too old, and sees that it says so on its
// pages and is no part of the circle.
func (c *circle) refuses(cfg child.Config, program string) {
	c.t.Helper()
	cmd := exec.Command(program, "run", "--state", cfg.Dir, "--http", cfg.HTTP, "--p2p", fmt.Sprint(cfg.P2P), "--no-lan", "--listen", "127.0.0.1")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.until("the page says that the box is too old", func() bool {
		_, page := dav(c.t.Context(), "http://"+cfg.HTTP, http.MethodGet, "", "")
		return strings.Contains(page, "older than what its circle keeps by now")
	})
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "nothing is lost") {
		c.t.Errorf("it ended with %v, and said %s", err, said.String())
	}
}

// agreed is the level of the circle as a box knows it.
func (c *circle) agreed(i int) uint64 {
	b, err := c.boxes[i].Box(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return b.Agreed
}

// load writes file after file at whatever box answers, until it is stopped.
type load struct {
	mu   sync.Mutex // guards kept
	kept []string
	end  context.CancelFunc
	done sync.WaitGroup
}

func (c *circle) load() *load {
	ctx, end := context.WithCancel(c.t.Context())
	l := &load{end: end}
	var at [3]string
	for i, b := range c.boxes {
		at[i] = b.URL()
	}
	l.done.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprintf("note%05d.txt", n)
			if code, _ := dav(ctx, at[n%3], http.MethodPut, name, name); code/100 == 2 {
				l.mu.Lock()
				l.kept = append(l.kept, name)
				l.mu.Unlock()
			}
			time.Sleep(20 * time.Millisecond) // a person's pace
		}
	})
	return l
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.kept)
}

func (l *load) stop() []string {
	l.end()
	l.done.Wait()
	return l.kept
}

func dav(ctx context.Context, at, method, name, body string) (int, string) {
	ctx, end := context.WithTimeout(ctx, 30*time.Second)
	defer end()
	req, err := http.NewRequestWithContext(ctx, method, at+"/dav/keeper0/"+name, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.SetBasicAuth("keeper0", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// Rule: two releases work in one circle; boxes are upgraded one by one while people
// write; one goes back as long as not all have the new release; afterwards none does.
func TestTwoReleasesInOneCircle(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("two programs are built, and three boxes restarted: make levels")
	}
	now, next := build(t, ""), build(t, "redhen_next")
	c := found(t, now)
	c.until("level 1", func() bool { return c.agreed(0) == 1 && c.agreed(2) == 1 })
	l := c.load()
	step := func(what string, i int, program string) {
		before := l.count()
		if err := c.runs(i, program); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		c.until(what+": people write on", func() bool { return l.count() > before+20 })
		c.safe()
	}
	step("box 0 is upgraded", 0, next)
	step("box 1 is upgraded", 1, next)
	c.until("box 1 has told", func() bool { b, err := c.boxes[1].Box(t.Context()); return err == nil && b.Level == 2 })
	step("box 1 goes back", 1, now)
	if got := c.agreed(0); got != 1 {
		t.Fatalf("level %d with two boxes of the old release", got)
	}
	step("box 1 is upgraded again", 1, next)
	step("box 2 is upgraded", 2, next)
	c.until("level 2", func() bool { return c.agreed(0) == 2 && c.agreed(1) == 2 && c.agreed(2) == 2 })

	c.boxes[1].Stop()
	c.refuses(c.boxes[1].Config, now)
	if err := c.runs(1, next); err != nil {
		t.Fatal(err)
	}
	kept := l.stop()
	c.safe()
	for i, b := range c.boxes {
		for _, name := range kept {
			if code, got := dav(t.Context(), b.URL(), http.MethodGet, name, ""); code != http.StatusOK || got != name {
				t.Fatalf("box %d: %s: %d %.80q", i, name, code, got)
			}
		}
		said, err := os.ReadFile(b.Log)
		if err != nil || bytes.Contains(said, []byte("panic:")) {
			t.Errorf("box %d: %v\n%s", i, err, said)
		}
	}
	t.Logf("%d files were written meanwhile, and are at all boxes", len(kept))
}
