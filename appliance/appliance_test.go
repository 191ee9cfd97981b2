package appliance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/circle"
)

const password = "a good enough password"

// patience is for what takes a moment on a machine that has nothing else to do.
const patience = 3 * time.Minute

// box is a box that runs in this process.
type box struct {
	*Appliance
	end   context.CancelFunc
	ended chan error
}

func config(dir string) Config {
	return Config{Dir: dir, HTTP: "127.0.0.1:0", Listen: netip.MustParseAddr("127.0.0.1"), PromoteAfter: time.Second}
}

// runBox runs a box until the test ends.
func runBox(t *testing.T, dir string, change ...func(*Config)) *box {
	t.Helper()
	cfg := config(dir)
	for _, c := range change {
		c(&cfg)
	}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &box{a, end, make(chan error, 1)}
	go func() { b.ended <- a.Run(ctx) }()
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop ends the box; it may be called twice.
func (b *box) stop(t *testing.T) {
	t.Helper()
	b.end()
	select {
	case err := <-b.ended:
		if err != nil {
			t.Errorf("box: %v", err)
		}
		b.ended <- nil
	case <-time.After(patience):
		t.Error("the box does not end")
	}
}

func (b *box) found(t *testing.T) {
	t.Helper()
	err := b.Circle().Found(t.Context(), "Hens", circle.Place{House: "Mill Lane", Box: "hen"}, circle.Person{Login: "anna", Password: password})
	if err != nil {
		t.Fatal(err)
	}
}

// do sends a request of anna's, or of a stranger without a password.
func (b *box) do(t *testing.T, method, path, pass string, body io.Reader) (status int, header http.Header, text string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+b.Addr()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Depth", "0")
	if pass != "" {
		req.SetBasicAuth("anna", pass)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b2, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b2)
}

func TestDoorsLeadWhereTheyShould(t *testing.T) {
	b := runBox(t, t.TempDir())
	b.found(t)
	if status, _, text := b.do(t, "GET", "/healthz", "", nil); status != 200 || text != "ok\n" {
		t.Errorf("healthz: %d %q", status, text)
	}
	if status, _, text := b.do(t, "GET", "/", "", nil); status != 200 || !strings.Contains(text, "<html") {
		t.Errorf("front page: %d", status)
	}
	status, head, _ := b.do(t, "PROPFIND", "/dav/anna/", "", nil)
	if status != 401 || len(head.Values("WWW-Authenticate")) != 2 {
		t.Errorf("WebDAV without a password: %d, %q", status, head.Values("WWW-Authenticate"))
	}
	if status, _, _ := b.do(t, "PROPFIND", "/dav/anna/", "a wrong password", nil); status != 401 {
		t.Errorf("WebDAV with a wrong password: %d", status)
	}
	if status, _, _ := b.do(t, "PROPFIND", "/dav/", password, nil); status != 207 {
		t.Errorf("WebDAV: %d", status)
	}
	if status, _, _ := b.do(t, "PROPFIND", "/dav/somebody/", password, nil); status != 404 {
		t.Errorf("somebody else's space: %d", status)
	}
	if status, _, _ := b.do(t, "GET", "/metrics", "", nil); status == 200 {
		t.Error("figures are shown to everybody")
	}
}

// What a box was told it knows after a restart: its key, its circle, its files.
func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	b := runBox(t, dir)
	b.found(t)
	if status, head, text := b.do(t, "PUT", "/dav/anna/eggs.txt", password, strings.NewReader("three")); status != 201 || head.Get("Redhen-Kept") != "1" {
		t.Fatalf("write: %d, kept %q, %s", status, head.Get("Redhen-Kept"), text)
	}
	was := b.About()
	b.stop(t)
	again := runBox(t, dir)
	if now := again.About(); now.ID != was.ID || now.Circle != "Hens" || now.House != "Mill Lane" || now.Name != "hen" || now.ClaimCode != "" {
		t.Errorf("after a restart: %+v, was %+v", now, was)
	}
	if status, _, text := again.do(t, "GET", "/dav/anna/eggs.txt", password, nil); status != 200 || text != "three" {
		t.Errorf("read after a restart: %d %q", status, text)
	}
}

// A request that is under way when the box is told to end gets its answer.
func TestEndLetsUploadsFinish(t *testing.T) {
	b := runBox(t, t.TempDir())
	b.found(t)
	body, send := io.Pipe()
	type answer struct {
		status int
		kept   string
	}
	answered := make(chan answer, 1)
	go func() {
		req, err := http.NewRequest("PUT", "http://"+b.Addr()+"/dav/anna/late.txt", body)
		if err != nil {
			panic(err)
		}
		req.SetBasicAuth("anna", password)
		req.Header.Set("Expect", "100-continue") // the body is sent when the door reads it
		resp, err := (&http.Client{Transport: &http.Transport{ExpectContinueTimeout: patience}}).Do(req)
		if err != nil {
			t.Error(err)
			answered <- answer{}
			return
		}
		resp.Body.Close()
		answered <- answer{resp.StatusCode, resp.Header.Get("Redhen-Kept")}
	}()
	fmt.Fprint(send, "first half, ")
	b.end()
	awaitRefused(t, b.Addr())
	fmt.Fprint(send, "second half")
	send.Close()
	if got := <-answered; got != (answer{201, "1"}) {
		t.Errorf("upload during the end: %+v", got)
	}
}

// awaitRefused waits until nobody listens at an address.
func awaitRefused(t *testing.T, addr string) {
	t.Helper()
	awaits(t, "nobody listens any more", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// What cannot start gives back what it took, and can start later.
func TestOpenThatFailsLeavesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := config(dir)
	cfg.HTTP = l.Addr().String()
	if _, err := Open(cfg); err == nil {
		t.Fatal("opened on a port that is taken")
	}
	l.Close()
	cfg = config(dir)
	a, err := Open(cfg)
	if err != nil {
		t.Fatalf("open after a failure: %v", err)
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := a.Run(ctx); err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("opened without a directory")
	}
}

func TestFreshBoxHasACodeUntilItIsClaimed(t *testing.T) {
	b := runBox(t, t.TempDir())
	if about := b.About(); about.Claimed || len(about.ClaimCode) != 8 {
		t.Errorf("fresh box: %+v", about)
	}
	b.found(t)
	if about := b.About(); !about.Claimed || about.ClaimCode != "" {
		t.Errorf("claimed box: %+v", about)
	}
}

func TestSocketIsItsOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	runBox(t, dir)
	info, err := os.Stat(filepath.Join(dir, api.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v; want 0600", info.Mode(), err)
	}
}
