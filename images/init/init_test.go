package main

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"redhen/images/layout"
)

func TestNamesOfPartitions(t *testing.T) {
	for _, c := range []struct{ where, disk, data string }{
		{"../../devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda2", "/dev/vda", "/dev/vda4"},
		{"../../devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/mmcblk0p3", "/dev/mmcblk0", "/dev/mmcblk0p4"},
		{"../../devices/pci0000:00/nvme/nvme0/nvme0n1/nvme0n1p2", "/dev/nvme0n1", "/dev/nvme0n1p4"},
		{"../../devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda2", "/dev/sda", "/dev/sda4"},
	} {
		disk, part, err := diskNames(c.where)
		if err != nil || disk != c.disk || part(layout.DataPart) != c.data {
			t.Errorf("%s: %s %s, %v", c.where, disk, part(layout.DataPart), err)
		}
	}
	for _, where := range []string{"../../devices/virtual/block/vda", "x", ""} {
		if disk, _, err := diskNames(where); err == nil {
			t.Errorf("%q is on %s", where, disk)
		}
	}
}

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
	s.trouble("The card is <worn> out (%v).", os.ErrPermission)
	w := httptest.NewRecorder()
	troublePage(s.found).ServeHTTP(w, httptest.NewRequest("GET", "/anything", nil))
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
