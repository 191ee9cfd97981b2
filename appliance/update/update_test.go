package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"redhen/images/bundle"
	"redhen/images/layout"
	"redhen/images/slot"
)

func key(name string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(sum[:])
}

// box is a card in a folder, and the updater that runs on slot a of it.
type box struct {
	*Updater
	t   *testing.T
	dir string
}

func newBox(t *testing.T, change ...func(*Config)) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir()}
	name, entry := slot.Entry(layout.A, "0.1", 1, "root=a")
	for path, content := range map[string]string{
		layout.EntriesDir + "/" + name: string(entry),
		"redhen/a/vmlinuz":             "kernel of a",
		"redhen/b/vmlinuz":             "old kernel of b",
		"redhen/b/overlays/old.dtbo":   "of another release",
		"root.a":                       "root of a",
		"root.b":                       strings.Repeat("old root of b", 100),
	} {
		path = filepath.Join(b.dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Config{
		Loader: slot.NewUEFI(b.dir, layout.A), Running: layout.About{Board: layout.AMD64, Release: "0.1", Number: 10, Level: 1},
		Keys: []ed25519.PublicKey{key("us").Public().(ed25519.PublicKey)}, Boot: b.dir,
		Root: func(s layout.Slot) string { return filepath.Join(b.dir, "root."+string(s)) },
	}
	for _, c := range change {
		c(&cfg)
	}
	b.Updater = New(cfg)
	return b
}

func (b *box) file(name string) string {
	b.t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		return ""
	}
	return string(content)
}

func (b *box) entries() (names []string) {
	b.t.Helper()
	list, err := os.ReadDir(filepath.Join(b.dir, layout.EntriesDir))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// parts are the files of the update.
func parts() map[string]string {
	return map[string]string{
		"root": "new root", "boot/vmlinuz": strings.Repeat("new kernel", 3000), "boot/overlays/hat.dtbo": "hat", "boot/overlays/README": "x",
	}
}

// made makes an update file.
func made(t testing.TB, k ed25519.PrivateKey, change ...func(*bundle.Header)) []byte {
	t.Helper()
	files := parts()
	h := bundle.Header{Board: layout.AMD64, Release: "0.2", Number: 11, Level: 1, Lines: bundle.Lines{UEFIA: "root=a", UEFIB: "root=b new"}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h.Files = append(h.Files, bundle.File{Name: name, Size: int64(len(files[name])), Sum: sha256.Sum256([]byte(files[name]))})
	}
	for _, c := range change {
		c(&h)
	}
	var b bytes.Buffer
	err := bundle.Write(&b, h, k, func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil })
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestInstallFillsTheOtherSlot(t *testing.T) {
	b := newBox(t)
	fresh, err := b.Install(t.Context(), bytes.NewReader(made(t, key("us"))))
	if err != nil || fresh != (layout.About{Board: layout.AMD64, Release: "0.2", Number: 11, Level: 1}) {
		t.Fatalf("installed %+v, %v", fresh, err)
	}
	if got, want := b.entries(), []string{"redhen-a.conf", "redhen-b+3.conf"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	if got := b.file(layout.EntriesDir + "/redhen-b+3.conf"); !strings.Contains(got, "options root=b new\n") {
		t.Errorf("entry %q", got)
	}
	for name, want := range parts() {
		if rest, ok := strings.CutPrefix(name, bundle.BootDir); ok && b.file("redhen/b/"+rest) != want {
			t.Errorf("%s is %.40q", name, b.file("redhen/b/"+rest))
		}
	}
	if got := b.file("root.b"); !strings.HasPrefix(got, "new root") {
		t.Errorf("root %.40q", got)
	}
	if b.file("redhen/b/overlays/old.dtbo") != "" {
		t.Error("a file of the release before is still there")
	}
	if b.file("redhen/a/vmlinuz") != "kernel of a" || b.file("root.a") != "root of a" {
		t.Error("the slot that runs was changed")
	}
	if err := b.Run(t.Context()); !errors.Is(err, ErrRestart) {
		t.Errorf("Run: %v, want ErrRestart", err)
	}
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	trial := func(c *Config) { c.Loader = slot.NewUEFI(c.Boot, layout.B) }
	for _, c := range []struct {
		name   string
		b      []byte
		want   error
		change func(*Config)
	}{
		{"unsigned", made(t, nil), bundle.ErrUnsigned, nil},
		{"somebody else's", made(t, key("them")), bundle.ErrSigner, nil},
		{"a picture", []byte("\x89PNG, and so on, and so on"), bundle.ErrNoBundle, nil},
		{"other board", made(t, key("us"), func(h *bundle.Header) { h.Board = layout.ARM64 }), ErrBoard, nil},
		{"older", made(t, key("us"), func(h *bundle.Header) { h.Number = 9 }), ErrOlder, nil},
		{"the same", made(t, key("us"), func(h *bundle.Header) { h.Number = 10 }), ErrSame, nil},
		{"below the level", made(t, key("us")), ErrLevel, func(c *Config) { c.Level = func() uint64 { return 2 } }},
		{"on trial", made(t, key("us")), ErrOnTrial, trial},
	} {
		b := newBox(t)
		if c.change != nil {
			b = newBox(t, c.change)
		}
		if c.want == ErrOnTrial {
			dir := filepath.Join(b.dir, layout.EntriesDir)
			if err := os.Rename(filepath.Join(dir, "redhen-a.conf"), filepath.Join(dir, "redhen-b+2-1.conf")); err != nil {
				t.Fatal(err)
			}
		}
		before := b.entries()
		if _, err := b.Install(t.Context(), bytes.NewReader(c.b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if got := b.entries(); !slices.Equal(got, before) || b.file("redhen/b/vmlinuz") != "old kernel of b" || !strings.HasPrefix(b.file("root.b"), "old root") {
			t.Errorf("%s: something was changed", c.name)
		}
		if words := Explain(nil, c.want); !strings.Contains(words, "Nothing was changed") || strings.Contains(words, c.want.Error()) {
			t.Errorf("%s: %q", c.name, words)
		}
	}
}

// TestCutUpdateNeverStarts cuts the file after each of many bytes.
func TestCutUpdateNeverStarts(t *testing.T) {
	whole := made(t, key("us"))
	for n := 0; n < len(whole); n += 1 + len(whole)/60 {
		b := newBox(t)
		if _, err := b.Install(t.Context(), bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("%d of %d bytes were installed", n, len(whole))
		}
		if got, want := b.entries(), []string{"redhen-a.conf"}; !slices.Equal(got, want) {
			t.Errorf("after %d bytes: entries %q, want %q", n, got, want)
		}
		// And a whole one goes in after it.
		if _, err := b.Install(t.Context(), bytes.NewReader(whole)); err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestInstallEndsWithItsContext(t *testing.T) {
	b := newBox(t)
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := b.Install(ctx, bytes.NewReader(made(t, key("us")))); err == nil {
		t.Error("it was installed all the same")
	}
}

func TestOneAtATime(t *testing.T) {
	b := newBox(t)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { // ends when the pipe is closed
		_, err := b.Install(t.Context(), r)
		done <- err
	}()
	w.Write(made(t, key("us"))[:20])
	if _, err := b.Install(t.Context(), bytes.NewReader(made(t, key("us")))); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	w.Close()
	if err := <-done; !errors.Is(err, bundle.ErrDamaged) {
		t.Errorf("the first: %v, want ErrDamaged", err)
	}
}

// loader is a boot loader that remembers.
type loader struct {
	slot.Loader
	trial     bool
	confirmed time.Time
}

func (l *loader) Running() layout.Slot   { return layout.B }
func (l *loader) OnTrial() (bool, error) { return l.trial, nil }
func (l *loader) Confirm() error         { l.trial, l.confirmed = false, time.Now(); return nil }

func TestConfirmedWhenHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		l := &loader{trial: true}
		u := New(Config{Loader: l, Healthy: func(context.Context) error {
			if time.Since(begin) < time.Minute {
				return errors.New("not all friends are in reach")
			}
			return nil
		}})
		ctx, end := context.WithTimeout(t.Context(), time.Hour)
		defer end()
		if err := u.Run(ctx); err != nil {
			t.Error(err)
		}
		if got := l.confirmed.Sub(begin); got < time.Minute || got > time.Minute+5*time.Second {
			t.Errorf("confirmed after %v, want a minute", got)
		}
	})
}

func TestNeverConfirmedWhenIll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{trial: true}
		u := New(Config{Loader: l, Healthy: func(context.Context) error { return errors.New("ill") }})
		ctx, end := context.WithTimeout(t.Context(), time.Hour)
		defer end()
		if err := u.Run(ctx); err != nil || !l.confirmed.IsZero() {
			t.Errorf("confirmed at %v, %v", l.confirmed, err)
		}
	})
}

