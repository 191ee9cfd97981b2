package name

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/domain"
	"redhen/cmd/redhen/child"
)

const (
	program   = "REDHEN_TEST_PROGRAM"
	inside    = "REDHEN_TEST_INSIDE"
	password  = "mia likes good eggs"
	patience  = 3 * time.Minute
	lookEvery = 100 * time.Millisecond
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests builds redhen and goes into a namespace of its own, or skips with a sentence.
func runTests(m *testing.M) int {
	for _, p := range []string{"knotd", "ip", "mount", "chromium", "tcpdump"} {
		if _, err := exec.LookPath(p); err != nil {
			fmt.Printf("the public name: skipped, there is no %s; make setup installs it\n", p)
			return 0
		}
	}
	if os.Geteuid() != 0 {
		fmt.Println("the public name: skipped, network namespaces need root")
		return 0
	}
	dir, err := os.MkdirTemp("", "redhen-name-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if os.Getenv(inside) != "" {
		if err := Settle(dir); err != nil {
			fmt.Printf("the public name: skipped, this kernel gives no network namespaces: %v\n", err)
			return 0
		}
		return m.Run()
	}
	if os.Getenv(program) == "" {
		path := filepath.Join(dir, "redhen")
		if out, err := exec.Command("go", "build", "-o", path, "redhen/cmd/redhen").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build redhen: %v\n%s", err, out)
			return 1
		}
		os.Setenv(program, path)
	}
	err = Inside(inside)
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Printf("the public name: skipped, this kernel gives no network namespaces: %v\n", err)
	}
	return 0
}

// village is a circle with a name in the small internet.
type village struct {
	t      *testing.T
	pebble *Pebble
	boxes  map[string]*child.Box
	roots  *x509.CertPool
}

// houses are the boxes with their own addresses; those with a door can be called.
var houses = []house{{"gate", "127.0.1.1", true}, {"mill", "127.0.1.2", false}, {"oak", "127.0.1.3", false}}

type house struct {
	name, ip string
	door     bool
}

