package main

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"redhen/images/layout"
)

func TestDataMustBeWritable(t *testing.T) {
	const other = "/dev/root / squashfs ro,relatime 0 0\n/dev/vda1 /boot vfat rw 0 0\n"
	for _, c := range []struct {
		mounts string
		want   bool
	}{
		{other + "/dev/vda4 /perm ext4 rw,relatime 0 0\n", true},
		{other + "/dev/vda4 /perm ext4 rw 0 0\n", true},
		{other + "/dev/vda4 /perm ext4 ro,relatime 0 0\n", false},
		{other + "/dev/vda4 /permanent ext4 rw 0 0\n", false},
		{other, false}, {"", false}, {"short /perm\n", false},
	} {
		if got := writable(c.mounts, layout.DataDir); got != c.want {
			t.Errorf("%q: %t", c.mounts, got)
		}
	}
}

func TestTroubleIsOnThePage(t *testing.T) {
	s := &system{root: fstest.MapFS{}}
	s.end("The card is <worn> out (%v).", os.ErrPermission)
	w := httptest.NewRecorder()
	s.only().ServeHTTP(w, httptest.NewRequest("GET", "/anything", nil))
	if got := w.Body.String(); w.Code != 503 || !strings.Contains(got, "<p>The card is &lt;worn&gt; out (permission denied).</p>") {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestSlotOfTheCommandLine(t *testing.T) {
	s := &system{root: fstest.MapFS{"proc/cmdline": {Data: []byte(layout.Cmdline(layout.ARM64, layout.B) + "\n")}}}
	if got := s.slot(); got != layout.B {
		t.Errorf("slot %q", got)
	}
	if got := (&system{root: fstest.MapFS{}}).slot(); got != "" {
		t.Errorf("slot %q without a command line", got)
	}
}
