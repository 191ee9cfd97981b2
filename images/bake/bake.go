// Package bake makes images and update files: gokrazy builds the root of an instance,
// and the rest is put around it here, the same bytes each time.
package bake

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"redhen/images/debian"
	"redhen/images/layout"
)

// Config says what to bake. Board, Module and Out are needed.
type Config struct {
	Board   layout.Board
	Module  string // folder of redhen's go.mod
	Out     string // folder for what is made; made if it is missing
	Release string // for people; empty: from the last commit
	Number  uint64 // a later release has a larger one; 0: the last commit's time
	// Key signs the update file, and is the one that boxes with this image trust.
	// Nil: it is unsigned, and they trust nobody.
	Key ed25519.PrivateKey
	// Program stands in for redhen, in tests.
	Program string
	// Debian has what is taken from there; nil: a Store that follows Debian's updates.
	Debian *debian.Store
	// Extra is added to the kernel's command lines.
	Extra string
	Log   io.Writer // nil = none
}

// made is the time that every file bears.
func (c *Config) made() time.Time { return time.Unix(int64(c.Number), 0).UTC() }

func (c *Config) validate(ctx context.Context) error {
	if err := c.Board.Check(); err != nil {
		return err
	}
	if c.Module == "" || c.Out == "" {
		return errors.New("bake: folder of the module or of the results is missing")
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	if c.Debian == nil {
		c.Debian = &debian.Store{Log: c.Log}
	}
	if c.Release != "" && c.Number != 0 {
		return nil
	}
	out, err := exec.CommandContext(ctx, "git", "-C", c.Module, "log", "-1", "--format=%ct %h").Output()
	if err != nil {
		return fmt.Errorf("bake: no release was named, and the last commit is not known: %w", err)
	}
	var at uint64
	var hash string
	if _, err := fmt.Sscan(string(out), &at, &hash); err != nil {
		return fmt.Errorf("bake: last commit: %w", err)
	}
	if c.Number == 0 {
		c.Number = at
	}
	if c.Release == "" {
		c.Release = hash
	}
	return nil
}

// about is what the image says of itself.
func (c *Config) about() layout.About {
	return layout.About{Board: c.Board, Release: c.Release, Number: c.Number, Level: layout.Level}
}

// Tree has gokrazy build the root of a board's instance, unpacks it at dir, which is not
// there yet, and adds what comes from Debian.
func Tree(ctx context.Context, c Config, dir string) error {
	if err := c.validate(ctx); err != nil {
		return err
	}
	packed := dir + ".gok"
	defer os.Remove(packed)
	packed, err := filepath.Abs(packed)
	if err != nil {
		return err
	}
	gok := exec.CommandContext(ctx, "go", "run", "github.com/gokrazy/tools/cmd/gok",
		"--parent_dir", "images", "-i", string(c.Board), "overwrite", "--root", packed)
	gok.Dir = c.Module
	if err := run(gok, c.Log); err != nil {
		return fmt.Errorf("gok: %w", err)
	}
	if err := run(exec.CommandContext(ctx, "unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-dest", dir, packed), c.Log); err != nil {
		return err
	}
	if err := openFolders(dir); err != nil {
		return err
	}
	return c.Debian.AddWifi(ctx, c.Board.Arch(), dir)
}

// openFolders lets the folders of a tree be changed, and removed later.
func openFolders(tree string) error {
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return err
	})
}

// run runs a program; what it says stands in the error.
func run(cmd *exec.Cmd, log io.Writer) error {
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(log, said), io.MultiWriter(log, said)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLines(said.String()))
	}
	return nil
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " / ")
}

// Root packs a tree as the root of an image, with what the image says of itself. The
// tree is changed.
func Root(ctx context.Context, c Config, tree, packed string) error {
	if err := c.validate(ctx); err != nil {
		return err
	}
	if err := finish(&c, tree); err != nil {
		return fmt.Errorf("finish root: %w", err)
	}
	os.Remove(packed) // mksquashfs would add to it
	at := fmt.Sprint(c.Number)
	cmd := exec.CommandContext(ctx, "mksquashfs", tree, packed, "-quiet", "-no-progress", "-noappend", "-all-root", "-no-xattrs",
		"-comp", "gzip", "-b", "256K", "-reproducible", "-mkfs-time", at, "-all-time", at)
	cmd.Env = without(os.Environ(), "SOURCE_DATE_EPOCH") // it does not go with the times above
	return run(cmd, c.Log)
}

func without(env []string, name string) (rest []string) {
	for _, e := range env {
		if !strings.HasPrefix(e, name+"=") {
			rest = append(rest, e)
		}
	}
	return rest
}

// finish adds to a tree what gok does not know of, and takes out what it took from the
// computer that bakes.
func finish(c *Config, tree string) error {
	if err := os.RemoveAll(filepath.Join(tree, "etc/localtime")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(tree, layout.BootDir), 0o755); err != nil {
		return err
	}
	dir := filepath.Join(tree, layout.AboutDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	about, err := json.Marshal(c.about())
	if err != nil {
		return err
	}
	trusted := ""
	if c.Key != nil {
		trusted = hex.EncodeToString(c.Key.Public().(ed25519.PublicKey)) + "\n"
	}
	for name, text := range map[string]string{layout.AboutFile: string(about) + "\n", layout.TrustedFile: trusted} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if c.Program == "" {
		return nil
	}
	program, err := os.ReadFile(c.Program)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(tree, "user/redhen"), program, 0o755)
}

// sum returns the SHA-256 and the size of a file.
func sum(path string) (s [32]byte, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return [32]byte(h.Sum(nil)), size, err
}
