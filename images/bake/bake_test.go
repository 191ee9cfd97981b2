package bake

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"redhen/images/bundle"
	"redhen/images/card"
	"redhen/images/layout"
)

func key() ed25519.PrivateKey {
	sum := sha256.Sum256([]byte("us"))
	return ed25519.NewKeyFromSeed(sum[:])
}

// baking is a Config with a small tree in place of gokrazy's.
func baking(t *testing.T, b layout.Board) (Config, string) {
	t.Helper()
	if _, err := exec.LookPath("mksquashfs"); err != nil {
		t.Skip("squashfs-tools are not installed")
	}
	tree := filepath.Join(t.TempDir(), "tree")
	for name, text := range map[string]string{"gokrazy/init": "init", "user/redhen": "redhen", "etc/localtime": "this computer's", "etc/hostname": "redhen"} {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/tmp/nowhere.conf", filepath.Join(tree, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	return Config{Board: b, Module: "../..", Out: t.TempDir(), Release: "0.2", Number: 1_800_000_000, Key: key()}, tree
}

func root(t *testing.T, c Config, tree string) string {
	t.Helper()
	packed := filepath.Join(c.Out, "root")
	if err := Root(t.Context(), c, tree, packed); err != nil {
		t.Fatal(err)
	}
	return packed
}

func hashed(t *testing.T, path string) [32]byte {
	t.Helper()
	s, _, err := sum(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRootSaysWhatItIs(t *testing.T) {
	c, tree := baking(t, layout.AMD64)
	root(t, c, tree)
	about, err := layout.ReadAbout(os.DirFS(tree))
	if want := (layout.About{Board: layout.AMD64, Release: "0.2", Number: 1_800_000_000, Level: layout.Level}); err != nil || about != want {
		t.Errorf("got %+v, %v; want %+v", about, err, want)
	}
	if _, err := os.Stat(filepath.Join(tree, "etc/localtime")); err == nil {
		t.Error("the clock of this computer is in the root")
	}
	if st, err := os.Stat(filepath.Join(tree, layout.BootDir)); err != nil || !st.IsDir() {
		t.Errorf("no place for the FAT: %v", err)
	}
}

func TestTwoBakingsAreTheSame(t *testing.T) {
	var roots, images, bundles [2][32]byte
	for i := range roots {
		c, tree := baking(t, layout.ARM64)
		packed := root(t, c, tree)
		img, update := Image(c.Out, c.Board), Update(c.Out, c.Board)
		if err := Assemble(t.Context(), c, packed, img); err != nil {
			t.Fatal(err)
		}
		if err := Pack(t.Context(), c, packed, update); err != nil {
			t.Fatal(err)
		}
		roots[i], images[i], bundles[i] = hashed(t, packed), hashed(t, img), hashed(t, update)
	}
	if roots[0] != roots[1] || images[0] != images[1] || bundles[0] != bundles[1] {
		t.Errorf("same root %t, image %t, update %t", roots[0] == roots[1], images[0] == images[1], bundles[0] == bundles[1])
	}
}

func TestImageHasWhatEachBootLoaderLooksFor(t *testing.T) {
	for b, want := range map[layout.Board][]string{
		layout.AMD64: {"EFI/BOOT/BOOTX64.EFI"},
		layout.ARM64: {
			"EFI/BOOT/BOOTAA64.EFI", "bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "config.txt", "cmdline.txt",
			"redhen/a/cmdline.txt", "redhen/a/bcm2710-rpi-3-b.dtb", "redhen/a/bcm2710-rpi-zero-2-w.dtb", "redhen/a/bcm2711-rpi-4-b.dtb",
			"redhen/a/bcm2712-rpi-5-b.dtb", "redhen/a/overlays/README", "redhen/a/overlays/overlay_map.dtb",
		},
	} {
		c, tree := baking(t, b)
		img := Image(c.Out, b)
		if err := Assemble(t.Context(), c, root(t, c, tree), img); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(img)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fat, err := card.OpenFAT(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(want, "loader/loader.conf", "redhen/a/vmlinuz", "README.txt") {
			if got, err := fat.Get(name); err != nil || len(got) == 0 {
				t.Errorf("%s: %s: %d bytes, %v", b, name, len(got), err)
			}
		}
		entry, err := fat.Get("loader/entries/redhen-a.conf")
		if err != nil || !strings.Contains(string(entry), "redhen.slot=a") {
			t.Errorf("%s: entry %q, %v", b, entry, err)
		}
	}
}

func TestUpdateIsTakenByWhoTrustsTheKey(t *testing.T) {
	c, tree := baking(t, layout.AMD64)
	packed, update := root(t, c, tree), Update(c.Out, layout.AMD64)
	if err := Pack(t.Context(), c, packed, update); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(update)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := bundle.Open(f, key().Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := d.Files(func(f bundle.File, r io.Reader) error {
		names = append(names, f.Name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"root", "boot/vmlinuz"}; !slices.Equal(names, want) || !strings.Contains(d.Lines.UEFIB, "PARTNROFF=2") {
		t.Errorf("files %q with line %q", names, d.Lines.UEFIB)
	}
}

func TestTooLargeRootIsRefused(t *testing.T) {
	c, _ := baking(t, layout.AMD64)
	large := filepath.Join(c.Out, "large")
	f, err := os.Create(large)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(layout.RootSize + 1); err != nil {
		t.Fatal(err)
	}
	if err := Assemble(t.Context(), c, large, Image(c.Out, c.Board)); err == nil {
		t.Error("a root that fits in no slot was put into one")
	}
	if err := Pack(t.Context(), c, large, Update(c.Out, c.Board)); err == nil {
		t.Error("a root that fits in no slot became an update")
	}
}

func TestManifestNamesTheImage(t *testing.T) {
	c, _ := baking(t, layout.ARM64)
	lines := []Line{{What: "x.img", Size: 100, Sum: [32]byte{1}}, {What: "x.img.xz", Size: 10, Sum: [32]byte{2}}, {What: "x.update", Size: 5, Sum: [32]byte{3}}}
	if err := c.manifest(lines); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(c.name(".rpi-imager-manifest"))
	if err != nil || !json.Valid(b) || !strings.Contains(string(b), `"extract_size": 100`) || !strings.Contains(string(b), "redhen-box-arm64.img.xz") {
		t.Errorf("%s %v", b, err)
	}
	if err := c.checksums(lines); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(c.name(".sha256")); err != nil || strings.Count(string(b), "\n") != 3 {
		t.Errorf("%s %v", b, err)
	}
}

func TestBadConfigsAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"no board":  {Module: ".", Out: ".", Release: "x", Number: 1},
		"no folder": {Board: layout.AMD64, Release: "x", Number: 1},
		"no commit": {Board: layout.AMD64, Module: t.TempDir(), Out: "."},
	} {
		if err := c.validate(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWhatAToolSaidIsInTheError(t *testing.T) {
	err := run(exec.Command("sh", "-c", "echo no such thing; exit 3"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v", err)
	}
}
