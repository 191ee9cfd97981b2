package layout

import (
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func disk(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTableIsReadBack(t *testing.T) {
	for _, b := range Boards() {
		f := disk(t, ImageSize)
		if err := WriteTable(f, b, ImageSize); err != nil {
			t.Fatal(err)
		}
		got, err := FindData(f)
		if want := Part(DataPart); err != nil || got != want {
			t.Errorf("%s: data partition %v, %v; want %v", b, got, err, want)
		}
	}
}

func TestTableIsTheSameEachTime(t *testing.T) {
	var sums [2][32]byte
	for i := range sums {
		f := disk(t, ImageSize)
		if err := WriteTable(f, ARM64, ImageSize); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 64<<10)
		if _, err := f.ReadAt(head, 0); err != nil {
			t.Fatal(err)
		}
		sums[i] = sha256.Sum256(head)
	}
	if sums[0] != sums[1] {
		t.Error("two tables of one board differ")
	}
}

func TestTooSmallDiskIsRefused(t *testing.T) {
	f := disk(t, ImageSize-Sector)
	if err := WriteTable(f, AMD64, ImageSize-Sector); err == nil {
		t.Error("a disk that is too small was partitioned")
	}
}

func TestPartitionsFollowEachOther(t *testing.T) {
	end := int64(BootStart)
	for part := BootPart; part <= DataPart; part++ {
		x := Part(part)
		if x.Start != end || x.Size%mib != 0 {
			t.Errorf("partition %d at %d, want %d, in MiB", part, x.Start, end)
		}
		end = x.Start + x.Size
	}
	if end+mib != ImageSize {
		t.Errorf("partitions end at %d of %d", end, int64(ImageSize))
	}
}

func TestGrowTakesTheRestOfACard(t *testing.T) {
	f := disk(t, ImageSize)
	if err := WriteTable(f, AMD64, ImageSize); err != nil {
		t.Fatal(err)
	}
	if _, grown, err := Grow(f, ImageSize); err != nil || grown {
		t.Errorf("an image as it is: grown %t, %v", grown, err)
	}
	const card = ImageSize + 777*mib
	if err := f.Truncate(card); err != nil {
		t.Fatal(err)
	}
	got, grown, err := Grow(f, card)
	if want := int64(card - DataStart - 33*Sector); err != nil || !grown || got.Size != want {
		t.Fatalf("grown %t to %d, %v; want %d", grown, got.Size, err, want)
	}
	if again, grown, err := Grow(f, card); err != nil || grown || again != got {
		t.Errorf("a second time: %v %t, %v; want nothing changed", again, grown, err)
	}
	mbr := make([]byte, Sector)
	if _, err := f.ReadAt(mbr, 0); err != nil || string(mbr) != string(hybridMBR()) {
		t.Errorf("the MBR was changed: %v", err)
	}
}

func TestGrowMendsATableThatWasCut(t *testing.T) {
	f := disk(t, ImageSize)
	if err := WriteTable(f, AMD64, ImageSize); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 8), Sector+16); err != nil { // header checksum
		t.Fatal(err)
	}
	if got, err := FindData(f); err != nil || got != Part(DataPart) {
		t.Errorf("with a broken first table: %v, %v", got, err)
	}
}

func TestOtherDisksAreNotTouched(t *testing.T) {
	f := disk(t, ImageSize)
	if _, _, err := Grow(f, ImageSize); !errors.Is(err, ErrNotOurs) {
		t.Errorf("an empty disk: %v, want ErrNotOurs", err)
	}
}

// TestLinuxReadsTheTable asks the tool that people would ask.
func TestLinuxReadsTheTable(t *testing.T) {
	sfdisk, err := exec.LookPath("sfdisk")
	if err != nil {
		t.Skip("sfdisk is not installed")
	}
	f := disk(t, ImageSize)
	if err := WriteTable(f, ARM64, ImageSize); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(sfdisk, "--dump", f.Name()).CombinedOutput()
	if err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	for part := BootPart; part <= DataPart; part++ {
		if !strings.Contains(string(out), PartGUID(part)) {
			t.Errorf("partition %d is missing:\n%s", part, out)
		}
	}
}

