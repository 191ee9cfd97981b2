package card

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"redhen/images/layout"
	"redhen/provision/seed"
)

// day is when the files of tests were made.
var day = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// image is a file with our partition table and a FAT with files.
func image(t *testing.T, files map[string][]byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(layout.ImageSize); err != nil {
		t.Fatal(err)
	}
	if err := layout.WriteTable(f, layout.ARM64, layout.ImageSize); err != nil {
		t.Fatal(err)
	}
	if err := MakeFAT(f, layout.Part(layout.BootPart), files, day); err != nil {
		t.Fatal(err)
	}
	return f
}

func open(t *testing.T, f *os.File) *FAT {
	t.Helper()
	fat, err := OpenFAT(f)
	if err != nil {
		t.Fatal(err)
	}
	return fat
}

// many is a card with files of all kinds.
func many() map[string][]byte {
	files := map[string][]byte{
		"redhen/a/vmlinuz":             bytes.Repeat([]byte("kernel"), 1<<20),
		"loader/entries/redhen-a.conf": []byte("title redhen\n"),
		"EFI/BOOT/BOOTX64.EFI":         []byte("boot loader"),
		"bootcode.bin":                 []byte("boot code"),
		"empty.txt":                    {},
		"a name of 13c":                []byte("a long name that fills its entry"),
		"größe.txt":                    []byte("letters"),
	}
	for i := range 60 { // more than one cluster of names, and short names that clash
		files[fmt.Sprintf("redhen/a/overlays/some-longer-overlay-name-%02d.dtbo", i)] = fmt.Appendf(nil, "overlay %d", i)
	}
	return files
}

func TestFilesAreReadBackFromTheCard(t *testing.T) {
	f := image(t, many())
	fat := open(t, f)
	for name, b := range many() {
		if got, err := fat.Get(name); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(b))
		}
	}
	checkFAT(t, f)
}

