// Package demo is a circle of several houses on one machine: each box a process of
// its own, founded and paired through the local interface, with an account that has
// some files.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
	"redhen/provision/onefile"
	"redhen/provision/qr"
)

// Config says how large the demo is.
type Config struct {
	Program string    // the path of redhen
	Out     io.Writer // is told where everything is
	Boxes   int       // 1 to 9
	Dir     string    // where states are kept; "" = a temporary folder, removed at the end
	Once    bool      // end as soon as a file was read at every box
	LAN     bool      // the pages are open to the local network, for a phone
}

// The people of the demo.
const (
	person   = "robin"
	password = "robin likes eggs"
)

const patience = 5 * time.Minute

// demo is a running demo.
type demo struct {
	Config
	boxes []*child.Box
}

// plan is what stays the same when a demo is started again on its folder.
type plan struct {
	HTTP []string `json:"http"`
	P2P  []int    `json:"p2p"`
}

// Run runs the demo until ctx ends. No process and no temporary folder is left.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &demo{Config: cfg}
	if d.Dir == "" {
		if d.Dir, err = os.MkdirTemp("", "redhen-demo-"); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.Dir)) }()
	}
	defer func() { child.StopAll(d.boxes...) }()
	err = d.start(ctx)
	if err == nil {
		err = d.settle(ctx)
	}
	if err != nil {
		return d.failed(ctx, err)
	}
	if d.Once {
		return d.readEverywhere(ctx)
	}
	d.tell()
	<-ctx.Done()
	fmt.Fprintln(d.Out, "\nStopping the boxes …")
	return nil
}

// failed shows how the log of every box ends. An error that comes from being stopped is none.
func (d *demo) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	for _, b := range d.boxes {
		fmt.Fprintf(d.Out, "%s ends:\n%s\n", filepath.Base(b.Log), child.LastWords(b.Log, 12))
	}
	return err
}

// start starts the boxes, on the ports that they had before if the folder knows them.
func (d *demo) start(ctx context.Context) error {
	p, err := d.plan()
	if err != nil {
		return err
	}
	for i := range d.Boxes {
		name := filepath.Join(d.Dir, "box-"+strconv.Itoa(i+1))
		b, err := child.Start(ctx, child.Config{Program: d.Program, Dir: name, Log: name + ".log", HTTP: p.HTTP[i], P2P: p.P2P[i], LAN: d.LAN})
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		d.boxes = append(d.boxes, b)
	}
	return nil
}

func (d *demo) plan() (p plan, err error) {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return p, fmt.Errorf("demo: %w", err)
	}
	path := filepath.Join(d.Dir, "demo.json")
	b, err := onefile.Read(path, 64<<10)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err == nil && (len(p.HTTP) < d.Boxes || len(p.P2P) < d.Boxes) {
		return p, fmt.Errorf("demo: %s is of a demo with %d boxes", d.Dir, len(p.HTTP))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	for range d.Boxes {
		web, err := child.FreePort()
		if err != nil {
			return p, err
		}
		p2p, err := child.FreePort()
		if err != nil {
			return p, err
		}
		p.HTTP = append(p.HTTP, net.JoinHostPort("127.0.0.1", strconv.Itoa(web)))
		p.P2P = append(p.P2P, p2p)
	}
	b, err = json.Marshal(p)
	if err != nil {
		return p, fmt.Errorf("demo: %w", err)
	}
	return p, onefile.Replace(path, b)
}

// settle makes the circle, the account and the files, unless they are there.
func (d *demo) settle(ctx context.Context) error {
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	first := d.boxes[0]
	me, err := first.Box(ctx)
	if err != nil {
		return err
	}
	if me.Claimed {
		return d.awaitSafe(ctx)
	}
	fmt.Fprintf(d.Out, "Founding a circle of %d houses on this machine …\n", d.Boxes)
	keeper := func(i int) api.Keeper { return api.Keeper{Login: keeperOf(i), Password: password} }
	if err := first.Found(ctx, api.Found{Circle: "Demo", House: houseOf(0), Box: boxOf(0), Keeper: keeper(0)}); err != nil {
		return err
	}
	for i, b := range d.boxes[1:] {
		t, err := first.InviteBox(ctx, api.BoxInvite{Waived: true})
		if err != nil {
			return err
		}
		join := api.Join{Ticket: t.Text, House: houseOf(i + 1), Box: boxOf(i + 1), Keeper: keeper(i + 1)}
		if err := b.Join(ctx, join, func(api.Step) {}); err != nil {
			return err
		}
	}
	if _, err := first.AddAccount(ctx, api.NewAccount{Login: person, FullName: "Robin", Password: password}); err != nil {
		return err
	}
	if err := d.awaitSafe(ctx); err != nil {
		return err
	}
	if err := d.writeSamples(ctx); err != nil {
		return err
	}
	return d.awaitSafe(ctx)
}

