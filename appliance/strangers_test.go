package appliance

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// Rule: the help of strangers is on until it is switched off, and stays off.
func TestStrangersAreAllowedUntilSwitchedOff(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	if !strangersAllowed(dir, log) {
		t.Error("off as delivered")
	}
	for text, want := range map[string]bool{"off": false, "off\n": false, "on\n": true, "a text that is far too long for it": false} {
		if err := os.WriteFile(filepath.Join(dir, strangersFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := strangersAllowed(dir, log); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
