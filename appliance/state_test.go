package appliance

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheKeyStays(t *testing.T) {
	dir := t.TempDir()
	first, err := loadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.BoxID() != again.BoxID() {
		t.Errorf("got %s at the second start, want %s", again.BoxID(), first.BoxID())
	}
	fi, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := fi.Mode().Perm(); got != 0o600 {
		t.Errorf("key file has mode %o, want 600", got)
	}
}

func TestABrokenKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, keyFile)
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := loadKey(dir); err == nil {
		t.Fatalf("garbage read as %v", k)
	}
	if b, _ := os.ReadFile(path); string(b) != "garbage" {
		t.Errorf("the file now holds %q", b)
	}
}

func TestOneProcessPerStateDirectory(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err != ErrInUse {
		t.Errorf("second lock: got %v, want ErrInUse", err)
	}
	unlock()
	unlock, err = lock(dir)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	unlock()
}
