package vmtest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redhen/images/layout"
)

// TestTheDataMovesToADisk plugs a USB disk into a box and has it move there. The power
// is cut while it moves, and it has all; without the disk it says so and runs nothing,
// and with it again it starts by itself.
func TestTheDataMovesToADisk(t *testing.T) {
	need(t, layout.AMD64, "all")
	ssd := filepath.Join(t.TempDir(), "ssd")
	if err := os.WriteFile(ssd, []byte(strings.Repeat("what an earlier owner left\n", 1<<16)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(ssd, 3<<30); err != nil {
		t.Fatal(err)
	}
	c, m := claimed(t, Config{Extra: []string{
		"-device", "qemu-xhci",
		"-drive", "file=" + ssd + ",format=raw,if=none,id=ssd,cache=unsafe", "-device", "usb-storage,drive=ssd,removable=off",
	}})
	without := c
	without.Extra = nil
	const files = 12
	for i := range files {
		write(t, m, noteName(i), largeText(i))
	}
	anna := at(t, m, "anna", password)
	var disks []struct{ Device, Name, Words string }
	anna.asks(http.MethodGet, "/v1/disks", nil, &disks)
	if len(disks) != 1 || !strings.Contains(disks[0].Words, "USB disk") {
		t.Fatalf("disks: %+v", disks)
	}
	anna.isRefused("/v1/disks", map[string]string{"device": disks[0].Device, "typed": "yes"}, "to have everything on it erased")
	anna.asks(http.MethodPost, "/v1/disks", map[string]string{"device": disks[0].Device, "typed": disks[0].Name}, &struct{}{})
	until(t, m, "it moves", func() bool {
		page, _ := m.Page(t.Context(), "/")
		return strings.Contains(page, "This box moves") || starts(m, layout.A) > 1
	})
	m.Cut()

	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	if starts(m, layout.A) == 0 {
		t.Error("it did not start from slot a")
	}
	hasAll := func() {
		for i := range files {
			has(t, m, noteName(i), largeText(i))
		}
	}
	hasAll()
	write(t, m, "on the disk.txt", "kept on the disk")
	m.Cut()

	c.Direct, without.Direct = true, true // the firmware would look for the missing disk, and on the network
	m = start(t, without)
	until(t, m, "it says that the disk is not there", func() bool {
		return strings.Contains(m.Console(), "which is not plugged in. Nothing is lost")
	})
	m.Cut()
	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	hasAll()
	has(t, m, "on the disk.txt", "kept on the disk")
}

// isRefused sends a request of the keeper's door that is refused with these words.
func (p *person) isRefused(path string, in any, words string) {
	p.t.Helper()
	if text, code := p.request(http.MethodPost, path, in); code/100 != 4 || !strings.Contains(text, words) {
		p.t.Fatalf("%s: %d %s, want it refused with %q", path, code, text, words)
	}
}
