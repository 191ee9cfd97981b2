package datadisk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"redhen/board/boardtest"
	"redhen/images/flash"
	"redhen/images/layout"
)

// withSSD is a Raspberry Pi 4 whose USB port has an SSD that nobody uses.
func withSSD(t *testing.T) (root fstest.MapFS, name string) {
	t.Helper()
	root = boardtest.Tree("pi4")
	name = "sdz"
	boardtest.Set(root, "sys/devices/platform/usb2/2-1/host0/block/sdz/size", "1953525168\n")
	root["sys/block/sdz"] = &fstest.MapFile{Data: []byte("../devices/platform/usb2/2-1/host0/block/sdz"), Mode: fs.ModeSymlink | 0o777}
	for file, content := range map[string]string{"ro": "0\n", "removable": "0\n", "queue/rotational": "0\n", "queue/logical_block_size": "512\n", "device/vendor": "SanDisk \n", "device/model": "Extreme 55AE    \n"} {
		boardtest.Set(root, "sys/devices/platform/usb2/2-1/host0/block/sdz/"+file, content)
	}
	return root, name
}

func sentence(t *testing.T, err error) string {
	t.Helper()
	r, ok := errors.AsType[*flash.Refusal](err)
	if !ok {
		t.Fatalf("%v, want a refusal", err)
	}
	if r.Code == "" {
		t.Errorf("%q has no code", r.Sentence)
	}
	return r.Sentence
}

func TestOnlyADiskThatLastsLongerAndIsNotInUseIsTaken(t *testing.T) {
	root, name := withSSD(t)
	b := &Box{Disks: root, Card: t.TempDir(), State: t.TempDir()}
	want := []Target{{Device: "/dev/sdz", Name: "SanDisk Extreme 55AE", Words: "USB disk SanDisk Extreme 55AE, 931.5 GiB", Size: 1953525168 * 512}}
	if diff := cmp.Diff(want, b.Targets()); diff != "" {
		t.Fatalf("targets, -want +got:\n%s", diff)
	}
	dir := "sys/devices/platform/usb2/2-1/host0/block/" + name
	for _, c := range []struct{ file, content, want string }{
		{"removable", "1\n", "does not last longer than the card"},
		{"ro", "1\n", "is worn out or locked"},
		{"queue/logical_block_size", "4096\n", "counts in pieces of 4096 bytes"},
		{"size", "1000000\n", "is too small"},
		{"holders/dm-0", "", "is in use, at dm-0"},
	} {
		root, _ := withSSD(t)
		boardtest.Set(root, dir+"/"+c.file, c.content)
		b.Disks = root
		_, err := b.Choose(t.Context(), "/dev/sdz", "SanDisk Extreme 55AE")
		if got := sentence(t, err); !strings.Contains(got, c.want) || !strings.Contains(got, "Nothing was changed") {
			t.Errorf("%s = %q: %s", c.file, c.content, got)
		}
	}
	b.Disks, _ = withSSD(t)
	if _, err := b.Choose(t.Context(), "/dev/sdq", "x"); !strings.Contains(sentence(t, err), "There is no disk /dev/sdq") {
		t.Error(err)
	}
}

func TestADiskIsErasedOnlyWhenItsNameWasTyped(t *testing.T) {
	root, _ := withSSD(t)
	b := &Box{Disks: root, Card: t.TempDir(), State: t.TempDir()}
	for _, typed := range []string{"", "yes", "SanDisk", "SanDisk Extreme 55AF"} {
		_, err := b.Choose(t.Context(), "/dev/sdz", typed)
		if got := sentence(t, err); !strings.Contains(got, "The name of that disk is “SanDisk Extreme 55AE”") {
			t.Errorf("%q: %s", typed, got)
		}
	}
	// The name is right: the disk would be erased, if there were one.
	if _, err := b.Choose(t.Context(), "/dev/sdz", " sandisk  extreme 55ae"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with its name: %v", err)
	}
	if err := (Order{Part: newGUID(), Words: "the disk"}).Write(b.Card); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Choose(t.Context(), "/dev/sdz", "SanDisk Extreme 55AE"); !strings.Contains(sentence(t, err), "keeps what it has on the disk already") {
		t.Error(err)
	}
}

func TestOrderIsReadBackOrNobodyKnows(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := Read(dir); ok || err != nil {
		t.Fatalf("without one: %t, %v", ok, err)
	}
	want := Order{Part: newGUID(), Words: "USB disk", Moved: true}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := Read(dir); got != want || !ok || err != nil {
		t.Fatalf("%+v, %t, %v", got, ok, err)
	}
	for _, garbage := range []string{"", "{}", "[]", "\x00\x01", strings.Repeat("{", maxOrder+1)} {
		if err := os.WriteFile(filepath.Join(dir, orderName), []byte(garbage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := Read(dir); ok || err == nil {
			t.Errorf("%.20q: taken for an order", garbage)
		}
	}
	if err := Withdraw(dir); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := Read(dir); ok || err != nil {
		t.Errorf("withdrawn: %t, %v", ok, err)
	}
}

func TestTheDiskIsFoundByItsTable(t *testing.T) {
	root, dev := fstest.MapFS{}, t.TempDir()
	var parts []string
	for _, name := range []string{"sda", "sdb"} {
		f, err := os.Create(filepath.Join(dev, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(100 << 20); err != nil {
			t.Fatal(err)
		}
		part, err := writeTable(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		parts = append(parts, part)
		place := "sys/devices/usb1/host0/block/" + name
		root["sys/block/"+name] = &fstest.MapFile{Data: []byte("../devices/usb1/host0/block/" + name), Mode: fs.ModeSymlink | 0o777}
		boardtest.Set(root, place+"/size", "204800\n")
		boardtest.Set(root, place+"/"+name+"1/partition", "1\n")
	}
	for i, want := range []string{"sda1", "sdb1"} {
		if got, ok := Find(root, dev, strings.ToLower(parts[i])); !ok || got != filepath.Join(dev, want) {
			t.Errorf("%s: %q, %t, want %s", parts[i], got, ok, want)
		}
	}
	if got, ok := Find(root, dev, newGUID()); ok {
		t.Errorf("an unknown partition is %s", got)
	}
	if got, ok := Find(root, dev, layout.PartGUID(1)); ok {
		t.Errorf("the card's is %s", got)
	}
}

func TestCopyIsWholeOrNotThere(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "redhen"), filepath.Join(t.TempDir(), "redhen")
	then := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, content := range map[string]string{"box.key": "secret", "chunks/ab/cdef": strings.Repeat("x", 3<<20), "raftlog/empty": ""} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(to+".part/old", 0o700); err != nil { // a copying that was cut off
		t.Fatal(err)
	}
	amount, err := Amount(from)
	if err != nil || amount != 6+3<<20 {
		t.Errorf("%d bytes, %v", amount, err)
	}
	told := int64(0)
	if err := Copy(from, to, func(n int64) { told = n }); err != nil {
		t.Fatal(err)
	}
	if told != amount {
		t.Errorf("told of %d bytes, want %d", told, amount)
	}
	if diff := cmp.Diff(tree(t, from), tree(t, to)); diff != "" {
		t.Errorf("the copy differs:\n%s", diff)
	}
	if err := os.Symlink("box.key", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := Copy(from, to, func(int64) {}); err == nil {
		t.Error("a link was copied")
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a copy is there: %v", err)
	}
}

// tree is what is in a folder: content, mode and time by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		text := st.Mode().String()
		if !d.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += st.ModTime().UTC().String() + string(b)
		}
		name, err := filepath.Rel(dir, path)
		all[name] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