// TestLinuxReadsTheFAT asks tools that have nothing in common with ours.
func TestLinuxReadsTheFAT(t *testing.T) {
	mcopy, err := exec.LookPath("mcopy")
	if err != nil {
		t.Skip("mtools are not installed")
	}
	f := image(t, many())
	at := fmt.Sprintf("%s@@%d", f.Name(), int64(layout.BootStart))
	for name, want := range many() {
		cmd := exec.Command(mcopy, "-n", "-i", at, "::"+name, "-")
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		got, err := cmd.Output()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
}

func TestShortNamesAreWhatOldFirmwareLooksFor(t *testing.T) {
	d := &folder{}
	for _, c := range []struct{ name, want string }{
		{"bootcode.bin", "BOOTCODEBIN"}, {"start4.elf", "START4  ELF"}, {"vmlinuz", "VMLINUZ    "},
		{"bcm2710-rpi-3-b.dtb", "BCM271~1DTB"}, {"bcm2710-rpi-3-b-plus.dtb", "BCM271~2DTB"}, {"größe.txt", "GRE~1   TXT"},
	} {
		if err := d.add(c.name, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := string(d.entries[len(d.entries)-1].short[:]); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBadTreesAreRefused(t *testing.T) {
	for _, files := range []map[string][]byte{
		{"": nil}, {"/etc/passwd": nil}, {"../x": nil}, {"a//b": nil},
		{"A": []byte("1"), "a": []byte("2")}, {"a": []byte("1"), "a/b": []byte("2")},
		{"large": make([]byte, MaxFile+1)},
		{"1": make([]byte, MaxFile), "2": make([]byte, MaxFile)}, // more than there is room
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "fat"))
		if err != nil {
			t.Fatal(err)
		}
		if err := MakeFAT(f, layout.Part(layout.BootPart), files, day); err == nil {
			t.Errorf("%d files of a bad tree were put on a FAT", len(files))
		}
		f.Close()
	}
}

// checkFAT asks the tool that people would ask.
func checkFAT(t *testing.T, f *os.File) {
	t.Helper()
	fsck, err := exec.LookPath("fsck.fat")
	if err != nil {
		t.Log("fsck.fat is not installed")
		return
	}
	x := layout.Part(layout.BootPart)
	part := filepath.Join(t.TempDir(), "fat")
	w, err := os.Create(part)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.Copy(w, io.NewSectionReader(f, x.Start, x.Size)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(fsck, "-n", part).CombinedOutput(); err != nil {
		t.Errorf("fsck.fat: %v\n%s", err, out)
	}
}

func TestPutReplaces(t *testing.T) {
	f := image(t, many())
	fat := open(t, f)
	for _, text := range []string{"a longer text than the next one", "short"} {
		if err := fat.Put("redhen.toml", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := fat.Get("redhen.toml"); err != nil || string(got) != text {
			t.Errorf("got %q, %v; want %q", got, err, text)
		}
	}
	checkFAT(t, f)
}

func TestGetSaysWhatIsMissing(t *testing.T) {
	fat := open(t, image(t, nil))
	for _, name := range []string{"nothing.txt", "no/folder/nothing.txt"} {
		if _, err := fat.Get(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want fs.ErrNotExist", name, err)
		}
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	fat := open(t, image(t, nil))
	for _, name := range []string{"", ".", "/etc/passwd", "../x", "a//b"} {
		if err := fat.Put(name, []byte("x")); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v, want fs.ErrInvalid", name, err)
		}
	}
}

func TestFATIsTheSameEachTime(t *testing.T) {
	var sums [2][32]byte
	for i := range sums {
		x := layout.Part(layout.BootPart)
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(image(t, many()), x.Start, x.Size)); err != nil {
			t.Fatal(err)
		}
		copy(sums[i][:], h.Sum(nil))
	}
	if sums[0] != sums[1] {
		t.Error("two FATs with the same files differ")
	}
}

func TestSeedIsReadAsItWasMeant(t *testing.T) {
	f := image(t, many())
	want := seed.Seed{House: "Mill Lane", Box: "mill", Keeper: "anna", Wifi: []seed.Wifi{{SSID: "hens", Passphrase: "cluck cluck"}}}
	if err := Seed(f, want); err != nil {
		t.Fatal(err)
	}
	b, err := open(t, f).Get(layout.SettingsTxt)
	if err != nil {
		t.Fatal(err)
	}
	if got, problems := seed.ParseRedhen(b); !got.Equal(want) || len(problems) > 0 {
		t.Errorf("got %+v with %v, want %+v", got, problems, want)
	}
	checkFAT(t, f)
}

func TestSeedIsPutOnOurCardsOnly(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "holiday"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(layout.ImageSize); err != nil {
		t.Fatal(err)
	}
	if err := Seed(f, seed.Seed{House: "Mill Lane"}); !errors.Is(err, layout.ErrNotOurs) {
		t.Errorf("somebody's card: %v, want ErrNotOurs", err)
	}
}

// source makes an image that is not the same anywhere.
func source(size int) *bytes.Reader {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i>>16) ^ byte(i*7)
	}
	return bytes.NewReader(b)
}

func TestWriteToAFile(t *testing.T) {
	target, err := os.Create(filepath.Join(t.TempDir(), "card"))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := target.Write(bytes.Repeat([]byte("old"), 9<<20)); err != nil {
		t.Fatal(err)
	}
	const size = 2*piece + 12345
	img := source(size)
	last := map[Stage]int64{}
	err = Write(t.Context(), target, img, size, func(s Stage, done, all int64) {
		if done <= last[s] || all != size {
			t.Errorf("%s: %d of %d after %d", s, done, all, last[s])
		}
		last[s] = done
	})
	if err != nil {
		t.Fatal(err)
	}
	if last[Writing] != size || last[Reading] != size {
		t.Errorf("told %v, want %d of both", last, size)
	}
	got, err := os.ReadFile(target.Name())
	if err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(img)
	if !bytes.Equal(got, want) {
		t.Error("the file is not the image")
	}
}

func TestWriteStopsWhenAsked(t *testing.T) {
	target, err := os.Create(filepath.Join(t.TempDir(), "card"))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	ctx, end := context.WithCancel(t.Context())
	const size = 4 * piece
	err = Write(ctx, target, source(size), size, func(Stage, int64, int64) { end() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	head := make([]byte, piece)
	if _, err := target.ReadAt(head, 0); err != nil || !bytes.Equal(head, make([]byte, piece)) {
		t.Error("a card that was written in part starts")
	}
}

func TestAnImageThatEndsEarlyIsRefused(t *testing.T) {
	target, err := os.Create(filepath.Join(t.TempDir(), "card"))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := Write(t.Context(), target, source(piece), 2*piece, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
	}
}

// liar is an image that is another one when it is read again.
type liar struct{ reads int }

func (l *liar) ReadAt(b []byte, _ int64) (int, error) {
	l.reads++
	for i := range b {
		b[i] = byte(l.reads)
	}
	return len(b), nil
}

func TestReadingBackFindsADifference(t *testing.T) {
	target, err := os.Create(filepath.Join(t.TempDir(), "card"))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := Write(t.Context(), target, &liar{}, piece, nil); !errors.Is(err, ErrDiffers) {
		t.Errorf("got %v, want ErrDiffers", err)
	}
}
