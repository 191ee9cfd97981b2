package seed

import (
	"os"
	"path/filepath"
	"testing"
)

// fuzz checks of a reader: no panic, only fields that keep their rules, and a seed
// that can be stored and read back.
func fuzz(f *testing.F, file string, parse func([]byte) (Seed, []Problem)) {
	paths, _ := filepath.Glob("testdata/cards/*/" + file)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, problems := parse(b)
		if len(problems) > maxProblems || len(s.Wifi) > MaxNetworks {
			t.Fatalf("%d problems, %d networks", len(problems), len(s.Wifi))
		}
		again, problems := ParseRedhen(Render(s))
		if !again.Equal(s) || len(problems) != 0 {
			t.Fatalf("stored\n%s\nread\n%s\n%v", Render(s), Render(again), problems)
		}
	})
}

func FuzzParseRedhen(f *testing.F) {
	f.Add(Render(gift(f)))
	fuzz(f, "redhen.toml", ParseRedhen)
}
func FuzzParsePreseed(f *testing.F)       { fuzz(f, "rpi-preseed.toml", ParsePreseed) }
func FuzzParseNetworkConfig(f *testing.F) { fuzz(f, "network-config", ParseNetworkConfig) }
func FuzzParseUserData(f *testing.F)      { fuzz(f, "user-data", ParseUserData) }
func FuzzParseMetaData(f *testing.F)      { fuzz(f, "meta-data", ParseMetaData) }
func FuzzParseFirstRun(f *testing.F)      { fuzz(f, "firstrun.sh", ParseFirstRun) }
func FuzzParseWifiText(f *testing.F)      { fuzz(f, "redhen-wifi.txt", ParseWifiText) }
func FuzzParseResetText(f *testing.F)     { fuzz(f, "redhen-reset.txt", ParseResetText) }

func FuzzCmdlineCountry(f *testing.F) {
	f.Add([]byte("console=tty1 cfg80211.ieee80211_regdom=DE"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c := cmdlineCountry(b); c != "" && len(c) != 2 {
			t.Fatalf("got %q", c)
		}
	})
}

// Whatever is on a card, the second start finds nothing new and knows the same.
func FuzzImport(f *testing.F) {
	f.Add(uint8(5), []byte("house = \"Mill\"\nbox = \"a\\tb\"\n"))
	f.Add(uint8(6), []byte("Upstairs\npassword\n"))
	f.Add(uint8(7), []byte(mark))
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		m := newMachine(map[string]string{sources()[int(which)%len(sources())].name: string(b)})
		first, err := Import(m, m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Import(m, m)
		if err != nil || len(again.New) != 0 || !again.Seed.Equal(first.Seed) {
			t.Fatalf("first\n%s\nthen\n%s\n%q, %v", Render(first.Seed), Render(again.Seed), again.New, err)
		}
	})
}

// FuzzReadManifest: what is read can be written, and read again as the same.
func FuzzReadManifest(f *testing.F) {
	b, err := Manifest(Image{Version: "1", URL: "file:///x.img.xz", Size: 2, DownloadSize: 1, SHA256: [32]byte{1}, DownloadSHA256: [32]byte{2}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := ReadManifest(b)
		if err != nil {
			return
		}
		again, err := Manifest(img)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := ReadManifest(again); err != nil || same != img {
			t.Errorf("%+v, then %+v, %v", img, same, err)
		}
	})
}
