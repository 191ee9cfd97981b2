package clients

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/appliance/status"
)

// flip turns one bit of a file.
func flip(t *testing.T, file string, at int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// flipWhere turns one bit of what a file of a folder has in the given bytes, and
// returns the name of the file. An old copy of the bytes, which the file no longer
// uses, is flipped as well: which one is in use only its owner knows.
func flipWhere(t *testing.T, pattern string, what []byte) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; ; at += len(what) {
			next := bytes.Index(b[at:], what)
			if next < 0 && at > 0 {
				return file
			}
			if next < 0 {
				break
			}
			at += next
			flip(t, file, int64(at+len(what)/2))
		}
	}
	t.Fatalf("%q is in none of %v", what, files)
	return ""
}

// the words of the report about a fault, as redhen status shows them.
func words(f status.Fault) string {
	return fmt.Sprintf("%s %s %s %s", f.What, f.Lost, f.Heals, f.Do)
}

// wantFault waits until a box reports the fault, and checks every word of it: in
// the report, and in what a person reads.
func (c *circle) wantFault(i int, code status.Code, want string) {
	c.t.Helper()
	var got []string
	c.await(i, "it says "+string(code), func(r status.Report) bool {
		got = nil
		for _, f := range r.Faults {
			if f.Code == code {
				got = append(got, words(f))
			}
		}
		return len(got) > 0
	})
	if !slices.Contains(got, want) {
		c.t.Errorf("%s says\n%s\nwant\n%s", boxNames()[i], strings.Join(got, "\n"), want)
		return
	}
	if said := c.says(i); !strings.Contains(said, want) {
		c.t.Errorf("redhen status at %s:\n%s\nwant in it\n%s", boxNames()[i], said, want)
	}
}

// wantGone checks that a box no longer reports a fault.
func (c *circle) wantGone(i int, code status.Code) {
	c.t.Helper()
	c.await(i, "it no longer says "+string(code), func(r status.Report) bool {
		return !slices.ContainsFunc(r.Faults, func(f status.Fault) bool { return f.Code == code })
	})
}

// TestOneByteOfAFileFlips: the disk of a box changes one bit of somebody's file.
func TestOneByteOfAFileFlips(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 3)
	film := c.put(0, "film.mkv", 1, 3<<20)
	c.awaitSafe(1)
	chunks, err := filepath.Glob(filepath.Join(c.boxes[1].Dir, "chunks", "??", strings.Repeat("?", 64)))
	if err != nil || len(chunks) != 3 {
		t.Fatalf("chunks %v, %v", chunks, err)
	}
	flip(t, chunks[1], 12345)
	c.want(1, "film.mkv", film.sum)
	c.wantFault(1, status.CodeMended, "One piece of the files of Mia had gone bad on the disk of finch, and was fetched again from another house. "+
		"Nothing is lost. It is mended already. If this comes back often, replace the card or disk of finch.")
	if said := c.says(2); !strings.Contains(said, "had gone bad on the disk of finch") {
		t.Errorf("another box does not say it:\n%s", said)
	}
	b, err := os.ReadFile(chunks[1])
	if sum := sumOf(string(b)); err != nil || hex.EncodeToString(sum[:]) != filepath.Base(chunks[1]) {
		t.Errorf("the piece is not whole again: %v", err)
	}
	c.awaitSafe(1)
}

