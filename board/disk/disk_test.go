package disk_test

import (
	"errors"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"redhen/board/boardtest"
	"redhen/board/disk"
)

func TestList(t *testing.T) {
	quiet := cmpopts.IgnoreFields(disk.Disk{}, "Traffic", "Parts", "Block")
	for name, want := range map[string][]disk.Disk{
		"pi3": {{Name: "mmcblk0", Kind: disk.Card, Model: "SC32G", Serial: "0x1d2e3f40", Made: "06/2023", Size: 62333952 * 512}},
		"pi4": {
			{Name: "mmcblk0", Kind: disk.Card, Model: "SD32G", Serial: "0x00a1b2c3", Made: "03/2024", Size: 62333952 * 512},
			{Name: "sda", Kind: disk.USB, Model: "Samsung Portable SSD T7", Size: 1953525168 * 512, Errors: disk.Errors{Known: true, Failed: 1}},
		},
		"pi5": {
			{Name: "mmcblk0", Kind: disk.Card, Model: "SN64G", Serial: "0x51627384", Made: "11/2024", Size: 124735488 * 512},
			{Name: "nvme0n1", Kind: disk.NVMe, Model: "WD Green SN350 500GB", Serial: "22400X801234", Size: 976773168 * 512},
		},
		"zero2w": {{Name: "mmcblk0", Kind: disk.Card, Model: "APPSD", Serial: "0x0badcafe", Made: "01/2020", Size: 30535680 * 512}},
		"pc": {
			{
				Name: "mmcblk0", Kind: disk.EMMC, Model: "DF4064", Serial: "0x9a8b7c6d", Made: "05/2019", Size: 122142720 * 512,
				Life: disk.Life{Known: true, Used: 70, Spare: disk.SpareWarning},
			},
			{Name: "sda", Kind: disk.SATA, Model: "ST2000LM015-2E81", Rotates: true, Size: 3907029168 * 512, Errors: disk.Errors{Known: true, Failed: 18}},
		},
		"vm": {{Name: "vda", Kind: disk.Virtual, Rotates: true, Size: 2465792 * 512}},
	} {
		if diff := cmp.Diff(want, disk.List(boardtest.Tree(name)), quiet); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTrafficAndParts(t *testing.T) {
	d := disk.List(boardtest.Tree("pi3"))[0]
	want := disk.Traffic{
		Reads: 5113, ReadBytes: 412312 * 512, Writes: 9921, WrittenBytes: 1021344 * 512, WriteTime: 190212 * time.Millisecond,
		Flushes: 3102, FlushTime: 41020 * time.Millisecond,
	}
	if d.Traffic != want {
		t.Errorf("got %+v", d.Traffic)
	}
	if len(d.Parts) != 4 || d.Parts[3] != (disk.Part{Name: "mmcblk0p4", Number: 4, Start: 2629632 * 512, Size: 59703296 * 512}) {
		t.Errorf("got %+v", d.Parts)
	}
	pc := disk.List(boardtest.Tree("pc"))[1] // a kernel of 11 fields
	if pc.Traffic.Flushes != 0 || pc.Traffic.Writes != 21921 {
		t.Errorf("got %+v", pc.Traffic)
	}
}

func TestLife(t *testing.T) {
	const dir = "sys/devices/pci0000:00/0000:00:1c.0/mmc_host/mmc0/mmc0:0001/"
	for _, c := range []struct {
		life, spare string
		want        disk.Life
	}{
		{"0x01 0x01", "0x01", disk.Life{Known: true, Spare: disk.SpareNormal}},
		{"0x02 0x0a", "0x03", disk.Life{Known: true, Used: 90, Spare: disk.SpareUrgent}},
		{"0x0b 0x01", "0x01", disk.Life{Known: true, Used: 100, Expired: true, Spare: disk.SpareNormal}},
		{"0x00 0x00", "0x00", disk.Life{}},
		{"", "", disk.Life{}},
		{"0xzz 300", "9", disk.Life{}},
	} {
		m := boardtest.Tree("pc")
		boardtest.Set(m, dir+"life_time", c.life+"\n")
		boardtest.Set(m, dir+"pre_eol_info", c.spare+"\n")
		if got := disk.List(m)[0].Life; got != c.want {
			t.Errorf("%q %q: got %+v", c.life, c.spare, got)
		}
	}
}

func TestALockedCardAndAnEmptyReader(t *testing.T) {
	const dir = "sys/devices/platform/soc/3f202000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/"
	m := boardtest.Tree("pi3")
	boardtest.Set(m, dir+"ro", "1\n")
	if d := disk.List(m)[0]; !d.ReadOnly {
		t.Errorf("got %+v", d)
	}
	boardtest.Set(m, dir+"size", "0\n")
	if got := disk.List(m); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestHolding(t *testing.T) {
	for _, c := range []struct {
		board, dir, device, mount string
		kind                      disk.Kind
		readOnly                  bool
		health                    disk.Health
	}{
		{"pi3", "/perm/redhen", "mmcblk0p4", "/perm", disk.Card, false, disk.Health{Known: true, Errors: 2, LastError: time.Unix(1762000000, 0).UTC(), Written: 73400320 << 10}},
		{"pi3", "/permanent", "mmcblk0p2", "/", disk.Card, true, disk.Health{}},
		{"pi4", "/perm", "sda1", "/perm", disk.USB, false, disk.Health{Known: true, Written: 1048576 << 10}},
		{"pi5", "/perm/redhen/chunks", "nvme0n1p1", "/perm", disk.NVMe, false, disk.Health{Known: true, Written: 2097152 << 10}},
		{"zero2w", "/perm/", "mmcblk0p4", "/perm", disk.Card, true, disk.Health{Known: true, Errors: 17, LastError: time.Unix(1762300000, 0).UTC(), Written: 734003200 << 10}},
		{"pc", "/srv/big disk/redhen", "sda1", "/srv/big disk", disk.SATA, false, disk.Health{Known: true, Written: 5242880 << 10}},
		{"pc", "/var/lib/redhen", "mmcblk0p2", "/", disk.EMMC, false, disk.Health{Known: true, Written: 104857600 << 10}},
		{"vm", "/perm/redhen", "vda4", "/perm", disk.Virtual, false, disk.Health{}},
	} {
		v, err := disk.Holding(boardtest.Tree(c.board), c.dir)
		if err != nil {
			t.Errorf("%s %s: %v", c.board, c.dir, err)
			continue
		}
		if v.Device != c.device || v.Mount != c.mount || v.Disk.Kind != c.kind || v.ReadOnly != c.readOnly || v.Health != c.health {
			t.Errorf("%s %s: got %+v", c.board, c.dir, v)
		}
	}
}

func TestHoldingWhatIsOnNoDisk(t *testing.T) {
	for board, dir := range map[string]string{"pc": "/srv/net/x", "pi4": "/tmp/x"} {
		if v, err := disk.Holding(boardtest.Tree(board), dir); !errors.Is(err, disk.ErrNoDisk) {
			t.Errorf("%s %s: %+v, %v", board, dir, v, err)
		}
	}
	if _, err := disk.Holding(fstest.MapFS{}, "/perm"); err == nil || errors.Is(err, disk.ErrNoDisk) {
		t.Errorf("without a list: %v", err)
	}
}

// Of two mounts at one place, the later hides the earlier.
func TestTheLastMountCounts(t *testing.T) {
	m := boardtest.Tree("pi4")
	boardtest.Set(m, "proc/self/mountinfo", string(m["proc/self/mountinfo"].Data)+"31 1 179:4 / /perm rw,relatime - ext4 /dev/mmcblk0p4 rw\n")
	if v, err := disk.Holding(m, "/perm"); err != nil || v.Device != "mmcblk0p4" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestBest(t *testing.T) {
	for board, want := range map[string]string{"pi3": "mmcblk0", "pi4": "sda", "pi5": "nvme0n1", "pc": "sda", "vm": ""} {
		d, ok := disk.Best(disk.List(boardtest.Tree(board)), 8<<30)
		if d.Name != want || ok != (want != "") {
			t.Errorf("%s: got %q", board, d.Name)
		}
	}
	card := disk.Disk{Name: "card", Kind: disk.Card, Size: 32 << 30}
	for _, c := range []struct {
		other disk.Disk
		want  string
	}{
		{disk.Disk{Name: "stick", Kind: disk.Stick, Size: 512 << 30}, "card"},
		{disk.Disk{Name: "ssd", Kind: disk.USB, Size: 120 << 30}, "ssd"},
		{disk.Disk{Name: "small", Kind: disk.USB, Size: 1 << 30}, "card"},
		{disk.Disk{Name: "locked", Kind: disk.USB, Size: 120 << 30, ReadOnly: true}, "card"},
		{disk.Disk{Name: "worn", Kind: disk.EMMC, Size: 120 << 30, Life: disk.Life{Known: true, Expired: true}}, "card"},
		{disk.Disk{Name: "bigger", Kind: disk.Card, Size: 64 << 30}, "bigger"},
	} {
		for _, list := range [][]disk.Disk{{card, c.other}, {c.other, card}} {
			if d, ok := disk.Best(list, 8<<30); !ok || d.Name != c.want {
				t.Errorf("%s: got %q", c.other.Name, d.Name)
			}
		}
	}
}

func TestUse(t *testing.T) {
	u, err := disk.Use(t.TempDir())
	if err != nil || u.Size <= 0 || u.Used <= 0 || u.Available < 0 || u.Used+u.Available > u.Size || u.ReadOnly {
		t.Errorf("got %+v, %v", u, err)
	}
	if _, err := disk.Use("/nowhere/at/all"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestNamesOfKinds(t *testing.T) {
	for k, want := range map[disk.Kind]string{disk.Other: "other", disk.Card: "card", disk.NVMe: "nvme", disk.Virtual: "virtual", 77: "virtual"} {
		if got := k.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzHolding(f *testing.F) {
	f.Add("30 1 179:4 / /perm rw - ext4 x rw\n", "/perm/x")
	f.Add(`30 1 8:1 / /a\040b ro,x shared:1 - ext4 x rw`, "/a b")
	f.Fuzz(func(t *testing.T, table, dir string) {
		m := boardtest.Tree("pi4")
		boardtest.Set(m, "proc/self/mountinfo", table)
		if v, err := disk.Holding(m, dir); err == nil && v.Disk.Name == "" {
			t.Errorf("got %+v", v)
		}
	})
}
