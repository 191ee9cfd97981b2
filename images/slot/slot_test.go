package slot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"redhen/images/layout"
)

// fat is a folder as a new card's FAT.
func fat(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{layout.EntriesDir, layout.A.Dir(), layout.B.Dir()} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name, entry := Entry(layout.A, "0.1", 1, "root=a")
	put(t, filepath.Join(dir, layout.EntriesDir, name), string(entry))
	put(t, filepath.Join(dir, layout.EntriesDir, "debian.conf"), "title Debian\nversion 99\n")
	put(t, filepath.Join(dir, layout.ConfigTxt), string(PiConfig(layout.A))+"dtoverlay=hat\n")
	return dir
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// names lists the entries.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, layout.EntriesDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		all = append(all, e.Name())
	}
	return all
}

func trial(t *testing.T, l Loader) bool {
	t.Helper()
	on, err := l.OnTrial()
	if err != nil {
		t.Fatal(err)
	}
	return on
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUEFITriesAndConfirms(t *testing.T) {
	dir := fat(t)
	a := NewUEFI(dir, layout.A)
	if trial(t, a) {
		t.Error("a new card is on trial")
	}
	must(t, a.Try("0.2", "root=b quiet"))
	if got, want := names(t, dir), []string{"debian.conf", "redhen-a.conf", "redhen-b+3.conf"}; !slices.Equal(got, want) {
		t.Fatalf("entries %q, want %q", got, want)
	}
	want := "title redhen 0.2\nsort-key redhen\nversion 2\nlinux /redhen/b/vmlinuz\noptions root=b quiet\n"
	if got := get(t, dir, layout.EntriesDir, "redhen-b+3.conf"); got != want {
		t.Errorf("entry %q, want %q", got, want)
	}
	if trial(t, a) {
		t.Error("the slot that works is on trial")
	}

	// The loader counts, in capitals as the case may be.
	must(t, os.Rename(filepath.Join(dir, layout.EntriesDir, "redhen-b+3.conf"), filepath.Join(dir, layout.EntriesDir, "REDHEN-B+2-1.CONF")))
	b := NewUEFI(dir, layout.B)
	if !trial(t, b) {
		t.Error("the new slot is not on trial")
	}
	must(t, b.Confirm())
	if trial(t, b) {
		t.Error("a confirmed slot is on trial")
	}
	must(t, b.Confirm()) // again
	must(t, b.Try("0.3", "root=a"))
	if got, want := names(t, dir), []string{"debian.conf", "redhen-a+3.conf", "redhen-b.conf"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	if got := get(t, dir, layout.EntriesDir, "redhen-a+3.conf"); !strings.Contains(got, "\nversion 3\n") {
		t.Errorf("it is not before the older one: %q", got)
	}
}

func TestUEFIClearsTheOtherSlotOnly(t *testing.T) {
	dir := fat(t)
	put(t, filepath.Join(dir, layout.EntriesDir, "redhen-b+0-3.conf"), "version 8\n") // it failed
	a := NewUEFI(dir, layout.A)
	must(t, a.Clear())
	must(t, a.Clear())
	if got, want := names(t, dir), []string{"debian.conf", "redhen-a.conf"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
}

func TestUEFIGivesUpOnlyWhatIsOnTrial(t *testing.T) {
	dir := fat(t)
	must(t, NewUEFI(dir, layout.A).giveUp())
	put(t, filepath.Join(dir, layout.EntriesDir, "redhen-b+2-1.conf"), "version 2\n")
	must(t, NewUEFI(dir, layout.A).giveUp())
	if got, want := names(t, dir), []string{"debian.conf", "redhen-a.conf", "redhen-b+2-1.conf"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	must(t, NewUEFI(dir, layout.B).giveUp())
	if got, want := names(t, dir), []string{"debian.conf", "redhen-a.conf", "redhen-b+0-3.conf"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
}

func TestUEFIWithoutItsFATSaysSo(t *testing.T) {
	u := NewUEFI(t.TempDir(), layout.A)
	if _, err := u.OnTrial(); err == nil {
		t.Error("OnTrial: no error")
	}
	for name, do := range map[string]func() error{"Clear": u.Clear, "Confirm": u.Confirm, "Try": func() error { return u.Try("x", "y") }} {
		if err := do(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPiTriesAndConfirms(t *testing.T) {
	dir := fat(t)
	a := NewPi(dir, layout.A)
	if trial(t, a) {
		t.Error("a new card is on trial")
	}
	must(t, a.Clear())
	before := get(t, dir, layout.ConfigTxt)
	must(t, a.Try("0.2", "root=b"))
	if got := get(t, dir, layout.ConfigTxt); got != before {
		t.Errorf("config.txt was changed: %q", got)
	}
	want := strings.Replace(before, "os_prefix=redhen/a/", "os_prefix=redhen/b/", 1)
	if got := get(t, dir, layout.TrybootTxt); got != want || got == before {
		t.Errorf("tryboot.txt %q, want %q", got, want)
	}
	if got := get(t, dir, layout.B.Dir(), layout.CmdlineTxt); got != "root=b\n" {
		t.Errorf("command line %q", got)
	}

	b := NewPi(dir, layout.B)
	if !trial(t, b) {
		t.Error("the new slot is not on trial")
	}
	if err := b.Clear(); err == nil {
		t.Error("the only slot that is known to work was cleared")
	}
	must(t, a.Try("0.2", "root=b")) // Clear took the file away
	must(t, b.Confirm())
	if got := get(t, dir, layout.ConfigTxt); got != want {
		t.Errorf("config.txt %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, layout.TrybootTxt)); err == nil {
		t.Error("tryboot.txt is still there")
	}
	if trial(t, b) {
		t.Error("a confirmed slot is on trial")
	}
	must(t, b.Confirm())
}

func TestPiConfigWithoutSlotIsNotGuessed(t *testing.T) {
	dir := fat(t)
	put(t, filepath.Join(dir, layout.ConfigTxt), "kernel=somebody-elses\n")
	if err := NewPi(dir, layout.A).Try("0.2", "root=b"); err == nil {
		t.Error("a card that is not as ours was changed")
	}
}

func TestLineOfAnEntryIsWhatWasAsked(t *testing.T) {
	line := layout.Cmdline(layout.AMD64, layout.B, "ttyS0")
	_, b := Entry(layout.B, "1", 5, line)
	if !strings.Contains(string(b), "\noptions "+line+"\n") || generationOf(b) != 5 {
		t.Errorf("got %q", b)
	}
	if generationOf([]byte("version many\n")) != 0 || generationOf(nil) != 0 {
		t.Error("a broken entry has a generation")
	}
}

func TestOtherComputersHaveNoSlots(t *testing.T) {
	if _, err := Open(); err == nil {
		t.Skip("this is a redhen box")
	} else if !strings.Contains(err.Error(), ErrNoSlots.Error()) {
		t.Errorf("got %v, want ErrNoSlots", err)
	}
}
