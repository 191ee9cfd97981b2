package vmtest

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/images/bake"
	"redhen/images/layout"
)

// Card size, patience and password of the tests.
const (
	cardSize   = 2 << 30
	patience   = 10 * time.Minute // for what takes 15 s of a processor on its own
	testNumber = 1_000_000_000    // of the release that cards are made with
	password   = "three brown hens in a row"
)

// need skips a test that wants more than was asked for: "smoke" or "all" in REDHEN_VM.
func need(t *testing.T, b layout.Board, what string) {
	t.Helper()
	asked := os.Getenv("REDHEN_VM")
	if asked != "all" && asked != what {
		t.Skip("virtual machines were not asked for: make smoke, make test-vm")
	}
	if tool := Missing(b); tool != "" {
		t.Skipf("%s is not installed: make setup", tool)
	}
}

// signer is the key of the tests' images.
func signer() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("the key of the tests' images !!!"))
}

// config is how the tests bake.
func config(b layout.Board, out string) bake.Config {
	return bake.Config{Board: b, Module: "../..", Out: out, Release: "test", Number: testNumber, Key: signer()}
}

// oven is what was baked in a run of the tests, below one folder.
type oven struct {
	mu     sync.Mutex // guards what follows
	dir    string     // empty: nothing yet
	trees  map[layout.Board]string
	images map[layout.Board]string
}

// kept names a folder in which what was baked stays for the next run, for people who
// work on these tests; it is theirs to empty.
const kept = "REDHEN_VM_KEPT"

var baked = oven{trees: map[layout.Board]string{}, images: map[layout.Board]string{}}

func TestMain(m *testing.M) {
	baked.dir = os.Getenv(kept)
	code := m.Run()
	if baked.dir != "" && os.Getenv(kept) == "" {
		os.RemoveAll(baked.dir)
	}
	os.Exit(code)
}

// once returns what was made before, or makes it; with the lock held.
func (o *oven) once(t *testing.T, made map[layout.Board]string, b layout.Board, name string, make func(path string) error) string {
	t.Helper()
	if made[b] != "" {
		return made[b]
	}
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "redhen-vmtest-")
		if err != nil {
			t.Fatal(err)
		}
		o.dir = dir
	}
	begin, path := time.Now(), filepath.Join(o.dir, string(b)+"."+name)
	if _, err := os.Stat(path); err == nil {
		made[b] = path
		return path
	}
	if err := make(path); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s made in %.0f s", b, name, time.Since(begin).Seconds())
	made[b] = path
	return path
}

// tree returns the unpacked root of a board, as gokrazy built it.
func tree(t *testing.T, b layout.Board) string {
	t.Helper()
	baked.mu.Lock()
	defer baked.mu.Unlock()
	return baked.once(t, baked.trees, b, "tree", func(path string) error {
		return bake.Tree(t.Context(), config(b, filepath.Dir(path)), path)
	})
}

// image returns an image of a board. Nobody may write to it.
func image(t *testing.T, b layout.Board) string {
	t.Helper()
	from := tree(t, b)
	baked.mu.Lock()
	defer baked.mu.Unlock()
	return baked.once(t, baked.images, b, "img", func(path string) error {
		c, root := config(b, filepath.Dir(path)), path+".root"
		if err := bake.Root(t.Context(), c, from, root); err != nil {
			return err
		}
		return bake.Assemble(t.Context(), c, root, path)
	})
}

// start switches a machine on that is off when the test ends.
func start(t *testing.T, c Config) *Machine {
	t.Helper()
	m, err := Start(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Cut()
		if t.Failed() {
			t.Logf("console:\n%s", m.Last(60))
		}
	})
	return m
}

// claimed is Anna's box, claimed just now. What c leaves out: an image for PCs on a fresh card.
func claimed(t *testing.T, c Config) (Config, *Machine) {
	t.Helper()
	c.Board, c.Dir = layout.AMD64, t.TempDir()
	if c.Disk == "" {
		c.Disk = fresh(t)
	}
	m := start(t, c)
	answers(t, m, "/", "Hello")
	claim(t, m)
	return c, m
}

// answers waits for a page and says how long it took.
func answers(t *testing.T, m *Machine, path, text string) {
	t.Helper()
	begin := time.Now()
	ctx, end := context.WithTimeout(t.Context(), patience)
	defer end()
	if err := m.Answers(ctx, path, text); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s shows %q after %.1f s", path, text, time.Since(begin).Seconds())
}

// claim begins a circle at a fresh box, as a person does in a browser.
func claim(t *testing.T, m *Machine) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"circle": {"Hens"}, "house": {"Mill Lane"}, "box": {"mill"}, "person": {"Anna"}, "login": {"anna"}, "password": {password}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.URL()+"/claim", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", m.URL())
	resp, err := (&http.Client{Jar: jar, Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "anna") {
		t.Fatalf("claim: %s\n%s", resp.Status, page)
	}
}

// dav sends one request to Anna's files.
func dav(t *testing.T, m *Machine, method, name, body string) (int, string) {
	t.Helper()
	code, answer, err := davWithin(t.Context(), m, method, name, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, name, err)
	}
	return code, answer
}

func davWithin(ctx context.Context, m *Machine, method, name, body string) (int, string, error) {
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	req, err := http.NewRequestWithContext(ctx, method, m.URL()+"/dav/anna/"+url.PathEscape(name), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.SetBasicAuth("anna", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// write puts a file that is kept when it returns.
func write(t *testing.T, m *Machine, name, body string) {
	t.Helper()
	if code, answer := dav(t, m, http.MethodPut, name, body); code/100 != 2 {
		t.Fatalf("put %s: %d %s", name, code, answer)
	}
}

// has reads a file that was kept.
func has(t *testing.T, m *Machine, name, body string) {
	t.Helper()
	if code, got := dav(t, m, http.MethodGet, name, ""); code != http.StatusOK || got != body {
		t.Fatalf("get %s: %d %.100q, want %.100q", name, code, got, body)
	}
}

// TestSmoke is the least that an image must do: it starts to its first page, and what
// it answered as kept is there after the power was cut.
func TestSmoke(t *testing.T) {
	need(t, layout.AMD64, "smoke")
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := Card(image(t, layout.AMD64), disk, cardSize); err != nil {
		t.Fatal(err)
	}
	c := Config{Board: layout.AMD64, Disk: disk, Dir: dir}
	m := start(t, c)
	answers(t, m, "/", "Hello")
	if !strings.Contains(m.Console(), "made the data partition") {
		t.Error("the first start made no data partition")
	}
	closed(t, m)
	claim(t, m)
	for i := range 3 {
		write(t, m, fmt.Sprintf("note %d.txt", i), strings.Repeat("what the hens said\n", 10000*i+1))
	}
	m.Cut()

	c.Direct = true // the boot loader has shown what it can
	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	for i := range 3 {
		has(t, m, fmt.Sprintf("note %d.txt", i), strings.Repeat("what the hens said\n", 10000*i+1))
	}
	if strings.Contains(m.Console(), "made the data partition") {
		t.Error("the second start made the data partition anew")
	}
}

// closed looks that gokrazy's own pages, which can change everything, are not there.
func closed(t *testing.T, m *Machine) {
	t.Helper()
	for _, path := range []string{"/status", "/update/features", "/reboot"} {
		if page, ok := m.Page(t.Context(), path); ok && strings.Contains(page, "gokrazy") {
			t.Errorf("%s is open to everybody: %.200s", path, page)
		}
	}
}