func TestCmdlineNamesSlotAndRoot(t *testing.T) {
	got := Cmdline(AMD64, B, "tty1", "ttyS0")
	want := "console=tty1 console=ttyS0 root=PARTUUID=72656468-656E-4000-8000-000000000001/PARTNROFF=2 ro"
	if !strings.HasPrefix(got, want) || !strings.Contains(got, " redhen.slot=b") {
		t.Errorf("got %q", got)
	}
	if s, ok := SlotOf(got); s != B || !ok {
		t.Errorf("slot of it: %q %t", s, ok)
	}
	if s, ok := SlotOf("quiet splash"); ok {
		t.Errorf("slot of another system: %q", s)
	}
	if _, ok := SlotOf("redhen.slot=c"); ok {
		t.Error("there is no slot c")
	}
}

func TestPatience(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"": Patience, "quiet " + PatienceLine(time.Minute) + " x": time.Minute, "redhen.patience=long": Patience, "redhen.patience=-1s": Patience,
	} {
		if got := PatienceOf(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}

func TestNamesOfPartitions(t *testing.T) {
	for _, c := range []struct{ where, disk, data string }{
		{"../../devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda2", "/dev/vda", "/dev/vda4"},
		{"../../devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/mmcblk0p3", "/dev/mmcblk0", "/dev/mmcblk0p4"},
		{"../../devices/pci0000:00/nvme/nvme0/nvme0n1/nvme0n1p2", "/dev/nvme0n1", "/dev/nvme0n1p4"},
		{"../../devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda2", "/dev/sda", "/dev/sda4"},
	} {
		d, err := diskOf(c.where)
		if err != nil || d.Disk != c.disk || d.Part(DataPart) != c.data {
			t.Errorf("%s: %s %s, %v", c.where, d.Disk, d.Part(DataPart), err)
		}
	}
	for _, where := range []string{"../../devices/virtual/block/vda", "x", ""} {
		if d, err := diskOf(where); err == nil {
			t.Errorf("%q is on %s", where, d.Disk)
		}
	}
	if d, err := RunningDisk(fstest.MapFS{}); err == nil {
		t.Errorf("without /sys the disk is %s", d.Disk)
	}
}

func TestAboutIsReadAndBounded(t *testing.T) {
	const name = "etc/redhen/release.json"
	good := fstest.MapFS{name: {Data: []byte(`{"board":"vm-amd64","release":"0.2","number":7,"level":1}`)}}
	if a, err := ReadAbout(good); err != nil || a != (About{AMD64, "0.2", 7, 1}) {
		t.Errorf("got %+v, %v", a, err)
	}
	for _, b := range []string{"", "{", `{"board":"toaster"}`, strings.Repeat(" ", maxAbout+1)} {
		if a, err := ReadAbout(fstest.MapFS{name: {Data: []byte(b)}}); err == nil {
			t.Errorf("%.20q became %+v", b, a)
		}
	}
}

func TestBoards(t *testing.T) {
	for _, b := range Boards() {
		if err := b.Check(); err != nil {
			t.Error(err)
		}
	}
	if err := Board("toaster").Check(); err == nil {
		t.Error("a toaster is a board")
	}
	if A.Other() != B || B.Other() != A || A.RootPart() == B.RootPart() {
		t.Error("the slots are not two")
	}
}

func TestPromote(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"": 0, "quiet " + PromoteLine(2*time.Second) + " ro": 2 * time.Second, "redhen.promote=-1s": 0, "redhen.promote=soon": 0,
	} {
		if got := PromoteOf(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestAnotherSlotsLine(t *testing.T) {
	for _, b := range Boards() {
		line := Cmdline(b, B, "tty1", "ttyS0,115200") + " " + PatienceLine(time.Minute)
		if got, want := Relined(line, A), Cmdline(b, A, "tty1", "ttyS0,115200")+" "+PatienceLine(time.Minute); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