// TestOneByteOfTheListFlips: the disk of a box changes one bit of its list of somebody's files.
func TestOneByteOfTheListFlips(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 3)
	want := map[string]sum{}
	for i := range 50 {
		name := fmt.Sprintf("a name that is easily found %02d.txt", i)
		want[name] = c.put(i%3, name, uint64(i), int64(i*1000)).sum
	}
	c.awaitSafe(0)
	for _, b := range c.boxes {
		b.Stop()
	}
	file := flipWhere(t, filepath.Join(c.boxes[1].Dir, "shards", "*.db"), []byte("a name that is easily found 07.txt"))
	c.start(1)
	c.wantFault(1, status.CodeStoppedDamaged, "Finch at Oak Street found damage in its list of the files of Mia, and does not use that list. "+
		"Nothing that another house has too. It fetches the list from another house as soon as one that has it is in reach; "+
		"the others carry on meanwhile. Nothing: wait. If this comes back, replace the card or disk of finch.")
	c.start(0)
	c.start(2)
	began := time.Now()
	c.awaitSafe(1)
	t.Logf("healed %.1f s after the others were there", time.Since(began).Seconds())
	c.wantGone(1, status.CodeStoppedDamaged)
	c.wantFault(1, status.CodeListMended, "The list of the files of Mia had gone bad on the disk of finch, and was fetched again from another house. "+
		"Nothing is lost. It is mended already. If this comes back often, replace the card or disk of finch.")
	if aside, err := filepath.Glob(file + ".damaged-*"); err != nil || len(aside) != 1 {
		t.Errorf("the damaged list is not kept aside: %v, %v", aside, err)
	}
	c.wantAll(want)
	c.writesGoOn()
}

// TestOneByteOfTheLogFlips: the disk of a box changes one bit of what it noted.
func TestOneByteOfTheLogFlips(t *testing.T) {
	t.Parallel()
	c := newCircle(t, 3)
	want := map[string]sum{}
	for i := range 50 {
		name := fmt.Sprintf("a name that is easily found %02d.txt", i)
		want[name] = c.put(i%3, name, uint64(i), int64(i*1000)).sum
	}
	c.awaitSafe(0)
	for _, b := range c.boxes {
		b.Stop()
	}
	flipWhere(t, filepath.Join(c.boxes[1].Dir, "raftlog", "*.seg"), []byte("a name that is easily found 07.txt"))
	c.start(1)
	c.wantFault(1, status.CodeLogWaits, "The disk of finch at Oak Street damaged what the box had noted last, and "+
		"Elm Road and Mill Lane cannot be reached to make that good. "+
		"Nothing that another house has too. What was written at Oak Street alone in the last moments may be. "+
		"As soon as Elm Road and Mill Lane can be reached, finch takes part again by itself. "+
		"Until then it shows files as it knew them last. "+
		"Look whether redhen is switched on and online at Elm Road and Mill Lane.")
	c.start(0)
	c.start(2)
	began := time.Now()
	c.awaitSafe(1)
	t.Logf("healed %.1f s after the others were there", time.Since(began).Seconds())
	c.wantGone(1, status.CodeLogWaits)
	c.wantGone(1, status.CodeLogDamaged)
	c.wantFault(1, status.CodeLogMended, "What finch had noted last had gone bad on its disk, and was replaced by what the other houses have. "+
		"Nothing is lost. It is mended already. If this comes back often, replace the card or disk of finch.")
	if aside, err := filepath.Glob(filepath.Join(c.boxes[1].Dir, "raftlog.damaged-*")); err != nil || len(aside) != 1 {
		t.Errorf("the damaged log is not kept aside: %v, %v", aside, err)
	}
	c.wantAll(want)
	c.writesGoOn()
}

// wantAll checks files at every box.
func (c *circle) wantAll(files map[string]sum) {
	c.t.Helper()
	for i := range c.boxes {
		got := c.tree(i, "")
		for name, want := range files {
			if is := got[name]; is != want {
				c.t.Errorf("%s at %s: %x, want %x", name, boxNames()[i], is[:4], want[:4])
			}
		}
	}
}

// writesGoOn writes at every box and reads at every box.
func (c *circle) writesGoOn() {
	c.t.Helper()
	for i := range c.boxes {
		name := "written after at " + boxNames()[i]
		a := c.putSafe(i, name, uint64(1000+i), 70_000)
		for j := range c.boxes {
			c.wait(name+" is at "+boxNames()[j], func(ctx context.Context) error {
				if got, err := c.get(ctx, j, name); err != nil || got != a.sum {
					return fmt.Errorf("%x, %w", got[:4], err)
				}
				return nil
			})
		}
	}
}
