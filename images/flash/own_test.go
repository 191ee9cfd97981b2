package flash

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"redhen/board/boardtest"
	"redhen/images/card"
	"redhen/images/layout"
	"redhen/images/slot"
)

// ownBox is a box that runs from slot b, after an update.
func ownBox(t *testing.T, board layout.Board) Own {
	t.Helper()
	root := make([]byte, 3*4096+100)
	copy(root, "hsqs")
	binary.LittleEndian.PutUint64(root[40:], 2*4096+1)
	copy(root[8000:], "the root of b")
	copy(root[3*4096:], "of an older root")
	path := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(path, root, 0o600); err != nil {
		t.Fatal(err)
	}
	line := layout.Cmdline(board, layout.B, "tty1")
	_, entry := slot.Entry(layout.B, "2.0", 7, line)
	boot := fstest.MapFS{
		"EFI/BOOT/BOOTX64.EFI":         {Data: []byte("loader")},
		"loader/loader.conf":           {Data: []byte("timeout 0\n")},
		"README.txt":                   {Data: []byte("hello")},
		"loader/entries/redhen-b.conf": {Data: entry},
		"loader/entries/redhen-a.conf": {Data: []byte("options of a")},
		"redhen/a/vmlinuz":             {Data: []byte("old kernel")},
		"redhen/b/vmlinuz":             {Data: []byte("kernel of b")},
		"redhen/b/overlays/x.dtbo":     {Data: []byte("overlay")},
		"redhen.toml":                  {Data: []byte(`passphrase = "cluck cluck"`)},
		"redhen-wifi.txt":              {Data: []byte("cluck cluck")},
	}
	if board == layout.ARM64 {
		boot["redhen/b/cmdline.txt"] = &fstest.MapFile{Data: []byte(line + "\n")}
		boot["start4.elf"] = &fstest.MapFile{Data: []byte("firmware")}
		boot["config.txt"] = &fstest.MapFile{Data: []byte("os_prefix=redhen/b/\n")}
	}
	return Own{About: layout.About{Board: board, Release: "2.0", Number: 1_800_000_000}, Slot: layout.B, Boot: boot, Root: path, Room: t.TempDir()}
}

// Rule: a card made from a running box holds its system, as slot a, and nothing of its own.
func TestImageOfARunningBox(t *testing.T) {
	for _, board := range layout.Boards() {
		o := ownBox(t, board)
		f, err := o.Image(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fat, err := card.OpenFAT(f)
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]string{"redhen/a/vmlinuz": "kernel of b", "redhen/a/overlays/x.dtbo": "overlay", "loader/entries/redhen-a.conf": "redhen.slot=a"}
		if board == layout.ARM64 {
			has["cmdline.txt"], has["redhen/a/cmdline.txt"], has["config.txt"], has["start4.elf"] = "redhen.slot=a\n", "PARTNROFF=1 ", "os_prefix=redhen/a/", "firmware"
		}
		for name, want := range has {
			if got, err := fat.Get(name); err != nil || !strings.Contains(string(got), want) {
				t.Errorf("%s: %s: %q, %v; want %q", board, name, got, err, want)
			}
		}
		for _, name := range []string{"redhen.toml", "redhen-wifi.txt", "redhen/b/vmlinuz", "loader/entries/redhen-b.conf"} {
			if got, err := fat.Get(name); err == nil {
				t.Errorf("%s: the new card has %s: %q", board, name, got)
			}
		}
		root := make([]byte, 4*4096)
		if _, err := f.ReadAt(root, layout.Part(layout.RootAPart).Start); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(root, []byte("the root of b")) || bytes.Contains(root, []byte("older")) {
			t.Errorf("%s: root %q…", board, root[8000:8020])
		}
		if left, _ := os.ReadDir(o.Room); len(left) > 0 {
			t.Errorf("%s: %q is left", board, left[0].Name())
		}
	}
}

func TestNoImageOfWhatIsNoBox(t *testing.T) {
	for name, spoil := range map[string]func(*Own){
		"no entry":    func(o *Own) { delete(o.Boot.(fstest.MapFS), "loader/entries/redhen-b.conf") },
		"no kernel":   func(o *Own) { o.Slot = "c" },
		"no squashfs": func(o *Own) { os.WriteFile(o.Root, make([]byte, 4096), 0o600) },
		"no room":     func(o *Own) { o.Room = "/nowhere/at/all" },
	} {
		o := ownBox(t, layout.AMD64)
		spoil(&o)
		if f, err := o.Image(t.Context()); err == nil {
			f.Close()
			t.Errorf("%s: an image was made", name)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := ownBox(t, layout.AMD64).Image(ctx); err == nil {
		t.Error("it was made although nobody wanted it any more")
	}
}

func TestCardsInReach(t *testing.T) {
	if got := Cards(boardtest.Tree("pi4")); len(got) != 0 {
		t.Errorf("all disks are in use, and yet %+v", got)
	}
	got := Cards(free(t))
	if len(got) != 2 || got[0].Path != "/dev/mmcblk0" || !got[0].Sure || got[1].Sure {
		t.Errorf("got %+v", got)
	}
}
