package clients

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

// smallDisk makes dir a disk of its own, of some MiB, and returns how to give it
// another size.
func smallDisk(t *testing.T, dir string, mib int) (resize func(mib int)) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := func(mib int, flags uintptr) error {
		return syscall.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%dm,mode=700", mib))
	}
	if err := mount(mib, 0); err != nil {
		t.Skipf("a small disk needs the right to mount (%v): what happens on a full disk is not proved here", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return func(mib int) {
		t.Helper()
		if err := mount(mib, syscall.MS_REMOUNT); err != nil {
			t.Fatal(err)
		}
	}
}

// fillDisk writes a foreign file until there is no room at all.
func fillDisk(t *testing.T, dir string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "something else")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		if !isFull(err) {
			t.Fatal(err)
		}
		err = nil
	}
	return file
}

func isFull(err error) bool {
	e, ok := err.(*os.PathError)
	return ok && e.Err == syscall.ENOSPC
}

// TestAFullDisk has rclone fill a box's small disk: the program and the person are
// told, the box goes on for itself and the others notice nothing; on a disk without
// a single byte left it still shows its pages, and starts again; with a larger disk
// everything goes on, and nothing that was answered is lost.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	small := filepath.Join(dir, "box-1")
	resize := smallDisk(t, small, 176)
	c := newBoxes(t, dir, 3)
	c.found()
	c.awaitSafe(0)

	const files, size = 40, 3 << 20
	source := t.TempDir()
	sums := map[string]sum{}
	for i := range files {
		src, name := drawn(uint64(i), size), fmt.Sprintf("film %02d.mkv", i)
		b, err := io.ReadAll(src)
		if err != nil {
			t.Fatal(err)
		}
		sums[name] = src.sum()
		if err := os.WriteFile(filepath.Join(source, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rclone := c.rcloneAt(t, 0)
	copyAll := []string{"copy", "-v", "--retries", "1", "--low-level-retries", "1", "--transfers", "2", source, "box:films"}
	out, err := rclone(slices.Clone(copyAll)...)
	confirmed := regexp.MustCompile(`(?m)(film \d+\.mkv): Copied`).FindAllStringSubmatch(out, -1)
	if err == nil || !strings.Contains(out, "507") || len(confirmed) == 0 || len(confirmed) == files {
		t.Fatalf("rclone filled the disk with %d of %d files: %v\n%s", len(confirmed), files, err, child.LastLines(out, 25))
	}
	t.Logf("rclone: %d of %d files, then: %s", len(confirmed), files, firstLine(out, "507"))
	intact := func(at int) {
		t.Helper()
		for _, m := range confirmed {
			c.want(at, "films/"+m[1], sums[m[1]])
		}
	}
	intact(0)
	intact(1)

	refusal := func(size int64) {
		t.Helper()
		a, err := c.dav(c.ctx, 0, http.MethodPut, "refused.bin", drawn(9, size))
		if err != nil || a.code != http.StatusInsufficientStorage || !strings.Contains(a.said, "There is no room left for this. Nothing was changed or lost.") {
			t.Errorf("%d bytes on the full disk: %v, %v", size, a, err)
		}
		c.await(0, "the disk is full", func(r status.Report) bool {
			return slices.ContainsFunc(r.Faults, func(f status.Fault) bool { return f.Code == status.CodeDiskFull })
		})
		said := c.says(0)
		if !strings.Contains(said, "The disk of hen is full") || !strings.Contains(said, "New files cannot be kept here until there is room.") {
			t.Errorf("redhen status says:\n%s", said)
		}
		if r := c.report(0); r.Safe == status.Yes {
			t.Error("says that all is safe")
		}
	}
	refusal(20 << 20)
	t.Logf("redhen status says:\n%s", c.says(0))
	c.putSafe(1, "at another house.bin", 100, 2<<20)

	foreign := fillDisk(t, small)
	refusal(10)
	others := map[string]sum{}
	for i := range 30 {
		name := fmt.Sprintf("while full %02d.bin", i)
		others[name] = c.putSafe(1, name, uint64(200+i), 12_000).sum
	}
	intact(0)
	c.boxes[0].Kill()
	c.start(0)
	refusal(10)
	intact(0)

	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	resize(1024)
	c.wait("there is room again", func(context.Context) error {
		out, err := rclone(slices.Clone(copyAll)...)
		if err != nil {
			err = fmt.Errorf("rclone: %w\n%s", err, child.LastLines(out, 15))
		}
		return err
	})
	c.awaitSafe(0)
	for i := range c.boxes {
		for name, s := range sums {
			c.want(i, "films/"+name, s)
		}
		for name, s := range others {
			c.want(i, name, s)
		}
	}
}

// firstLine is the first line of a text that has a word in it.
func firstLine(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
