package datapart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"redhen/images/layout"
)

func partition(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

func look(t *testing.T, f *os.File) State {
	t.Helper()
	s, err := Look(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check asks the tool that people would ask.
func check(t *testing.T, f *os.File) {
	t.Helper()
	fsck, err := exec.LookPath("e2fsck")
	if err != nil {
		t.Log("e2fsck is not installed")
		return
	}
	if out, err := exec.Command(fsck, "-fn", f.Name()).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
}

func TestMadeOnceAndClean(t *testing.T) {
	for _, size := range []int64{layout.DataMin, 900<<20 + 12345, 3 << 30} {
		f := partition(t, size)
		if got := look(t, f); got != Fresh {
			t.Fatalf("an empty partition is %d, want Fresh", got)
		}
		if err := Make(f, size); err != nil {
			t.Fatal(err)
		}
		if got := look(t, f); got != Ready {
			t.Errorf("%d bytes: %d, want Ready", size, got)
		}
		check(t, f)
	}
}

func TestUsedCardIsMadeClean(t *testing.T) {
	const size = 300 << 20
	f := partition(t, size)
	for at := int64(0); at < size; at += 1 << 20 {
		if _, err := f.WriteAt(bytes.Repeat([]byte("leftover"), 1<<17), at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteAt(make([]byte, lookAt), 0); err != nil { // as writing an image does
		t.Fatal(err)
	}
	if err := Make(f, size); err != nil {
		t.Fatal(err)
	}
	check(t, f)
}

func TestACutMakingBeginsAgain(t *testing.T) {
	f := partition(t, layout.DataMin)
	if err := Make(f, layout.DataMin); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(mark), 0); err != nil { // the last write was lost
		t.Fatal(err)
	}
	if got := look(t, f); got != Fresh {
		t.Fatalf("a marked partition is %d, want Fresh", got)
	}
	if err := Make(f, layout.DataMin); err != nil {
		t.Fatal(err)
	}
	if got := look(t, f); got != Ready {
		t.Errorf("made again: %d, want Ready", got)
	}
	check(t, f)
}

func TestWhatWasInUseIsNeverMadeAgain(t *testing.T) {
	f := partition(t, layout.DataMin)
	if err := Make(f, layout.DataMin); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{stateError | 1, 0}, stateAt); err != nil {
		t.Fatal(err)
	}
	if got := look(t, f); got != Faulty {
		t.Errorf("with errors: %d, want Faulty", got)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 512), superAt); err != nil {
		t.Fatal(err)
	}
	if got := look(t, f); got != Unknown {
		t.Errorf("with a lost superblock: %d, want Unknown", got)
	}
}

func TestTooSmallIsRefused(t *testing.T) {
	f := partition(t, 8<<20)
	if err := Make(f, 8<<20); err == nil {
		t.Error("8 MiB became a data partition")
	}
	if _, err := Look(partition(t, 512)); err == nil {
		t.Error("a partition that cannot be read was judged")
	}
}
