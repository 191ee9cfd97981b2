package chromium

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Rule: a browser that dies at its start is started again, and in the end says why.
func TestABrowserThatDiesIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	script := "#!/bin/sh\necho once more >> " + filepath.Join(dir, "starts") + "\necho no screen >&2\nexit 1\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	_, _, err := start(filepath.Join(dir, "profile"), 3, chromedp.ExecPath(program))
	if err == nil || !strings.Contains(err.Error(), "no screen") {
		t.Errorf("start: %v, want what it said", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "starts"))
	if got := strings.Count(string(b), "once more"); err != nil || got != 3 {
		t.Errorf("started %d times, %v; want 3", got, err)
	}
}