func boxOf(i int) string {
	return [...]string{"hen", "finch", "wren", "dove", "swan", "owl", "heron", "crane", "lark"}[i]
}

func houseOf(i int) string {
	return [...]string{"Mill Lane", "Oak Street", "Elm Road", "Ash Hill", "Lake View", "Old Barn", "High Street", "Church Row", "Farm Close"}[i]
}

func keeperOf(i int) string {
	return [...]string{"anna", "bela", "cleo", "dora", "emil", "fay", "gus", "hana", "ivo"}[i]
}

// awaitSafe waits until every house in reach has what it should have. A circle of
// one house, or two, is complete when those have everything.
func (d *demo) awaitSafe(ctx context.Context) error {
	var last status.Report
	for {
		r, err := d.boxes[0].Status(ctx)
		if err == nil {
			last = r
		}
		if err == nil && len(r.Houses) == d.Boxes && len(r.Spaces) > d.Boxes &&
			!slices.ContainsFunc(r.Spaces, func(s status.Space) bool { return !s.Complete() }) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("demo: the copies are not complete: %w\n%s", errors.Join(ctx.Err(), err), child.Tell(last))
		}
	}
}

// writeSamples puts the sample files through WebDAV, as a file manager does.
func (d *demo) writeSamples(ctx context.Context) error {
	for _, s := range samples() {
		if err := d.dav(ctx, 0, s.method, s.path, s.body, nil); err != nil {
			return err
		}
	}
	return nil
}

// dav sends a request of the person to a box.
func (d *demo) dav(ctx context.Context, box int, method, path, body string, into io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, method, d.boxes[box].URL()+"/dav/"+person+path, reader(body))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	req.SetBasicAuth(person, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("demo: %s %s: %s", method, path, resp.Status)
	}
	if into == nil {
		into = io.Discard
	}
	_, err = io.Copy(into, resp.Body)
	return err
}

// readEverywhere reads a sample at every box.
func (d *demo) readEverywhere(ctx context.Context) error {
	want := samples()[0]
	for i := range d.boxes {
		var got buffer
		if err := d.dav(ctx, i, http.MethodGet, want.path, "", &got); err != nil {
			return err
		}
		if got.String() != want.body {
			return fmt.Errorf("demo: %s reads otherwise at %s", want.path, houseOf(i))
		}
		fmt.Fprintf(d.Out, "read back at %s: %s\n", houseOf(i), d.boxes[i].URL())
	}
	return nil
}

// link is where people find a box: with LAN an address that a phone can reach.
func (d *demo) link(box int) string {
	_, port, err := net.SplitHostPort(d.boxes[box].HTTP)
	if addrs, bad := net.InterfaceAddrs(); d.LAN && err == nil && bad == nil {
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.IsPrivate() && ip.IP.To4() != nil {
				return "http://" + net.JoinHostPort(ip.IP.String(), port) + "/"
			}
		}
	}
	return d.boxes[box].URL() + "/"
}

// tell says where everything is and what to try.
func (d *demo) tell() {
	w := d.Out
	if code, err := qr.Draw(d.link(0)); err == nil {
		fmt.Fprintf(w, "\n%s\n", code.Terminal())
	}
	for i, b := range d.boxes {
		fmt.Fprintf(w, "%-12s %s   (%s, process %d, %s)\n", houseOf(i), d.link(i), boxOf(i), b.PID(), b.Dir)
	}
	last := len(d.boxes) - 1
	fmt.Fprintf(w, `
Log in at any of them:   name %s   password %s
The keepers %s … have the same password.

To try:
  Put a file into one house and look for it in another.
  A file manager or rclone: %s/dav/%s/
  Is everything safe?       %s status --state %s
  A fire at %s:      kill -9 %d, then go on at another house.

Ctrl-C ends all.
`, person, password, keeperOf(0), d.boxes[last].URL(), person, d.Program, d.boxes[0].Dir, houseOf(last), d.boxes[last].PID())
}
