package debian

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// take is a file of a package that goes into an image. %s stands for the folder of the
// architecture's libraries. A path with a star is a pattern. The name in the image is
// the same unless it is given.
type take struct{ pkg, path, as string }

// libraries of the two programs, by package.
func libraries() []take {
	var all []take
	for pkg, names := range map[string][]string{
		"libc6": {"libc.so.6", "libm.so.6"}, "libnl-3-200": {"libnl-3.so.200"}, "libnl-genl-3-200": {"libnl-genl-3.so.200"},
		"libnl-route-3-200": {"libnl-route-3.so.200"}, "libpcsclite1": {"libpcsclite.so.1"}, "libssl3t64": {"libssl.so.3", "libcrypto.so.3"},
		"libdbus-1-3": {"libdbus-1.so.3"}, "libsystemd0": {"libsystemd.so.0"}, "libcap2": {"libcap.so.2"},
		"libzstd1": {"libzstd.so.1"}, "zlib1g": {"libz.so.1"},
	} {
		for _, name := range names {
			all = append(all, take{pkg: pkg, path: "usr/lib/%s/" + name})
		}
	}
	return all
}

// firmware of the radios of Raspberry Pis. Some Zero 2 W have a radio whose firmware
// Debian does not have.
func firmware() []take {
	const pkg = "firmware-brcm80211"
	var all []take
	for _, chip := range []string{"43430", "43455"} {
		for _, ext := range []string{"bin", "clm_blob", "raspberrypi,*.txt"} {
			all = append(all, take{pkg: pkg, path: "usr/lib/firmware/brcm/brcmfmac" + chip + "-sdio." + ext})
		}
	}
	return all
}

// wanted is all that goes into an image for Wi-Fi.
func wanted(arch string) []take {
	all := append(libraries(),
		take{pkg: "wpasupplicant", path: "usr/sbin/wpa_supplicant"},
		take{pkg: "hostapd", path: "usr/sbin/hostapd"},
		take{pkg: "wireless-regdb", path: "usr/lib/firmware/regulatory.db-upstream", as: "usr/lib/firmware/regulatory.db"},
		take{pkg: "wireless-regdb", path: "usr/lib/firmware/regulatory.db.p7s-upstream", as: "usr/lib/firmware/regulatory.db.p7s"},
		take{pkg: "libc6", path: "usr/lib/%s/" + loader(arch), as: loaderPath(arch)},
	)
	if arch == "arm64" {
		all = append(all, firmware()...)
	}
	return all
}

// triple is Debian's name for an architecture's folder of libraries.
func triple(arch string) string {
	if arch == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// loader is the program that starts those with libraries.
func loader(arch string) string {
	if arch == "arm64" {
		return "ld-linux-aarch64.so.1"
	}
	return "ld-linux-x86-64.so.2"
}

// loaderPath is where programs look for it.
func loaderPath(arch string) string {
	if arch == "arm64" {
		return "lib/" + loader(arch)
	}
	return "lib64/" + loader(arch)
}

// packages are the names of those that hold what is wanted, each once.
func packages(arch string) (names []string) {
	for _, t := range wanted(arch) {
		names = append(names, t.pkg)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// AddWifi puts into the root of an image what joins Wi-Fi networks and opens one:
// wpa_supplicant and hostapd with their libraries, where their loader looks for them,
// the rules of countries and, for Raspberry Pis, the radios' firmware.
func (s *Store) AddWifi(ctx context.Context, arch, tree string) error {
	names := packages(arch)
	paths, err := s.Get(ctx, arch, names...)
	if err != nil {
		return err
	}
	stage, err := os.MkdirTemp("", "redhen-debian-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	for i, name := range names {
		if err := Unpack(ctx, paths[i], filepath.Join(stage, name)); err != nil {
			return err
		}
	}
	for _, name := range names {
		doc := take{pkg: name, path: "usr/share/doc/" + name + "/copyright"}
		if err := doc.into(stage, tree, ""); err != nil {
			return err
		}
	}
	for _, t := range wanted(arch) {
		if err := t.into(stage, tree, triple(arch)); err != nil {
			return err
		}
	}
	// Kernels look for firmware in /lib, which is a folder of its own in gokrazy's root.
	return os.Symlink("../usr/lib/firmware", filepath.Join(tree, "lib/firmware"))
}

// into copies what is taken from the unpacked packages into a tree.
func (t take) into(stage, tree, triple string) error {
	pattern := strings.ReplaceAll(t.path, "%s", triple)
	root := os.DirFS(filepath.Join(stage, t.pkg))
	found, err := fs.Glob(root, pattern)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("the package %s has no %s", t.pkg, pattern)
	}
	for _, name := range found {
		to := name
		if t.as != "" {
			to = t.as
		}
		if err := copyFile(filepath.Join(stage, t.pkg), name, filepath.Join(tree, to)); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file, or what a link leads to in the same package.
func copyFile(root, name, to string) error {
	from, err := filepath.EvalSymlinks(filepath.Join(root, name))
	if err != nil {
		return err
	}
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, st.Mode().Perm()|0o444)
}