func TestDoor(t *testing.T) {
	b := newBox(t)
	let := true
	door := b.Door(func(w http.ResponseWriter, _ *http.Request) bool {
		if !let {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return let
	})
	ask := func(method string, body []byte) (int, string) {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest(method, "/update", bytes.NewReader(body)))
		return w.Code, w.Body.String()
	}
	if code, text := ask("GET", nil); code != http.StatusMethodNotAllowed || text == "" {
		t.Errorf("GET: %d %s", code, text)
	}
	if code, text := ask("PUT", made(t, nil)); code != http.StatusUnprocessableEntity || !strings.Contains(text, "not signed") {
		t.Errorf("unsigned: %d %s", code, text)
	}
	let = false
	if code, _ := ask("PUT", made(t, key("us"))); code != http.StatusUnauthorized || len(b.entries()) != 1 {
		t.Errorf("a stranger: %d", code)
	}
	let = true
	if code, text := ask("PUT", made(t, key("us"))); code != http.StatusOK || !strings.Contains(text, "Release 0.2 is installed") {
		t.Errorf("good: %d %s", code, text)
	}
}

func TestExplainHasWordsForEverything(t *testing.T) {
	for _, err := range []error{bundle.ErrNewer, bundle.ErrDamaged, ErrBusy, context.Canceled, errors.New("write /dev/vda3: input/output error")} {
		if got := Explain(nil, fmt.Errorf("install update: %w", err)); !strings.Contains(got, "goes on as before") {
			t.Errorf("%v: %q", err, got)
		}
	}
}

func TestTrustedKeys(t *testing.T) {
	const name = "etc/redhen/update.pub"
	good := hex.EncodeToString(key("us").Public().(ed25519.PublicKey))
	for text, want := range map[string]int{"": 0, good + "\n": 1, good + "\n" + good: 2, "nonsense": -1, good[:10]: -1, strings.Repeat(good+"\n", 9): -1} {
		keys, err := trusted(fstest.MapFS{name: {Data: []byte(text)}})
		if (err != nil) != (want < 0) || err == nil && len(keys) != want {
			t.Errorf("%.40q: %d keys, %v; want %d", text, len(keys), err, want)
		}
	}
	if _, err := trusted(fstest.MapFS{}); err == nil {
		t.Error("an image without the file trusts somebody")
	}
}

func TestHereIsNoCard(t *testing.T) {
	if _, err := Here(); err != nil && !errors.Is(err, slot.ErrNoSlots) {
		t.Errorf("got %v", err)
	}
}
