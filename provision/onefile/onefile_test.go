package onefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if _, err := Read(path, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v", err)
	}
	for _, want := range []string{"first", "", "0123456789"} {
		if err := Replace(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path, 10); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := Read(path, 9); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: got %v", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: others can read it", st.Mode(), err)
	}
}

// What a power cut leaves of an unfinished write is neither read nor in the way.
func TestAnUnfinishedWriteIsIgnored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte("ne"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path, 10); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path, 10); err != nil || string(got) != "new" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAFailedReplaceLeavesTheOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err == nil {
		t.Error("no error")
	}
	if got, err := Read(path, 10); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v", got, err)
	}
}
