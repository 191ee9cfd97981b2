package vmtest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/images/card"
	"redhen/images/layout"
)

// TestGarbageOnTheCard starts a fresh box whose settings are garbage in every format
// that it knows: it says so on its page, and can be claimed all the same.
func TestGarbageOnTheCard(t *testing.T) {
	need(t, layout.AMD64, "all")
	disk := fresh(t)
	garbage := "house = \"Mill Lane\nthis is = = no settings \x00\xff\n"
	for _, name := range []string{layout.SettingsTxt, "user-data", "network-config", "rpi-preseed.toml", "firstrun.sh"} {
		onFAT(t, disk, func(f *card.FAT) error { return f.Put(name, []byte(garbage)) })
	}
	m := start(t, Config{Board: layout.AMD64, Disk: disk, Dir: t.TempDir(), Direct: true})
	answers(t, m, "/", "Something on its card cannot be used")
	claim(t, m)
	write(t, m, "kept.txt", "kept by a box with a bad card")
}

// TestBrokenFAT starts a box whose FAT broke after its kernel was read: it keeps what
// it has, and says what does not work. A card whose kernel cannot be read starts nothing,
// and there is nobody to say so.
func TestBrokenFAT(t *testing.T) {
	need(t, layout.AMD64, "all")
	c, m := claimed(t, Config{Direct: true})
	write(t, m, "kept.txt", "kept before the FAT broke")
	m.Cut()
	f, err := os.OpenFile(c.Disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("broken by a bad reader of cards\n", 1<<15)), layout.Part(layout.BootPart).Start); err != nil {
		t.Fatal(err)
	}
	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	has(t, m, "kept.txt", "kept before the FAT broke")
	says(t, m, "The part of the card that holds settings cannot be read")
}

// TestFullDisk fills the data partition until nothing is taken any more. The refusal is
// a sentence; after a power cut the box starts, has all, and says that it is full.
func TestFullDisk(t *testing.T) {
	need(t, layout.AMD64, "all")
	disk := filepath.Join(t.TempDir(), "card")
	if err := Card(image(t, layout.AMD64), disk, 720<<20); err != nil {
		t.Fatal(err)
	}
	c, m := claimed(t, Config{Disk: disk, Direct: true})
	kept := 0
	for ; ; kept++ {
		code, answer := dav(t, m, http.MethodPut, noteName(kept), largeText(kept))
		if code/100 == 2 && kept < 100 {
			continue
		}
		if code != http.StatusInsufficientStorage || !strings.Contains(answer, "There is no room left for this.") {
			t.Fatalf("file %d: %d %.300s", kept, code, answer)
		}
		break
	}
	t.Logf("full after %d files of 4 MiB", kept)
	says(t, m, "is full")
	m.Cut()
	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	for i := range kept {
		has(t, m, noteName(i), largeText(i))
	}
	says(t, m, "is full")
}

// largeText is 4 MiB that no other file has.
func largeText(i int) string { return strings.Repeat(noteName(i), 1+4<<20/len(noteName(i))) }

// TestNoNetworkAtFirst starts a fresh box without a cable and with a clock that is years
// behind. When the cable is in, it is there like any other: nothing gave up meanwhile.
func TestNoNetworkAtFirst(t *testing.T) {
	need(t, layout.AMD64, "all")
	c := Config{Board: layout.AMD64, Disk: fresh(t), Dir: t.TempDir(), Direct: true, Extra: []string{"-rtc", "base=1999-12-31T23:00:00"}}
	m := start(t, c)
	if err := m.Unplug(true); err != nil {
		t.Fatal(err)
	}
	until(t, m, "the system is up", func() bool { return starts(m, layout.A) == 1 })
	if said := m.Console(); !strings.Contains(said, "it shows the last known time, 2001-09-09") {
		t.Error("the clock does not go on from the time of the release")
	}
	time.Sleep(time.Minute)
	if err := m.Unplug(false); err != nil {
		t.Fatal(err)
	}
	answers(t, m, "/", "Hello")
	claim(t, m)
	write(t, m, "kept.txt", "kept without the time")
	m.Cut()
	m = start(t, c)
	if err := m.Unplug(true); err != nil {
		t.Fatal(err)
	}
	until(t, m, "the system is up", func() bool { return starts(m, layout.A) == 1 })
	time.Sleep(30 * time.Second)
	if err := m.Unplug(false); err != nil {
		t.Fatal(err)
	}
	answers(t, m, "/healthz", "ok")
	has(t, m, "kept.txt", "kept without the time")
	says(t, m, "which cannot be")
}

// says waits until the status of Anna's box has a fault with these words.
func says(t *testing.T, m *Machine, words string) {
	t.Helper()
	anna := at(t, m, "anna", password)
	var text []byte
	for end := time.Now().Add(patience); !strings.Contains(string(text), words); time.Sleep(2 * time.Second) {
		if time.Now().After(end) {
			t.Fatalf("the status does not say %q: %s", words, text)
		}
		var r struct{ Faults []struct{ What string } }
		anna.asks(http.MethodGet, "/v1/status", nil, &r)
		var err error
		if text, err = json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the status says: %s", text)
}

// onFAT changes the FAT of a card.
func onFAT(t *testing.T, disk string, change func(*card.FAT) error) {
	t.Helper()
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fat, err := card.OpenFAT(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := change(fat); err != nil {
		t.Fatal(err)
	}
}
