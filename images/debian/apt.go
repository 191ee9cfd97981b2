package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// keyring is what apt checks Debian's signatures by.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// ErrMoved says that Debian has another version than the pinned one.
var ErrMoved = errors.New("a pinned version is no longer what Debian has: run make pins, and look at what changed")

// Store fetches packages and keeps them.
type Store struct {
	Dir string    // where packages are kept; empty: a folder of this person's cache
	Log io.Writer // nil: none
	// Strict refuses what is not as pinned. Otherwise a version that Debian has taken
	// back, most often for the sake of security, is followed by the one that it has now.
	Strict bool
	// Unpinned takes whatever Debian has now, in any case.
	Unpinned bool
}

// Missing names what this computer lacks to fetch packages; empty: nothing.
func Missing() string {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool
		}
	}
	if _, err := os.Stat(keyring); err != nil {
		return keyring
	}
	return ""
}

// Get returns the files of packages, in the order of their names.
func (s *Store) Get(ctx context.Context, arch string, names ...string) ([]string, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	wanted, err := s.pins(arch, names)
	if err != nil {
		return nil, err
	}
	var missing []Pin
	have := map[string]string{}
	for _, p := range wanted {
		if path := s.path(p); p.Sum != "" && sumOf(path) == p.Sum {
			have[p.Name] = path
			continue
		}
		missing = append(missing, p)
	}
	if len(missing) > 0 {
		if err := s.fetch(ctx, arch, missing, have); err != nil {
			return nil, err
		}
	}
	var paths []string
	for _, name := range names {
		paths = append(paths, have[name])
	}
	return paths, nil
}

// pins are those of the packages, without version and hash where none is asked for.
func (s *Store) pins(arch string, names []string) (wanted []Pin, err error) {
	all, err := Pins()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, ok := pinOf(all, name, arch)
		switch {
		case s.Unpinned:
			p = Pin{Name: name, Arch: arch}
		case !ok:
			return nil, fmt.Errorf("fetch %s: it is not in pins.txt for %s", name, arch)
		}
		wanted = append(wanted, p)
	}
	return wanted, nil
}

func (s *Store) open() error {
	if s.Log == nil {
		s.Log = io.Discard
	}
	if s.Dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("keep Debian's packages: %w", err)
		}
		s.Dir = filepath.Join(cache, "redhen", "debian")
	}
	return os.MkdirAll(s.Dir, 0o755)
}

// path is where a package with this hash is kept.
func (s *Store) path(p Pin) string { return filepath.Join(s.Dir, p.Sum+".deb") }

// fetch has apt bring packages, keeps them under their hashes, and notes where.
func (s *Store) fetch(ctx context.Context, arch string, pins []Pin, have map[string]string) error {
	a, err := s.apt(ctx, arch)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.Dir, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := a.download(ctx, dir, pins); err != nil {
		if ctx.Err() != nil || s.Strict {
			return fmt.Errorf("%w (%w)", ErrMoved, err)
		}
		fmt.Fprintf(s.Log, "%v: %v\n", ErrMoved, err)
		for i := range pins {
			pins[i].Version, pins[i].Sum = "", ""
		}
		if err := a.download(ctx, dir, pins); err != nil {
			return err
		}
	}
	return s.keep(ctx, dir, pins, have)
}

// keep moves the packages in a folder to where they are kept.
func (s *Store) keep(ctx context.Context, dir string, pins []Pin, have map[string]string) error {
	got, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, path := range got {
		name, err := About(ctx, path, "Package")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(pins, func(p Pin) bool { return p.Name == name })
		sum := sumOf(path)
		if i < 0 || pins[i].Sum != "" && pins[i].Sum != sum {
			return fmt.Errorf("fetch %s: it has another content than the pinned one", name)
		}
		have[name] = s.path(Pin{Sum: sum})
		if err := os.Rename(path, have[name]); err != nil {
			return err
		}
	}
	for _, p := range pins {
		if have[p.Name] == "" {
			return fmt.Errorf("fetch %s: it did not come", p.Name)
		}
	}
	return nil
}

// sumOf is the SHA-256 of a file in hex, empty when it cannot be read.
func sumOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// apt is Debian's own client, which looks at a list of its own and leaves this
// computer's alone. It checks signatures and hashes.
type apt struct {
	options []string
	log     io.Writer
}

// apt prepares the client for an architecture, with fresh lists.
func (s *Store) apt(ctx context.Context, arch string) (*apt, error) {
	root := filepath.Join(s.Dir, "apt-"+arch)
	for _, dir := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, err
		}
	}
	sources, err := sources(ctx)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"status": "", "sources.list": sources} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	a := &apt{log: s.Log, options: []string{"-q"}}
	for _, o := range []string{
		"APT::Architecture=" + arch, "APT::Architectures::=" + arch, "APT::Sandbox::User=", "Acquire::Languages=none",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false", "Acquire::Retries=3",
		"Dir::State=" + root + "/state", "Dir::State::status=" + root + "/status", "Dir::Cache=" + root + "/cache",
		"Dir::Etc::sourcelist=" + root + "/sources.list", "Dir::Etc::sourceparts=/dev/null",
		"Dir::Etc::preferences=/dev/null", "Dir::Etc::preferencesparts=/dev/null",
	} {
		a.options = append(a.options, "-o", o)
	}
	return a, a.run(ctx, "", "update")
}

func (a *apt) run(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", slices.Concat(a.options, args)...)
	cmd.Dir = dir
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = a.log, io.MultiWriter(a.log, said)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

// download brings packages into a folder, those without a version in the newest one.
func (a *apt) download(ctx context.Context, dir string, pins []Pin) error {
	args := []string{"download"}
	for _, p := range pins {
		if p.Version != "" {
			p.Name += "=" + p.Version
		}
		args = append(args, p.Name)
	}
	return a.run(ctx, dir, args...)
}

// sources is a list of Suite at the mirrors that this computer uses for its own.
func sources(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its mirrors: %w", err)
	}
	return sourcesOf(strings.Fields(string(out)))
}

func sourcesOf(mirrors []string) (string, error) {
	list := ""
	slices.Sort(mirrors)
	for _, uri := range slices.Compact(mirrors) {
		suite := ""
		switch base := filepath.Base(uri); base {
		case "debian":
			suite = Suite
		case "debian-security":
			suite = Suite + "-security"
		default:
			continue
		}
		list += fmt.Sprintf("deb [signed-by=%s] %s %s main non-free-firmware\n", keyring, uri, suite)
	}
	if list == "" {
		return "", errors.New("apt of this computer knows no mirror of Debian")
	}
	return list, nil
}

// About reads a field of a package.
func About(ctx context.Context, path, field string) (string, error) {
	out, err := exec.CommandContext(ctx, "dpkg-deb", "-f", path, field).Output()
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", field, filepath.Base(path), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Unpack unpacks a package into a folder.
func Unpack(ctx context.Context, path, dir string) error {
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", path, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", filepath.Base(path), err, strings.TrimSpace(string(out)))
	}
	return nil
}