func newVillage(t *testing.T, valid time.Duration) *village {
	dir := t.TempDir()
	ctx, end := context.WithCancel(context.Background())
	t.Cleanup(end)
	if err := StartServer(ctx, dir); err != nil {
		t.Fatal(err)
	}
	p, err := StartAuthority(dir, valid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	v := &village{t: t, pebble: p, boxes: map[string]*child.Box{}, roots: x509.NewCertPool()}
	v.roots.AddCert(p.Root)
	for i := range houses {
		v.start(houses[i], filepath.Join(dir, houses[i].name))
	}
	v.found()
	return v
}

func (v *village) start(h house, dir string) {
	v.t.Helper()
	cfg := child.Config{
		Program: os.Getenv(program), Dir: filepath.Join(dir, "state"), Log: filepath.Join(dir, "log"), HTTP: h.ip + ":80", P2P: 4717,
		Flags: []string{"--listen", h.ip, "--https", "", "--renew-look", "3s", "--log", "debug"},
	}
	if h.door {
		cfg.Flags = append(cfg.Flags, "--https", h.ip+":443")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		v.t.Fatal(err)
	}
	b, err := child.Start(v.t.Context(), cfg)
	if err != nil {
		v.t.Fatal(err)
	}
	v.boxes[h.name] = b
	v.t.Cleanup(func() {
		b.Stop()
		if said, err := os.ReadFile(b.Log); err == nil && v.t.Failed() {
			lines := slices.DeleteFunc(strings.Split(string(said), "\n"), func(l string) bool {
				return !strings.Contains(l, "level=INFO") && !strings.Contains(l, "level=WARN") && !strings.Contains(l, "certificates") && !strings.Contains(l, "visitor")
			})
			v.t.Logf("%s ends:\n%s", h.name, child.LastLines(strings.Join(lines, "\n"), 15))
		}
	})
}

func (v *village) found() {
	v.t.Helper()
	ctx := v.t.Context()
	gate := v.boxes["gate"]
	err := gate.Found(ctx, api.Found{Circle: "Hens", House: "Gate", Box: "gatebox", Keeper: api.Keeper{Login: "gina", Password: password}})
	for _, name := range []string{"mill", "oak"} {
		var ticket api.Ticket
		if err == nil {
			ticket, err = gate.InviteBox(ctx, api.BoxInvite{Waived: true})
		}
		if err == nil {
			join := api.Join{Ticket: ticket.Text, House: strings.ToUpper(name[:1]) + name[1:], Box: name + "box", Keeper: api.Keeper{Login: name, Password: password}}
			err = v.boxes[name].Join(ctx, join, func(api.Step) {})
		}
	}
	if err == nil {
		_, err = gate.AddAccount(ctx, api.NewAccount{Login: "mia", FullName: "Mia", Password: password})
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// name gives the circle its name.
func (v *village) name() {
	v.t.Helper()
	roots, err := os.ReadFile(v.pebble.Roots)
	if err != nil {
		v.t.Fatal(err)
	}
	err = v.boxes["gate"].SetName(v.t.Context(), domain.Settings{
		Domain: Zone, Provider: domain.RFC2136, Server: Server, KeyName: KeyName, Key: Key,
		Authority: Authority, Roots: string(roots), Resolvers: []string{Server},
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

// await waits until something holds, and returns how long that took.
func (v *village) await(what string, holds func() (bool, any)) time.Duration {
	v.t.Helper()
	begun := time.Now()
	for {
		ok, seen := holds()
		if ok {
			took := time.Since(begun)
			v.t.Logf("%s: after %.1f s", what, took.Seconds())
			return took
		}
		if time.Since(begun) > patience {
			v.t.Fatalf("not within %v: %s: %v", patience, what, seen)
		}
		time.Sleep(lookEvery)
	}
}

// leads waits until a name leads to these addresses.
func (v *village) leads(name string, want ...string) time.Duration {
	v.t.Helper()
	return v.await(name+" leads to "+strings.Join(want, " and "), func() (bool, any) {
		got, err := Lookup(name)
		slices.Sort(got)
		return err == nil && slices.Equal(got, want), got
	})
}

// ends is when the certificate at a box ends.
func (v *village) ends(box string) time.Time {
	n, err := v.boxes[box].Name(v.t.Context())
	if err != nil {
		return time.Time{}
	}
	return n.Ends
}

// get asks for a page through the door at an address.
func (v *village) get(name, at string) (*http.Response, string, error) {
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: v.roots},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr)
			return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(at, port))
		},
	}
	c := &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(name)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// TestName: a circle comes to a name, a certificate and visitors.
func TestName(t *testing.T) {
	v := newVillage(t, 90*time.Second) // renewed a minute after it was issued
	recorded := v.tap()
	v.name()
	v.leads(Zone, "127.0.1.1")
	v.leads("mill."+Zone, "127.0.1.1")
	for _, h := range houses {
		v.await("a certificate at "+h.name, func() (bool, any) { e := v.ends(h.name); return !e.IsZero(), e })
	}
	resp, body, err := v.get("https://"+Zone+"/login", "127.0.1.1")
	if err != nil || resp.StatusCode != 200 || !strings.Contains(body, "Hens") {
		t.Fatalf("the log-in page: %v %v", resp, err)
	}
	resp, _, err = v.get("http://"+Zone+"/login?x=1", "127.0.1.1")
	if err != nil || resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != "https://"+Zone+"/login?x=1" {
		t.Errorf("in clear: %v %v", resp, err)
	}
	v.fire(v.passkey())
	seen := recorded()
	if !bytes.Contains(seen, []byte("/login?x=1")) {
		t.Error("what was said in clear was not recorded")
	}
	for _, secret := range []string{password, strings.ReplaceAll(password, " ", "+"), "mia likes"} {
		if bytes.Contains(seen, []byte(secret)) {
			t.Errorf("%q passed the houses' network in clear", secret)
		}
	}
}

// tap records all that comes to and goes from a house, the one at whose door visitors
// come in among them, until it is closed.
func (v *village) tap() (stop func() []byte) {
	v.t.Helper()
	file := filepath.Join(v.t.TempDir(), "tap.pcap")
	cmd := exec.Command("tcpdump", "-i", "lo", "--immediate-mode", "-U", "-w", file, "-Z", "root", "net", "127.0.1.0/24")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errs, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	bufio.NewReader(errs).ReadString('\n') // it listens
	end := sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		io.Copy(io.Discard, errs) // until it ends
		cmd.Wait()
	})
	v.t.Cleanup(end)
	return func() []byte {
		end()
		b, err := os.ReadFile(file)
		if err != nil {
			v.t.Fatal(err)
		}
		return b
	}
}

// fire: a house that was dark comes back with a door of its own, and the name leads to both; then
// the house of the first door burns: within a minute the name leads to the other one alone, which
// serves as if nothing had been.
func (v *village) fire(dark house) {
	v.t.Helper()
	back := dark
	back.door = true
	v.start(back, filepath.Dir(v.boxes[dark.name].Dir))
	v.leads(Zone, "127.0.1.1", dark.ip)
	v.leads(dark.name+"."+Zone, dark.ip)
	v.boxes["gate"].Kill()
	if took := v.leads(Zone, dark.ip); took > time.Minute {
		v.t.Errorf("the name led to a burnt house for %v", took)
	}
	resp, _, err := v.get("https://"+Zone+"/login", dark.ip)
	if err != nil || resp.StatusCode != 200 {
		v.t.Errorf("at the house that is left: %v %v", resp, err)
	}
	v.renewed(dark)
}

// renewed: the houses that are left renew the certificate, though the house burnt that asked
// for the first one, and visitors get the new one.
func (v *village) renewed(at house) {
	v.t.Helper()
	was := v.ends(at.name)
	v.await("a certificate that others renewed, at "+at.name, func() (bool, any) {
		resp, _, err := v.get("https://"+Zone+"/login", at.ip)
		if err != nil {
			return false, err
		}
		ends := resp.TLS.PeerCertificates[0].NotAfter
		return ends.After(was), ends
	})
	for _, h := range houses[1:] {
		v.await("the same at "+h.name, func() (bool, any) { e := v.ends(h.name); return e.After(was), e })
	}
}
