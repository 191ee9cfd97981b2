package flash

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ulikunitz/xz"

	"redhen/board/boardtest"
	"redhen/images/card"
	"redhen/images/layout"
	"redhen/provision/seed"
)

// refused is the sentence of a refusal; empty: it was taken.
func refused(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("%v is no refusal", err)
	}
	if !strings.Contains(r.Sentence, "Nothing was changed") {
		t.Errorf("%q does not say that nothing was changed", r.Sentence)
	}
	return r.Sentence
}

func TestDisksInUseAreRefused(t *testing.T) {
	for _, c := range []struct{ board, path, want string }{
		{"pi4", "/dev/mmcblk0", "is in use"},             // the box's own card
		{"pi4", "/dev/sda", "is in use, at /perm"},       // its data
		{"pi4", "/dev/mmcblk0p1", "Name the whole card"}, // a part
		{"pi4", "/dev/loop0", "no disk"},
		{"pi4", "/dev/sdz", "no disk"},
	} {
		_, err := device(boardtest.Tree(c.board), c.path)
		if got := refused(t, err); !strings.Contains(got, c.want) {
			t.Errorf("%s at %s: %q, want %q", c.path, c.board, got, c.want)
		}
	}
}

// free is the pi4 tree without anything mounted.
func free(t *testing.T) fstest.MapFS {
	t.Helper()
	m := boardtest.Tree("pi4")
	boardtest.Set(m, "proc/self/mountinfo", "18 1 0:19 / /tmp rw - tmpfs tmpfs rw\n")
	return m
}

const cardDir = "sys/devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:59b4/block/mmcblk0/"

func TestACardIsTaken(t *testing.T) {
	got, err := device(free(t), "/dev/mmcblk0")
	if want := (Target{Path: "/dev/mmcblk0", Device: true, Words: "card SD32G, 29.7 GiB", Sure: true}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestADiskTakesASecondYes(t *testing.T) {
	got, err := device(free(t), "/dev/sda")
	if err != nil || got.Sure || !strings.Contains(got.Words, "USB disk") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestUnfitCardsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, content, want string }{
		"locked":     {cardDir + "ro", "1\n", "cannot be written to"},
		"small":      {cardDir + "size", "1000000\n", "too small"},
		"huge":       {cardDir + "size", "9999999999\n", "too large"},
		"swap":       {"proc/swaps", "Filename Type\n/dev/mmcblk0p2 partition 1 0 -2\n", "in use, at swap"},
		"encrypted":  {cardDir + "mmcblk0p2/holders/dm-0/x", "", "in use, at dm-0"},
		"no mounts":  {"proc/self/mountinfo", "", ""},
		"odd mounts": {"proc/self/mountinfo", "1 2\n\n", ""},
	} {
		m := free(t)
		boardtest.Set(m, c.file, c.content)
		_, err := device(m, "/dev/mmcblk0")
		if got := refused(t, err); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	m := free(t)
	delete(m, "proc/self/mountinfo")
	if _, err := device(m, "/dev/mmcblk0"); refused(t, err) == "" {
		t.Error("a card was taken though nothing tells whether it is mounted")
	}
}

func TestOtherPeoplesFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, []byte("Dear Anna"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		letter: "is no redhen image", dir: "neither a card nor a file", "/dev/null": "neither a card nor a file",
		"/dev/nothing-like-a-card": "Is the card in its reader", filepath.Join(dir, "new.img"): "",
	} {
		_, err := Look(fstest.MapFS{}, path)
		if got := refused(t, err); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// image is a small image of ours.
func image(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{"redhen/a/vmlinuz": []byte("kernel")}
	err = errors.Join(f.Truncate(layout.ImageSize), layout.WriteTable(f, layout.AMD64, layout.ImageSize),
		card.MakeFAT(f, layout.Part(layout.BootPart), files, time.Unix(1_800_000_000, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsAreOnTheCard(t *testing.T) {
	img, err := Open(t.Context(), image(t))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	to := filepath.Join(t.TempDir(), "card.img")
	target, err := Look(fstest.MapFS{}, to)
	if err != nil {
		t.Fatal(err)
	}
	want := seed.Seed{House: "Mill Lane", Box: "mill", Keeper: "anna", Wifi: []seed.Wifi{{SSID: "hens", Passphrase: "cluck cluck"}}}
	if err := Write(t.Context(), target, img, want, nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fat, err := card.OpenFAT(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fat.Get(layout.SettingsTxt)
	if err != nil {
		t.Fatal(err)
	}
	if got, problems := seed.ParseRedhen(b); !got.Equal(want) || len(problems) > 0 {
		t.Errorf("got %+v %v", got, problems)
	}
	if k, err := fat.Get("redhen/a/vmlinuz"); err != nil || string(k) != "kernel" {
		t.Errorf("kernel %q, %v", k, err)
	}
	// And again over it.
	if again, err := Look(fstest.MapFS{}, to); err != nil || again != target {
		t.Errorf("a card of ours: %+v, %v", again, err)
	}
	if st, err := os.Stat(to); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("a file with secrets has mode %v", st.Mode())
	}
}

func TestOnlyOurImagesAreWritten(t *testing.T) {
	other := filepath.Join(t.TempDir(), "debian.img")
	if err := os.WriteFile(other, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{other, "/no/such/image"} {
		if _, err := Open(t.Context(), path); refused(t, err) == "" {
			t.Errorf("%s was taken", path)
		}
	}
}

func TestUnpackReadsWhatXZWrites(t *testing.T) {
	want := bytes.Repeat([]byte("redhen"), 100_000)
	var packed bytes.Buffer
	w, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := unpack(t.Context(), bytes.NewReader(packed.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("unpacked something else, %v", err)
	}
	for n := range 40 {
		if _, err := unpack(t.Context(), bytes.NewReader(packed.Bytes()[:packed.Len()*n/40])); err == nil {
			t.Errorf("%d/40 of it was unpacked", n)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := unpack(ctx, bytes.NewReader(packed.Bytes())); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestExplainHasWordsForEverything(t *testing.T) {
	for err, want := range map[error]string{
		context.Canceled: "Stopped", card.ErrDiffers: "a fake", card.ErrTooSmall: "too small",
		os.ErrPermission: "as root", errors.New("input/output error"): "could not be written",
	} {
		if got := Explain(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q", err, got)
		}
	}
}
