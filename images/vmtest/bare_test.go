package vmtest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"redhen/images/layout"
)

// bareConfig is a gokrazy of the same pins with nothing on it but gokrazy's own pages.
const bareConfig = `{
	"Hostname": "bare",
	"Update": {"HTTPPassword": "hens"},
	"Environment": ["GOOS=linux", "GOARCH=amd64", "GOFLAGS=-trimpath -buildvcs=false"],
	"Packages": [],
	"KernelPackage": "github.com/gokrazy/kernel.amd64",
	"FirmwarePackage": "",
	"EEPROMPackage": "",
	"KernelExtraArgs": ["rootdelay=0", "rootwait"]
}`

// slowerThanBare is how much longer than a bare gokrazy our image may take to its first
// page. The goal is 1.3; a computer that is busy with other things measures badly.
const slowerThanBare = 2.0

// TestBesideBareGokrazy starts our image and a bare gokrazy in turns, each with its boot
// loader, and compares the time to the first page. Ours makes its data partition at the
// first start, so its card has been started before, as the bare one has nothing to make.
func TestBesideBareGokrazy(t *testing.T) {
	need(t, layout.AMD64, "all")
	bare := Config{Board: layout.AMD64, Disk: filepath.Join(t.TempDir(), "bare"), Dir: t.TempDir()}
	bakeBare(t, bare.Disk)
	ours := Config{Board: layout.AMD64, Disk: fresh(t), Dir: t.TempDir()}
	t.Logf("redhen's very first start, which makes the data partition: %.1f s", firstPage(t, ours).Seconds())
	firstPage(t, bare)
	var sum [2]time.Duration
	const rounds = 3
	for range rounds {
		for i, c := range []Config{ours, bare} {
			took := firstPage(t, c)
			sum[i] += took
			t.Logf("%s: %.1f s", []string{"redhen", "bare gokrazy"}[i], took.Seconds())
		}
	}
	ratio := float64(sum[0]) / float64(sum[1])
	t.Logf("to the first page: redhen %.1f s, bare gokrazy %.1f s: %.2f times", sum[0].Seconds()/rounds, sum[1].Seconds()/rounds, ratio)
	if ratio > slowerThanBare {
		t.Errorf("redhen takes %.2f times as long as a bare gokrazy", ratio)
	}
}

// bakeBare has gok bake the bare image.
func bakeBare(t *testing.T, out string) {
	t.Helper()
	parent := t.TempDir()
	dir := filepath.Join(parent, "bare")
	module, err := filepath.Abs("../..")
	if err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		err = os.Symlink(module, filepath.Join(dir, "builddir"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), []byte(bareConfig), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	gok := exec.CommandContext(t.Context(), "go", "run", "github.com/gokrazy/tools/cmd/gok", "--parent_dir", parent, "-i", "bare",
		"overwrite", "--full", out, "--target_storage_bytes", fmt.Sprint(cardSize))
	gok.Dir = module
	if said, err := gok.CombinedOutput(); err != nil {
		t.Fatalf("gok: %v\n%s", err, said)
	}
}

// firstPage starts a machine, and returns how long it took until it answered anything
// at all over HTTP. It is off again then.
func firstPage(t *testing.T, c Config) time.Duration {
	t.Helper()
	begin := time.Now()
	m := start(t, c)
	defer m.Cut()
	ctx, end := context.WithTimeout(t.Context(), patience)
	defer end()
	err := m.Until(ctx, func() bool {
		once, end := context.WithTimeout(ctx, 5*time.Second)
		defer end()
		req, err := http.NewRequestWithContext(once, http.MethodGet, m.URL()+"/", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	})
	if err != nil {
		t.Fatalf("no page: %v\n%s", err, m.Last(40))
	}
	return time.Since(begin)
}
