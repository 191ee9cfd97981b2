package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

// program is the variable of the environment that holds the path of redhen.
const program = "REDHEN_TEST_PROGRAM"

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests builds redhen once for all tests, unless the environment has one.
func runTests(m *testing.M) int {
	if os.Getenv(program) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "redhen-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	var flags []string
	if raced {
		flags = []string{"-race"}
	}
	path, err := child.Build(dir, flags...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(program, path)
	return m.Run()
}

// long skips what takes longer than the quick run has.
func long(t *testing.T) {
	t.Helper()
	if raced || testing.Short() {
		t.Skip("this takes longer than the quick run has: make clients runs it")
	}
}

// Patience with slow machines. Tests that state a bound have one of their own.
const (
	patience    = 3 * time.Minute
	runPatience = 8 * time.Minute // for one run of a program, with a thousand files
	lastWords   = time.Minute     // before go test ends all: then tests end by themselves, and say where they are
	lookEvery   = 100 * time.Millisecond
)

// The person whose files the tests write: an account without a box.
const (
	person   = "mia"
	password = "mia likes good eggs"
)

// circle is a circle of boxes on this machine, each in a house of its own.
type circle struct {
	t     *testing.T
	ctx   context.Context // ends with the test, or a while before go test runs out of time
	dir   string
	boxes []*child.Box

	secret string // the person's device password, for programs
}

// houseNames are those of the boxes, in order.
func houseNames() []string { return []string{"Mill Lane", "Oak Street", "Elm Road"} }

func boxNames() []string { return []string{"hen", "finch", "wren"} }

// newCircle founds a circle of n boxes and waits until it says that all is safe.
func newCircle(t *testing.T, n int) *circle {
	t.Helper()
	c := newBoxes(t, t.TempDir(), n)
	c.found()
	c.awaitSafe(0)
	return c
}

// newBoxes starts fresh boxes with states below dir.
func newBoxes(t *testing.T, dir string, n int) *circle {
	t.Helper()
	c := &circle{t: t, ctx: untilLate(t), dir: dir, boxes: make([]*child.Box, n)}
	t.Cleanup(c.end)
	for i := range n {
		b, err := child.New(c.ctx, os.Getenv(program), dir, fmt.Sprint("box-", i+1))
		if err != nil {
			t.Fatal(err)
		}
		c.boxes[i] = b
	}
	return c
}

// untilLate is the context of a test that ends early enough to say where the test is.
func untilLate(t *testing.T) context.Context {
	t.Helper()
	deadline, ok := t.Deadline()
	if !ok {
		return t.Context()
	}
	ctx, end := context.WithDeadline(t.Context(), deadline.Add(-lastWords))
	t.Cleanup(end)
	return ctx
}

// end ends all boxes, looks for what the race detector said, and, when the test
// failed, shows the end of every log.
func (c *circle) end() {
	child.StopAll(c.boxes...)
	for _, b := range c.boxes {
		if b == nil {
			continue
		}
		said, err := os.ReadFile(b.Log)
		if err != nil {
			c.t.Error(err)
		}
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if at := strings.Index(string(said), bad); at >= 0 {
				c.t.Errorf("%s: %s", b.Log, said[at:min(len(said), at+4000)])
			}
		}
		if c.t.Failed() {
			c.t.Logf("%s ends:\n%s", filepath.Base(b.Log), child.LastWords(b.Log, 12))
		}
	}
}

// found makes one circle of the boxes, with the person's account.
func (c *circle) found() {
	c.t.Helper()
	keepers := []string{"anna", "bela", "cleo"}
	ctx, end := context.WithTimeout(c.ctx, patience)
	defer end()
	keeper := func(i int) api.Keeper { return api.Keeper{Login: keepers[i], Password: password} }
	first := c.boxes[0]
	err := first.Found(ctx, api.Found{Circle: "Hens", House: houseNames()[0], Box: boxNames()[0], Keeper: keeper(0)})
	for i := 1; err == nil && i < len(c.boxes); i++ {
		var ticket api.Ticket
		if ticket, err = first.InviteBox(ctx, api.BoxInvite{Waived: true}); err == nil {
			join := api.Join{Ticket: ticket.Text, House: houseNames()[i], Box: boxNames()[i], Keeper: keeper(i)}
			err = c.boxes[i].Join(ctx, join, func(api.Step) {})
		}
	}
	if err == nil {
		_, err = first.AddAccount(ctx, api.NewAccount{Login: person, FullName: "Mia", Password: password})
	}
	var device api.Device
	if err == nil {
		device, err = first.AddDevice(ctx, person, "all her programs")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.secret = device.Password
}

// start starts a box that ended on the state and the ports that it had.
func (c *circle) start(i int) {
	c.t.Helper()
	b, err := child.Start(c.ctx, c.boxes[i].Config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.boxes[i] = b
}

// report asks a box how everything is.
func (c *circle) report(i int) status.Report {
	c.t.Helper()
	r, err := c.boxes[i].Status(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// awaitSafe waits until a box says that every house has everything.
func (c *circle) awaitSafe(i int) status.Report {
	c.t.Helper()
	return c.await(i, "everything is safe", func(r status.Report) bool {
		whole := !slices.ContainsFunc(r.Spaces, func(s status.Space) bool { return !s.Complete() })
		return whole && len(r.Houses) == len(c.boxes) && len(r.Spaces) == len(c.boxes)+2 &&
			(r.Safe == status.Yes || len(c.boxes) == 1)
	})
}

// await waits until a box reports what is wanted.
func (c *circle) await(i int, what string, enough func(status.Report) bool) status.Report {
	c.t.Helper()
	var last status.Report
	c.wait(what, func(ctx context.Context) error {
		r, err := c.boxes[i].Status(ctx)
		if err != nil {
			return err
		}
		if last = r; !enough(r) {
			return fmt.Errorf("%s says: %s", boxNames()[i], child.Tell(r))
		}
		return nil
	})
	return last
}

// wait tries until it works.
func (c *circle) wait(what string, try func(context.Context) error) {
	c.t.Helper()
	ctx, end := context.WithTimeout(c.ctx, patience)
	defer end()
	var last error // the answer to a question that was broken off says nothing
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(lookEvery): // a real process
		case <-ctx.Done():
			c.t.Fatalf("waited until %s: %v\n%v", what, ctx.Err(), last)
		}
	}
}

// says is what a person reads who asks a box by the command line.
func (c *circle) says(i int) string {
	c.t.Helper()
	out, err := exec.CommandContext(c.ctx, os.Getenv(program), "--state", c.boxes[i].Dir, "status").CombinedOutput()
	if err != nil {
		c.t.Fatalf("redhen status: %v\n%s", err, out)
	}
	return string(out)
}

// has returns the path of a program of this machine, or skips the test.
func has(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed on this machine: what it would prove is not proved here", name)
	}
	return p
}

// do runs a program in an empty home directory, and returns what it prints.
func do(t *testing.T, home, stdin, name string, args ...string) (string, error) {
	t.Helper()
	ctx, end := context.WithTimeout(untilLate(t), runPatience)
	defer end()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdin = home, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "RCLONE_CONFIG="+os.DevNull, "LC_ALL=C.UTF-8")
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("%s was ended before it was done: %w", filepath.Base(name), errors.Join(ctx.Err(), err))
	}
	return string(out), err
}
