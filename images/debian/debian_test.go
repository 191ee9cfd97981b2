package debian

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryPackageIsPinned(t *testing.T) {
	pins, err := Pins()
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, name := range packages(arch) {
			if p, ok := pinOf(pins, name, arch); !ok || p.Version == "" {
				t.Errorf("%s for %s is not pinned", name, arch)
			}
		}
	}
}

func TestBadPinsAreRefused(t *testing.T) {
	for _, bad := range []string{"name", "name 1 amd64", "name 1 amd64 abc", "a b c " + strings.Repeat("0", 64) + " e"} {
		if all, err := parsePins("# fine\n\n" + bad + "\n"); err == nil {
			t.Errorf("%q is taken: %v", bad, all)
		}
	}
}

// Packages come from the mirrors of this computer, and from nowhere else.
func TestSources(t *testing.T) {
	got, err := sourcesOf([]string{"http://mirror.example/debian/", "http://mirror.example/debian-security/", "http://mirror.example/debian/", "https://other.example/apt"})
	want := "deb [signed-by=" + keyring + "] http://mirror.example/debian-security/ " + Suite + "-security main non-free-firmware\n" +
		"deb [signed-by=" + keyring + "] http://mirror.example/debian/ " + Suite + " main non-free-firmware\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := sourcesOf([]string{"https://other.example/apt"}); err == nil {
		t.Error("a computer without Debian's mirrors is taken")
	}
}

// deb makes a package with a file.
func deb(t *testing.T, name, file, content string) string {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	dir := t.TempDir()
	control := "Package: " + name + "\nVersion: 1\nArchitecture: amd64\nMaintainer: us <us@localhost>\nDescription: test\n"
	for path, text := range map[string]string{"DEBIAN/control": control, file: content} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), name+".deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", dir, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return to
}

// What came is kept only as it was pinned, and nothing may be missing.
func TestKeepChecksWhatCame(t *testing.T) {
	path := deb(t, "hostapd", "usr/sbin/hostapd", "program")
	sum := sumOf(path)
	for _, c := range []struct {
		pins []Pin
		ok   bool
	}{
		{[]Pin{{Name: "hostapd", Version: "1", Sum: sum}}, true},
		{[]Pin{{Name: "hostapd"}}, true},
		{[]Pin{{Name: "hostapd", Version: "1", Sum: strings.Repeat("0", 64)}}, false},
		{[]Pin{{Name: "hostapd"}, {Name: "libc6"}}, false},
		{[]Pin{{Name: "libc6"}}, false},
	} {
		s := &Store{Dir: t.TempDir()}
		if err := s.open(); err != nil {
			t.Fatal(err)
		}
		from := t.TempDir()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, "x.deb"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		have := map[string]string{}
		if err := s.keep(t.Context(), from, c.pins, have); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.pins, err)
		} else if c.ok && sumOf(have["hostapd"]) != sum {
			t.Errorf("kept %q", have)
		}
	}
}

func TestFilesOfAPackage(t *testing.T) {
	stage, tree := t.TempDir(), t.TempDir()
	if err := Unpack(t.Context(), deb(t, "hostapd", "usr/lib/x86_64-linux-gnu/libx.so.1", "library"), filepath.Join(stage, "hostapd")); err != nil {
		t.Fatal(err)
	}
	if err := (take{pkg: "hostapd", path: "usr/lib/%s/lib?.so.*"}).into(stage, tree, "x86_64-linux-gnu"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(tree, "usr/lib/x86_64-linux-gnu/libx.so.1")); err != nil || string(b) != "library" {
		t.Errorf("%q, %v", b, err)
	}
	if err := (take{pkg: "hostapd", path: "usr/sbin/hostapd"}).into(stage, tree, ""); err == nil {
		t.Error("a file that a package does not have is not missed")
	}
}

// Where the packages are at hand, nothing of what the programs load is missing in the image.
func TestNoLibraryIsMissing(t *testing.T) {
	if Missing() != "" {
		t.Skip("apt is not here")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		s := &Store{Strict: true}
		if !atHand(t, s, arch) {
			t.Skip("Debian's packages were not fetched yet: make image")
		}
		tree := t.TempDir()
		if err := os.MkdirAll(filepath.Join(tree, "lib"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := s.AddWifi(t.Context(), arch, tree); err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{"usr/sbin/wpa_supplicant", "usr/sbin/hostapd"} {
			needs(t, tree, arch, program, map[string]bool{})
		}
		if _, err := os.Stat(filepath.Join(tree, "lib/firmware/regulatory.db")); err != nil {
			t.Error(err)
		}
		_, err := os.Stat(filepath.Join(tree, "lib/firmware/brcm/brcmfmac43455-sdio.raspberrypi,5-model-b.txt"))
		if (arch == "arm64") != (err == nil) {
			t.Errorf("firmware for %s: %v", arch, err)
		}
	}
}

// atHand reports whether all packages are kept already: a test downloads nothing.
func atHand(t *testing.T, s *Store, arch string) bool {
	t.Helper()
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	pins, err := s.pins(arch, packages(arch))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pins {
		if _, err := os.Stat(s.path(p)); err != nil {
			return false
		}
	}
	return true
}

// needs looks that all libraries of a program, and theirs, are in a tree.
func needs(t *testing.T, tree, arch, name string, seen map[string]bool) {
	t.Helper()
	if seen[name] {
		return
	}
	seen[name] = true
	f, err := elf.Open(filepath.Join(tree, name))
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	libs, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, lib := range libs {
		path := "usr/lib/" + triple(arch) + "/" + lib
		if lib == loader(arch) {
			path = loaderPath(arch)
		}
		needs(t, tree, arch, path, seen)
	}
}
